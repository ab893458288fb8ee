//! `switchboard-load`: puts load on a fleet of nodes and checks that every message arrives exactly once, in order.
//!
//! - [`fleet`]: the nodes, and the users with their tokens.
//! - [`traffic`]: `run` and `flood`: users in pairs, a measured window, a verdict.
//! - [`user`]: one user, who sends to their partner and hears from them. [`pace`]: when they send.
//! - [`inbox`]: the delivery check. [`tally`]: what all users count together.
//! - [`groups`]: `groups`: messages to groups, by size.
//! - [`presence`]: `presence`: users who watch each other.
//! - [`idle`]: connections that only stand there.
//! - [`suite`]: `suite`: all of it on nodes of its own, against the table of targets.
//! - [`process`]: CPU and memory of the nodes' processes. [`report`]: what is printed.

mod fleet;
mod groups;
mod idle;
mod inbox;
mod pace;
mod presence;
mod process;
mod report;
mod suite;
mod tally;
mod traffic;
mod user;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::fleet::Fleet;

/// Load and delivery check for a fleet of Switchboard nodes.
///
/// Exit status 1 if anything was lost, doubled, out of order, refused or never acknowledged; 2 if there was
/// nothing to judge.
///
/// A node lets each user send 20 messages a second, with bursts, and hold 20 connections: start it with
/// `SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND` and `SWITCHBOARD_LIMITS__CONNECTIONS_PER_USER` raised to measure more.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What `switchboard token --users FIRST..LAST` printed.
    #[arg(long, global = true, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// A node or balancer, as http://HOST:PORT; repeat it for each. Users are spread over them in turn.
    #[arg(long = "url", global = true, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    urls: Vec<String>,
    /// A process to measure, such as each node; repeat it for each.
    #[arg(long = "pid", global = true, value_name = "PID")]
    pids: Vec<u32>,
    /// Threads of the generator itself.
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends at a fixed rate, whatever the nodes do. Latencies count from the time at which a message was due.
    Run {
        #[command(flatten)]
        shape: traffic::Shape,
        /// Messages a second, by all users together.
        #[arg(long)]
        rate: f64,
    },
    /// Sends as fast as acknowledgements come.
    Flood {
        #[command(flatten)]
        shape: traffic::Shape,
        /// Messages of each user that wait for their acknowledgement.
        #[arg(long, default_value_t = 8)]
        inflight: usize,
    },
    /// Makes groups and sends to them as fast as acknowledgements come, by one member of each, while all members are
    /// connected.
    Groups {
        #[command(flatten)]
        shape: groups::Shape,
    },
    /// Makes groups whose members watch each other's presence: what that costs while nobody changes, and while some turn
    /// away and back.
    Presence {
        #[command(flatten)]
        shape: presence::Shape,
    },
    /// Opens connections and holds them. Users are used in turn.
    Idle {
        /// How many.
        #[arg(long)]
        connections: usize,
        /// How long to hold them all.
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
    },
    /// Starts nodes, measures all that there is a target for, and prints the table.
    Suite(suite::Suite),
}

fn main() -> ExitCode {
    match load(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // If nobody reads standard error, the status still says it.
            let _ = writeln!(io::stderr(), "switchboard-load: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn load(arguments: Arguments) -> anyhow::Result<bool> {
    process::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads.max(1))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    if let Command::Suite(suite) = &arguments.command {
        return suite::run(suite).await;
    }
    let tokens = arguments.tokens.context("`--tokens FILE` is missing")?;
    let fleet = Fleet::read(arguments.urls, &tokens)?;
    let pids = arguments.pids;
    match arguments.command {
        Command::Run { shape, rate } => traffic::run(&fleet, &shape, pace::Load::Open { rate }, &pids).await,
        Command::Flood { shape, inflight } => {
            traffic::run(&fleet, &shape, pace::Load::Closed { inflight }, &pids).await
        }
        Command::Groups { shape } => groups::run(&fleet, &shape, &pids).await,
        Command::Presence { shape } => presence::run(&fleet, &shape, &pids).await,
        Command::Idle { connections, seconds } => idle::run(&fleet, connections, seconds, &pids).await,
        // Handled above: it makes its own users.
        Command::Suite(suite) => suite::run(&suite).await,
    }
}
