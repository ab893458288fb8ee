//! Everything a run stands on, as processes of their own: Postgres, Redis, the fault proxy, the nodes, and HAProxy in front.
//!
//! Each node reaches Postgres and Redis through links of its own in the proxy, and clients reach HAProxy straight
//! ([`Stack::balancer`]) or through a link ([`Stack::through_proxy`]). All methods take `&self`, so that several faults may
//! act at once; the parts of the stack are named in the files below.
//!
//! - `start`: [`Stack::start`].
//! - `nodes`: [`Stack::kill_node`] and its like.
//! - `servers`: Redis and Postgres.
//! - `balancer`: HAProxy.
//! - `links`: what goes through the proxy.
//! - `health`: [`Stack::is_whole`], [`Stack::heal`].

mod balancer;
mod health;
mod links;
mod nodes;
mod servers;
mod start;
mod trials;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use futures_util::future::try_join_all;
use tempfile::TempDir;

use self::balancer::Balancer;
pub(crate) use self::links::Link;
use self::nodes::Node;
use self::servers::Blocking;
pub(crate) use self::trials::trials;
use crate::fault::{Disk, Held};
use crate::harness::servers::{Postgres, Redis};
use crate::proxy::Proxy;

/// What a stack is started with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many nodes.
    pub(crate) nodes: usize,
    /// The nodes' binary: the server, or the one that goes wrong on purpose.
    pub(crate) binary: PathBuf,
    /// More for each node, on top of the stack's own.
    pub(crate) environment: Vec<(String, String)>,
    /// Settings of Postgres, such as `synchronous_commit=off`.
    pub(crate) postgres: Vec<String>,
    /// Whether Postgres and attachments each get a small disk of their own, where that is possible.
    pub(crate) small_disks: bool,
}

impl Default for Plan {
    /// Three nodes of the server as it is.
    fn default() -> Self {
        Self {
            nodes: 3,
            binary: env!("CARGO_BIN_EXE_switchboard").into(),
            environment: Vec::new(),
            postgres: Vec::new(),
            small_disks: false,
        }
    }
}

/// A running stack. What still runs is killed when it is dropped.
pub(crate) struct Stack {
    plan: Plan,
    public: SocketAddr,
    through_proxy: SocketAddr,
    database_url: String,
    redis_url: String,
    data_folder: PathBuf,
    // In the order in which they are dropped: what uses something goes before it.
    held: Held,
    balancer: Blocking<Balancer>,
    nodes: Vec<Node>,
    proxy: Proxy,
    redis: Blocking<Redis>,
    postgres: Blocking<Postgres>,
    store_disk: Option<Disk>,
    attachments_disk: Option<Disk>,
    _folder: TempDir,
}

impl Stack {
    /// What it was started with.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where HAProxy listens.
    pub(crate) fn balancer(&self) -> SocketAddr {
        self.public
    }

    /// The way to HAProxy through the proxy ([`Link::Clients`]): what happens to clients' links happens here.
    pub(crate) fn through_proxy(&self) -> SocketAddr {
        self.through_proxy
    }

    /// Where a node listens, the same over restarts.
    pub(crate) fn node(&self, node: usize) -> SocketAddr {
        self.nodes[node].listen
    }

    /// How many nodes there are, running or not.
    pub(crate) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Where a node tells of health and metrics.
    pub(crate) fn admin(&self, node: usize) -> SocketAddr {
        self.nodes[node].admin
    }

    /// The store, straight, as Postgres's superuser.
    pub(crate) fn database_url(&self) -> String {
        self.database_url.clone()
    }

    /// Redis, straight.
    pub(crate) fn redis_url(&self) -> String {
        self.redis_url.clone()
    }

    /// What nodes wrote, a file a node, over all its lives.
    pub(crate) fn node_logs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| node.log.clone()).collect()
    }

    /// The folder that the nodes share (`SWITCHBOARD_DATA_DIR`); their attachments are in `attachments` in it.
    pub(crate) fn data_folder(&self) -> &Path {
        &self.data_folder
    }

    /// What faults hold while they last.
    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// The disk that Postgres's data are on, if the plan asked for it and it is possible.
    pub(crate) fn store_disk(&self) -> Option<&Disk> {
        self.store_disk.as_ref()
    }

    /// The same for attachments.
    pub(crate) fn attachments_disk(&self) -> Option<&Disk> {
        self.attachments_disk.as_ref()
    }

    /// Ends everything. Nodes are told by SIGTERM and must end well and in time; the rest is killed.
    ///
    /// # Errors
    ///
    /// A node did not exit with 0, or had ended by itself before ([`Stack::deaths`]).
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        try_join_all(self.nodes.iter().map(Node::stop)).await?;
        let deaths = self.deaths();
        ensure!(deaths.is_empty(), "{}", deaths.join("; "));
        Ok(())
    }
}
