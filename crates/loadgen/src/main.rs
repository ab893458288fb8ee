//! `switchboard-load`: puts load on a fleet of nodes and checks that every message arrives exactly once, in order.
//!
//! - [`fleet`]: the nodes, and the users with their tokens.
//! - [`crew`]: the processes that put the load on, and the one that measures.
//! - [`wire`]: a connection that costs little. [`device`]: a user's session, over several of them.
//! - [`traffic`]: `run` and `flood`: users in pairs, a measured window, a verdict.
//! - [`user`]: one user, who sends to their partner and hears from them. [`pace`]: when they send. [`letter`]: what.
//! - [`inbox`]: the delivery check. [`tally`]: what all users count together.
//! - [`groups`]: `groups`: messages to groups, by size.
//! - [`presence`]: `presence`: users who watch each other.
//! - [`fanout`]: `fanout`: one user with many sessions. [`courier`]: who sends to them.
//! - [`storm`]: `storm`: many clients who come back at once. [`bystanders`]: who goes on meanwhile.
//! - [`idle`]: connections that only stand there.
//! - [`suite`]: `suite`: all of it on nodes of its own, against the table of targets.
//! - [`process`]: CPU and memory of the nodes' processes. [`report`]: what is printed. [`json`]: and written.

mod bystanders;
mod courier;
mod crew;
mod device;
mod fanout;
mod fleet;
mod groups;
mod idle;
mod inbox;
mod json;
mod letter;
mod pace;
mod presence;
mod process;
mod report;
mod storm;
mod suite;
mod tally;
mod traffic;
mod user;
mod wire;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};

use crate::crew::{Crew, Lead, Share};
use crate::fleet::Fleet;
use crate::json::Json;
use crate::pace::Load;

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
    /// Processes that put the load on, each with a share of the users and, on loopback, an address of its own: one has not
    /// descriptors and ports for more than some ten thousand connections. Of `run`, `flood`, `groups` and `idle`.
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    processes: usize,
    /// Threads of each such process.
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
    /// Where to write what was measured, as JSON: an object, or one a line for each size of `groups`.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Which of the processes this is, told by the one that was started.
    #[arg(long, hide = true)]
    part: Option<usize>,
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
        #[command(flatten)]
        shape: idle::Shape,
    },
    /// Sends to one user who has many sessions: what a delivery costs. A node lets a user hold 20 connections: raise that.
    Fanout {
        #[command(flatten)]
        shape: fanout::Shape,
    },
    /// Lets many clients come back at once, each behind by some messages, while others write to each other.
    Storm {
        #[command(flatten)]
        shape: storm::Shape,
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
    let mut builder = match arguments.threads {
        // Nothing has to be woken on another thread.
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        n_threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(n_threads);
            builder
        }
    };
    let runtime = builder.enable_all().build().context("cannot start the runtime")?;
    match arguments.part {
        Some(index) => runtime.block_on(part(arguments, index)).map(|()| true),
        None => runtime.block_on(lead(arguments)),
    }
}

/// Measures, and says whether all was as it should be.
async fn lead(arguments: Arguments) -> anyhow::Result<bool> {
    if let Command::Suite(suite) = &arguments.command {
        return suite::run(suite, arguments.json.as_deref()).await;
    }
    let Arguments { urls, pids, processes, .. } = arguments;
    let tokens = arguments.tokens.context("`--tokens FILE` is missing")?;
    let tokens = fs::read_to_string(&tokens).with_context(|| format!("cannot read {}", tokens.display()))?;
    let fleet = Arc::new(Fleet::new(urls, &tokens, Share { index: 0, of: 1 })?);
    let json = Json::create(arguments.json)?;
    let alone = || {
        ensure!(processes == 1, "`--processes` is for `run`, `flood`, `groups` and `idle`");
        anyhow::Ok(())
    };
    let crew = || Crew::start(processes, &tokens);
    match arguments.command {
        Command::Run { shape, rate } => {
            traffic::lead(&mut crew().await?, &shape, Load::Open { rate }, &pids, &json).await
        }
        Command::Flood { shape, inflight } => {
            traffic::lead(&mut crew().await?, &shape, Load::Closed { inflight }, &pids, &json).await
        }
        Command::Groups { shape } => groups::lead(&mut crew().await?, &fleet, &shape, &pids, &json).await,
        Command::Idle { shape } => idle::lead(&mut crew().await?, &shape, &pids, &json).await,
        Command::Presence { shape } => {
            alone()?;
            presence::run(&fleet, &shape, &pids, &json).await
        }
        Command::Fanout { shape } => {
            alone()?;
            fanout::run(&fleet, &shape, &pids, &json).await
        }
        Command::Storm { shape } => {
            alone()?;
            storm::run(&fleet, &shape, &pids, &json).await
        }
        // It makes its own users: see above.
        Command::Suite(_) => Ok(true),
    }
}

/// Puts on a part of the load.
async fn part(arguments: Arguments, index: usize) -> anyhow::Result<()> {
    let mut lead = Lead::listen();
    let share = Share { index, of: arguments.processes };
    let fleet = Arc::new(Fleet::new(arguments.urls, &lead.tokens().await?, share)?);
    match arguments.command {
        Command::Run { shape, rate } => {
            traffic::part(&fleet, share, &shape, Load::Open { rate }, &mut lead).await
        }
        Command::Flood { shape, inflight } => {
            traffic::part(&fleet, share, &shape, Load::Closed { inflight }, &mut lead).await
        }
        Command::Groups { shape } => groups::part(&fleet, share, &shape, &mut lead).await,
        Command::Idle { shape } => idle::part(&fleet, share, &shape, &mut lead).await,
        Command::Presence { .. } | Command::Fanout { .. } | Command::Storm { .. } | Command::Suite(_) => {
            Ok(())
        }
    }
}
