//! How a stack comes to be.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use futures_util::future::try_join_all;
use switchboard_store::Store;
use tempfile::TempDir;

use super::balancer::Balancer;
use super::links::{Link, links};
use super::nodes::Node;
use super::servers::Blocking;
use super::{Plan, Stack};
use crate::fault::{Disk, Held};
use crate::harness::servers::{Postgres, Redis};
use crate::harness::tools::free_address;
use crate::harness::{SECRET, import_users};
use crate::proxy::Proxy;

/// Room for a fresh cluster of Postgres, its log and a run.
const STORE_DISK_BYTES: u64 = 16 << 30;
/// Room for the attachments of a run.
const ATTACHMENTS_DISK_BYTES: u64 = 4 << 30;

/// Of each node: limits on users out of the way, and a stop that does not take long.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("SWITCHBOARD_JWT_SECRET", SECRET),
    ("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ("SWITCHBOARD_SERVER__DRAIN_SECONDS", "5"),
    ("SWITCHBOARD_SERVER__DRAIN_QUIET_SECONDS", "0"),
    ("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "1000000"),
    ("SWITCHBOARD_LIMITS__MESSAGES_BURST", "1000000"),
    ("SWITCHBOARD_LIMITS__CONNECTIONS_PER_USER", "10000"),
    ("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "1000000"),
    ("SWITCHBOARD_LIMITS__FAILED_LOGINS_PER_MINUTE", "1000000"),
    ("SWITCHBOARD_LIMITS__REGISTRATIONS_PER_MINUTE", "1000000"),
    ("SWITCHBOARD_ATTACHMENTS__WAITING_PER_USER", "1000000"),
    ("SWITCHBOARD_LOG__LEVEL", "info"),
    ("RUST_BACKTRACE", "1"),
];

impl Stack {
    /// Starts everything, with the users 1 to [`crate::harness::USERS`] and the harness's password, and waits until it is
    /// whole.
    pub(crate) async fn start(plan: Plan) -> anyhow::Result<Self> {
        let folder = folder()?;
        let data_folder = folder.path().join("data");
        fs::create_dir(&data_folder)?;
        let disk = |folder: &Path, bytes| if plan.small_disks { Disk::make(folder, bytes) } else { Ok(None) };
        let store_disk = disk(&folder.path().join("store"), STORE_DISK_BYTES)?;
        let attachments_disk = disk(&data_folder.join("attachments"), ATTACHMENTS_DISK_BYTES)?;
        let proxy = Proxy::start()?;
        let (redis, (postgres, database_url)) =
            tokio::try_join!(start_redis(), start_postgres(store_disk.as_ref(), plan.postgres.clone()))?;
        let nodes = nodes(&plan, folder.path(), &data_folder)?;
        let listen = nodes.iter().map(|node| node.listen).collect();
        let public = free_address()?;
        let stack = Self {
            public,
            through_proxy: free_address()?,
            database_url,
            redis_url: redis.url(),
            held: Held::default(),
            balancer: Blocking::new(Balancer::new(listen, public, folder.path().to_owned())),
            nodes,
            proxy,
            redis: Blocking::new(redis),
            postgres: Blocking::new(postgres),
            store_disk,
            attachments_disk,
            data_folder,
            plan,
            _folder: folder,
        };
        stack.open_links().await?;
        try_join_all(stack.nodes.iter().map(|node| node.start(&[]))).await?;
        stack.start_balancer().await?;
        stack.wait_until_whole().await?;
        Ok(stack)
    }

    /// Clients' link, and two a node, in the order of [`links`].
    async fn open_links(&self) -> anyhow::Result<()> {
        for link in links(self.n_nodes()) {
            let (listen, to) = match link {
                Link::Clients => (self.through_proxy, self.public),
                Link::Redis(node) => (self.nodes[node].to_redis, address_in(&self.redis_url)?),
                Link::Postgres(node) => (self.nodes[node].to_postgres, address_in(&self.database_url)?),
            };
            self.proxy.open(listen, to).await?;
        }
        Ok(())
    }
}

/// The stack's own. With `SWITCHBOARD_TEST_KEEP` it is made in the folder named there and stays, with what nodes wrote.
fn folder() -> anyhow::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("stack-");
    let folder = match std::env::var_os("SWITCHBOARD_TEST_KEEP") {
        Some(keep) => builder.disable_cleanup(true).tempdir_in(keep)?,
        None => builder.tempdir()?,
    };
    // Postgres's user must get to what is in it.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}

async fn start_redis() -> anyhow::Result<Redis> {
    tokio::task::spawn_blocking(Redis::start).await?
}

/// Postgres, and the URL of its database, with the schema and the users.
async fn start_postgres(disk: Option<&Disk>, settings: Vec<String>) -> anyhow::Result<(Postgres, String)> {
    let folder = disk.map_or_else(TempDir::new, |disk| TempDir::new_in(disk.folder()))?;
    let start = move || {
        let postgres = Postgres::start_with(folder, settings)?;
        let url = postgres.create_database("switchboard")?;
        anyhow::Ok((postgres, url))
    };
    let (postgres, url) = tokio::task::spawn_blocking(start).await??;
    let store = Store::open(&url, 1).await?;
    store.migrate().await?;
    import_users(&store).await?;
    Ok((postgres, url))
}

/// Nodes that do not run yet.
fn nodes(plan: &Plan, folder: &Path, data_folder: &Path) -> anyhow::Result<Vec<Node>> {
    let node = |number| {
        let log = folder.join(format!("node{number}.log"));
        let shared = ENVIRONMENT.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let data = ("SWITCHBOARD_DATA_DIR".to_owned(), data_folder.display().to_string());
        let environment = shared.chain([data]).chain(plan.environment.iter().cloned());
        Node::new(number, log, plan.binary.clone(), environment.collect())
    };
    (0..plan.nodes).map(node).collect()
}

/// Where a URL leads, which names a port.
fn address_in(url: &str) -> anyhow::Result<SocketAddr> {
    let place = url.rsplit('@').next().and_then(|rest| rest.rsplit("//").next());
    let place =
        place.and_then(|rest| rest.split('/').next()).with_context(|| format!("no place in {url}"))?;
    Ok(place.parse()?)
}
