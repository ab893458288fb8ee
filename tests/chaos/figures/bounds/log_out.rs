//! A log-out on one node ends the session on the other.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};

use super::{between, cluster, finish};
use crate::Dice;
use crate::figures::spread::Spread;
use crate::harness::Cluster;
use crate::harness::http::{log_in, origin, send};
use crate::harness::socket::Socket;

/// With Redis and without it.
pub(super) async fn log_out(tries: usize) -> anyhow::Result<()> {
    let mut cluster = cluster().await?;
    cut_off(&cluster, tries).await?.row("Log-out: until the session on the other node is closed", "2 s");
    let redis = cluster.redis.as_mut().context("there is one")?;
    tokio::task::block_in_place(|| redis.kill())?;
    sleep(Duration::from_secs(1)).await;
    let took = cut_off(&cluster, tries).await?;
    took.row("Log-out without Redis: until the session on the other node is closed", "2 s");
    finish(cluster, 0).await
}

async fn cut_off(cluster: &Cluster, tries: usize) -> anyhow::Result<Spread> {
    let (mut took, mut dice) = (Spread::default(), Dice(6));
    let (here, there) = (cluster.address(0), cluster.address(1));
    for _ in 0..tries {
        let cookie = log_in(here, 1).await?;
        let socket = Socket::connect(there, &[cookie.clone(), origin(there)], "").await?;
        let mut socket = socket.map_err(|(status, body)| anyhow::anyhow!("{status} {body}"))?;
        ensure!(socket.next().await?["type"] == "welcome");
        // So that it falls anywhere between two readings of the system mailbox.
        sleep(between(&mut dice, 0, 1_000)).await;
        let begun = Instant::now();
        let answer = send(here, "POST", "/api/v1/auth/logout", &[cookie, origin(here)], &[]).await?;
        ensure!(answer.status == 204, "{} {}", answer.status, answer.body);
        let _code = socket.close_code().await?;
        took.add(begun.elapsed());
    }
    Ok(took)
}
