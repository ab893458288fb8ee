//! Programs that the suite starts, and ends by their id.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::time::{Duration, Instant, sleep};

/// How long a program may take to start, and to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at whether it has.
const GLANCE: Duration = Duration::from_millis(50);

/// A running program. Ended when dropped, with the signal that asks it to, and killed if it does not listen.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    end: Signal,
}

impl Process {
    /// Starts it; what it prints goes into a file.
    ///
    /// In a process group of its own, so that Ctrl-C reaches the suite, which ends it, and not the program before that.
    pub(crate) fn spawn(mut command: Command, log: PathBuf, end: Signal) -> anyhow::Result<Self> {
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn().with_context(|| name(&command))?;
        Ok(Self { child, log, end })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Until it is there for others.
    ///
    /// # Errors
    /// If it ended instead, or takes too long: with the end of what it printed.
    pub(crate) async fn wait_until(&mut self, is_ready: impl AsyncFn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready().await {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let lines: Vec<_> = log.lines().rev().take(5).collect();
                bail!("it did not start: {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
            sleep(GLANCE).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut is_told = false;
        // What has ended is left alone: its id may be another's by now. There is nobody left to tell of an error.
        while let Ok(None) = self.child.try_wait() {
            if !is_told {
                let _ = signal::kill(Pid::from_raw(self.child.id().cast_signed()), self.end);
                is_told = true;
            } else if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            thread::sleep(GLANCE);
        }
    }
}

/// Runs a program to its end, and returns what it printed.
///
/// # Errors
/// If it cannot be started, or fails: with what it said.
pub(crate) async fn output(command: Command) -> anyhow::Result<String> {
    let name = name(&command);
    let mut command = tokio::process::Command::from(command);
    let output =
        command.stdin(Stdio::null()).kill_on_drop(true).output().await.with_context(|| name.clone())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}: {}", output.status, errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(command: &Command) -> String {
    format!("cannot run {}", command.get_program().display())
}

/// A port that nobody listens on now: of those that are not given to connections (`net.ipv4.ip_local_port_range`).
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let first: u16 = rand::random_range(20_000..31_000);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (first..32_000).find(is_free).context("there is no free port")
}

/// Where a program is, if it is on the path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file())
}

/// A file in a folder, by a name that none has there yet.
pub(crate) fn new_file(folder: &Path, extension: &str) -> PathBuf {
    folder.join(format!("{:016x}.{extension}", rand::random::<u64>()))
}
