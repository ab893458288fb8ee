//! Files that nobody needs any more.

use diesel::dsl;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use switchboard_protocol::Timestamp;

use crate::error::StoreError;
use crate::schema::attachments;
use crate::store::{Store, change, read};

diesel::alias!(attachments as other_attachments: OtherAttachments);

impl Store {
    /// Gives up uploads that were begun before `given_up_before` and that no message has taken, and gives storage
    /// keys of which no row is left but removed ones: up to `limit` of each. The caller removes the bytes, then
    /// calls [`Store::forget_file`]; until then the key is given again. An upload must take less time than it is
    /// given here.
    ///
    /// A message that takes an upload at the same time locks its row and looks at the mark. Either it comes first,
    /// and the change here finds that the row has a message; or it comes second, and finds the row removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn loose_files(
        &self,
        given_up_before: Timestamp,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let old = diesel::update(attachments::table)
            .filter(attachments::id.eq_any(waiting(given_up_before.0, limit)))
            // Said again of the row itself: it may have changed while its lock was waited for.
            .filter(attachments::message_id.is_null())
            .filter(attachments::removed_at.is_null())
            .set(attachments::removed_at.eq(Timestamp::now().0));
        change!(self, connection => old.execute(connection))?;
        let query = loose(limit);
        let mut keys: Vec<String> = read!(self, connection => query.load(connection))?;
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Deletes the rows of a storage key that [`Store::loose_files`] gave, whose bytes are gone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn forget_file(&self, storage_key: &str) -> Result<(), StoreError> {
        let removed = attachments::table
            .filter(attachments::storage_key.eq(storage_key))
            .filter(attachments::removed_at.is_not_null());
        let forget = diesel::delete(removed);
        change!(self, connection => forget.execute(connection)).map(|_forgotten| ())
    }
}

/// Uploads that no message has taken, the oldest first.
#[dsl::auto_type(no_type_alias)]
fn waiting(begun_before: i64, limit: i64) -> _ {
    other_attachments
        .filter(other_attachments.field(attachments::message_id).is_null())
        .filter(other_attachments.field(attachments::removed_at).is_null())
        .filter(other_attachments.field(attachments::created_at).lt(begun_before))
        .order(other_attachments.field(attachments::created_at))
        .limit(limit)
        .select(other_attachments.field(attachments::id))
}

/// Storage keys of which all rows are removed, a row each.
#[dsl::auto_type(no_type_alias)]
fn loose(limit: i64) -> _ {
    let not_removed = other_attachments
        .filter(other_attachments.field(attachments::storage_key).eq(attachments::storage_key))
        .filter(other_attachments.field(attachments::removed_at).is_null())
        .select(other_attachments.field(attachments::id));
    attachments::table
        .filter(attachments::removed_at.is_not_null())
        .filter(dsl::not(dsl::exists(not_removed)))
        .limit(limit)
        .select(attachments::storage_key)
}
