//! Opens the store that an address names.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use url::Url;

use super::{Files, FilesError, Place};
use crate::config::Config;

/// Parts on a disk: as much memory as an upload takes there.
const PART_ON_DISK: usize = 256 * 1024;
/// Parts in S3, which takes no smaller ones but for the last.
#[cfg(feature = "s3")]
const PART_IN_BUCKET: usize = 5 * 1024 * 1024;

impl Files {
    /// Opens those of a configuration.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn of_config(config: &Config, backend: Handle) -> Result<Self, FilesError> {
        let url = config.attachments.url.as_ref().map_or("", Url::as_str);
        Self::open(url, &config.attachments_folder(), backend)
    }

    /// Opens `file:///PATH`, `s3://BUCKET/PREFIX` (cargo feature `s3`; the rest of its configuration is the
    /// usual `AWS_…` variables), or the default folder if `url` is empty. Makes the folder if it is missing.
    /// Work of the store runs on `backend`.
    ///
    /// # Errors
    /// [`FilesError::Address`] with a sentence for the operator.
    pub fn open(url: &str, default_folder: &Path, backend: Handle) -> Result<Self, FilesError> {
        if url.is_empty() {
            return folder(default_folder, backend);
        }
        let expected = "an address of attachments is `file:///PATH` or `s3://BUCKET/PREFIX`";
        let unusable = || FilesError::Address(expected.to_owned());
        let url = Url::parse(url).map_err(|_error| unusable())?;
        match url.scheme() {
            "file" => folder(&url.to_file_path().map_err(|()| unusable())?, backend),
            "s3" => bucket(&url, backend),
            _ => Err(unusable()),
        }
    }

    fn of(store: Box<dyn ObjectStore>, folder: Option<&Path>, part_bytes: usize, backend: Handle) -> Self {
        let tasks = TaskTracker::new();
        tasks.close();
        Self(Arc::new(Place { store, folder: folder.map(Path::to_owned), part_bytes, backend, tasks }))
    }
}

/// A file counts as stored when it is on the disk, as a message does.
fn folder(path: &Path, backend: Handle) -> Result<Files, FilesError> {
    let unusable = |error: String| {
        FilesError::Address(format!(
            "the folder `{}` cannot be used for attachments: {error}",
            path.display()
        ))
    };
    // Only for the user that the server runs as; one that is there already stays as it is.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| unusable(error.to_string()))?;
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| unusable(error.to_string()))?;
    Ok(Files::of(Box::new(store.with_fsync(true)), Some(path), PART_ON_DISK, backend))
}

#[cfg(feature = "s3")]
fn bucket(url: &Url, backend: Handle) -> Result<Files, FilesError> {
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
    use object_store::prefix::PrefixStore;
    use object_store::{ClientConfigKey, RetryConfig};

    use super::PATIENCE;

    let unusable = |error: String| FilesError::Address(format!("the bucket of attachments: {error}"));
    let name = url.host_str().ok_or_else(|| unusable("its name is missing".to_owned()))?;
    let prefix = object_store::path::Path::from_url_path(url.path());
    let prefix = prefix.map_err(|error| unusable(error.to_string()))?;
    let retry = RetryConfig { max_retries: 3, retry_timeout: PATIENCE, ..RetryConfig::default() };
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(name)
        .with_retry(retry)
        // A file may take a slow client longer than any fixed time: silence is what ends a request.
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), "1 hour")
        .with_config(
            AmazonS3ConfigKey::Client(ClientConfigKey::ReadTimeout),
            format!("{} seconds", PATIENCE.as_secs()),
        )
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(Files::of(Box::new(PrefixStore::new(store, prefix)), None, PART_IN_BUCKET, backend))
}

#[cfg(not(feature = "s3"))]
fn bucket(_url: &Url, _backend: Handle) -> Result<Files, FilesError> {
    let missing = "this server was built without the cargo feature `s3`, which `s3://` needs";
    Err(FilesError::Address(missing.to_owned()))
}
