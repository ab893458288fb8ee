//! Postgres and Redis of the suite's own, where none are given: as the composed fleet sets them, on free ports of
//! this machine.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::processes::{Process, free_port, on_path, output};

/// What `docker-compose.yml` sets: durable, and room for many small commits between checkpoints.
const POSTGRES: [&str; 8] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=200",
    "shared_buffers=512MB",
    "max_wal_size=4GB",
    "min_wal_size=4GB",
    "checkpoint_timeout=15min",
];
/// The same of Redis: nothing is kept, and a burst does not cut a node off.
const REDIS: [&str; 6] =
    ["--save", "", "--appendonly", "no", "--client-output-buffer-limit", "pubsub 256mb 128mb 60"];

/// A server with its address. Its folder goes with it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    // Dropped in this order.
    _process: Process,
    _folder: TempDir,
}

/// A new Postgres, with its data in a folder of its own in `folder`.
pub(crate) async fn postgres(folder: &Path) -> anyhow::Result<Server> {
    let programs =
        find_postgres().context("postgres is not installed: install it, or give `--postgres-url`")?;
    let folder = TempDir::with_prefix_in("postgres-", folder)?;
    let user = unprivileged_user()?;
    if let Some(user) = &user {
        chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    let program = |name: &str| {
        let mut command = Command::new(programs.join(name));
        command.current_dir(folder.path()).env("LC_ALL", "C");
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    };
    let data = folder.path().join("data");
    let mut initdb = program("initdb");
    initdb.args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
        "--data-checksums",
    ]);
    initdb.arg("--pgdata").arg(&data);
    output(initdb).await?;
    let port = free_port()?.to_string();
    let mut server = program("postgres");
    server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", "127.0.0.1", "-p", &port]);
    server.args(POSTGRES.iter().flat_map(|setting| ["-c", setting]));
    // A fast shutdown: it ends connections, writes everything down and gives back its shared memory.
    let mut process = Process::spawn(server, folder.path().join("log"), Signal::SIGINT)?;
    let is_ready = async || {
        let mut client = program("pg_isready");
        client.args(["-h", "127.0.0.1", "-p", &port]);
        output(client).await.is_ok()
    };
    process.wait_until(is_ready).await.context("postgres")?;
    Ok(Server {
        url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        _process: process,
        _folder: folder,
    })
}

/// A new Redis, that keeps nothing.
pub(crate) async fn redis(folder: &Path) -> anyhow::Result<Server> {
    let program =
        on_path("redis-server").context("redis is not installed: install it, or give `--redis-url`")?;
    let folder = TempDir::with_prefix_in("redis-", folder)?;
    let port = free_port()?;
    let mut command = Command::new(program);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]).args(REDIS);
    command.arg("--dir").arg(folder.path());
    let mut process = Process::spawn(command, folder.path().join("log"), Signal::SIGTERM)?;
    process
        .wait_until(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        .await
        .context("redis")?;
    Ok(Server { url: format!("redis://127.0.0.1:{port}"), _process: process, _folder: folder })
}

/// The folder of Postgres's programs. On the path there may be links to some of them only.
fn find_postgres() -> Option<PathBuf> {
    let is_complete = |folder: &PathBuf| {
        ["postgres", "initdb", "pg_isready"].iter().all(|program| folder.join(program).is_file())
    };
    let linked = on_path("postgres").and_then(|postgres| fs::canonicalize(postgres).ok());
    let linked = linked.and_then(|postgres| Some(postgres.parent()?.to_owned()));
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((version(&path)?, path.join("bin")))
    });
    let newest = installed.filter(|(_, folder)| is_complete(folder)).max();
    linked.filter(is_complete).or(newest.map(|(_, folder)| folder))
}

/// Whom to run Postgres as, which refuses to run as root; nobody else if we are not root.
fn unprivileged_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("postgres does not run as root, and there is neither a user postgres nor nobody")
}
