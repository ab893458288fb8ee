//! What people look through: their messages, their conversations, the other users.
//!
//! What a list of messages costs does not depend on how many there are, and what a list of conversations costs
//! only on how many conversations the user has.

mod statement;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use switchboard_protocol::{MessageId, UserId};

use self::statement::{Conversations, LatestUnread, ReceivedAndSent, Row, Statement, message};
use crate::error::StoreError;
use crate::model::{Account, Message};
use crate::queries::display_name;
use crate::schema::{kind, users};
use crate::store::{Store, read};

/// A user, as other users see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub id: UserId,
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
    /// Free text.
    pub role: String,
}

impl Person {
    /// What people read: the full name, else the user name.
    #[must_use]
    pub fn name(&self) -> String {
        display_name(self.username.clone(), self.full_name.clone())
    }
}

/// A message in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The message. Whether it is read is as its recipient's mailbox has it now.
    pub message: Message,
    /// Full name of the recipient, else their user name.
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

/// An id, a user name, a full name, a role.
type PersonRow = (i64, String, String, String);

fn person((id, username, full_name, role): PersonRow) -> Person {
    Person { id: UserId(id), username, full_name, role }
}

diesel::define_sql_function! {
    /// On SQLite it knows the letters of ASCII only.
    fn lower(text: Text) -> Text;
}

impl Store {
    /// Up to `limit` messages that a user received, and as many that they sent, before a message of their mailbox;
    /// none if that message is not in it. Deleted ones are left out.
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
        let rows: Vec<Row> = read!(self, connection => query.load(connection))?;
        let own_name = display_name(reader.username.clone(), reader.full_name.clone());
        let mut lists = Lists::default();
        for row in rows {
            let received = row.0 == i64::from(kind::RECEIVED);
            let (message, other) = message(row, reader).ok_or_else(|| incomplete(reader))?;
            let recipient_name = if received { own_name.clone() } else { other.name() };
            let list = if received { &mut lists.received } else { &mut lists.sent };
            list.push(Listed { message, recipient_name });
        }
        Ok(lists)
    }

    /// The latest messages that a user received and did not read, up to `limit`, the newest first. If more than a
    /// thousand are unread and most of the last two hundred are read, some older ones may stand for later ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message whose
    /// files cannot be read.
    pub async fn latest_unread(&self, reader: &Account, limit: i64) -> Result<Vec<Message>, StoreError> {
        let query = latest_unread(reader.id.0, reader.mailbox.0, limit);
        let rows: Vec<Row> = read!(self, connection => query.load(connection))?;
        let messages = rows.into_iter().map(|row| message(row, reader).map(|(message, _)| message));
        messages.collect::<Option<_>>().ok_or_else(|| incomplete(reader))
    }

    /// Up to `limit` users with a higher id than `after`, by id, without those that are disabled; with `query`, those
    /// in whose user name or full name it stands. Upper and lower case are one: on Postgres as its locale has it, on
    /// SQLite for the letters of ASCII only. A query that few names match reads the whole table.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn list_users(
        &self,
        query: Option<&str>,
        after: UserId,
        limit: i64,
    ) -> Result<Vec<Person>, StoreError> {
        let pattern = pattern(query.unwrap_or_default());
        let in_username = lower(users::username).like(lower(pattern.as_str())).escape('\\');
        let in_full_name = lower(users::full_name).like(lower(pattern.as_str())).escape('\\');
        let found = users::table
            .filter(users::id.gt(after.0))
            .filter(users::disabled_at.is_null())
            .filter(in_username.or(in_full_name))
            .order(users::id)
            .limit(limit)
            .select((users::id, users::username, users::full_name, users::role));
        let rows: Vec<PersonRow> = read!(self, connection => found.load(connection))?;
        Ok(rows.into_iter().map(person).collect())
    }

    /// All users that are not disabled, by id. Reads the whole table.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn all_users(&self) -> Result<Vec<Person>, StoreError> {
        let all = users::table.filter(users::disabled_at.is_null()).order(users::id).select((
            users::id,
            users::username,
            users::full_name,
            users::role,
        ));
        let rows: Vec<PersonRow> = read!(self, connection => all.load(connection))?;
        Ok(rows.into_iter().map(person).collect())
    }
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

pub(crate) fn conversations(
    user: i64,
    mailbox: i64,
    before: Option<i64>,
    limit: i64,
) -> Statement<Conversations, 4> {
    Statement::new([user, mailbox, before.unwrap_or(i64::MAX), limit])
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

fn incomplete(reader: &Account) -> StoreError {
    StoreError::Rejected(format!("a message in mailbox {} lacks what it must have", reader.mailbox))
}
