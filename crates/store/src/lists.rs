//! What people look through: their messages, their conversations, the other users.
//!
//! What a list of messages costs does not depend on how many there are, and what a list of conversations costs
//! only on how many conversations the user has.

mod people;
mod row;
mod statement;

use std::collections::HashMap;

use diesel::dsl;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::former::Direction;
use switchboard_protocol::server_frame::ReactionCount;
use switchboard_protocol::{MessageId, UserId};

pub use self::people::Person;
pub(crate) use self::people::{PERSON, PersonRow, fellows, person};
use self::row::ListedRow;
pub(crate) use self::row::{MessageRow, PlacedRow, TalkRow, listed, message, talk};
use self::statement::{
    Conversation, Conversations, History, HistoryAfter, LatestUnread, Mail, ReceivedAndSent, Search,
    UnreadUpTo,
};
pub(crate) use self::statement::{List, Statement};
use crate::error::StoreError;
use crate::model::{Account, Message};
use crate::schema::{kind, reactions};
use crate::store::{Store, read};

/// A message in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The message. Whether it is read is as it is now: what was received by the user, what was sent by its recipient as
    /// far as that one lets it be known, or in a group by anybody.
    pub message: Message,
    /// Full name of the recipient, else their user name; of a group, its title.
    pub recipient_name: String,
}

/// The messages of a user, each list the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Received.
    pub received: Vec<Listed>,
    /// Sent.
    pub sent: Vec<Listed>,
}

impl Store {
    /// Up to `limit` messages that a user received, and as many that they sent, before a message of their mailbox;
    /// none if that message is not in it. Deleted ones are left out, and those of groups that they cannot see; reactions are
    /// not looked up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message whose
    /// files cannot be read.
    pub async fn lists(
        &self,
        reader: &Account,
        before: Option<MessageId>,
        limit: i64,
    ) -> Result<Lists, StoreError> {
        let before = before.map(|message| message.0);
        let query = received_and_sent(reader.id.0, reader.mailbox.0, before, limit);
        let rows: Vec<ListedRow> = read!(self, connection => query.load(connection))?;
        let mut lists = Lists::default();
        for (kind, shown, title, username, full_name) in rows {
            let listed = listed(shown, title, (username, full_name), reader.id);
            let list = if kind == i64::from(kind::RECEIVED) { &mut lists.received } else { &mut lists.sent };
            list.push(listed.ok_or_else(|| incomplete(reader))?);
        }
        Ok(lists)
    }

    /// The latest messages that a user received and did not read, up to `limit`, the newest first, without reactions.
    /// If more than a thousand are unread and most of the last two hundred are read, some older ones may stand for
    /// later ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message whose
    /// files cannot be read.
    pub async fn latest_unread(&self, reader: &Account, limit: i64) -> Result<Vec<Message>, StoreError> {
        let query = latest_unread(reader.id.0, reader.mailbox.0, limit);
        let rows: Vec<MessageRow> = read!(self, connection => query.load(connection))?;
        messages(rows, reader)
    }

    /// Gives each message the reactions to it, the one first that was set first. None of them twice.
    pub(crate) async fn add_reactions(
        &self,
        reader: UserId,
        messages: Vec<&mut Message>,
    ) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = messages.iter().map(|message| message.id.0).collect();
        let own = dsl::case_when(reactions::user_id.eq(reader.0), reactions::user_id);
        let query = reactions::table
            .filter(reactions::message_id.eq_any(ids))
            .group_by((reactions::message_id, reactions::reaction))
            .order((dsl::min(reactions::created_at), reactions::reaction))
            .select((reactions::message_id, reactions::reaction, dsl::count_star(), dsl::max(own)));
        let rows: Vec<(i64, String, i64, Option<i64>)> = read!(self, connection => query.load(connection))?;
        let mut found: HashMap<i64, Vec<ReactionCount>> = HashMap::new();
        for (message, reaction, count, own) in rows {
            let is_own = own.is_some();
            found.entry(message).or_default().push(ReactionCount { reaction, count, is_own });
        }
        for message in messages {
            message.reactions = found.remove(&message.id.0).unwrap_or_default();
        }
        Ok(())
    }
}

