//! Read marks.

use std::collections::BTreeMap;

use diesel::prelude::*;
use switchboard_protocol::{MessageId, UserId};

use super::{Batch, Change};
use crate::answer::DONE_BEFORE;
use crate::queries::ByMessage;
use crate::schema::{GROUP, conversations, kind, mailbox_entries as entries, mailboxes, messages, users};

/// An entry of a received message: mailbox, position, conversation, sender and when it was read.
type Received = (i64, i64, i64, Option<i64>, Option<i64>);

/// What a sender learns of those that were read at once.
struct Receipt {
    conversation: i64,
    messages: Vec<i64>,
    /// Of groups: how many have read each.
    counts: Option<Vec<i64>>,
}

impl Batch<'_> {
    /// One entry for all that are read now, and one receipt a sender.
    pub(super) fn mark_read(&mut self, reader: UserId, messages: &[MessageId]) -> QueryResult<()> {
        let actor = reader.0;
        let Some((actor_name, _)) = self.find_user(actor)? else {
            return Ok(());
        };
        let is_silent =
            !users::table.find(actor).select(users::send_receipts).first::<bool>(self.connection)?;
        let (mut marked, mut before) = (BTreeMap::new(), None);
        for message in messages {
            match self.find_received(actor, message.0)? {
                Some((mailbox, seq, conversation, Some(sender), None)) => {
                    diesel::update(entries::table.find((mailbox, seq)))
                        .set((
                            entries::read_at.eq(self.now),
                            entries::is_silent.eq(is_silent.then_some(1_i16)),
                        ))
                        .execute(self.connection)?;
                    marked.insert(message.0, (conversation, sender));
                }
                Some((_, _, conversation, _, Some(read_at)))
                    if self.is_member_since(actor, conversation, message.0)? =>
                {
                    before = before.max(Some((message.0, conversation, read_at)));
                }
                _ => {}
            }
        }
        let now = self.now;
        let change = |ids: &[i64], conversation| Change {
            conversation,
            message: ids.last().copied().unwrap_or_default(),
            messages: (ids.len() > 1).then(|| format!("{ids:?}")),
            actor,
            actor_name: actor_name.clone(),
            read_at: Some(now),
            ..Change::default()
        };
        if marked.is_empty() {
            let Some((message, conversation, read_at)) = before else {
                return Ok(());
            };
            let change = change(&[message], conversation);
            // What one wrote to oneself has only the received entry.
            let kinds = &[kind::RECEIVED, kind::READ];
            return self.answer_as_before(DONE_BEFORE, read_at, kinds, kind::READ, change);
        }
        let ids: Vec<_> = marked.keys().copied().collect();
        // That of the newest, where there are several.
        let conversation = marked.last_key_value().map_or(0, |(_, (conversation, _))| *conversation);
        let n_marked = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        self.enter(actor, kind::READ, -n_marked, &change(&ids, conversation))?;
        if is_silent {
            return Ok(());
        }
        for ((_, sender), Receipt { conversation, messages, counts }) in self.receipts(&marked)? {
            // Numbers: writing them cannot fail.
            let detail = counts.and_then(|counts| serde_json::to_string(&counts).ok());
            self.enter(sender, kind::RECEIPT, 0, &Change { detail, ..change(&messages, conversation) })?;
        }
        Ok(())
    }

    /// What each sender learns, of conversations of two before that of groups: not one who has left the group since.
    fn receipts(
        &mut self,
        marked: &BTreeMap<i64, (i64, i64)>,
    ) -> QueryResult<BTreeMap<(bool, i64), Receipt>> {
        let mut receipts: BTreeMap<(bool, i64), Receipt> = BTreeMap::new();
        for (message, (conversation, sender)) in marked {
            let kind: i16 =
                conversations::table.find(conversation).select(conversations::kind).first(self.connection)?;
            let is_group = kind == GROUP;
            if is_group && !self.is_member_since(*sender, *conversation, *message)? {
                continue;
            }
            let receipt = receipts.entry((is_group, *sender)).or_insert_with(|| Receipt {
                conversation: *conversation,
                messages: Vec::new(),
                counts: is_group.then(Vec::new),
            });
            receipt.conversation = receipt.conversation.min(*conversation);
            receipt.messages.push(*message);
            if let Some(counts) = &mut receipt.counts {
                let count = diesel::update(messages::table.find(message))
                    .set(messages::read_count.eq(messages::read_count + 1))
                    .returning(messages::read_count)
                    .get_result(self.connection)?;
                counts.push(count);
            }
        }
        Ok(receipts)
    }

    fn find_received(&mut self, reader: i64, message: i64) -> QueryResult<Option<Received>> {
        let mailbox = mailboxes::table.filter(mailboxes::owner_id.eq(reader)).select(mailboxes::id);
        entries::table
            .filter(entries::message_id.eq(message))
            .filter(entries::mailbox_id.eq_any(mailbox))
            .filter(ByMessage)
            .filter(entries::kind.eq(kind::RECEIVED))
            .filter(entries::hidden_at.is_null())
            .select((
                entries::mailbox_id,
                entries::seq,
                entries::conversation_id,
                entries::actor_id,
                entries::read_at,
            ))
            .first(self.connection)
            .optional()
    }
}
