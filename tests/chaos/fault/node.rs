//! What happens to nodes.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::{Fault, Kind};
use crate::harness::{DEADLINE, eventually, http, servers};
use crate::stack::Stack;

/// What happens to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trouble {
    /// It is killed, and started again at the end.
    Killed,
    /// It stands still.
    Frozen,
    /// It is told to stop, and started again at the end.
    Stopped,
    /// It is killed and started again with a clock that is off by this many seconds.
    ClockOff { seconds: i64 },
    /// It is killed and started again; then its clock jumps by this many seconds, and at the end back.
    ClockJumps { seconds: i64 },
    /// It may have hardly more files and sockets open than it has, and there are more clients than that.
    DescriptorsExhausted,
    /// It is killed and started again so that it may die at one point; at the end it is started again as it was.
    CrashesAt { point: Point },
}

/// Where the sabotaged binary may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Point {
    BeforeCommit,
    AfterCommit,
    AfterPublish,
    InUpload,
    InResume,
}

/// One of each that needs nothing special.
pub(super) fn all() -> Vec<Fault> {
    const DAY: i64 = 86_400;
    let fault = |trouble, lasts_ms| Fault { kind: Kind::Node { node: 0, trouble }, lasts_ms };
    vec![
        fault(Trouble::Killed, 1_000),
        fault(Trouble::Frozen, 3_000),
        fault(Trouble::Stopped, 6_000),
        fault(Trouble::ClockOff { seconds: -DAY }, 4_000),
        fault(Trouble::ClockJumps { seconds: DAY }, 4_000),
        fault(Trouble::DescriptorsExhausted, 4_000),
    ]
}

/// One for each point, of nodes that are sabotaged.
pub(super) fn crashes() -> Vec<Fault> {
    use Point::{AfterCommit, AfterPublish, BeforeCommit, InResume, InUpload};
    let fault = |point| Fault {
        kind: Kind::Node { node: 0, trouble: Trouble::CrashesAt { point } },
        lasts_ms: 5_000,
    };
    [BeforeCommit, AfterCommit, AfterPublish, InUpload, InResume].map(fault).to_vec()
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::BeforeCommit => "node_crash_before_commit",
            Self::AfterCommit => "node_crash_after_commit",
            Self::AfterPublish => "node_crash_after_publish",
            Self::InUpload => "node_crash_in_upload",
            Self::InResume => "node_crash_in_resume",
        }
    }

    /// For `FAILPOINTS`: with a chance by which it happens within some seconds, and not at once.
    fn setting(self) -> &'static str {
        match self {
            Self::BeforeCommit => "crash_before_commit=3%panic",
            Self::AfterCommit => "crash_after_commit=3%panic",
            Self::AfterPublish => "crash_after_publish=3%panic",
            Self::InUpload => "crash_in_upload=panic",
            Self::InResume => "crash_in_resume=panic",
        }
    }
}

impl Trouble {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Killed => "node_killed",
            Self::Frozen => "node_frozen",
            Self::Stopped => "node_stopped",
            Self::ClockOff { .. } => "node_clock_off",
            Self::ClockJumps { .. } => "node_clock_jumps",
            Self::DescriptorsExhausted => "node_descriptors_exhausted",
            Self::CrashesAt { point, .. } => point.name(),
        }
    }

    pub(super) fn is_of_clocks(&self) -> bool {
        matches!(self, Self::ClockOff { .. } | Self::ClockJumps { .. })
    }

    pub(super) fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::ClockOff { .. } | Self::ClockJumps { .. } if FAKETIME.is_none() => {
                Some("libfaketime is not installed")
            }
            Self::DescriptorsExhausted if servers::on_path("prlimit").is_none() => {
                Some("prlimit is not installed")
            }
            _ => None,
        }
    }

    pub(super) async fn begin(&self, stack: &Stack, node: usize, key: &str) -> anyhow::Result<()> {
        match self {
            Self::Killed => stack.kill_node(node).await,
            Self::Frozen => stack.freeze_node(node),
            Self::Stopped => stack.stop_node(node).await,
            Self::ClockOff { seconds } => {
                set_clock(stack, node, *seconds)?;
                restart(stack, node, &clock(stack, node)?).await
            }
            Self::ClockJumps { seconds } => {
                set_clock(stack, node, 0)?;
                restart(stack, node, &clock(stack, node)?).await?;
                sleep(Duration::from_secs(1)).await;
                set_clock(stack, node, *seconds)
            }
            Self::DescriptorsExhausted => exhaust_descriptors(stack, node, key).await,
            Self::CrashesAt { point } => {
                let is_sabotaged = stack.plan().binary.ends_with("switchboard-sabotaged");
                ensure!(is_sabotaged, "only the sabotaged binary has points at which it crashes");
                let setting = ("FAILPOINTS".to_owned(), point.setting().to_owned());
                restart(stack, node, &[setting]).await
            }
        }
    }

    pub(super) async fn end(&self, stack: &Stack, node: usize) -> anyhow::Result<()> {
        match self {
            Self::Killed | Self::Stopped => stack.start_node(node, &[]).await,
            Self::Frozen => stack.thaw_node(node),
            Self::ClockOff { .. } => restart(stack, node, &[]).await,
            Self::CrashesAt { point } => {
                // It may need a little longer to get there.
                let has_crashed = async || Ok((!stack.is_running(node)).then_some(()));
                let crashed = eventually(point.name(), CRASH, has_crashed).await;
                restart(stack, node, &[]).await?;
                crashed
            }
            Self::ClockJumps { .. } => {
                set_clock(stack, node, 0)?;
                sleep(Duration::from_secs(1)).await;
                restart(stack, node, &[]).await
            }
            Self::DescriptorsExhausted => restore_descriptors(stack, node),
        }
    }
}

