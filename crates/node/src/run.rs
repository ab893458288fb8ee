//! What the commands of [`crate::cli`] do. What they print is on standard output; logs are on standard error.

mod api_keys;
mod descriptors;
mod doctor;
mod groups;
mod healthcheck;
mod users;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use switchboard_channel_layer::{Channel, MemoryBus, RedisConfig, connect_redis};
use switchboard_store::Store;
use tokio::net::TcpSocket;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::{GroupCommand, Task, UserCommand};
use crate::config::Config;
use crate::logging::LogGuard;
use crate::node::{Listeners, Parts, RunningNode};

/// Connections that may wait to be accepted: a burst of clients that come back.
const BACKLOG: u32 = 4_096;

/// Does what the command line asks for.
///
/// # Errors
/// With a sentence for the person at the terminal.
pub fn run(task: Task, config: Config, log: LogGuard) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.n_workers().max(2))
        .thread_name("backend")
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let done = runtime.block_on(async {
        match task {
            Task::Serve => serve(config, log).await,
            Task::Migrate => migrate(&config).await,
            Task::Restored => restored(&config).await,
            Task::User(UserCommand::Import { file }) => users::import(&config, &file).await,
            Task::Group(GroupCommand::Import { file }) => groups::import(&config, &file).await,
            Task::User(UserCommand::Disable { username }) => users::disable(&config, &username).await,
            Task::User(UserCommand::Enable { username }) => users::enable(&config, &username).await,
            Task::ApiKey(command) => api_keys::manage(&config, command).await,
            Task::Token(options) => users::tokens(&config, &options),
            Task::Doctor(options) => doctor::examine(&config, &options).await,
            Task::Healthcheck(options) => healthcheck::ask(&config, &options).await,
        }
    });
    // What still runs is not worth waiting for, such as the sockets' thread after a second signal.
    runtime.shutdown_background();
    done
}

/// Writes a line to standard output.
fn print(line: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).context("standard output is closed")
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url = config.store_url();
    Ok(Store::open(url.expose_secret(), config.store.pool_size as usize).await?)
}

/// The store for a node: no other process serves it, and it has the schema of this binary.
async fn held_store(config: &Config) -> anyhow::Result<Store> {
    let store = open_store(config).await?;
    store.hold()?;
    if config.store.migrate {
        for migration in store.migrate().await? {
            tracing::info!("ran migration {migration}");
        }
    } else if let Some(first) = store.pending_migrations().await?.first() {
        bail!(
            "the schema lacks migration `{first}`: run `switchboard migrate`, or set `store.migrate` to true"
        );
    }
    Ok(store)
}

/// The store for a command that changes something: with the schema of this binary.
async fn migrated_store(config: &Config) -> anyhow::Result<Store> {
    let store = open_store(config).await?;
    if config.store.migrate {
        store.migrate().await?;
    }
    Ok(store)
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    for migration in open_store(config).await?.migrate().await? {
        print(migration)?;
    }
    Ok(())
}

async fn restored(config: &Config) -> anyhow::Result<()> {
    let n_mailboxes = held_store(config).await?.renew_epochs().await?;
    print(format_args!("{n_mailboxes} mailboxes have a new epoch: every client loads anew"))
}

async fn serve(config: Config, log: LogGuard) -> anyhow::Result<()> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if let Err(error) = descriptors::raise() {
        tracing::warn!("the limit on open files stays as it is: {error}");
    }
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let clients = listen(config.server.listen, "server.listen")?;
    let operators = config.server.admin_listen;
    let operators = operators.map(|address| listen(address, "server.admin_listen")).transpose()?;
    let listeners = Listeners { clients, operators };
    let parts = prepare(&config, &tracker, &stop).await?;
    let node = RunningNode::start(&config, listeners, parts, tracker, stop).await?;
    // Whoever reads the line may want it to stop at once.
    let mut signals = StopSignals::listen()?;
    if let Some(address) = node.operators_address() {
        tracing::info!("health and metrics are at http://{address}");
    }
    print(format_args!("Switchboard is at http://{}", node.address()))?;
    signals.next().await;
    tracing::info!("stopping");
    let deadline = Instant::now() + config.server.drain();
    let stop = async {
        node.stop().await;
        let left = deadline.saturating_duration_since(Instant::now());
        let _panicked = tokio::task::spawn_blocking(move || log.finish(left)).await;
    };
    tokio::select! {
        () = stop => Ok(()),
        () = signals.next() => bail!("stopped at once by a second signal: what it had taken may not be stored"),
    }
}

fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    bind(address).with_context(|| format!("`{key}` is `{address}`, which cannot be listened on"))
}

/// The standard library's listener would let 128 connections wait; a fleet that lost a node sends more at once.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Opens what a node stands on.
async fn prepare(config: &Config, tracker: &TaskTracker, stop: &CancellationToken) -> anyhow::Result<Parts> {
    let store = held_store(config).await?;
    for warning in store.health().await?.warnings() {
        tracing::warn!("{warning}");
    }
    let deployment = store.deployment().await?;
    let (layer, events) = match config.redis_url() {
        Some(url) => {
            // Any node hears it, so each needs its own.
            let probe_channel = Channel::new(format!("{deployment}:probe:{:016x}", rand::random::<u64>()));
            let lease_prefix = format!("{deployment}:lease");
            let redis = RedisConfig { url: url.expose_secret().to_owned(), probe_channel, lease_prefix };
            connect_redis(redis, tracker, stop.clone())?
        }
        None => MemoryBus::default().connect(),
    };
    Ok(Parts { store, layer, events, deployment })
}

/// SIGTERM and SIGINT, heard from the moment this is made.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be heard");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
