//! A store of files that is gone after a test.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{Files, Stored};

/// A store in a temporary folder, with a back-end runtime of one thread.
pub(super) struct Temporary {
    files: Files,
    folder: TempDir,
    runtime: Option<Runtime>,
}

impl Temporary {
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = TempDir::new().unwrap();
        let files = Files::open("", &folder.path().join("files"), runtime.handle().clone()).unwrap();
        Self { files, folder, runtime: Some(runtime) }
    }

    /// The folder around that of the store.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// How many files the store has, whole or not.
    pub(super) fn n_files(&self) -> usize {
        count(&self.folder.path().join("files"))
    }

    /// Stores bytes under a new key.
    pub(super) async fn store(&self, bytes: &[u8]) -> (String, Stored) {
        let key = Files::new_key();
        let mut upload = self.files.begin(&key);
        upload.write(Bytes::copy_from_slice(bytes)).await.unwrap();
        (key, upload.finish().await.unwrap())
    }
}

impl Deref for Temporary {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A test is on a runtime of its own, where none may be dropped otherwise.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

/// Bytes that do not repeat soon.
pub(super) fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap() ^ u8::try_from(at / 251 % 256).unwrap()).collect()
}
