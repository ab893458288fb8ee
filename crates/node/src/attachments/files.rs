//! Where the bytes of attachments are: a folder, or a bucket of S3.
//!
//! Whatever touches the store runs on the back-end runtime, each piece of work as a task of its own; the
//! callers are handlers on actix's workers and talk to those tasks through bounded channels.

mod open;
mod reading;
mod sweep;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as Location;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub use reading::Reading;

use super::upload::Upload;

/// How long the store may take for one step before the caller is told that it is out of reach.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// What goes through a channel at once, in bytes: enough that waking the other side costs little.
pub(super) const PIECE: usize = 64 * 1024;
/// How many pieces wait in a channel; its sender waits when it is full.
pub(super) const PIECES: usize = 4;

/// Why bytes could not be stored or read.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The configured address cannot be used. The sentence says why, and names no credentials.
    #[error("{0}")]
    Address(String),
    /// There is nothing under the key.
    #[error("there is no such file")]
    Missing,
    /// The store did not do it, or not in time. Trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl From<object_store::Error> for FilesError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error => Self::Unavailable(error.to_string()),
        }
    }
}

/// The store of files. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Files(Arc<Place>);

#[derive(Debug)]
struct Place {
    store: Box<dyn ObjectStore>,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
    part_bytes: usize,
    backend: Handle,
    /// Uploads, downloads and removals under way. Closed from the start, which only means that it can be
    /// waited for.
    tasks: TaskTracker,
}

impl Files {
    /// A name for a new file, made up here: a folder of two hexadecimal digits, and 128 random bits.
    #[must_use]
    pub fn new_key() -> String {
        format!("{:02x}/{:032x}", rand::random::<u8>(), rand::random::<u128>())
    }

    /// Starts to store a file under a key from [`Files::new_key`].
    #[must_use]
    pub fn begin(&self, key: &str) -> Upload {
        Upload::begin(self, key)
    }

    /// The bytes under a key, all or those of a range that is not empty and within the file.
    ///
    /// # Errors
    /// [`FilesError::Missing`], [`FilesError::Unavailable`].
    pub async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Reading, FilesError> {
        let (files, location) = (self.clone(), location(key)?);
        let options = GetOptions::new().with_range(range);
        let open = async move { Ok(files.store().get_opts(&location, options).await?) };
        let found = self.on_backend(open).await?;
        let size = found.meta.size;
        let (sender, pieces) = mpsc::channel(PIECES);
        self.spawn(reading::forward(found, sender));
        Ok(Reading::new(size, pieces))
    }

    /// Removes what is under a key, if there is anything.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn remove(&self, key: &str) -> Result<(), FilesError> {
        let (files, location) = (self.clone(), location(key)?);
        self.on_backend(async move { files.delete(&location).await }).await
    }

    /// Removes what is under a key in the background. A failure is logged; whoever collects what no message
    /// has will come by again.
    pub fn remove_later(&self, key: &str) {
        let Ok(location) = location(key) else { return };
        let files = self.clone();
        self.spawn(async move {
            if let Err(error) = files.delete(&location).await {
                tracing::warn!("an abandoned file could not be removed: {error}");
            }
        });
    }

    /// Removes what uploads left behind that a crash cut off, if nothing was written to it for `older_than`.
    /// Gives how many. A bucket has rules of its own for that, so nothing happens there.
    ///
    /// # Errors
    /// [`FilesError::Unavailable`].
    pub async fn sweep_partial(&self, older_than: Duration) -> Result<u64, FilesError> {
        let Some(folder) = self.0.folder.clone() else { return Ok(0) };
        let sweep =
            self.0.tasks.spawn_blocking_on(move || sweep::sweep(&folder, older_than), &self.0.backend);
        let n_removed = sweep.await.map_err(|error| FilesError::Unavailable(error.to_string()))?;
        n_removed.map_err(|error| FilesError::Unavailable(error.to_string()))
    }

    /// Waits until no upload, download or removal is under way.
    pub async fn settled(&self) {
        self.0.tasks.wait().await;
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &*self.0.store
    }

    /// The size of the parts that a file is stored in, in bytes.
    pub(super) fn part_bytes(&self) -> usize {
        self.0.part_bytes
    }

    /// Removes what is at a location; that there is nothing is as good.
    pub(super) async fn delete(&self, location: &Location) -> Result<(), FilesError> {
        match self.store().delete(location).await.map_err(FilesError::from) {
            Err(FilesError::Missing) => Ok(()),
            removed => removed,
        }
    }

    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0.tasks.spawn_on(work, &self.0.backend)
    }

    async fn on_backend<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, FilesError>> + Send + 'static,
    ) -> Result<T, FilesError> {
        match timeout(PATIENCE, self.spawn(work)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(FilesError::Unavailable(error.to_string())),
            Err(_elapsed) => Err(no_answer()),
        }
    }
}

/// A key as the store has it. Refuses what could lead anywhere else.
pub(super) fn location(key: &str) -> Result<Location, FilesError> {
    Location::parse(key).map_err(|_no_key_of_ours| FilesError::Missing)
}

pub(super) fn no_answer() -> FilesError {
    FilesError::Unavailable(format!("no answer within {} seconds", PATIENCE.as_secs()))
}
