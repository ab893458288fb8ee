//! HAProxy in front of a stack's nodes, with `deploy/haproxy.cfg`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use tokio::time::timeout;

use super::Stack;
use crate::harness::http::get;
use crate::harness::servers::{Process, children};
use crate::harness::{DEADLINE, eventually, tools};

/// For one answer of it.
const ANSWER: Duration = Duration::from_secs(2);

/// HAProxy, running or not: a master process and its workers.
pub(super) struct Balancer {
    nodes: Vec<SocketAddr>,
    public: SocketAddr,
    folder: PathBuf,
    process: Option<Process>,
}

impl Stack {
    /// Kills HAProxy, old processes of reloads included: all its connections are reset. Nothing if it does not run.
    pub(crate) async fn kill_balancer(&self) -> anyhow::Result<()> {
        self.balancer.with(Balancer::kill).await
    }

    /// Starts HAProxy, having killed it if it ran; waits until it answers requests, if only that no node takes them.
    pub(crate) async fn start_balancer(&self) -> anyhow::Result<()> {
        self.balancer.with(Balancer::start).await?;
        let answers = async || {
            let answer = timeout(ANSWER, get(self.balancer(), "/live", &[])).await;
            Ok(answer.is_ok_and(|answer| answer.is_ok()).then_some(()))
        };
        eventually("HAProxy answers", DEADLINE, answers).await
    }

    /// Has HAProxy read its configuration again: a new process takes new connections, the old one keeps those it has.
    /// Waits until the new process is there. Nothing if it does not run.
    pub(crate) async fn reload_balancer(&self) -> anyhow::Result<()> {
        let Some(former) = self.balancer.with(|balancer| balancer.reload()).await? else {
            return Ok(());
        };
        let another = async || {
            let workers = self.balancer.with(|balancer| balancer.workers()).await?;
            Ok(workers.difference(&former).next().map(|_| ()))
        };
        eventually("HAProxy has another process", DEADLINE, another).await
    }
}

impl Balancer {
    pub(super) fn new(nodes: Vec<SocketAddr>, public: SocketAddr, folder: PathBuf) -> Self {
        Self { nodes, public, folder, process: None }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        let mut command = tools::haproxy(&self.nodes, self.public, &self.folder)?;
        // With a master, which a reload needs.
        command.arg("-W");
        self.process = Some(Process::spawn(command, &self.folder)?);
        Ok(())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// The workers before.
    fn reload(&self) -> anyhow::Result<Option<HashSet<i32>>> {
        let Some(process) = &self.process else {
            return Ok(None);
        };
        let workers = self.workers()?;
        signal::kill(process.pid(), Signal::SIGUSR2)?;
        Ok(Some(workers))
    }

    /// The numbers of its processes but the master's.
    fn workers(&self) -> anyhow::Result<HashSet<i32>> {
        let workers = self.process.as_ref().map_or(Ok(Vec::new()), |process| children(process.pid()))?;
        Ok(workers.into_iter().map(nix::unistd::Pid::as_raw).collect())
    }
}
