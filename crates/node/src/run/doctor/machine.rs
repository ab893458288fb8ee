//! This machine: where a node writes, and how many connections it may hold.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::TryStreamExt;
use nix::sys::resource::{Resource, getrlimit};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::report::Report;
use crate::attachments::{Files, FilesError};
use crate::config::Config;

/// For writing a file, reading it and removing it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Fewer descriptors than this are soon used up by clients.
const DESCRIPTORS: u64 = 8_192;
/// What to set it to: as many as memory has room for.
const GENEROUS: u64 = 65_536;
/// What a node opens besides its connections and those to the store: Redis, files, the log, its workers.
const OTHER_DESCRIPTORS: u64 = 100;
/// What is written to see whether it can be read again.
const SAMPLE: &[u8] = b"switchboard doctor";

/// Where files go.
pub(super) async fn examine_files(config: &Config) -> Report {
    let mut report = Report::default();
    let folder = &config.server.data_dir;
    let place = config.attachments.url.as_ref().map_or_else(
        || folder.join("attachments").display().to_string(),
        // Credentials do not stand in it: they are variables of their own.
        ToString::to_string,
    );
    if config.store.database_url.expose_secret().is_empty() || config.attachments.url.is_none() {
        match try_folder(folder) {
            Ok(()) => report.ok(format_args!("the data folder `{}` can be written to", folder.display())),
            Err(error) => report.problem(format_args!(
                "the data folder `{}` cannot be written to ({error}): give it to the user that the node runs as, or set \
                 `server.data_dir`",
                folder.display()
            )),
        }
    }
    match timeout(DEADLINE, try_attachments(config)).await.unwrap_or_else(|_elapsed| {
        Err(FilesError::Unavailable(format!("no answer within {} s", DEADLINE.as_secs())))
    }) {
        Ok(()) => report.ok(format_args!(
            "a file was written to `{place}`, read and removed: nodes that share the store must share this too"
        )),
        Err(error) => report.problem(format_args!(
            "files cannot be kept in `{place}` ({error}): check `attachments.url` and its rights"
        )),
    }
    report
}

fn try_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!(".doctor-{:016x}", rand::random::<u64>()));
    let written = std::fs::File::create_new(&path).and_then(|mut file| {
        file.write_all(SAMPLE)?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

async fn try_attachments(config: &Config) -> Result<(), FilesError> {
    let folder = config.server.data_dir.join("attachments");
    let url = config.attachments.url.as_ref().map_or("", url::Url::as_str);
    let files = Files::open(url, &folder, Handle::current())?;
    let key = Files::new_key();
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

/// What the system grants.
///
/// # Errors
/// If it does not say.
pub(super) fn examine_limits(config: &Config) -> anyhow::Result<Report> {
    let (soft, _hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("the limit on open files cannot be read")?;
    let mut report = Report::default();
    judge_descriptors(&mut report, soft, config.store.pool_size);
    Ok(report)
}

fn judge_descriptors(report: &mut Report, soft: u64, pool_size: u32) {
    let room = soft.saturating_sub(OTHER_DESCRIPTORS + u64::from(pool_size));
    let found = format!("the limit on open files is {soft}, which is room for about {room} clients");
    if soft < DESCRIPTORS {
        report.warning(format_args!(
            "{found}: set `LimitNOFILE={GENEROUS}` in the systemd unit, `ulimits: {{nofile: {GENEROUS}}}` in a compose \
             file, or `ulimit -n {GENEROUS}` in the shell"
        ));
    } else {
        report.ok(found);
    }
}
