//! What Redis may do to a node, and that the layer heals without help.

use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use switchboard_channel_layer::{Channel, Down, Event};
use tokio::time::{self, Instant};

use crate::kit::{Node, SOON, publication, trial, until};
use crate::servers::Redis;

/// Delivery is back this soon after Redis is.
const BACK: Duration = Duration::from_secs(2);

/// How long a probe may stay away before the links are made anew.
const SILENCE: Duration = Duration::from_millis(7_500);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("redis::killed_and_back_at_once", || crash(Duration::ZERO)),
        trial("redis::killed_and_back_after_a_while", || crash(Duration::from_secs(3))),
        trial("redis::not_there_at_the_start", absent_at_first),
        trial("redis::publishing_while_down_neither_waits_nor_keeps", publish_while_down),
        trial("redis::frozen", freeze),
        trial("redis::cut_subscriber", cut_subscriber),
        trial("redis::cut_again_and_again", cut_again_and_again),
        trial("redis::refused_subscriptions", refused_subscriptions),
        trial("redis::refused_publications", refused_publications),
        trial("redis::stop_token_ends_all_tasks", stop),
    ]
}

/// Two nodes, the second subscribed to `old`.
async fn two_nodes(redis: &Redis) -> anyhow::Result<(Node, Node)> {
    let (mut a, mut b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    for node in [&mut a, &mut b] {
        node.expect(Event::Restored, SOON).await?;
        node.until_up(SOON).await?;
    }
    b.subscribe("old").await?;
    flows(&a, &mut b, "old").await?;
    Ok((a, b))
}

async fn flows(from: &Node, to: &mut Node, channel: &str) -> anyhow::Result<()> {
    from.publish(channel, channel);
    ensure!(to.messages(1).await? == [channel]);
    Ok(())
}

async fn crash(downtime: Duration) -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    let (mut a, mut b) = two_nodes(&redis).await?;

    redis.kill()?;
    for node in [&mut a, &mut b] {
        node.expect(Event::Lost, SOON).await?;
        ensure!(node.is_degraded());
    }
    let subscribed = b.layer.subscribe(&Channel::new("new")).await;
    ensure!(subscribed == Err(Down));
    // The fault itself.
    time::sleep(downtime).await;
    redis.restart()?;

    let back_at = Instant::now() + BACK;
    let left = || back_at.saturating_duration_since(Instant::now());
    for node in [&mut a, &mut b] {
        node.expect(Event::Restored, left()).await?;
    }
    for node in [&a, &b] {
        node.until_up(left()).await?;
        ensure!(node.layer.counters().reconnects >= 1);
    }
    flows(&a, &mut b, "old").await?;
    flows(&a, &mut b, "new").await?;
    Ok(())
}

async fn absent_at_first() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    redis.kill()?;
    let mut node = Node::join(&redis.url())?;
    ensure!(node.layer.subscribe(&Channel::new("room")).await == Err(Down));
    ensure!(node.is_degraded());
    redis.restart()?;
    node.expect(Event::Restored, BACK).await?;
    node.until_up(BACK).await?;
    node.publish("room", "hello");
    ensure!(node.messages(1).await? == ["hello"]);
    ensure!(node.layer.counters().reconnects == 0);
    node.end().await
}

/// Publications that went nowhere, for whichever reason.
fn dropped(node: &Node) -> u64 {
    let counters = node.layer.counters();
    counters.publish_down + counters.publish_full
}

async fn publish_while_down() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    let (mut a, mut b) = two_nodes(&redis).await?;
    redis.kill()?;
    a.expect(Event::Lost, SOON).await?;
    let n_before = dropped(&a);
    let started_at = Instant::now();
    for _ in 0..1_000 {
        a.layer.publish(vec![publication("old", "never heard"); 100]);
    }
    ensure!(started_at.elapsed() < Duration::from_secs(1), "{:?}", started_at.elapsed());
    until(SOON, || dropped(&a) == n_before + 100_000).await?;

    redis.restart()?;
    b.expect(Event::Lost, BACK).await?;
    for node in [&mut a, &mut b] {
        node.expect(Event::Restored, BACK).await?;
        node.until_up(BACK).await?;
    }
    // The next message is this one.
    flows(&a, &mut b, "old").await
}

