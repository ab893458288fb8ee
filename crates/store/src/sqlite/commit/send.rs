//! Sends.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use switchboard_protocol::{Target, UserId};

use super::{Batch, Change};
use crate::answer::{
    DONE_BEFORE, DONE_DIFFERENTLY, NO_SUCH_FILE, NO_SUCH_MENTION, NO_SUCH_MESSAGE, NO_SUCH_RECIPIENT,
};
use crate::model::{FileLabel, Send};
use crate::schema::{DIRECT, OPERATOR, attachments, blocks, conversations, kind, members, messages};

diesel::alias!(members as others: Others);

/// Where a message goes.
struct Aim {
    /// None while it is not there: the first message opens it.
    conversation: Option<i64>,
    /// None in a group.
    peer: Option<i64>,
}

/// Of a message: its id, conversation, time and hash, and the sum of its two members.
type Prior = (i64, i64, i64, i64, Option<i64>);

impl Batch<'_> {
    pub(super) fn send(&mut self, send: &Send) -> QueryResult<()> {
        let actor = send.sender.0;
        let Some((actor_name, _)) = self.find_user(actor)? else {
            return Ok(());
        };
        let change = Change { actor, actor_name, ..Change::default() };
        if let Some((message, conversation, created_at, hash, pair)) = self.find_prior(send)? {
            let outcome = if hash == send.request_hash() { DONE_BEFORE } else { DONE_DIFFERENTLY };
            let peer = pair.map(|pair| pair - actor);
            let change = Change { conversation, message, peer, ..change };
            return self.answer_as_before(outcome, created_at, &[kind::SENT], kind::SENT, change);
        }
        let Some(aim) = self.aim(send)? else {
            return Ok(());
        };
        if let Some(problem) = self.find_problem(send, &aim)? {
            self.answer(problem, (0, 0, 0), kind::SENT, self.now, &change);
            return Ok(());
        }
        let conversation = match (aim.conversation, aim.peer) {
            (None, Some(peer)) => self.open(actor.min(peer), actor.max(peer))?,
            (known, _) => known.unwrap_or_default(),
        };
        let message = self.write(send, conversation)?;
        let read_at = (aim.peer == Some(actor)).then_some(self.now);
        let change = Change { conversation, message, read_at, peer: aim.peer, ..change };
        self.enter(actor, kind::SENT, 0, &change)?;
        for recipient in self.recipients(actor, conversation, aim.peer)? {
            self.enter(recipient, kind::RECEIVED, i64::from(recipient != actor), &change)?;
        }
        Ok(())
    }

    /// A message that this one repeats.
    fn find_prior(&mut self, send: &Send) -> QueryResult<Option<Prior>> {
        messages::table
            .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
            .filter(messages::sender_id.eq(send.sender.0))
            .filter(messages::client_message_id.eq(&send.client_message_id))
            .select((
                messages::id,
                messages::conversation_id,
                messages::created_at,
                messages::request_hash,
                (conversations::user_low + conversations::user_high).nullable(),
            ))
            .first(self.connection)
            .optional()
    }

    /// Where it goes; none if there is no such place for the sender.
    fn aim(&mut self, send: &Send) -> QueryResult<Option<Aim>> {
        let actor = send.sender.0;
        let aim = match send.to {
            Target::User(UserId(peer)) => {
                let known: Option<i64> = conversations::table
                    .filter(conversations::user_low.eq(actor.min(peer)))
                    .filter(conversations::user_high.eq(actor.max(peer)))
                    .select(conversations::id)
                    .first(self.connection)
                    .optional()?;
                Aim { conversation: known, peer: Some(peer) }
            }
            Target::Conversation(conversation) => {
                let found: Option<Option<i64>> = conversations::table
                    .inner_join(members::table.on(members::conversation_id.eq(conversations::id)))
                    .filter(conversations::id.eq(conversation.0))
                    .filter(members::user_id.eq(actor))
                    .select((conversations::user_low + conversations::user_high).nullable())
                    .first(self.connection)
                    .optional()?;
                let Some(pair) = found else {
                    return Ok(None);
                };
                Aim { conversation: Some(conversation.0), peer: pair.map(|pair| pair - actor) }
            }
        };
        Ok(Some(aim))
    }

    fn find_problem(&mut self, send: &Send, aim: &Aim) -> QueryResult<Option<i16>> {
        let actor = send.sender.0;
        if let Some(peer) = aim.peer
            && !self.may_write(actor, peer, send.only_in_groups)?
        {
            return Ok(Some(NO_SUCH_RECIPIENT));
        }
        if !self.may_take(actor, &send.attachments)? {
            return Ok(Some(NO_SUCH_FILE));
        }
        if let Some(reply_to) = send.reply_to {
            let held = self.find_held(actor, reply_to.0)?;
            if held.is_none_or(|held| Some(held.conversation) != aim.conversation) {
                return Ok(Some(NO_SUCH_MESSAGE));
            }
        }
        for UserId(mentioned) in &send.mentions {
            let is_there = match (aim.peer, aim.conversation) {
                (Some(peer), _) => [actor, peer].contains(mentioned),
                (None, Some(group)) => self.is_member_since(*mentioned, group, i64::MAX)?,
                (None, None) => false,
            };
            if !is_there {
                return Ok(Some(NO_SUCH_MENTION));
            }
        }
        Ok(None)
    }

    /// Whether a user takes messages from another: they are not disabled, did not block them, and share a group of the
    /// operator if they must.
    pub(super) fn may_write(&mut self, actor: i64, peer: i64, only_in_groups: bool) -> QueryResult<bool> {
        if actor == peer {
            return Ok(true);
        }
        if self.find_user(peer)?.is_none_or(|(_, disabled)| disabled) {
            return Ok(false);
        }
        if select(exists(blocks::table.find((peer, actor)))).get_result(self.connection)? {
            return Ok(false);
        }
        let is_shared = others
            .field(members::conversation_id)
            .eq(members::conversation_id)
            .and(others.field(members::user_id).eq(peer));
        let shared = members::table
            .inner_join(others.on(is_shared))
            .inner_join(conversations::table.on(conversations::id.eq(members::conversation_id)))
            .filter(members::user_id.eq(actor))
            .filter(conversations::creator_id.eq(OPERATOR));
        Ok(!only_in_groups || select(exists(shared)).get_result(self.connection)?)
    }

    fn write(&mut self, send: &Send, conversation: i64) -> QueryResult<i64> {
        let message: i64 = diesel::insert_into(messages::table)
            .values((
                messages::conversation_id.eq(conversation),
                messages::sender_id.eq(send.sender.0),
                messages::subject.eq(&send.subject),
                messages::content.eq(&send.content),
                messages::client_message_id.eq(&send.client_message_id),
                messages::request_hash.eq(send.request_hash()),
                messages::created_at.eq(self.now),
                messages::attachments.eq(FileLabel::to_json(&send.attachments)),
                messages::reply_to_id.eq(send.reply_to.map(|message| message.0)),
                messages::mention_ids.eq(send.mentions_as_json()),
            ))
            .returning(messages::id)
            .get_result(self.connection)?;
        for file in &send.attachments {
            diesel::update(attachments::table.find(file.id.0))
                .set(attachments::message_id.eq(message))
                .execute(self.connection)?;
        }
        Ok(message)
    }

    fn recipients(&mut self, actor: i64, conversation: i64, peer: Option<i64>) -> QueryResult<Vec<i64>> {
        match peer {
            Some(peer) => Ok(vec![peer]),
            None => members::table
                .filter(members::conversation_id.eq(conversation))
                .filter(members::user_id.ne(actor))
                .order(members::user_id)
                .select(members::user_id)
                .load(self.connection),
        }
    }

    /// Whether all these files are the actor's, stored, and in no message yet.
    fn may_take(&mut self, actor: i64, files: &[FileLabel]) -> QueryResult<bool> {
        for file in files {
            let found: Option<i64> = attachments::table
                .find(file.id.0)
                .filter(attachments::uploader_id.eq(actor))
                .filter(attachments::message_id.is_null())
                .filter(attachments::stored_at.is_not_null())
                .filter(attachments::removed_at.is_null())
                .select(attachments::id)
                .first(self.connection)
                .optional()?;
            if found.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens the conversation of two.
    fn open(&mut self, low: i64, high: i64) -> QueryResult<i64> {
        let id: i64 = diesel::insert_into(conversations::table)
            .values((
                conversations::kind.eq(DIRECT),
                conversations::user_low.eq(low),
                conversations::user_high.eq(high),
                conversations::created_at.eq(self.now),
            ))
            .returning(conversations::id)
            .get_result(self.connection)?;
        for user in if low == high { vec![low] } else { vec![low, high] } {
            diesel::insert_into(members::table)
                .values((members::conversation_id.eq(id), members::user_id.eq(user)))
                .execute(self.connection)?;
        }
        Ok(id)
    }
}
