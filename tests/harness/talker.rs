//! A node more, that says what it has to say into a file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::Cluster;

/// A process beside the nodes of a cluster, on what they stand on. Killed when dropped.
pub(crate) struct Talker {
    child: Child,
    pub(crate) address: SocketAddr,
    log: tempfile::NamedTempFile,
}

impl Talker {
    /// Starts it, with `settings` on top of those of the cluster.
    pub(crate) fn start(cluster: &Cluster, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let log = tempfile::NamedTempFile::new()?;
        let mut command = cluster.command(&["serve"]);
        command.envs(settings.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(log.path())?).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it was asked for")?).read_line(&mut line)?;
        let address = line.trim().rsplit("http://").next().and_then(|address| address.parse().ok());
        let address = address.with_context(|| format!("first line: `{line}`"))?;
        Ok(Self { child, address, log })
    }

    /// Stops it, and gives what it said.
    pub(crate) fn end(mut self) -> anyhow::Result<String> {
        signal::kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(std::fs::read_to_string(self.log.path())?)
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
