//! What uploads leave behind in a folder when a crash cuts them off.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Removes it where nothing was written for `older_than`. Gives how many files.
pub(super) fn sweep(folder: &Path, older_than: Duration) -> io::Result<u64> {
    let mut n_removed = 0;
    for shelf in fs::read_dir(folder)? {
        let shelf = shelf?;
        if !shelf.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(shelf.path())? {
            let file = file?;
            let is_partial = file.file_name().to_str().is_some_and(is_partial);
            if is_partial && age(&file)? >= older_than && fs::remove_file(file.path()).is_ok() {
                n_removed += 1;
            }
        }
    }
    Ok(n_removed)
}

/// Whether it is a name that `LocalFileSystem` writes under before the file is whole: the key, `#`, a number.
fn is_partial(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Since the last write. A file from the future is new, and so is one that is gone already.
fn age(file: &DirEntry) -> io::Result<Duration> {
    match file.metadata().and_then(|metadata| metadata.modified()) {
        Ok(modified) => Ok(SystemTime::now().duration_since(modified).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Duration::ZERO),
        Err(error) => Err(error),
    }
}
