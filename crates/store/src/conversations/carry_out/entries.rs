//! Entries for many mailboxes at once, and the locks under which they are made.

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use switchboard_protocol::{ConversationId, GroupChange, MailboxId, Seq, UserId};

use super::{Connection, Work, on};
use crate::model::{Entry, Event, Outcome, Refusal};
use crate::schema::{kind, mailbox_entries as entries, mailboxes};

/// The clock of Postgres, in microseconds.
const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// What entries say: as they are kept, and as they are told.
#[derive(Clone)]
pub(super) struct News {
    pub(super) kind: i16,
    pub(super) conversation: i64,
    pub(super) actor: i64,
    pub(super) detail: Option<String>,
    pub(super) event: Event,
}

impl News {
    /// That a group was made, or changed.
    pub(super) fn of_group(actor: i64, group: i64, change: GroupChange) -> Self {
        let detail = to_json(&change);
        let event = Event::Group { group: ConversationId(group), actor: UserId(actor), change };
        Self { kind: kind::GROUP, conversation: group, actor, detail, event }
    }
}

/// As `mailbox_entries.detail` has it. Numbers, flags and texts: writing them cannot fail.
pub(super) fn to_json(change: &impl Serialize) -> Option<String> {
    serde_json::to_string(change).ok()
}

/// Mailboxes under their locks.
pub(super) struct Locked(Vec<LockedRow>);

/// Id, owner, last entry, unread.
type LockedRow = (i64, Option<i64>, i64, i64);

impl Locked {
    pub(super) fn mailbox_of(&self, user: i64) -> Option<i64> {
        self.of(user).map(|(mailbox, ..)| *mailbox)
    }

    /// That there was nothing to change: `event` as the entry would have been that says so.
    pub(super) fn repeated(&self, actor: i64, event: Event) -> Outcome {
        let place = self.of(actor).map(|(mailbox, _, seq, unread)| (*mailbox, *seq, *unread));
        place.map_or(Outcome::Refused(Refusal::NotFound), |place| Outcome::Repeated(entry(place, event)))
    }

    fn of(&self, user: i64) -> Option<&LockedRow> {
        self.0.iter().find(|(_, owner, ..)| *owner == Some(user))
    }
}

fn entry((mailbox, seq, unread): (i64, i64, i64), event: Event) -> Entry {
    Entry { mailbox: MailboxId(mailbox), seq: Seq(seq), unread, event }
}

impl Work<'_> {
    /// Locks the mailboxes of users in the order of their ids. From then on no batch has anything to do with them, and it is
    /// now.
    pub(super) async fn lock_mailboxes(&mut self, owners: Vec<i64>) -> QueryResult<Locked> {
        let concerned = mailboxes::table
            .filter(mailboxes::owner_id.eq_any(owners))
            .order(mailboxes::id)
            .select((mailboxes::id, mailboxes::owner_id, mailboxes::last_seq, mailboxes::unread));
        let rows: Vec<LockedRow> = match &mut self.connection {
            Connection::Postgres(connection) => {
                let rows = concerned.for_no_key_update().load(connection).await?;
                self.now = diesel::select(dsl::sql::<BigInt>(CLOCK)).get_result(connection).await?;
                rows
            }
            // There the transaction keeps out all who write.
            Connection::Sqlite(connection) => concerned.load(connection).await?,
        };
        Ok(Locked(rows))
    }

    /// Who made the last entry of a mailbox that says how a group changed, and what it says.
    pub(super) async fn find_last_of_group(
        &mut self,
        mailbox: i64,
        group: i64,
    ) -> QueryResult<Option<(Option<i64>, Option<String>)>> {
        let last = entries::table
            .filter(entries::mailbox_id.eq(mailbox))
            .filter(entries::conversation_id.eq(group))
            // Not a parameter: it must imply the condition of the index of these.
            .filter(dsl::sql::<Bool>("kind = 8"))
            .order(entries::seq.desc())
            .select((entries::actor_id, entries::detail));
        on!(self, connection => last.first(connection)).optional()
    }

    /// Adds an entry to the locked mailboxes of some users. Gives them, that of the actor first.
    pub(super) async fn enter(&mut self, owners: Vec<i64>, news: &News) -> QueryResult<Vec<Entry>> {
        let count = diesel::update(mailboxes::table.filter(mailboxes::owner_id.eq_any(owners.clone())))
            .set(mailboxes::last_seq.eq(mailboxes::last_seq + 1))
            .returning((mailboxes::id, mailboxes::owner_id, mailboxes::last_seq, mailboxes::unread));
        let mut rows: Vec<LockedRow> = on!(self, connection => count.load(connection))?;
        let write = mailboxes::table
            .filter(mailboxes::owner_id.eq_any(owners))
            .select((
                mailboxes::id,
                mailboxes::last_seq,
                news.kind.into_sql::<SmallInt>(),
                news.conversation.into_sql::<BigInt>(),
                news.actor.into_sql::<Nullable<BigInt>>(),
                self.now.into_sql::<BigInt>(),
                news.detail.clone().into_sql::<Nullable<Text>>(),
            ))
            .insert_into(entries::table)
            .into_columns((
                entries::mailbox_id,
                entries::seq,
                entries::kind,
                entries::conversation_id,
                entries::actor_id,
                entries::created_at,
                entries::detail,
            ));
        on!(self, connection => write.execute(connection))?;
        rows.sort_by_key(|(mailbox, owner, ..)| (*owner != Some(news.actor), *mailbox));
        let entry = |(mailbox, _, seq, unread)| entry((mailbox, seq, unread), news.event.clone());
        Ok(rows.into_iter().map(entry).collect())
    }
}
