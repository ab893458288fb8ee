//! Whether a stack is whole, and making it so.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::{join_all, try_join_all};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::NoTls;

use super::Stack;
use super::links::links;
use super::nodes::{Node, is_ok};
use crate::harness::http::get;

/// Until all is well again after everything was put back.
const WHOLE: Duration = Duration::from_secs(60);
/// For an answer of Postgres, which may be reading its log after a crash.
const STORE_ANSWER: Duration = Duration::from_secs(10);
/// Of a node that may be frozen.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// What Redis has to start with, as far as faults change it.
const FIRST_SETTINGS: &[&[&str]] = &[
    &["CONFIG", "SET", "maxmemory", "0"],
    &["CONFIG", "SET", "maxmemory-clients", "0"],
    &["CONFIG", "SET", "busy-reply-threshold", "5000"],
    &["CONFIG", "SET", "maxclients", "10000"],
    &[
        "CONFIG",
        "SET",
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    ],
    &["ACL", "SETUSER", "default", "on", "nopass", "allkeys", "allchannels", "allcommands"],
    &["CLIENT", "UNPAUSE"],
];

impl Stack {
    /// Whether every node says `ready`, not `degraded`, and HAProxy passes requests on, straight and through the proxy.
    pub(crate) async fn is_whole(&self) -> bool {
        self.missing().await.is_empty()
    }

    /// Puts everything back, whatever was done: ends what faults hold, thaws, clears all links, frees the disks, starts what
    /// is dead, gives Redis back its settings and nodes their environment; then waits until the stack is whole. Safe to call
    /// at any time.
    ///
    /// # Errors
    ///
    /// Something does not start, or the stack is not whole within a minute: the error says what is missing.
    pub(crate) async fn heal(&self) -> anyhow::Result<()> {
        self.held.release_all();
        for disk in [&self.store_disk, &self.attachments_disk].into_iter().flatten() {
            disk.free()?;
        }
        // What was killed cannot be thawed, and need not be.
        let _ = self.thaw_redis().await;
        let _ = self.thaw_postgres().await;
        for node in &self.nodes {
            node.signal(Signal::SIGCONT)?;
        }
        for link in links(self.nodes.len()) {
            self.clear(link).await?;
        }
        tokio::try_join!(self.heal_redis(), self.heal_postgres())?;
        try_join_all(self.nodes.iter().map(heal_node)).await?;
        if !is_ok(self.balancer(), "/live").await {
            self.start_balancer().await?;
        }
        self.wait_until_whole().await
    }

    /// Waits until the stack is whole.
    pub(super) async fn wait_until_whole(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + WHOLE;
        loop {
            let missing = self.missing().await;
            if missing.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not whole within {WHOLE:?}: {}", missing.join(", "));
            sleep(LOOK).await;
        }
    }

    /// What is not as it should be.
    async fn missing(&self) -> Vec<String> {
        let nodes = join_all(self.nodes.iter().map(not_ready));
        let (nodes, straight, proxied) =
            tokio::join!(nodes, is_ok(self.balancer(), "/live"), is_ok(self.through_proxy(), "/live"));
        let ways = [(straight, "HAProxy"), (proxied, "the way to HAProxy through the proxy")];
        let ways = ways.into_iter().filter(|(is_open, _)| !is_open).map(|(_, name)| name.to_owned());
        nodes.into_iter().flatten().chain(ways).collect()
    }

    async fn heal_redis(&self) -> anyhow::Result<()> {
        for words in FIRST_SETTINGS {
            let answer = self.redis_command(words).await;
            if answer.is_ok_and(|answer| answer == "+OK") {
                continue;
            }
            // It is dead, or paused, or takes no orders: a new one has its settings.
            return self.restart_redis().await.context("Redis");
        }
        Ok(())
    }

    async fn heal_postgres(&self) -> anyhow::Result<()> {
        let asked = async {
            let (client, connection) = tokio_postgres::connect(&self.database_url, NoTls).await?;
            // It ends with the client.
            tokio::spawn(connection);
            client.batch_execute("CREATE TEMPORARY TABLE alive (n integer)").await
        };
        match timeout(STORE_ANSWER, asked).await {
            Ok(Ok(())) => Ok(()),
            _ => self.restart_postgres().await.context("Postgres"),
        }
    }
}

/// Runs, in the environment that all its lives have.
async fn heal_node(node: &Node) -> anyhow::Result<()> {
    if node.is_special() {
        node.stop().await?;
    }
    node.start(&[]).await
}

/// What a node says in place of `ready`.
async fn not_ready(node: &Node) -> Option<String> {
    let answer = timeout(ANSWER, get(node.admin, "/ready", &[])).await;
    let answer = answer.ok().and_then(Result::ok).and_then(|answer| answer.json().ok());
    let status = answer.as_ref().and_then(|answer| answer["status"].as_str());
    let reason = answer.as_ref().map_or(&Value::Null, |answer| &answer["reason"]);
    (status != Some("ready"))
        .then(|| format!("node {}: {} ({reason})", node.number, status.unwrap_or("silent")))
}
