//! What the store knows of files: who uploaded them, which message has them, who may read them. The bytes are
//! elsewhere, under a storage key that several rows may share.
//!
//! A row is removed by a mark that is never taken back, and its storage key is let go only when all its rows are
//! marked. Whoever makes a file live, be it a message that takes it or a row that shares its key, holds a row of
//! it that bears no mark, and locks it. So a key that was let go stays so, and its bytes can be removed without
//! looking again.

mod loose;
mod share;

use std::collections::HashMap;

use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use switchboard_protocol::{AttachmentId, Timestamp, UserId};

use crate::error::StoreError;
use crate::model::FileLabel;
use crate::queries::ByMessage;
use crate::schema::{attachments, kind, mailbox_entries, mailboxes, members, users};
use crate::store::{Store, change, read};

/// A file that a reader may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// As its uploader named it.
    pub filename: String,
    /// In bytes.
    pub size: i64,
    /// As its first bytes tell.
    pub media_type: String,
    /// In hexadecimal digits.
    pub sha256: String,
    /// Where the bytes are.
    pub storage_key: String,
    /// When the upload began.
    pub created_at: Timestamp,
}

type LabelColumns = (attachments::id, attachments::filename, attachments::size, attachments::media_type);
const LABEL: LabelColumns =
    (attachments::id, attachments::filename, attachments::size, attachments::media_type);

/// A row of [`LABEL`].
type LabelRow = (i64, String, i64, String);

fn label((id, filename, size, media_type): LabelRow) -> FileLabel {
    FileLabel { id: AttachmentId(id), filename, size, media_type }
}

impl Store {
    /// Notes that bytes are about to come in under a storage key, so that they can be found and removed if nothing
    /// becomes of them. None if as many uploads of this user as `most` wait for a message already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn register_upload(
        &self,
        uploader: UserId,
        filename: &str,
        storage_key: &str,
        most: i64,
    ) -> Result<Option<AttachmentId>, StoreError> {
        let waiting = attachments::table
            .filter(attachments::uploader_id.eq(uploader.0))
            .filter(attachments::message_id.is_null())
            .filter(attachments::removed_at.is_null());
        let row = users::table
            .filter(users::id.eq(uploader.0))
            .filter(waiting.count().single_value().lt(most))
            .select((
                users::id,
                filename.into_sql::<Text>(),
                0_i64.into_sql::<BigInt>(),
                "".into_sql::<Text>(),
                "".into_sql::<Text>(),
                storage_key.into_sql::<Text>(),
                Timestamp::now().0.into_sql::<BigInt>(),
            ));
        let create = row
            .insert_into(attachments::table)
            .into_columns((
                attachments::uploader_id,
                attachments::filename,
                attachments::size,
                attachments::media_type,
                attachments::sha256,
                attachments::storage_key,
                attachments::created_at,
            ))
            .returning(attachments::id);
        let id: Option<i64> =
            change!(self, connection => async { create.get_result(connection).await.optional() })?;
        Ok(id.map(AttachmentId))
    }

    /// Notes that the bytes are there: `size` of them, with their SHA-256 in hexadecimal digits. None if the upload
    /// was given up meanwhile: then the bytes are to be removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`], [`StoreError::Rejected`].
    pub async fn finish_upload(
        &self,
        upload: AttachmentId,
        size: i64,
        media_type: &str,
        sha256: &str,
    ) -> Result<Option<FileLabel>, StoreError> {
        let finish = diesel::update(attachments::table)
            .filter(attachments::id.eq(upload.0))
            .filter(attachments::removed_at.is_null())
            .set((
                attachments::size.eq(size),
                attachments::media_type.eq(media_type),
                attachments::sha256.eq(sha256),
                attachments::stored_at.eq(Timestamp::now().0),
            ))
            .returning(LABEL);
        let row: Option<LabelRow> =
            change!(self, connection => async { finish.get_result(connection).await.optional() })?;
        Ok(row.map(label))
    }

    /// Marks uploads as removed that no message has taken. [`Store::loose_files`] then lets go of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn give_up_uploads(&self, uploads: &[AttachmentId]) -> Result<(), StoreError> {
        let ids: Vec<i64> = uploads.iter().map(|upload| upload.0).collect();
        let give_up = diesel::update(attachments::table)
            .filter(attachments::id.eq_any(ids))
            .filter(attachments::message_id.is_null())
            .filter(attachments::removed_at.is_null())
            .set(attachments::removed_at.eq(Timestamp::now().0));
        change!(self, connection => give_up.execute(connection)).map(|_given_up| ())
    }

    /// Those of the files that this user uploaded and that are there, in the order asked. A message may have them:
    /// that is found out when they are sent.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_uploads(
        &self,
        uploader: UserId,
        uploads: &[AttachmentId],
    ) -> Result<Vec<FileLabel>, StoreError> {
        if uploads.is_empty() {
            return Ok(Vec::new());
        }
        let query = there(uploader.0, uploads.iter().map(|upload| upload.0).collect()).select(LABEL);
        let rows: Vec<LabelRow> = read!(self, connection => query.load(connection))?;
        let mut found: HashMap<i64, LabelRow> = rows.into_iter().map(|row| (row.0, row)).collect();
        Ok(uploads.iter().filter_map(|upload| found.remove(&upload.0)).map(label).collect())
    }

    /// A file, if `reader` may have it: one that no message has taken is for its uploader; one that a message has
    /// is for those who can see the message.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn find_attachment(
        &self,
        attachment: AttachmentId,
        reader: UserId,
    ) -> Result<Option<StoredFile>, StoreError> {
        let query = readable(attachment.0, reader.0);
        let row: Option<(String, i64, String, String, String, i64)> =
            read!(self, connection => async { query.first(connection).await.optional() })?;
        Ok(row.map(|(filename, size, media_type, sha256, storage_key, created_at)| StoredFile {
            filename,
            size,
            media_type,
            sha256,
            storage_key,
            created_at: Timestamp(created_at),
        }))
    }
}

