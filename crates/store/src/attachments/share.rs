//! One upload for several messages: further rows that share its bytes.

use std::collections::HashMap;

use diesel::dsl;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, RunQueryDsl};
use switchboard_protocol::{AttachmentId, Timestamp, UserId};

use super::{LABEL, LabelRow, label, there};
use crate::error::StoreError;
use crate::model::FileLabel;
use crate::schema::attachments;
use crate::store::{Store, change};

diesel::alias!(attachments as originals: Originals);

impl Store {
    /// Makes `n` further sets of the same files, for further recipients: of each file a row that shares its bytes.
    /// Those that [`Store::find_uploads`] would not find are left out; the order is the one asked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn share_uploads(
        &self,
        uploader: UserId,
        uploads: &[AttachmentId],
        n: usize,
    ) -> Result<Vec<Vec<FileLabel>>, StoreError> {
        if uploads.is_empty() {
            return Ok(vec![Vec::new(); n]);
        }
        let ids: Vec<i64> = uploads.iter().map(|upload| upload.0).collect();
        // Changes nothing: it locks them, so that none is removed before its copies are there.
        let lock = diesel::update(there(uploader.0, ids.clone()))
            .set(attachments::uploader_id.eq(uploader.0))
            .returning((attachments::id, attachments::storage_key));
        change!(self, connection => connection.transaction::<_, DieselError, _>(async |connection| {
            let found: HashMap<i64, String> = lock.load(connection).await?.into_iter().collect();
            let keys: Vec<&String> = ids.iter().filter_map(|id| found.get(id)).collect();
            let mut sets = Vec::with_capacity(n);
            for _ in 0..n {
                let now = Timestamp::now().0;
                let copy = diesel::insert_into(attachments::table)
                    .values(copies(found.keys().copied().collect(), now))
                    .into_columns(COPIED)
                    .returning((LABEL, attachments::storage_key));
                let rows: Vec<(LabelRow, String)> = copy.load(connection).await?;
                sets.push(in_order(&keys, rows));
            }
            Ok(sets)
        }))
    }
}

/// Rows as those of `ids`, that no message has.
#[dsl::auto_type(no_type_alias)]
fn copies(ids: Vec<i64>, now: i64) -> _ {
    originals.filter(originals.field(attachments::id).eq_any(ids)).select((
        originals.field(attachments::uploader_id),
        originals.field(attachments::filename),
        originals.field(attachments::size),
        originals.field(attachments::media_type),
        originals.field(attachments::sha256),
        originals.field(attachments::storage_key),
        originals.field(attachments::stored_at),
        now.into_sql::<BigInt>(),
    ))
}

/// Where [`copies`] go.
const COPIED: CopiedColumns = (
    attachments::uploader_id,
    attachments::filename,
    attachments::size,
    attachments::media_type,
    attachments::sha256,
    attachments::storage_key,
    attachments::stored_at,
    attachments::created_at,
);
type CopiedColumns = (
    attachments::uploader_id,
    attachments::filename,
    attachments::size,
    attachments::media_type,
    attachments::sha256,
    attachments::storage_key,
    attachments::stored_at,
    attachments::created_at,
);

/// The files of the rows, in the order of their storage keys.
fn in_order(keys: &[&String], rows: Vec<(LabelRow, String)>) -> Vec<FileLabel> {
    let mut of_key: HashMap<String, Vec<LabelRow>> = HashMap::new();
    for (row, key) in rows {
        of_key.entry(key).or_default().push(row);
    }
    keys.iter().filter_map(|key| of_key.get_mut(*key)?.pop()).map(label).collect()
}
