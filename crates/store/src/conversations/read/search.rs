//! One's own messages as a list: all of them, or those in which some words stand.
//!
//! There is no index of words. One would cost every message for what few ask; a mailbox in the order of its entries is
//! there anyway, and what people look for is mostly not old. So a search looks at messages, the newest first, so many at a
//! time.

use diesel_async::RunQueryDsl;
use switchboard_protocol::Seq;
use switchboard_protocol::former::Direction;

use crate::conversations::Found;
use crate::error::StoreError;
use crate::lists::{self, PlacedRow, incomplete, listed};
use crate::model::Account;
use crate::store::{Store, read};

/// Entries of a mailbox that one search looks at.
const LOOKED_AT: i64 = 2_000;
/// Those that it looks at if the store would not look at so many, as where each is as long as it may be.
const LOOKED_AT_IN_HASTE: i64 = LOOKED_AT / 10;

impl Store {
    /// Messages that a user received, or sent, or without `of` both, newest first, before `before`, at most `limit`. What
    /// they wrote to themselves stands once where both are wanted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message that cannot
    /// be read.
    pub async fn mail(
        &self,
        reader: &Account,
        of: Option<Direction>,
        before: Option<Seq>,
        limit: i64,
    ) -> Result<Found, StoreError> {
        let before = before.map_or(i64::MAX, |seq| seq.0);
        let query = lists::mail(reader.id.0, reader.mailbox.0, of, before, limit);
        let rows: Vec<PlacedRow> = read!(self, connection => query.load(connection))?;
        self.found(reader, rows).await
    }

    /// Those of [`mail`](Self::mail) in whose subject or content the words stand: what is found among the next 2,000
    /// entries of the mailbox before `before`, or the next 200 where that takes the store too long. Words are what white
    /// space divides; each must stand somewhere, also within another word, and after the eighth they do not count. Upper
    /// and lower case are one: on Postgres as its locale has it, on SQLite for the letters of ASCII only.
    ///
    /// # Errors
    /// As [`mail`](Self::mail).
    pub async fn search(
        &self,
        reader: &Account,
        of: Option<Direction>,
        words: &str,
        before: Option<Seq>,
        limit: i64,
    ) -> Result<Found, StoreError> {
        // Neither stands in any text: Postgres cannot even be asked for the second.
        if words.trim().is_empty() || words.contains('\0') {
            return Ok(Found::default());
        }
        let before = before.map_or(i64::MAX, |seq| seq.0);
        let look = async |n_entries| -> Result<Vec<PlacedRow>, StoreError> {
            let query = lists::search(reader.id.0, reader.mailbox.0, of, (before, n_entries), limit, words);
            read!(self, connection => query.load(connection))
        };
        let rows = match look(LOOKED_AT).await {
            Err(StoreError::Interrupted(_)) => look(LOOKED_AT_IN_HASTE).await?,
            rows => rows?,
        };
        self.found(reader, rows).await
    }

    async fn found(&self, reader: &Account, rows: Vec<PlacedRow>) -> Result<Found, StoreError> {
        let mut found = Found::default();
        for (seq, shown, title, username, full_name) in rows {
            match shown {
                Some(shown) => {
                    let listed = listed(shown, title.unwrap_or_default(), (username, full_name), reader.id);
                    found.messages.push(listed.ok_or_else(|| incomplete(reader))?);
                }
                None => found.before = Some(Seq(seq)).filter(|before| *before > Seq(0)),
            }
        }
        let messages = found.messages.iter_mut().map(|listed| &mut listed.message).collect();
        self.add_reactions(reader.id, messages).await?;
        Ok(found)
    }
}