/// Those of the files that a user uploaded and that are there.
#[dsl::auto_type(no_type_alias)]
fn there(uploader: i64, ids: Vec<i64>) -> _ {
    attachments::table
        .filter(attachments::id.eq_any(ids))
        .filter(attachments::uploader_id.eq(uploader))
        .filter(attachments::stored_at.is_not_null())
        .filter(attachments::removed_at.is_null())
}

/// A file that is there, if a user may read it: of a message, if they are a member of its conversation since before it.
#[dsl::auto_type(no_type_alias)]
pub(crate) fn readable(attachment: i64, reader: i64) -> _ {
    let waits_for_them = attachments::message_id.is_null().and(attachments::uploader_id.eq(reader));
    let (none, sent): (i16, i16) = (0, kind::SENT);
    let by_message: ByMessage = ByMessage;
    let theirs = mailbox_entries::table
        // `+ 0` leaves no index but that by message, whatever the statistics: no walk through the mailbox.
        .inner_join(mailboxes::table.on(mailboxes::id.eq(mailbox_entries::mailbox_id + 0_i64)))
        .inner_join(members::table.on(members::conversation_id.eq(mailbox_entries::conversation_id)))
        .filter(mailbox_entries::message_id.eq(attachments::message_id))
        .filter(by_message)
        .filter((mailbox_entries::kind + none).le(sent))
        .filter(mailbox_entries::hidden_at.is_null())
        .filter(mailboxes::owner_id.eq(reader))
        .filter(members::user_id.eq(reader))
        .filter(members::since.nullable().lt(mailbox_entries::message_id))
        .select(mailbox_entries::seq);
    attachments::table
        .filter(attachments::id.eq(attachment))
        .filter(attachments::stored_at.is_not_null())
        .filter(attachments::removed_at.is_null())
        .filter(waits_for_them.or(dsl::exists(theirs)))
        .select((
            attachments::filename,
            attachments::size,
            attachments::media_type,
            attachments::sha256,
            attachments::storage_key,
            attachments::created_at,
        ))
}
