//! A cursor finds everything after it, on any node; one that is of no use is reset.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use switchboard_client::Event;
use switchboard_protocol::UserId;

use crate::harness::http::metric;
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, connected, eventually, next_message};
use crate::{BOTH, PROCESSES, Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(five_hundred_missed_while_more_come, BOTH),
    test!(a_useless_cursor_is_reset, BOTH),
    test!(a_peer_that_takes_nothing_is_let_go, PROCESSES),
    test!(a_session_that_does_not_read, BOTH, &[("SWITCHBOARD_LIMITS__OUTBOUND_QUEUE_BYTES", "262144")]),
];

async fn five_hundred_missed_while_more_come(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    let (bob, mut bobs) = cluster.client(2, &[0], None);
    connected(&mut bobs).await?;
    ann.send(UserId(2), "", "0", None).await?;
    ensure!(next_message(&mut bobs).await?.content == "0");
    bob.close().await;
    for n in 1..=500 {
        drop(ann.post(UserId(2), "", &n.to_string(), None).await?);
    }
    // All of those are stored before the other device comes back on the other node, to those that follow.
    ann.send(UserId(2), "", "501", None).await?;
    let more = tokio::spawn(async move {
        for n in 502..=1_000 {
            ann.send(UserId(2), "", &n.to_string(), None).await?;
        }
        anyhow::Ok(ann)
    });
    let (bob, mut bobs) = cluster.client(2, &[1], Some(1));
    for n in 1..=1_000 {
        ensure!(next_message(&mut bobs).await?.content == n.to_string());
    }
    ensure!(bob.duplicates() == 0 && bob.gaps() == 0);
    more.await??;
    cluster.finish().await
}

async fn a_useless_cursor_is_reset(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    for _ in 0..3 {
        ann.send(UserId(2), "", "x", None).await?;
    }
    for query in ["cursor=4", "cursor=9007199254740991", "cursor=2&epoch=another", "cursor=-1"] {
        let mut socket = Socket::open(&cluster, 1, 2, query).await?;
        let (welcome, reset) = (socket.next().await?, socket.next().await?);
        ensure!(welcome["type"] == "welcome" && welcome["cursor"] == 3, "{query}: {welcome}");
        ensure!(
            reset == json!({"type": "reset", "cursor": 3, "epoch": welcome["epoch"]}),
            "{query}: {reset}"
        );
        // And it goes on from there.
        ann.send(UserId(3), "", "x", None).await?;
        socket.send(r#"{"type":"ping"}"#).await?;
        ensure!(socket.next().await?["type"] == "pong");
    }
    // The client crate adopts it.
    let (_bob, mut bobs) = cluster.client(2, &[1], Some(77));
    let reset = async {
        loop {
            if let Some(Event::Reset { cursor, .. }) = bobs.recv().await {
                return cursor;
            }
        }
    };
    ensure!(tokio::time::timeout(DEADLINE, reset).await?.0 == 3);
    ann.send(UserId(2), "", "after", None).await?;
    ensure!(next_message(&mut bobs).await?.content == "after");
    cluster.finish().await
}

/// By the session after 30 s, and then by the kernel: neither the session nor its socket stays.
async fn a_peer_that_takes_nothing_is_let_go(cluster: Cluster) -> anyhow::Result<()> {
    let mut stalled = Socket::open(&cluster, 1, 2, "").await?;
    stalled.next().await?;
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    tokio::spawn(async move { while anns.recv().await.is_some() {} });
    let text = "x".repeat(30_000);
    for _ in 0..600 {
        drop(ann.post(UserId(2), "", &text, None).await?);
    }
    let gone = async || Ok((connections_of(cluster.address(1).port())? == 0).then_some(()));
    eventually("the socket is closed", Duration::from_secs(3 * 30), gone).await?;
    let closed = crate::harness::http::get(cluster.address(1), "/metrics", &[]).await?;
    ensure!(
        closed.body.contains("switchboard_sessions_closed_total{reason=\"too_slow\"} 1"),
        "{}",
        closed.body
    );
    drop(stalled);
    cluster.finish().await
}

/// Connections of a port here that the kernel still keeps something for.
fn connections_of(port: u16) -> anyhow::Result<usize> {
    let (local, listens, waits) = (format!(":{port:04X}"), "0A", "06");
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(rows.filter(|row| row[1].ends_with(&local) && row[3] != listens && row[3] != waits).count())
}

/// It costs its queue and no more, harms nobody, and finds everything when it reads again.
async fn a_session_that_does_not_read(cluster: Cluster) -> anyhow::Result<()> {
    const MESSAGES: usize = 4_000;
    let mut stalled = Socket::open(&cluster, 1, 2, "").await?;
    stalled.next().await?;
    let (bob, mut bobs) = cluster.client(2, &[1], None);
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut bobs).await?;
    connected(&mut anns).await?;
    tokio::spawn(async move { while anns.recv().await.is_some() {} });
    let text = "x".repeat(8_000);
    let sending = tokio::spawn(async move {
        for n in 0..MESSAGES {
            drop(ann.post(UserId(2), &n.to_string(), &text, None).await?);
        }
        anyhow::Ok(ann)
    });
    for n in 0..MESSAGES {
        ensure!(next_message(&mut bobs).await?.subject == n.to_string(), "the other device is served");
    }
    ensure!(bob.gaps() == 0);
    sending.await??;
    // 32 MB went by: the sockets' buffers took some, the queue was let go, and the rest is paged.
    for n in 0..MESSAGES {
        let frame = stalled.next().await?;
        ensure!(
            frame["seq"] == n + 1 && frame["data"]["subject"].as_str() == Some(&n.to_string()),
            "at {n}: {frame}"
        );
    }
    ensure!(metric(cluster.address(1), r#"switchboard_drops_total{reason="session_full"}"#).await? > 0.0);
    cluster.finish().await
}
