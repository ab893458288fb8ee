//! A node that slept while credentials ended.

use std::time::Duration;

use anyhow::ensure;
use nix::sys::signal::{self, Signal};

use super::live::{Live, Way, send_to};
use super::{check_problem, page_of, post};
use crate::harness::Cluster;
use crate::harness::http::get;
use crate::harness::socket::Socket;

/// Longer than a node trusts what it has read.
const ASLEEP: Duration = Duration::from_secs(3);

/// What comes after the log out waits for the node when it wakes, in its channel layer and in the store, and is shown
/// to nobody whose session has ended.
pub(super) async fn a_frozen_node_shows_nothing_when_it_wakes(cluster: Cluster) -> anyhow::Result<()> {
    for round in 0..3 {
        let ways = Way::by_cookie(&cluster, 1).await?;
        let open = Live::open_all(&cluster, &ways, 1).await?;
        signal::kill(cluster.pid(1), Signal::SIGSTOP)?;
        let logged_out = post(cluster.address(0), "/api/v1/auth/logout", &ways[0].headers).await?;
        ensure!(logged_out.status == 204, "{} {}", logged_out.status, logged_out.body);
        let content = format!("not for them {round}");
        tokio::time::sleep(ASLEEP).await;
        for _ in 0..20 {
            send_to(&cluster, 0, 1, &content).await?;
        }
        signal::kill(cluster.pid(1), Signal::SIGCONT)?;
        for live in open {
            live.check_ended().await?;
        }
        let me = get(cluster.address(1), "/api/v1/me", &ways[0].headers).await?;
        check_problem("when it is awake", &me, 401, "unauthorized")?;
        // Who logs in again sees it.
        let page = page_of(cluster.address(1), 1).await?;
        let again = Socket::handshake_with(&cluster, 1, &page, &format!("cursor={}", round * 20)).await?;
        let mut again = again.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        ensure!(again.next().await?["type"] == "welcome");
        let shown = again.next().await?;
        ensure!(shown["data"]["content"] == *content, "{shown}");
    }
    cluster.finish().await
}
