//! A file on its way in.

use bytes::{Buf, Bytes, BytesMut};
use fail::fail_point;
use object_store::path::Path as Location;
use object_store::{ObjectStoreExt, PutPayload, PutPayloadMut, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::files::{Files, FilesError, PATIENCE, PIECE, PIECES, location, no_answer};

/// How much of the beginning tells the type, in bytes.
const HEAD: usize = 8 * 1024;
/// The type of what has no marks.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What is known of a file once it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// The SHA-256 of the bytes, in lower-case hexadecimal.
    pub sha256_hex: String,
    /// By its first bytes, whatever the client says.
    pub media_type: &'static str,
}

/// A file that is being stored: nothing of it can be seen before [`Upload::finish`], and nothing is left of
/// it if that is not reached, also by dropping this.
///
/// Takes memory for a part (256 KiB on a disk, 5 MiB in S3) and the pieces on the way to it (320 KiB),
/// however large the file and however slow the store: [`Upload::write`] waits when the store does not keep up.
#[derive(Debug)]
pub struct Upload {
    /// Not yet a piece.
    rest: BytesMut,
    /// The task stores them. If they end without a last one, it takes back what it stored.
    pieces: mpsc::Sender<Piece>,
    /// Ends before the pieces do only if it fails.
    task: Option<JoinHandle<Result<(), FilesError>>>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// There are no more. If nobody hears the answer any more, the file is taken back.
    Last(oneshot::Sender<Stored>),
}

impl Upload {
    pub(super) fn begin(files: &Files, key: &str) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        let (store, key) = (files.clone(), key.to_owned());
        let task = files.spawn(async move { receive(pieces, Sink::new(store, location(&key)?)).await });
        Self { rest: BytesMut::with_capacity(PIECE), pieces: sender, task: Some(task) }
    }

    /// Adds bytes. Not cancel safe: after giving up the future, give up the upload.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`]; then nothing more can be written.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), FilesError> {
        while bytes.has_remaining() {
            let room = PIECE - self.rest.len();
            // Copied, since small slices of large buffers would keep those.
            self.rest.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.rest.len() == PIECE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Makes the file visible under its key, on stable storage.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`]; then nothing of it is kept.
    pub async fn finish(mut self) -> Result<Stored, FilesError> {
        self.flush().await?;
        let (answer, stored) = oneshot::channel();
        self.send(Piece::Last(answer)).await?;
        match timeout(PATIENCE, stored).await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(_not_stored)) => Err(self.cause().await),
            Err(_elapsed) => Err(no_answer()),
        }
    }

    /// Gives the file up, and waits until nothing is left of it.
    pub async fn abort(self) {
        let Self { pieces, task, .. } = self;
        drop(pieces);
        if let Some(task) = task {
            // How it failed no longer matters.
            let _over = timeout(PATIENCE, task).await;
        }
    }

    async fn flush(&mut self) -> Result<(), FilesError> {
        let piece = self.rest.split().freeze();
        if piece.is_empty() { Ok(()) } else { self.send(Piece::Bytes(piece)).await }
    }

    async fn send(&mut self, piece: Piece) -> Result<(), FilesError> {
        match timeout(PATIENCE, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_task_is_over)) => Err(self.cause().await),
            Err(_elapsed) => Err(no_answer()),
        }
    }

    /// Why the task ended.
    async fn cause(&mut self) -> FilesError {
        match self.task.take() {
            Some(task) => match task.await {
                Ok(Err(error)) => error,
                Ok(Ok(())) => FilesError::Unavailable("the upload is over".to_owned()),
                Err(error) => FilesError::Unavailable(error.to_string()),
            },
            None => FilesError::Unavailable("the upload has failed before".to_owned()),
        }
    }
}

/// The task of an upload.
async fn receive(mut pieces: mpsc::Receiver<Piece>, mut sink: Sink) -> Result<(), FilesError> {
    loop {
        match pieces.recv().await {
            Some(Piece::Bytes(bytes)) => {
                fail_point!("crash_in_upload");
                if let Err(error) = sink.write(bytes).await {
                    sink.abort().await;
                    return Err(error);
                }
            }
            Some(Piece::Last(answer)) => {
                let (files, location) = (sink.files.clone(), sink.location.clone());
                let stored = sink.complete().await?;
                return match answer.send(stored) {
                    Ok(()) => Ok(()),
                    Err(_nobody_waits) => files.delete(&location).await,
                };
            }
            None => {
                sink.abort().await;
                return Ok(());
            }
        }
    }
}

/// Where the task puts the pieces. A file of less than a part is stored at once when it is whole.
struct Sink {
    files: Files,
    location: Location,
    head: Vec<u8>,
    hash: Sha256,
    size: u64,
    /// Before the first part is full.
    first: PutPayloadMut,
    parts: Option<WriteMultipart>,
}

impl Sink {
    fn new(files: Files, location: Location) -> Self {
        let (head, hash, first) = (Vec::new(), Sha256::new(), PutPayloadMut::new());
        Self { files, location, head, hash, size: 0, first, parts: None }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        let missing = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.hash.update(&bytes);
        self.size += bytes.len() as u64;
        if let Some(parts) = &mut self.parts {
            // At most one part is on its way to the store.
            parts.wait_for_capacity(1).await?;
            parts.put(bytes);
            return Ok(());
        }
        self.first.push(bytes);
        if self.first.content_length() >= self.files.part_bytes() {
            let upload = self.files.store().put_multipart(&self.location).await?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, self.files.part_bytes());
            PutPayload::from(std::mem::take(&mut self.first)).into_iter().for_each(|bytes| parts.put(bytes));
            self.parts = Some(parts);
        }
        Ok(())
    }

    /// Leaves nothing behind if it fails.
    async fn complete(self) -> Result<Stored, FilesError> {
        match self.parts {
            Some(parts) => parts.finish().await?,
            None => self.files.store().put(&self.location, self.first.into()).await?,
        };
        let media_type = infer::get(&self.head).map_or(UNKNOWN_TYPE, |known| known.mime_type());
        Ok(Stored { size: self.size, sha256_hex: hex(&self.hash.finalize()), media_type })
    }

    async fn abort(self) {
        if let Some(parts) = self.parts
            && let Err(error) = parts.abort().await
        {
            tracing::warn!("the parts of an upload could not be removed: {error}");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
