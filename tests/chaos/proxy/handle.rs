//! The proxy's process, as the stack holds it.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::orders::{Answer, Direction, Order, Request, Toxic};
use crate::harness::DEADLINE;

/// A running proxy. Killed when dropped.
pub(crate) struct Proxy {
    /// One order at a time.
    talk: Mutex<Talk>,
    /// Ended by its drop.
    _process: Child,
}

struct Talk {
    /// Of the last request.
    id: u64,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Proxy {
    /// Starts a process without links.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // A group of its own, as the servers have: it ends when its input does, not before those who use it.
        command.arg("proxy").process_group(0).kill_on_drop(true);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = process.stdin.take().context("it was asked for")?;
        let answers = BufReader::new(process.stdout.take().context("it was asked for")?).lines();
        Ok(Self { talk: Mutex::new(Talk { id: 0, requests, answers }), _process: process })
    }

    /// Opens a link: connections to `listen` go on to `to`. Links are numbered from 0 in this order.
    pub(crate) async fn open(&self, listen: SocketAddr, to: SocketAddr) -> anyhow::Result<()> {
        self.order(Order::Open { listen, to }).await.map(drop)
    }

    /// From now on this happens to what goes in `direction` of the link, on all connections.
    pub(crate) async fn set(&self, link: usize, direction: Direction, toxic: Toxic) -> anyhow::Result<()> {
        self.order(Order::Set { link, direction, toxic }).await.map(drop)
    }

    /// Resets all connections of the link; they are gone when this returns. New ones are taken.
    pub(crate) async fn reset(&self, link: usize) -> anyhow::Result<()> {
        self.order(Order::Reset { link }).await.map(drop)
    }

    /// Refuses new connections until the link is cleared.
    pub(crate) async fn refuse(&self, link: usize) -> anyhow::Result<()> {
        self.order(Order::Refuse { link }).await.map(drop)
    }

    /// Passes everything again, and takes connections. Those that lost something are reset.
    pub(crate) async fn clear(&self, link: usize) -> anyhow::Result<()> {
        self.order(Order::Clear { link }).await.map(drop)
    }

    /// How many connections the link has.
    pub(crate) async fn count(&self, link: usize) -> anyhow::Result<usize> {
        self.order(Order::Count { link }).await?.n_connections.context("the proxy did not count")
    }

    /// Gives an order, and waits until it was carried out.
    async fn order(&self, order: Order) -> anyhow::Result<Answer> {
        let mut talk = self.talk.lock().await;
        let answer = timeout(DEADLINE, talk.order(order.clone())).await;
        let answer = answer.context("the proxy does not answer").flatten();
        answer.with_context(|| format!("{order:?}"))
    }
}

impl Talk {
    async fn order(&mut self, order: Order) -> anyhow::Result<Answer> {
        self.id += 1;
        let line = format!("{}\n", serde_json::to_string(&Request { id: self.id, order })?);
        self.requests.write_all(line.as_bytes()).await?;
        loop {
            let line = self.answers.next_line().await?.context("the proxy has ended")?;
            let answer: Answer = serde_json::from_str(&line)?;
            // One whose asker did not wait for it is passed over.
            if answer.id == self.id {
                match &answer.error {
                    Some(error) => bail!("{error}"),
                    None => return Ok(answer),
                }
            }
        }
    }
}
