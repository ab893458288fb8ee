//! Leases on both back ends, and what they cost at Redis.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use switchboard_channel_layer::Down;
use tokio::time;

use crate::kit::{Fleet, Node, SOON, trial, until};
use crate::servers::Redis;

type Make = fn() -> anyhow::Result<Fleet>;

/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn trials(backend: &str, make: Make) -> Vec<Trial> {
    let name = |case: &str| format!("{backend}::leases::{case}");
    vec![
        trial(name("held_by_one_is_seen_by_all_until_it_is_let_go"), move || seen(make)),
        trial(name("the_largest_value_of_all_nodes"), move || largest(make)),
        trial(name("a_node_knows_at_once_what_it_holds_itself"), move || own(make)),
        trial(name("a_node_that_ends_holds_nothing"), move || ended(make)),
    ]
}

pub(crate) fn redis_trials() -> Vec<Trial> {
    vec![
        trial("redis::leases::five_thousand_names_are_few_commands", few_commands),
        trial("redis::leases::a_link_is_made_when_it_is_needed", link_when_needed),
    ]
}

/// Waits until a node is told this of these names. That there is no answer is passed over.
pub(crate) async fn expect(
    node: &Node,
    names: &[i64],
    expected: &HashMap<i64, u8>,
    within: Duration,
) -> anyhow::Result<()> {
    let mut last = Err(Down);
    let waiting = async {
        loop {
            last = node.layer.held(names).await;
            if last.as_ref() == Ok(expected) {
                return;
            }
            time::sleep(LOOK).await;
        }
    };
    let is_so = time::timeout(within, waiting).await;
    is_so.with_context(|| format!("of {} names: {last:?}", expected.len()))
}

/// What is expected to be held.
pub(crate) fn leases<const N: usize>(leases: [(i64, u8); N]) -> HashMap<i64, u8> {
    HashMap::from(leases)
}

/// Names from zero on, and that they are held with 1.
pub(crate) fn many(n_names: i64) -> (Vec<i64>, HashMap<i64, u8>) {
    ((0..n_names).collect(), (0..n_names).map(|name| (name, 1)).collect())
}

/// With 1.
pub(crate) fn hold_all(node: &Node, names: &[i64]) {
    node.layer.hold(names.iter().map(|name| (*name, Some(1))).collect());
}

async fn seen(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, b) = (fleet.node().await?, fleet.node().await?);
    a.layer.hold(vec![(-1, Some(7)), (2, Some(1)), (3, Some(1)), (3, None), (2, Some(0))]);
    let expected = leases([(-1, 7), (2, 0)]);
    ensure!(a.layer.counters().leases == 2);
    for node in [&a, &b] {
        expect(node, &[-1, 2, 3, -1], &expected, SOON).await?;
    }
    a.layer.hold(vec![(-1, Some(3)), (2, None), (4, None)]);
    expect(&b, &[-1, 2, 3, 4], &leases([(-1, 3)]), SOON).await?;
    a.layer.hold(vec![(-1, None)]);
    expect(&b, &[-1, 2, 3, 4], &leases([]), SOON).await?;
    ensure!(a.layer.counters().leases == 0);
    Ok(())
}

async fn largest(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, b, c) = (fleet.node().await?, fleet.node().await?, fleet.node().await?);
    a.layer.hold(vec![(1, Some(2)), (2, Some(255))]);
    b.layer.hold(vec![(1, Some(10)), (2, Some(9))]);
    for node in [&a, &b, &c] {
        expect(node, &[1, 2], &leases([(1, 10), (2, 255)]), SOON).await?;
    }
    b.layer.hold(vec![(1, None)]);
    for node in [&a, &b, &c] {
        expect(node, &[1, 2], &leases([(1, 2), (2, 255)]), SOON).await?;
    }
    Ok(())
}

async fn own(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (node, other) = (fleet.node().await?, fleet.node().await?);
    node.layer.hold(vec![(1, Some(200))]);
    expect(&other, &[1], &leases([(1, 200)]), SOON).await?;
    for value in (0..200).rev() {
        node.layer.hold(vec![(1, Some(value)), (2, (value % 2 == 0).then_some(value))]);
        let held = node.layer.held(&[1, 2]).await?;
        ensure!(
            held.get(&1) == Some(&value) && held.contains_key(&2) == (value % 2 == 0),
            "{value}: {held:?}"
        );
    }
    Ok(())
}

async fn ended(make: Make) -> anyhow::Result<()> {
    let fleet = make()?;
    let (a, b) = (fleet.node().await?, fleet.node().await?);
    let (names, expected) = many(2_500);
    hold_all(&a, &names);
    expect(&b, &names, &expected, SOON).await?;
    a.end().await?;
    // Not by expiry.
    ensure!(b.layer.held(&names).await? == leases([]));
    if let Fleet::Redis(redis) = &fleet {
        ensure!(redis.command(&["DBSIZE"])? == ":0", "nothing is left");
    }
    Ok(())
}

/// A number that the server tells of itself; 0 if it does not mention it.
fn info(redis: &Redis, section: &str, pattern: &str) -> anyhow::Result<u64> {
    let script = "return tonumber(string.match(redis.call('INFO', ARGV[1]), ARGV[2]) or 0)";
    let answer = redis.command(&["EVAL", script, "0", section, pattern])?;
    Ok(answer.trim_start_matches(':').parse()?)
}

fn n_calls(redis: &Redis, command: &str) -> anyhow::Result<u64> {
    info(redis, "commandstats", &format!("cmdstat_{command}:calls=(%d+)"))
}

async fn few_commands() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let (a, b) = (Node::join(&redis.url())?, Node::join(&redis.url())?);
    let (names, expected) = many(5_000);
    hold_all(&a, &names);
    until(SOON, || a.layer.counters().lease_flushes == 5).await?;
    ensure!(n_calls(&redis, "hset")? == 5);

    ensure!(b.layer.held(&names).await? == expected);
    ensure!(n_calls(&redis, "hmget")? == 5);
    ensure!(b.layer.held(&names).await? == expected);
    ensure!(n_calls(&redis, "hmget")? == 10 && n_calls(&redis, "zrange")? == 1, "the keys are known");

    // What it costs to hold 5,000 names for some time.
    let n_before = a.layer.counters().lease_commands;
    until(SOON, || a.layer.counters().lease_commands > n_before).await?;
    ensure!(a.layer.counters().lease_commands == n_before + 1);
    ensure!(a.layer.counters().lease_flushes == 5 && n_calls(&redis, "hset")? == 5);
    Ok(())
}

async fn link_when_needed() -> anyhow::Result<()> {
    let fleet = Fleet::redis()?;
    let Fleet::Redis(redis) = &fleet else { unreachable!("made so") };
    let n_clients = || info(redis, "clients", "connected_clients:(%d+)");
    let node = fleet.node().await?;
    node.layer.hold(vec![(1, None)]);
    ensure!(node.layer.held(&[]).await? == leases([]));
    let n_before = n_clients()?;
    ensure!(node.layer.held(&[1]).await? == leases([]));
    ensure!(n_clients()? == n_before + 1);
    Ok(())
}