async fn freeze() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (mut a, mut b) = two_nodes(&redis).await?;

    redis.freeze()?;
    let frozen_at = Instant::now();
    let subscribed = b.layer.subscribe(&Channel::new("new")).await;
    ensure!(subscribed == Err(Down), "a confirmation that does not come is given up");
    ensure!(frozen_at.elapsed() < Duration::from_secs(5));
    b.expect(Event::Lost, Duration::from_secs(1)).await?;
    a.expect(Event::Lost, SILENCE + Duration::from_secs(1)).await?;
    for node in [&a, &b] {
        ensure!(node.is_degraded());
    }
    ensure!(a.layer.counters().probes_lost == 1);
    a.layer.publish(vec![publication("old", "never heard")]);

    redis.thaw()?;
    for node in [&mut a, &mut b] {
        node.expect(Event::Restored, BACK).await?;
        node.until_up(SILENCE * 3).await?;
    }
    flows(&a, &mut b, "old").await?;
    flows(&a, &mut b, "new").await?;
    Ok(())
}

async fn cut_subscriber() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (mut a, mut b) = two_nodes(&redis).await?;
    ensure!(redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"])? == ":2");
    for node in [&mut a, &mut b] {
        node.expect(Event::Lost, SOON).await?;
        node.expect(Event::Restored, BACK).await?;
    }
    flows(&a, &mut b, "old").await
}

/// Each time that the link stands again costs a reading of the store, so a link that never lasts comes back less often.
async fn cut_again_and_again() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (_a, b) = two_nodes(&redis).await?;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
        // Between two cuts.
        time::sleep(Duration::from_millis(20)).await;
    }
    let n_reconnects = b.layer.counters().reconnects;
    ensure!((3..40).contains(&n_reconnects), "{n_reconnects} reconnects");
    b.until_up(BACK).await
}

async fn refused_subscriptions() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (a, mut b) = two_nodes(&redis).await?;
    redis.command(&["ACL", "SETUSER", "default", "-subscribe"])?;
    // The connection survives; the refusal of the next subscription ends it.
    let subscribed = b.layer.subscribe(&Channel::new("new")).await;
    ensure!(subscribed == Err(Down));
    b.expect(Event::Lost, SOON).await?;
    // Each attempt connects and is refused, and the pauses between them grow.
    until(SOON, || b.layer.counters().reconnects >= 4).await?;
    ensure!(b.is_degraded());
    redis.command(&["ACL", "SETUSER", "default", "+subscribe"])?;
    b.expect(Event::Restored, BACK).await?;
    flows(&a, &mut b, "old").await?;
    flows(&a, &mut b, "new").await
}

async fn refused_publications() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (mut a, _b) = two_nodes(&redis).await?;
    redis.command(&["ACL", "SETUSER", "default", "-publish"])?;
    let n_before = dropped(&a);
    a.layer.publish(vec![publication("old", "refused"); 3]);
    until(SOON, || dropped(&a) == n_before + 3).await?;

    a.expect(Event::Lost, SILENCE + Duration::from_secs(3)).await?;
    a.expect(Event::Restored, BACK).await?;
    ensure!(a.is_degraded(), "the probe is still away");
    redis.command(&["ACL", "SETUSER", "default", "+publish"])?;
    a.until_up(SILENCE).await
}

async fn stop() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    let (a, mut b) = two_nodes(&redis).await?;
    // What is queued before the stop still goes out.
    a.layer.publish(vec![publication("old", "farewell"); 1_000]);
    a.end().await?;
    ensure!(b.messages(1_000).await?.iter().all(|message| message == "farewell"));

    let (frozen, not_connected) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    redis.freeze()?;
    frozen.layer.publish(vec![publication("old", "unanswered")]);
    frozen.end().await?;
    redis.kill()?;
    b.expect(Event::Lost, SOON).await?;
    not_connected.end().await?;
    b.end().await
}
