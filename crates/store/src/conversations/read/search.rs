//! Searching one's own messages: by looking at them, the newest first, so many at a time.
//!
//! There is no index of words. One would cost every message for what few ask; a mailbox in the order of its entries is
//! there anyway, and what people look for is mostly not old.

use diesel_async::RunQueryDsl;
use switchboard_protocol::Seq;

use crate::conversations::Found;
use crate::error::StoreError;
use crate::lists::{self, PlacedRow, incomplete, message};
use crate::model::Account;
use crate::store::{Store, read};

/// Entries of a mailbox that one search looks at.
const LOOKED_AT: i64 = 2_000;
/// Those that it looks at if the store would not look at so many, as where each is as long as it may be.
const LOOKED_AT_IN_HASTE: i64 = LOOKED_AT / 10;

impl Store {
    /// Messages of a user, sent or received, in whose subject or content the words stand, newest first, at most `limit`:
    /// what is found among the next 2,000 entries of their mailbox before `before`, or the next 200 where that takes the
    /// store too long. Words are what white space divides;
    /// each must stand somewhere, also within another word, and after the eighth they do not count. Upper and lower case
    /// are one: on Postgres as its locale has it, on SQLite for the letters of ASCII only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], and [`StoreError::Rejected`] for a message that cannot
    /// be read.
    pub async fn search(
        &self,
        reader: &Account,
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
            let query = lists::search(reader.id.0, reader.mailbox.0, before, n_entries, limit, words);
            read!(self, connection => query.load(connection))
        };
        let rows = match look(LOOKED_AT).await {
            Err(StoreError::Interrupted(_)) => look(LOOKED_AT_IN_HASTE).await?,
            rows => rows?,
        };
        let mut found = Found::default();
        for (seq, shown) in rows {
            match shown {
                Some(shown) => {
                    found.messages.push(message(shown, reader.id).ok_or_else(|| incomplete(reader))?);
                }
                None => found.before = Some(Seq(seq)).filter(|before| *before > Seq(0)),
            }
        }
        self.add_reactions(reader.id, found.messages.iter_mut().collect()).await?;
        Ok(found)
    }
}
