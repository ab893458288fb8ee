//! The nodes of a stack, from 0.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{bail, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep, timeout};

use super::Stack;
use crate::harness::DEADLINE;
use crate::harness::http::get;
use crate::harness::tools::free_address;

/// Between two looks at a process or a node.
const LOOK: Duration = Duration::from_millis(10);
/// For one answer of a node that may be frozen.
const ANSWER: Duration = Duration::from_secs(2);
/// For a node to start, with the store coming back meanwhile.
const SUPERVISION: Duration = Duration::from_secs(60);
/// Between two starts of a node that ended.
const PAUSE: Duration = Duration::from_millis(200);
/// As much of a log goes into an error.
const LAST_LINES: usize = 20;

/// A node, running or not.
pub(super) struct Node {
    /// For errors.
    pub(super) number: usize,
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
    /// What it writes, over all its lives.
    pub(super) log: PathBuf,
    /// Where the proxy takes its connections to Redis.
    pub(super) to_redis: SocketAddr,
    /// The same for Postgres.
    pub(super) to_postgres: SocketAddr,
    binary: PathBuf,
    /// Of each of its lives.
    environment: Vec<(String, String)>,
    /// Held while it is started or ended.
    turn: tokio::sync::Mutex<()>,
    /// Held for moments.
    life: Mutex<Life>,
}

/// The present life of a node, and what became of the former ones.
#[derive(Default)]
struct Life {
    process: Option<Child>,
    /// Whether this one has an environment of its own, which the next has not.
    is_special: bool,
    /// Whether it was told to end: whoever did waits for it.
    is_ending: bool,
    /// That it ended by itself, and how, though nothing special was said to it.
    deaths: Vec<String>,
}

impl Stack {
    /// The process of a node, if it runs (or is frozen).
    pub(crate) fn pid(&self, node: usize) -> Option<Pid> {
        self.nodes[node].pid()
    }

    /// Whether a node's process is there. A node may have ended by itself.
    pub(crate) fn is_running(&self, node: usize) -> bool {
        self.pid(node).is_some()
    }

    /// Kills a node with SIGKILL, and waits until it is gone. Nothing if it does not run.
    pub(crate) async fn kill_node(&self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].end(Signal::SIGKILL).await.map(drop)
    }

    /// Stops a node's process where it stands; its connections stay open. Nothing if it does not run.
    pub(crate) fn freeze_node(&self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].signal(Signal::SIGSTOP)
    }

    /// Lets a frozen node go on. Nothing if it does not run.
    pub(crate) fn thaw_node(&self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].signal(Signal::SIGCONT)
    }

    /// Stops a node as an operator would (SIGTERM). Nothing if it does not run.
    ///
    /// # Errors
    ///
    /// It does not end in time, or not with 0.
    pub(crate) async fn stop_node(&self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].stop().await
    }

    /// Starts a node where it was, and waits until it answers `/live`. Nothing if it runs.
    ///
    /// `extra_environment` is for this life of it, on top of the plan's; the next start does not have it.
    pub(crate) async fn start_node(
        &self,
        node: usize,
        extra_environment: &[(String, String)],
    ) -> anyhow::Result<()> {
        self.nodes[node].start(extra_environment).await
    }

    /// Nodes that ended by themselves, and how, though nothing in the environment of that life was to make them.
    pub(crate) fn deaths(&self) -> Vec<String> {
        self.nodes.iter().flat_map(|node| node.life().deaths.clone()).collect()
    }
}

impl Node {
    /// One that does not run yet, at addresses of its own.
    pub(super) fn new(
        number: usize,
        log: PathBuf,
        binary: PathBuf,
        mut environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let (listen, admin) = (free_address()?, free_address()?);
        let (to_redis, to_postgres) = (free_address()?, free_address()?);
        let own = [
            ("SWITCHBOARD_LISTEN", listen.to_string()),
            ("SWITCHBOARD_ADMIN_LISTEN", admin.to_string()),
            ("REDIS_URL", format!("redis://{to_redis}")),
            ("DATABASE_URL", format!("postgres://postgres@{to_postgres}/switchboard")),
        ];
        environment.extend(own.map(|(key, value)| (key.to_owned(), value)));
        let (turn, life) = (tokio::sync::Mutex::default(), Mutex::default());
        Ok(Self { number, listen, admin, to_redis, to_postgres, log, binary, environment, turn, life })
    }

    /// Its process, if it has one. One that ended by itself is taken account of here.
    pub(super) fn pid(&self) -> Option<Pid> {
        let mut life = self.life();
        let pid = life.process.as_ref().map(|process| Pid::from_raw(process.id().cast_signed()));
        let ended = life.process.as_mut().and_then(|process| process.try_wait().ok()).flatten();
        let Some(status) = ended else {
            return pid;
        };
        if !life.is_ending {
            life.process = None;
            if !life.is_special {
                life.deaths.push(format!("node {} ended by itself with {status}", self.number));
            }
        }
        None
    }

    /// Whether its present life has an environment of its own.
    pub(super) fn is_special(&self) -> bool {
        self.life().is_special
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // Nobody else waits for it, so its number is still its own.
        self.pid().map_or(Ok(()), |pid| Ok(signal::kill(pid, signal)?))
    }

    pub(super) async fn stop(&self) -> anyhow::Result<()> {
        match self.end(Signal::SIGTERM).await? {
            Some(status) if !status.success() => {
                bail!("node {} was stopped and ended with {status}: {}", self.number, self.last_lines())
            }
            _ => Ok(()),
        }
    }

    /// Has it end, and waits until it has.
    async fn end(&self, signal: Signal) -> anyhow::Result<Option<ExitStatus>> {
        let _turn = self.turn.lock().await;
        if self.pid().is_none() {
            return Ok(None);
        }
        self.life().is_ending = true;
        self.signal(signal)?;
        let deadline = Instant::now() + DEADLINE;
        while self.pid().is_some() {
            ensure!(Instant::now() < deadline, "node {} does not end", self.number);
            sleep(LOOK).await;
        }
        let ended = self.life().process.take();
        Ok(ended.map(|mut process| process.wait()).transpose()?)
    }

    /// Starts it as a supervisor does, again and again: a node that does not reach its store at the start says so and ends.
    pub(super) async fn start(&self, extra_environment: &[(String, String)]) -> anyhow::Result<()> {
        let _turn = self.turn.lock().await;
        if self.pid().is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + SUPERVISION;
        self.spawn(extra_environment)?;
        while !is_ok(self.listen, "/live").await {
            ensure!(Instant::now() < deadline, "node {} does not start: {}", self.number, self.last_lines());
            if self.pid().is_none() {
                sleep(PAUSE).await;
                self.spawn(extra_environment)?;
            }
            sleep(LOOK).await;
        }
        // From now on it is not to end by itself.
        self.life().is_ending = false;
        Ok(())
    }

    fn spawn(&self, extra_environment: &[(String, String)]) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").env_clear().envs(self.environment.iter().cloned());
        command.envs(extra_environment.iter().cloned());
        let process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut life = self.life();
        life.process = Some(process);
        life.is_special = !extra_environment.is_empty();
        life.is_ending = true;
        Ok(())
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_lines(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().rev().take(LAST_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Whether 200 is answered soon.
pub(super) async fn is_ok(address: SocketAddr, path: &str) -> bool {
    timeout(ANSWER, get(address, path, &[])).await.is_ok_and(|answer| answer.is_ok_and(|it| it.status == 200))
}
