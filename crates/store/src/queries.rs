//! The queries that both back ends run, and the rows that they give.
//!
//! A query is a value without a back end; `store::read!` runs it on whichever there is.

mod page;

use diesel::backend::Backend;
use diesel::dsl;
use diesel::expression::{AppearsOnTable, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;
use switchboard_protocol::{MailboxId, Seq, Timestamp, UserId};

pub(crate) use self::page::{EntryRow, entry, page, seq};
use crate::model::{Account, Head};
use crate::schema::{mailboxes, members, users};

/// What people read as the name of a user.
pub(crate) fn display_name(username: String, full_name: String) -> String {
    if full_name.is_empty() { username } else { full_name }
}

/// Who is mentioned, as the store keeps it; none if it cannot be read.
pub(crate) fn mentions(list: Option<&str>) -> Option<Vec<UserId>> {
    list.map_or(Some(Vec::new()), |list| serde_json::from_str(list).ok())
}

/// What the index of the entries by message asks for. Not a parameter: it must imply the condition of that index. With a
/// literal of diesel's the statement would be parsed each time.
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
pub(crate) struct ByMessage;

impl Expression for ByMessage {
    type SqlType = Bool;
}

impl<T> AppearsOnTable<T> for ByMessage {}

impl<T> SelectableExpression<T> for ByMessage {}

impl<DB: Backend> QueryFragment<DB> for ByMessage {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("mailbox_entries.kind <= 5");
        Ok(())
    }
}

/// Whether a user is a member of a conversation.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn membership(user: i64, conversation: i64) -> _ {
    members::table
        .filter(members::conversation_id.eq(conversation))
        .filter(members::user_id.eq(user))
        .select(members::user_id)
}

/// Where mailboxes stand.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn heads(mailboxes: Vec<i64>) -> _ {
    mailboxes::table.filter(mailboxes::id.eq_any(mailboxes)).select((
        mailboxes::id,
        mailboxes::floor,
        mailboxes::last_seq,
        mailboxes::unread,
    ))
}

/// The head of a row of [`heads`].
pub(crate) fn head((mailbox, floor, last_seq, unread): (i64, i64, i64, i64)) -> Head {
    Head { mailbox: MailboxId(mailbox), floor: Seq(floor), last_seq: Seq(last_seq), unread }
}

/// Users with their mailboxes.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn accounts() -> _ {
    users::table.inner_join(mailboxes::table.on(mailboxes::owner_id.eq(users::id.nullable())))
}

/// The columns of an [`AccountRow`].
#[dsl::auto_type(no_type_alias)]
pub(crate) fn account_columns() -> _ {
    (
        (
            users::id,
            users::username,
            users::full_name,
            users::role,
            users::disabled_at,
            users::tokens_valid_from,
            users::password_hash.is_not_null(),
        ),
        (mailboxes::id, mailboxes::epoch, mailboxes::last_seq, mailboxes::unread),
    )
}

/// A row of [`accounts`].
pub(crate) type AccountRow = ((i64, String, String, String, Option<i64>, i64, bool), (i64, String, i64, i64));

/// The account of a row.
pub(crate) fn account_of(
    ((id, username, full_name, role, disabled_at, valid_from, has_password), mailbox): AccountRow,
) -> Account {
    Account {
        id: UserId(id),
        username,
        full_name,
        role,
        disabled: disabled_at.is_some(),
        has_password,
        tokens_valid_from: Timestamp(valid_from),
        mailbox: MailboxId(mailbox.0),
        epoch: mailbox.1,
        last_seq: Seq(mailbox.2),
        unread: mailbox.3,
    }
}
