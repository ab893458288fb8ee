//! More handshakes than a node lets in at a time.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::http::{bearer, get, metric, upgrade};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, eventually};

/// One is let in at a time, and four wait.
pub(super) const ONE: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__HANDSHAKES_IN_FLIGHT", "1")];

/// The reading that a handshake costs takes as long as a frozen store.
pub(super) async fn who_finds_no_place_waits_or_is_refused(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let postgres = cluster.postgres.as_ref().context("there is one")?;
    postgres.freeze()?;
    let mut handshakes = JoinSet::new();
    for user in 1..=12 {
        handshakes.spawn(async move { Socket::connect(address, &[bearer(user)], "").await });
    }
    // Seven of the twelve hear at once that there is no place for them.
    for _ in 0..7 {
        let refused = timeout(Duration::from_secs(3), handshakes.join_next()).await.context("at once")?;
        let refused = refused.context("there are more")???;
        let (status, body) = refused.err().context("it was let in")?;
        check_overloaded(status, &body)?;
    }
    let stream = get(address, "/api/v1/events/stream", &[bearer(20)]).await?;
    check_overloaded(stream.status, &stream.json()?)?;
    ensure!(stream.header("retry-after").is_some_and(|wait| wait != "0"), "{}", stream.head);
    postgres.thaw()?;
    // The others come in one after the other.
    while let Some(handshake) = handshakes.join_next().await {
        let mut socket = handshake??.map_err(|(status, body)| anyhow::anyhow!("{status} {body}"))?;
        ensure!(socket.next().await?["type"] == "welcome");
    }

    // Those that go away in the middle leave no place taken.
    postgres.freeze()?;
    for user in 1..=5 {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(upgrade(address, &bearer(user)).as_bytes()).await?;
    }
    let taken = async || Ok((places_taken(&cluster).await? == 1.0).then_some(()));
    eventually("a place is taken", DEADLINE, taken).await?;
    postgres.thaw()?;
    let free = async || Ok((places_taken(&cluster).await? == 0.0).then_some(()));
    eventually("the places are free again", DEADLINE, free).await?;
    let mut socket = Socket::open(&cluster, 0, 1, "").await?;
    ensure!(socket.next().await?["type"] == "welcome");
    ensure!(places_taken(&cluster).await? == 0.0, "who is in needs none");
    // Nor does who is not let in.
    ensure!(Socket::handshake(&cluster, 0, Some("Bearer garbage"), "").await?.is_err());
    ensure!(places_taken(&cluster).await? == 0.0);
    cluster.finish().await
}

async fn places_taken(cluster: &Cluster) -> anyhow::Result<f64> {
    metric(cluster.address(0), "switchboard_handshakes_in_flight").await
}

#[track_caller]
fn check_overloaded(status: u16, body: &Value) -> anyhow::Result<()> {
    ensure!(status == 503 && body["code"] == "overloaded", "{status} {body}");
    ensure!(body["retry_after_ms"].as_u64().is_some_and(|ms| (1_000..=5_000).contains(&ms)), "{body}");
    Ok(())
}