pub(super) async fn kill_all(stack: &Stack, n_nodes: usize) -> anyhow::Result<()> {
    for node in 0..n_nodes {
        stack.kill_node(node).await?;
    }
    Ok(())
}

pub(super) async fn start_all(stack: &Stack, n_nodes: usize) -> anyhow::Result<()> {
    for node in 0..n_nodes {
        stack.start_node(node, &[]).await?;
    }
    Ok(())
}

pub(super) async fn restart_one_by_one(stack: &Stack, n_nodes: usize) -> anyhow::Result<()> {
    for node in 0..n_nodes {
        stack.stop_node(node).await?;
        stack.start_node(node, &[]).await?;
        let is_ready = async || {
            let answer = http::get(stack.admin(node), "/ready", &[]).await;
            Ok(answer.ok().filter(|answer| answer.status == 200).map(|_| ()))
        };
        eventually("the node is ready", DEADLINE, is_ready).await?;
    }
    Ok(())
}

async fn restart(stack: &Stack, node: usize, environment: &[(String, String)]) -> anyhow::Result<()> {
    stack.kill_node(node).await?;
    stack.start_node(node, environment).await
}

/// After the time of the fault, for a node to come to the point at which it dies.
const CRASH: Duration = Duration::from_secs(10);

/// The library that gives a process another clock.
static FAKETIME: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folders = fs::read_dir("/usr/lib").ok()?;
    let mut libraries =
        folders.filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketime.so.1")));
    libraries.find(|library| library.is_file())
});

/// With which a node's wall clock is off by what the file says; time-outs are not changed.
fn clock(stack: &Stack, node: usize) -> anyhow::Result<[(String, String); 4]> {
    let library = FAKETIME.as_ref().context("libfaketime is not installed")?;
    let variables = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock_file(stack, node).display().to_string()),
        // The seconds for which the file is not read again.
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(variables.map(|(key, value)| (key.to_owned(), value)))
}

fn set_clock(stack: &Stack, node: usize, seconds: i64) -> anyhow::Result<()> {
    // In one step: the node may read it at any time.
    let (file, new) = (clock_file(stack, node), clock_file(stack, node).with_extension("new"));
    fs::write(&new, format!("{seconds:+}\n"))?;
    Ok(fs::rename(new, file)?)
}

fn clock_file(stack: &Stack, node: usize) -> PathBuf {
    stack.data_folder().join(format!("clock-{node}"))
}

/// More than it has open, as its limit.
const SPARE: usize = 10;
/// Clients that come for them.
const CLIENTS: usize = 64;

async fn exhaust_descriptors(stack: &Stack, node: usize, key: &str) -> anyhow::Result<()> {
    let pid = stack.pid(node).context("the node does not run")?;
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    limit_descriptors(pid, &(open + SPARE).to_string())?;
    for _ in 0..CLIENTS {
        stack.held().hold(key, AbortOnDropHandle::new(tokio::spawn(come_again(stack.node(node)))));
    }
    Ok(())
}

/// A connection that says nothing, and another one whenever it ends.
async fn come_again(node: SocketAddr) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(node).await {
            // However it ends.
            let _ended = stream.read_to_end(&mut Vec::new()).await;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A node has at its start raised its limit to the hard one.
fn restore_descriptors(stack: &Stack, node: usize) -> anyhow::Result<()> {
    let Some(pid) = stack.pid(node) else {
        return Ok(());
    };
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(1)).context("no limit of open files")?;
    limit_descriptors(pid, hard)
}

fn limit_descriptors(pid: Pid, soft: &str) -> anyhow::Result<()> {
    let mut prlimit = Command::new("prlimit");
    let status = prlimit.arg(format!("--pid={pid}")).arg(format!("--nofile={soft}:")).status()?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
}
