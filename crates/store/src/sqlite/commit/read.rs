//! Read marks.

use std::collections::BTreeMap;

use diesel::prelude::*;
use switchboard_protocol::{MessageId, UserId};

use super::{Batch, Change};
use crate::answer::DONE_BEFORE;
use crate::schema::{kind, mailbox_entries as entries, mailboxes};

/// An entry of a received message: mailbox, position, conversation, sender and when it was read.
type Received = (i64, i64, i64, Option<i64>, Option<i64>);

impl Batch<'_> {
    /// One entry for all that are read now, and one receipt a sender.
    pub(super) fn mark_read(&mut self, reader: UserId, messages: &[MessageId]) -> QueryResult<()> {
        let actor = reader.0;
        let Some((actor_name, _)) = self.find_user(actor)? else {
            return Ok(());
        };
        let (mut marked, mut before) = (BTreeMap::new(), None);
        for message in messages {
            match self.find_received(actor, message.0)? {
                Some((mailbox, seq, conversation, Some(sender), None)) => {
                    diesel::update(entries::table.find((mailbox, seq)))
                        .set(entries::read_at.eq(self.now))
                        .execute(self.connection)?;
                    marked.insert(message.0, (conversation, sender));
                }
                Some((_, _, conversation, _, Some(read_at))) => {
                    before = before.max(Some((message.0, conversation, read_at)));
                }
                _ => {}
            }
        }
        let change = |ids: &[i64], conversation| Change {
            conversation,
            message: ids.last().copied().unwrap_or_default(),
            messages: (ids.len() > 1).then(|| format!("{ids:?}")),
            actor,
            actor_name: actor_name.clone(),
            read_at: Some(self.now),
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
        let mut of_sender: BTreeMap<i64, (Vec<i64>, i64)> = BTreeMap::new();
        for (message, (conversation, sender)) in &marked {
            of_sender.entry(*sender).or_insert_with(|| (Vec::new(), *conversation)).0.push(*message);
        }
        let ids: Vec<_> = marked.keys().copied().collect();
        // That of the newest, where there are several.
        let conversation = marked.last_key_value().map_or(0, |(_, (conversation, _))| *conversation);
        let receipts: Vec<_> = of_sender
            .iter()
            .map(|(sender, (ids, conversation))| (*sender, change(ids, *conversation)))
            .collect();
        let change = change(&ids, conversation);
        let n_marked = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        self.enter(actor, kind::READ, -n_marked, &change)?;
        for (sender, change) in receipts {
            self.enter(sender, kind::RECEIPT, 0, &change)?;
        }
        Ok(())
    }

    fn find_received(&mut self, reader: i64, message: i64) -> QueryResult<Option<Received>> {
        let mailbox = mailboxes::table.filter(mailboxes::owner_id.eq(reader)).select(mailboxes::id);
        entries::table
            .filter(entries::message_id.eq(message))
            .filter(entries::mailbox_id.eq_any(mailbox))
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