/// The messages of a list.
pub(crate) fn messages(rows: Vec<MessageRow>, reader: &Account) -> Result<Vec<Message>, StoreError> {
    let messages: Option<_> = rows.into_iter().map(|(_, shown)| message(shown, reader.id)).collect();
    messages.ok_or_else(|| incomplete(reader))
}

pub(crate) fn received_and_sent(
    user: i64,
    mailbox: i64,
    before: Option<i64>,
    limit: i64,
) -> Statement<ReceivedAndSent, 5> {
    let (before, otherwise) = before.map_or((0, i64::MAX), |message| (message, 0));
    Statement::new([user, mailbox, before, otherwise, limit])
}

pub(crate) fn latest_unread(user: i64, mailbox: i64, limit: i64) -> Statement<LatestUnread, 3> {
    Statement::new([user, mailbox, limit])
}

pub(crate) fn history(
    user: i64,
    mailbox: i64,
    conversation: i64,
    before: i64,
    limit: i64,
) -> Statement<History, 5> {
    Statement::new([user, mailbox, conversation, before, limit])
}

pub(crate) fn history_after(
    user: i64,
    mailbox: i64,
    conversation: i64,
    after: i64,
    limit: i64,
) -> Statement<HistoryAfter, 5> {
    Statement::new([user, mailbox, conversation, after, limit])
}

/// Conversations before a position; a conversation of two without a message has none, and is left out.
pub(crate) fn conversations(
    user: i64,
    mailbox: i64,
    before: Option<i64>,
    archived: Option<bool>,
    limit: i64,
) -> Statement<Conversations, 6> {
    let before = before.unwrap_or(i64::MAX);
    Statement::new([user, mailbox, before, limit, i64::MAX, archived.map_or(-1, i64::from)])
}

/// A conversation, with a message or without.
pub(crate) fn conversation(user: i64, mailbox: i64, conversation: i64) -> Statement<Conversation, 6> {
    Statement::new([user, mailbox, i64::MAX, 1, 0, conversation])
}

/// The ids of messages of a conversation that a user received and did not read, up to one.
pub(crate) fn unread_up_to(
    user: i64,
    mailbox: i64,
    conversation: i64,
    up_to: i64,
    limit: i64,
) -> Statement<UnreadUpTo, 5> {
    Statement::new([user, mailbox, conversation, up_to, limit])
}

/// Messages received or sent, or both.
pub(crate) fn mail(
    user: i64,
    mailbox: i64,
    of: Option<Direction>,
    before: i64,
    limit: i64,
) -> Statement<Mail, 7> {
    let looked_at = limit.saturating_add(1);
    let [received, sent] = looked_at_of(of, looked_at);
    Statement::new([user, mailbox, before, looked_at, limit, received, sent])
}

/// Words that a search can have: the text of the statement has a place for each.
pub(crate) const MOST_WORDS: usize = 8;

/// Those of them in which all the words stand.
pub(crate) fn search(
    user: i64,
    mailbox: i64,
    of: Option<Direction>,
    (before, looked_at): (i64, i64),
    limit: i64,
    words: &str,
) -> Statement<Search, 7> {
    let mut words: Vec<String> = words.split_whitespace().take(MOST_WORDS).map(pattern).collect();
    words.resize(MOST_WORDS, pattern(""));
    let [received, sent] = looked_at_of(of, looked_at);
    Statement::with_words([user, mailbox, before, looked_at, limit, received, sent], words)
}

/// How many of the received, and of the sent.
fn looked_at_of(of: Option<Direction>, looked_at: i64) -> [i64; 2] {
    match of {
        None => [looked_at; 2],
        Some(Direction::Received) => [looked_at, 0],
        Some(Direction::Sent) => [0, looked_at],
    }
}

/// What `LIKE` matches if the text stands anywhere in it.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

pub(crate) fn incomplete(reader: &Account) -> StoreError {
    StoreError::Rejected(format!("a message in mailbox {} lacks what it must have", reader.mailbox))
}
