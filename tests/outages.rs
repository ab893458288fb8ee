//! What the system stands on goes away: bounds are those of the design, tripled.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use switchboard_protocol::UserId;
use tokio::time::Instant;

use crate::harness::http::{bearer, get};
use crate::harness::socket::Socket;
use crate::harness::{
    Cluster, DEADLINE, connected, eventually, next_entry_within, next_message, send_numbers,
};
use crate::{PROCESSES, Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(redis_goes_and_comes_back, PROCESSES),
    test!(redis_freezes, PROCESSES),
    test!(redis_cuts_its_subscribers, PROCESSES),
    test!(postgres_freezes, PROCESSES),
    test!(postgres_goes_and_comes_back, PROCESSES),
    test!(a_node_is_killed, PROCESSES),
];

/// The sweep's bound, tripled.
const SWEEP: Duration = Duration::from_secs(3 * 2);

/// What a node says of its readiness.
async fn readiness(cluster: &Cluster, node: usize) -> anyhow::Result<(u16, String)> {
    let answer = get(cluster.address(node), "/ready", &[]).await?;
    let status = answer.json()?["status"].as_str().context("no status")?.to_owned();
    Ok((answer.status, status))
}

async fn redis_goes_and_comes_back(mut cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let (bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    cluster.redis.as_mut().context("there is one")?.kill()?;
    for n in 0..5 {
        ann.send(UserId(2), "", &n.to_string(), None).await?;
        next_entry_within(&mut bobs, SWEEP).await?;
    }
    // Sessions that begin meanwhile are served too, and a balancer keeps the nodes.
    let (_carol, mut carols) = cluster.client(3, &[1], None);
    connected(&mut carols).await?;
    ann.send(UserId(3), "", "x", None).await?;
    next_entry_within(&mut carols, SWEEP).await?;
    let degraded = async || Ok((readiness(&cluster, 1).await? == (200, "degraded".to_owned())).then_some(()));
    eventually("the node is degraded", DEADLINE, degraded).await?;
    cluster.redis.as_mut().context("there is one")?.restart()?;
    let ready = async || Ok((readiness(&cluster, 1).await?.1 == "ready").then_some(()));
    eventually("the node is ready", Duration::from_secs(3 * 2), ready).await?;
    for n in 0..50 {
        ann.send(UserId(2), "", &n.to_string(), None).await?;
        next_message(&mut bobs).await?;
    }
    ensure!(bob.gaps() == 0 && bob.duplicates() == 0);
    cluster.finish().await
}

async fn redis_freezes(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let (_bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    let redis = cluster.redis.as_ref().context("there is one")?;
    redis.freeze()?;
    for n in 0..5 {
        ann.send(UserId(2), "", &n.to_string(), None).await?;
        next_entry_within(&mut bobs, SWEEP).await?;
    }
    let begun = Instant::now();
    let (_carol, mut carols) = cluster.client(3, &[1], None);
    connected(&mut carols).await?;
    ensure!(begun.elapsed() < Duration::from_secs(3 * 2), "an attach does not wait for a frozen layer");
    redis.thaw()?;
    ann.send(UserId(3), "", "x", None).await?;
    next_entry_within(&mut carols, SWEEP).await?;
    cluster.finish().await
}

async fn redis_cuts_its_subscribers(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let (bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    for n in 0..10 {
        cluster.redis.as_ref().context("there is one")?.command(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
        ann.send(UserId(2), "", &n.to_string(), None).await?;
        next_entry_within(&mut bobs, SWEEP).await?;
    }
    ensure!(bob.gaps() == 0 && bob.duplicates() == 0);
    cluster.finish().await
}

/// Every request is answered while Postgres says nothing, and what was answered holds afterwards.
async fn postgres_freezes(cluster: Cluster) -> anyhow::Result<()> {
    let mut bob = Socket::open(&cluster, 1, 2, "").await?;
    bob.next().await?;
    let postgres = cluster.postgres.as_ref().context("there is one")?;
    postgres.freeze()?;
    let message =
        json!({"type": "send_message", "recipient_id": 1, "content": "x", "client_message_id": "c1"});
    bob.send(message.to_string()).await?;
    let error = bob.next().await?;
    ensure!(error["code"] == "store_unavailable", "{error}");
    bob.send(r#"{"type":"get_unread_count","request_id":1}"#).await?;
    ensure!(bob.next().await?["code"] == "store_unavailable");
    bob.send(r#"{"type":"ping"}"#).await?;
    ensure!(bob.next().await?["type"] == "pong", "the session stays");
    let answer = get(cluster.address(0), "/api/v1/events?cursor=0", &[bearer(1)]).await?;
    ensure!(answer.status == 503, "{}", answer.body);
    postgres.thaw()?;
    let up = async || Ok((readiness(&cluster, 1).await?.1 == "ready").then_some(()));
    eventually("the node is ready", DEADLINE, up).await?;
    // Whether the first one was stored is unknown until now, and then it is one message.
    bob.send(message.to_string()).await?;
    let sent = bob.next().await?;
    ensure!(sent["status"] == "success", "{sent}");
    ensure!(cluster.store.count_messages().await? == 1);
    cluster.finish().await
}

async fn postgres_goes_and_comes_back(mut cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    connected(&mut anns).await?;
    let mut bob = Socket::open(&cluster, 1, 2, "").await?;
    bob.next().await?;
    cluster.postgres.as_mut().context("there is one")?.kill()?;
    bob.send(
        json!({"type": "send_message", "recipient_id": 1, "content": "x", "client_message_id": "c1"})
            .to_string(),
    )
    .await?;
    let error = bob.next().await?;
    ensure!(error["code"] == "store_unavailable" && error["client_message_id"] == "c1", "{error}");
    bob.send(r#"{"type":"get_unread_count","request_id":1}"#).await?;
    ensure!(bob.next().await?["code"] == "store_unavailable");
    let down = async || Ok((readiness(&cluster, 0).await? == (503, "unavailable".to_owned())).then_some(()));
    eventually("the node is not ready", DEADLINE, down).await?;
    let refused =
        Socket::handshake(&cluster, 0, Some(&format!("Bearer {}", crate::harness::token(3))), "").await?;
    ensure!(refused.err().is_some_and(|(status, body)| status == 503 && body["code"] == "store_unavailable"));
    // The client crate tries again by itself; the raw one asks again on the socket that stayed.
    let waiting = tokio::spawn(async move { ann.send(UserId(2), "", "through it all", None).await });
    cluster.postgres.as_mut().context("there is one")?.restart()?;
    let up = async || Ok((readiness(&cluster, 0).await? == (200, "ready".to_owned())).then_some(()));
    eventually("the node is ready", DEADLINE, up).await?;
    waiting.await??;
    ensure!(bob.next().await?["data"]["content"] == "through it all");
    bob.send(
        json!({"type": "send_message", "recipient_id": 1, "content": "x", "client_message_id": "c1"})
            .to_string(),
    )
    .await?;
    ensure!(bob.next().await?["status"] == "success");
    cluster.finish().await
}

async fn a_node_is_killed(mut cluster: Cluster) -> anyhow::Result<()> {
    const MESSAGES: usize = 2_000;
    let (ann, mut anns) = cluster.client(1, &[1, 0], None);
    let (bob, mut bobs) = cluster.client(2, &[1, 0], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    tokio::spawn(async move { while anns.recv().await.is_some() {} });
    let sending = tokio::spawn(send_numbers(ann, UserId(2), MESSAGES));
    for n in 0..MESSAGES {
        if n == MESSAGES / 4 {
            cluster.kill_node(1).await?;
        }
        ensure!(
            next_message(&mut bobs).await?.content == n.to_string(),
            "in order, nothing lost, nothing twice"
        );
    }
    sending.await??;
    ensure!(bob.gaps() == 0);
    ensure!(cluster.store.count_messages().await? == MESSAGES as i64);
    cluster.finish().await
}
