//! Where a node writes: its data folder, and the place of attachments.
//!
//! Nothing stays behind, not even a folder: it would belong to whoever asked, not to the user that the node runs as.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::report::Report;
use crate::attachments::{Files, FilesError};
use crate::config::Config;

/// For writing a file, reading it and removing it.
const DEADLINE: Duration = Duration::from_secs(5);
/// What is written to see whether it can be read again.
const SAMPLE: &[u8] = b"switchboard doctor";

pub(super) async fn examine(config: &Config) -> Report {
    let mut report = Report::default();
    if config.store.database_url.expose_secret().is_empty() || config.attachments.url.is_none() {
        examine_data_folder(&mut report, &config.server.data_dir);
    }
    examine_attachments(&mut report, config).await;
    report
}

fn examine_data_folder(report: &mut Report, folder: &Path) {
    let name = folder.display();
    match try_folder(folder) {
        Ok(()) if folder.exists() => report.ok(format_args!("the data folder `{name}` can be written to")),
        Ok(()) => report.ok(format_args!("the data folder `{name}` is not there yet, and can be made")),
        Err(error) => report.problem(format_args!(
            "the data folder `{name}` cannot be written to ({error}): give it to the user that the node runs as, or set \
             `server.data_dir`"
        )),
    }
}

async fn examine_attachments(report: &mut Report, config: &Config) {
    // Credentials do not stand in it: they are variables of their own.
    let place = match &config.attachments.url {
        Some(url) => url.to_string(),
        None => attachments_folder(config).map_or_else(String::new, |folder| folder.display().to_string()),
    };
    let share = "nodes that share the store must share this too";
    // Opening it would make it.
    let tried = if let Some(folder) = attachments_folder(config).filter(|folder| !folder.exists()) {
        let found =
            format!("files will be kept in `{place}`, which is not there yet, and can be made: {share}");
        try_folder(&folder).map(|()| found).map_err(|error| error.to_string())
    } else {
        let found = format!("a file was written to `{place}`, read and removed: {share}");
        match timeout(DEADLINE, try_attachments(config)).await {
            Ok(tried) => tried.map(|()| found).map_err(|error| error.to_string()),
            Err(_elapsed) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
        }
    };
    match tried {
        Ok(found) => report.ok(found),
        Err(error) => report.problem(format_args!(
            "files cannot be kept in `{place}` ({error}): check `attachments.url` and its rights"
        )),
    }
}

/// Where attachments are, if that is a folder.
fn attachments_folder(config: &Config) -> Option<PathBuf> {
    match &config.attachments.url {
        None => Some(config.attachments_folder()),
        Some(url) if url.scheme() == "file" => url.to_file_path().ok(),
        Some(_bucket) => None,
    }
}

/// Writes a file to the folder, or to the one that it would be made in, and removes it.
fn try_folder(folder: &Path) -> io::Result<()> {
    let is_there = |folder: &&Path| folder.as_os_str().is_empty() || folder.exists();
    let nearest = folder.ancestors().find(is_there).unwrap_or(folder);
    let path = nearest.join(format!(".doctor-{:016x}", rand::random::<u64>()));
    let mut file = File::create_new(&path)?;
    let written = file.write_all(SAMPLE).and_then(|()| file.sync_all());
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

async fn try_attachments(config: &Config) -> Result<(), FilesError> {
    let files = Files::of_config(config, Handle::current())?;
    // No key as files have them, for which a folder would be made.
    let key = format!("doctor-{:016x}", rand::random::<u64>());
    let mut upload = files.begin(&key);
    upload.write(Bytes::from_static(SAMPLE)).await?;
    upload.finish().await?;
    let reading = files.read(&key, None).await;
    let read = match reading {
        Ok(reading) => reading.try_collect::<Vec<Bytes>>().await.map(|pieces| pieces.concat()),
        Err(error) => Err(error),
    };
    files.remove(&key).await?;
    if read? != SAMPLE {
        return Err(FilesError::Unavailable("what is read is not what was written".to_owned()));
    }
    Ok(())
}
