//! What may happen to a node or to Redis, and that leases neither stick nor slip.

use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use switchboard_channel_layer::Down;
use tokio::runtime::Runtime;
use tokio::time::{self, Instant};

use crate::kit::{Node, SOON, trial, until};
use crate::leases::{LOOK, expect, hold_all, leases, many};
use crate::servers::Redis;

/// How long a lease lasts that nobody renews.
const TERM: Duration = Duration::from_secs(12);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("redis::leases::a_killed_node_holds_nothing_after_the_term", killed),
        trial("redis::leases::emptied_server", emptied),
        trial("redis::leases::restarted_server", restarted),
        trial("redis::leases::cut_links", cut),
        trial("redis::leases::let_go_while_there_is_no_link", let_go_while_down),
        trial("redis::leases::frozen_server", frozen),
        trial("redis::leases::refused_writes", refused),
    ]
}

async fn killed() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (survivor, asking) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    let doomed = Runtime::new()?;
    let url = redis.url();
    let node = doomed.spawn(async move { Node::join(&url) }).await??;
    node.layer.hold(vec![(1, Some(1)), (2, Some(2))]);
    survivor.layer.hold(vec![(2, Some(1)), (3, Some(3))]);
    expect(&asking, &[1, 2, 3], &leases([(1, 1), (2, 2), (3, 3)]), SOON).await?;

    doomed.shutdown_background();
    let deadline = Instant::now() + 3 * TERM;
    loop {
        let held = asking.layer.held(&[1, 2, 3]).await?;
        ensure!(held.contains_key(&2) && held.contains_key(&3), "the others' stand: {held:?}");
        if held == leases([(2, 1), (3, 3)]) {
            break;
        }
        ensure!(Instant::now() < deadline, "they stick: {held:?}");
        time::sleep(LOOK).await;
    }
    let is_alone_listed =
        || redis.command(&["ZCARD", "test:lease:nodes"]).is_ok_and(|n_listed| n_listed == ":1");
    until(TERM, is_alone_listed).await.context("who has not renewed is listed")?;

    survivor.end().await?;
    ensure!(redis.command(&["DBSIZE"])? == ":0", "nothing is left");
    Ok(())
}

/// Nobody notices until the next renewal. A change that comes before it must not hide the loss of the rest.
async fn emptied() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    let (names, mut expected) = many(2_500);
    hold_all(&a, &names);
    expect(&b, &names, &expected, SOON).await?;
    redis.command(&["FLUSHALL"])?;
    a.layer.hold(vec![(0, Some(5))]);
    expected.insert(0, 5);
    expect(&b, &names, &expected, SOON).await?;
    ensure!(a.layer.counters().lease_failures == 0, "the link has stood");
    Ok(())
}

async fn restarted() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    let (names, expected) = many(2_500);
    hold_all(&a, &names);
    expect(&b, &names, &expected, SOON).await?;
    redis.restart()?;
    // Who asks finds the dead link at once; who only holds, at the next renewal.
    expect(&b, &[-1], &leases([]), Duration::from_secs(2)).await?;
    expect(&b, &names, &expected, SOON).await?;
    ensure!(a.layer.counters().lease_failures > 0, "the link was lost");
    Ok(())
}

/// Links that are lost again and again take away nothing that is held, and keep nothing that was let go.
async fn cut() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    let (names, expected) = many(2_500);
    hold_all(&a, &names);
    a.layer.hold(vec![(-1, Some(1))]);
    expect(&b, &[-1, 0], &leases([(-1, 1), (0, 1)]), SOON).await?;
    expect(&b, &names, &expected, SOON).await?;

    let end = Instant::now() + Duration::from_secs(3);
    let mut n_answers = 0;
    while Instant::now() < end {
        redis.command(&["CLIENT", "KILL", "TYPE", "normal"])?;
        // It learns only by writing that the link is gone.
        a.layer.hold(vec![(-1, None), (-2, Some(rand::random()))]);
        for _ in 0..10 {
            if let Ok(held) = b.layer.held(&names).await {
                ensure!(held == expected, "{} are left", held.len());
                n_answers += 1;
            }
            time::sleep(LOOK).await;
        }
    }
    ensure!(n_answers > 0 && a.layer.counters().lease_failures > 1);
    expect(&b, &[-1, 0], &leases([(0, 1)]), TERM).await
}

async fn let_go_while_down() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    redis.kill()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    a.layer.hold(vec![(1, Some(1)), (2, Some(2))]);
    ensure!(b.layer.held(&[1]).await == Err(Down));
    let asked_at = Instant::now();
    ensure!(b.layer.held(&[1]).await == Err(Down));
    ensure!(asked_at.elapsed() < Duration::from_millis(500), "there is nothing to wait for");
    ensure!(b.layer.counters().lease_failures >= 2);
    a.layer.hold(vec![(2, None)]);
    redis.restart()?;
    expect(&b, &[1, 2], &leases([(1, 1)]), SOON).await
}

async fn frozen() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    a.layer.hold(vec![(1, Some(1)), (2, Some(2))]);
    expect(&b, &[1, 2], &leases([(1, 1), (2, 2)]), SOON).await?;
    redis.freeze()?;
    let frozen_at = Instant::now();
    ensure!(b.layer.held(&[1]).await == Err(Down));
    ensure!(frozen_at.elapsed() < Duration::from_millis(1_500), "{:?}", frozen_at.elapsed());
    // On its way when the link is given up, and undone afterwards.
    a.layer.hold(vec![(3, Some(3))]);
    until(SOON, || a.layer.counters().lease_failures > 0).await?;
    a.layer.hold(vec![(2, None), (3, None)]);
    redis.thaw()?;
    expect(&b, &[1, 2, 3], &leases([(1, 1)]), TERM + SOON).await
}

async fn refused() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    b.layer.hold(vec![(2, Some(2))]);
    a.layer.hold(vec![(1, Some(1))]);
    expect(&a, &[1, 2, 3], &leases([(1, 1), (2, 2)]), SOON).await?;
    redis.command(&["ACL", "SETUSER", "default", "-hset"])?;
    a.layer.hold(vec![(3, Some(3))]);
    until(SOON, || a.layer.counters().lease_failures >= 4).await?;
    ensure!(a.layer.held(&[2]).await? == leases([(2, 2)]), "it may still ask");
    redis.command(&["ACL", "SETUSER", "default", "+hset"])?;
    expect(&b, &[1, 2, 3], &leases([(1, 1), (2, 2), (3, 3)]), SOON).await
}
