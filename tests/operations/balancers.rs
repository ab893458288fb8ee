//! Three nodes behind a real balancer, clients who talk all the time: nodes are restarted one after another, then one is
//! taken away. Nothing is lost, nothing comes twice, and no request through the balancer fails.

mod talk;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use nix::sys::resource::{Resource, getrlimit};
use switchboard_store::Import;
use tempfile::TempDir;

use self::talk::{Requests, Talk};
use super::tools::{adapted, find, free_address, haproxy};
use crate::harness::http::{bearer, get, metric};
use crate::harness::servers::Process;
use crate::harness::{Cluster, DEADLINE, eventually};
use crate::{PROCESSES, Test, tell, test};

pub(super) const TESTS: &[(&str, Test)] = &[
    ("haproxy", test!(a_rolling_restart_behind_haproxy, PROCESSES, BEHIND_A_BALANCER)),
    ("nginx", test!(a_rolling_restart_behind_nginx, PROCESSES, BEHIND_A_BALANCER)),
];

const BEHIND_A_BALANCER: &[(&str, &str)] =
    &[("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "127.0.0.1"), ("SWITCHBOARD_SERVER__DRAIN_QUIET_SECONDS", "1")];

/// How many clients talk; `SWITCHBOARD_TEST_CLIENTS` says another number. Each takes a socket here, two at the balancer
/// and one at a node.
fn n_clients() -> anyhow::Result<usize> {
    let asked = std::env::var("SWITCHBOARD_TEST_CLIENTS").map_or(Ok(200), |number| number.parse())?;
    let (soft, _hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(asked.min(usize::try_from(soft)? / 4) / 2 * 2)
}

async fn a_rolling_restart_behind_haproxy(cluster: Cluster) -> anyhow::Result<()> {
    a_rolling_restart(cluster, haproxy).await
}

async fn a_rolling_restart_behind_nginx(cluster: Cluster) -> anyhow::Result<()> {
    a_rolling_restart(cluster, nginx).await
}

async fn a_rolling_restart(
    cluster: Cluster,
    balancer: fn(&[SocketAddr], SocketAddr, &Path) -> anyhow::Result<Command>,
) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let result = restart_one_by_one(cluster, balancer, folder.path()).await;
    // What the balancer says of it goes with the folder.
    result.with_context(|| {
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let told =
            log.lines().filter(|line| !line.contains(" 200 ") && !line.contains(" 201 ")).rev().take(20);
        told.collect::<Vec<_>>().join("\n")
    })
}

async fn restart_one_by_one(
    mut cluster: Cluster,
    balancer: fn(&[SocketAddr], SocketAddr, &Path) -> anyhow::Result<Command>,
    folder: &Path,
) -> anyhow::Result<()> {
    let n_clients = n_clients()?;
    let user = |n| Import { username: format!("talker{n}"), full_name: String::new(), password_hash: None };
    let users = cluster.store.import_users((0..n_clients).map(user).collect()).await?;
    cluster.add_node().await?;
    let public = free_address()?;
    let nodes: Vec<_> = (0..3).map(|node| cluster.address(node)).collect();
    let _balancer = Process::spawn(balancer(&nodes, public, folder)?, folder)?;
    let user = users[0].0;
    let passes = async || {
        let answer = get(public, "/api/v1/me", &[bearer(user)]).await;
        Ok(answer.ok().filter(|answer| answer.status == 200).map(|_| ()))
    };
    eventually("the balancer passes requests on", DEADLINE, passes).await?;

    let talk = Talk::begin(public, &users).await?;
    let requests = Requests::begin(public, user);
    for (node, address) in nodes.iter().enumerate() {
        eventually("sessions on more than one node", DEADLINE, async || spread(&nodes).await).await?;
        cluster.restart_node_in_place(node).await?;
        talk.all_are_served().await?;
        let is_back = async || requests.check().and(is_asked(address).await);
        eventually("requests on the node", DEADLINE, is_back).await?;
    }
    cluster.stop_node(2).await?;
    talk.all_are_served().await?;
    requests.end().await?;
    let figures = talk.end().await?;
    let on_two =
        metric(nodes[0], "switchboard_sessions").await? + metric(nodes[1], "switchboard_sessions").await?;
    tell(format_args!("{n_clients} clients, {figures}"));
    ensure!(on_two <= n_clients as f64, "sessions that nobody has: {on_two}");
    cluster.finish().await
}

/// Whether at least two nodes have sessions, so that the stop of one is a matter of some clients.
async fn spread(nodes: &[SocketAddr]) -> anyhow::Result<Option<()>> {
    let mut with_sessions = 0;
    for node in nodes {
        with_sessions += usize::from(metric(*node, "switchboard_sessions").await? > 0.0);
    }
    Ok((with_sessions >= 2).then_some(()))
}

/// Whether the balancer sends requests to a node that was started lately.
async fn is_asked(node: &SocketAddr) -> anyhow::Result<Option<()>> {
    let asked =
        metric(*node, r#"switchboard_http_requests_total{method="GET",route="/api/v1/me",status="200"}"#)
            .await?;
    Ok((asked > 0.0).then_some(()))
}

fn nginx(nodes: &[SocketAddr], public: SocketAddr, folder: &Path) -> anyhow::Result<Command> {
    let (listen, pid) = (format!("listen {public}"), folder.join("pid").display().to_string());
    let examples = ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"];
    let nodes: Vec<_> = nodes.iter().map(SocketAddr::to_string).collect();
    let mut changes = vec![("        listen 8080", listen.as_str()), ("/tmp/nginx.pid", pid.as_str())];
    changes.extend(examples.into_iter().zip(nodes.iter().map(String::as_str)));
    let file = adapted("nginx.conf", &changes, folder)?;
    let mut command = Command::new(find("nginx").context("nginx is not installed")?);
    command.args(["-g", "daemon off;", "-p"]).arg(folder).arg("-c").arg(file);
    Ok(command)
}
