//! Redis goes and comes back, and a link to it goes dead while it stays open.

use std::time::Duration;

use anyhow::Context;
use switchboard_protocol::UserId;
use tokio::time::{Instant, sleep};

use super::{between, cluster, finish};
use crate::Dice;
use crate::figures::relay::Relay;
use crate::figures::spread::Spread;
use crate::figures::talk::{self, Talk};
use crate::harness::talker::Talker;

/// Messages while Redis is away for one to five seconds, and what follows when it is back.
pub(super) async fn away(tries: usize) -> anyhow::Result<()> {
    let mut cluster = cluster().await?;
    let (mut meanwhile, mut caught_up, mut at_once) =
        (Spread::default(), Spread::default(), Spread::default());
    let mut dice = Dice(1);
    let ends = (talk::client(1, &[cluster.address(0)]), talk::client(2, &[cluster.address(1)]));
    let mut talk = Talk::start(ends.0, ends.1, UserId(2)).await?;
    for _ in 0..tries {
        talk.until_at_once(Instant::now()).await?;
        let redis = cluster.redis.as_mut().context("there is one")?;
        tokio::task::block_in_place(|| redis.kill())?;
        let killed = Instant::now();
        sleep(between(&mut dice, 1_000, 5_000)).await;
        let redis = cluster.redis.as_mut().context("there is one")?;
        tokio::task::block_in_place(|| redis.restart())?;
        let back = Instant::now();
        caught_up.add(talk.until_all_before(back).await?.saturating_duration_since(back));
        meanwhile.extend(talk.delays(killed, back));
        at_once.add(talk.until_at_once(back).await? - back);
    }
    meanwhile.row("Redis killed: a message to the other node, meanwhile", "2 s");
    caught_up.row("Redis back after 1 to 5 s: until all that was sent meanwhile is delivered", "2 s");
    at_once.row("Redis back after 1 to 5 s: until messages cross at once again", "2 s");
    let n_written = talk.finish().await?.len();
    finish(cluster, n_written).await
}

/// One node hears nothing more on its link that subscribes, which stays open; whatever it connects anew works.
pub(super) async fn dead_link(tries: usize) -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let redis = cluster.redis.as_ref().context("there is one")?.url();
    let redis = redis.strip_prefix("redis://").context("a URL of Redis")?.parse()?;
    let relay = Relay::start(redis).await?;
    let url = format!("redis://{}", relay.address);
    let deaf = tokio::task::block_in_place(|| Talker::start(&cluster, &[("REDIS_URL", &url)]))?;
    let (mut meanwhile, mut at_once) = (Spread::default(), Spread::default());
    let mut dice = Dice(2);
    let ends = (talk::client(1, &[cluster.address(0)]), talk::client(2, &[deaf.address]));
    let mut talk = Talk::start(ends.0, ends.1, UserId(2)).await?;
    for _ in 0..tries {
        talk.until_at_once(Instant::now()).await?;
        // So that it falls anywhere between two probes.
        sleep(between(&mut dice, 0, 2_500)).await;
        relay.deaden();
        let dead = Instant::now();
        let stands = talk.until_at_once(dead).await?;
        at_once.add(stands - dead);
        meanwhile.extend(talk.delays(dead, stands));
    }
    meanwhile.row("A link to Redis open but dead: a message to its node, meanwhile", "2 s");
    at_once.row("A link to Redis open but dead: until messages cross at once again", "10 s");
    let n_written = talk.finish().await?.len();
    sleep(Duration::from_millis(100)).await;
    tokio::task::block_in_place(|| deaf.end())?;
    finish(cluster, n_written).await
}
