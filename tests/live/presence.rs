//! Who is there.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{ask, group, leave, next_of, none_before_a_message, none_of, open, say};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, Pair};

/// Until somebody who comes, or turns away, is shown: what a node waits, what another takes to ask, and a way; tripled.
const SHOWN: Duration = Duration::from_secs(3 * 5);
/// A session that ended counts so long.
const GRACE: Duration = Duration::from_secs(8);
/// Until who left is shown as gone, tripled.
const GONE: Duration = Duration::from_secs(3 * 11);
/// Until those of a dead node are: their leases end, and they stay away for a while; tripled.
const DEAD: Duration = Duration::from_secs(3 * 24);
/// Longer than it would take to show that somebody is gone, in all ways.
const LONG_ENOUGH: Duration = Duration::from_secs(20);

async fn watch(socket: &mut Socket, users: &[i64]) -> anyhow::Result<()> {
    say(socket, json!({"type": "watch_presence", "user_ids": users})).await
}

/// The next that is told of presence is that of this user.
async fn shown(socket: &mut Socket, user: i64, status: &str, wait: Duration) -> anyhow::Result<Value> {
    let frame = next_of(socket, "presence", wait).await?;
    ensure!(frame["user_id"] == user && frame["status"] == status, "{frame}, not {user} {status}");
    Ok(frame)
}

/// The user comes on this node, and the socket is told.
async fn comes(cluster: &Cluster, node: usize, user: i64, watcher: &mut Socket) -> anyhow::Result<Socket> {
    let socket = open(cluster, node, user).await?;
    let frame = shown(watcher, user, "online", SHOWN).await?;
    ensure!(frame.get("last_seen").is_none(), "{frame}");
    Ok(socket)
}

pub(super) async fn presence_follows_sessions(cluster: Cluster) -> anyhow::Result<()> {
    group(&cluster, 1, &[2, 3]).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    watch(&mut ann, &[2]).await?;
    let first = shown(&mut ann, 2, "offline", SHOWN).await?;
    ensure!(first.get("last_seen").is_none(), "nobody ever saw them: {first}");

    let mut bob = comes(&cluster, 1, 2, &mut ann).await?;
    say(&mut bob, json!({"type": "set_presence", "status": "away"})).await?;
    shown(&mut ann, 2, "away", SHOWN).await?;
    // The best of two devices counts, on whichever nodes.
    let second = comes(&cluster, 0, 2, &mut ann).await?;
    let asked = ask(&cluster, 1, "GET", "presence?user_ids=2,3", Value::Null).await?;
    ensure!(
        asked["presence"][0]["status"] == "online" && asked["presence"][1]["status"] == "offline",
        "{asked}"
    );
    // Who begins to watch is told at once.
    let mut carol = open(&cluster, 1, 3).await?;
    watch(&mut carol, &[2]).await?;
    shown(&mut carol, 2, "online", SHOWN).await?;
    watch(&mut carol, &[]).await?;
    drop(second);
    shown(&mut ann, 2, "away", GONE).await?;
    let left = std::time::Instant::now();
    drop(bob);
    let gone = shown(&mut ann, 2, "offline", GONE).await?;
    ensure!(left.elapsed() >= GRACE, "after {:?}", left.elapsed());
    ensure!(gone["last_seen"].is_string(), "{gone}");
    let asked = ask(&cluster, 1, "GET", "presence?user_ids=2", Value::Null).await?;
    ensure!(asked["presence"][0]["last_seen"].is_string(), "{asked}");
    // Who watches nobody any more has heard nothing of all this.
    none_before_a_message(&cluster, &mut carol, "presence", 3).await?;
    drop((ann, carol));
    cluster.finish().await
}

pub(super) async fn presence_is_for_acquaintances(cluster: Cluster) -> anyhow::Result<()> {
    let book_club = group(&cluster, 1, &[2, 4]).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    let _stranger = open(&cluster, 1, 5).await?;
    watch(&mut ann, &[2, 4, 5]).await?;
    for _ in 0..2 {
        let frame = next_of(&mut ann, "presence", SHOWN).await?;
        ensure!(frame["user_id"] != 5 && frame["status"] == "offline", "{frame}");
    }
    let mut bob = comes(&cluster, 1, 2, &mut ann).await?;
    let asked = ask(&cluster, 1, "GET", "presence?user_ids=5,2", Value::Null).await?;
    ensure!(asked["presence"].as_array().is_some_and(|it| it.len() == 1), "{asked}");

    // With the group goes the right to know: for the last time they are offline, and then whatever they do is theirs.
    leave(&cluster, &book_club, 2).await?;
    let last = shown(&mut ann, 2, "offline", SHOWN).await?;
    ensure!(last.get("last_seen").is_none(), "{last}");
    say(&mut bob, json!({"type": "set_presence", "status": "away"})).await?;
    none_of(&mut ann, "presence", Duration::from_secs(8)).await?;
    watch(&mut ann, &[2]).await?;
    none_of(&mut ann, "presence", Duration::from_secs(4)).await?;
    // With another group it comes back by itself.
    group(&cluster, 2, &[1]).await?;
    shown(&mut ann, 2, "away", SHOWN).await?;
    drop((ann, bob, _stranger));
    cluster.finish().await
}

pub(super) async fn a_block_ends_watching(cluster: Cluster) -> anyhow::Result<()> {
    group(&cluster, 1, &[2]).await?;
    // On the node that takes the block, and on another.
    let mut devices = [open(&cluster, 0, 1).await?, open(&cluster, 1, 1).await?];
    let mut bob = open(&cluster, 1, 2).await?;
    for ann in &mut devices {
        watch(ann, &[2]).await?;
        while next_of(ann, "presence", SHOWN).await?["status"] != "online" {}
    }
    ask(&cluster, 2, "PUT", "blocks/1", Value::Null).await?;
    for ann in &mut devices {
        let last = shown(ann, 2, "offline", SHOWN).await?;
        ensure!(last.get("last_seen").is_none(), "{last}");
    }
    say(&mut bob, json!({"type": "set_presence", "status": "away"})).await?;
    for ann in &mut devices {
        none_of(ann, "presence", Duration::from_secs(5)).await?;
    }
    ask(&cluster, 2, "DELETE", "blocks/1", Value::Null).await?;
    for ann in &mut devices {
        shown(ann, 2, "away", SHOWN).await?;
    }
    drop((devices, bob));
    cluster.finish().await
}

pub(super) async fn a_client_that_asks_again_and_again_is_answered_at_a_pace(
    cluster: Cluster,
) -> anyhow::Result<()> {
    group(&cluster, 1, &[2, 3, 4, 5]).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    watch(&mut ann, &[2]).await?;
    shown(&mut ann, 2, "offline", SHOWN).await?;
    // A round of questions is behind them, so that all are known as soon as they are watched.
    let mut other = open(&cluster, 0, 2).await?;
    watch(&mut other, &[2, 3, 4, 5]).await?;
    for _ in 0..4 {
        next_of(&mut other, "presence", SHOWN).await?;
    }
    let begun = std::time::Instant::now();
    watch(&mut ann, &[3]).await?;
    shown(&mut ann, 3, "offline", SHOWN).await?;
    for user in [5, 2, 5, 4] {
        watch(&mut ann, &[user]).await?;
    }
    // Of those that came too soon the last counts.
    let mut n_told = 0;
    while next_of(&mut ann, "presence", SHOWN).await?["user_id"] != 4 {
        n_told += 1;
    }
    ensure!(n_told < begun.elapsed().as_secs(), "{n_told} before it, after {:?}", begun.elapsed());
    none_of(&mut ann, "presence", Duration::from_secs(3)).await?;
    drop((ann, other));
    cluster.finish().await
}

pub(super) async fn who_comes_back_was_never_gone(cluster: Cluster) -> anyhow::Result<()> {
    group(&cluster, 1, &[2]).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    watch(&mut ann, &[2]).await?;
    shown(&mut ann, 2, "offline", SHOWN).await?;
    let bob = comes(&cluster, 1, 2, &mut ann).await?;
    drop(bob);
    none_of(&mut ann, "presence", Duration::from_secs(3)).await?;
    let mut bob = open(&cluster, 0, 2).await?;
    none_of(&mut ann, "presence", LONG_ENOUGH).await?;
    // That it would have been told:
    say(&mut bob, json!({"type": "set_presence", "status": "away"})).await?;
    shown(&mut ann, 2, "away", SHOWN).await?;
    drop((ann, bob));
    cluster.finish().await
}

pub(super) async fn a_killed_node_takes_its_users_along(mut cluster: Cluster) -> anyhow::Result<()> {
    group(&cluster, 1, &[2, 3]).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    watch(&mut ann, &[2, 3]).await?;
    for _ in 0..2 {
        next_of(&mut ann, "presence", SHOWN).await?;
    }
    let _bob = comes(&cluster, 1, 2, &mut ann).await?;
    let _carol = comes(&cluster, 1, 3, &mut ann).await?;
    cluster.kill_node(1).await?;
    // One of them comes back on the node that is left, and was never gone.
    let _carol = open(&cluster, 0, 3).await?;
    let gone = shown(&mut ann, 2, "offline", DEAD).await?;
    ensure!(gone["last_seen"].is_string(), "seen by those who watched: {gone}");
    none_of(&mut ann, "presence", LONG_ENOUGH).await
}

pub(super) async fn redis_forgets_everybody(mut cluster: Cluster) -> anyhow::Result<()> {
    ensure!(cluster.pair == Pair::PostgresRedis);
    group(&cluster, 1, &[2, 3]).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    watch(&mut ann, &[2]).await?;
    shown(&mut ann, 2, "offline", SHOWN).await?;
    let mut bob = comes(&cluster, 1, 2, &mut ann).await?;
    cluster.redis.as_ref().context("there is one")?.command(&["FLUSHALL"])?;
    none_of(&mut ann, "presence", LONG_ENOUGH).await?;
    cluster.redis.as_mut().context("there is one")?.restart()?;
    none_of(&mut ann, "presence", LONG_ENOUGH).await?;
    say(&mut bob, json!({"type": "set_presence", "status": "away"})).await?;
    shown(&mut ann, 2, "away", SHOWN).await?;

    // While it is down nothing is said, and what was missed when it is back.
    cluster.redis.as_mut().context("there is one")?.kill()?;
    say(&mut bob, json!({"type": "set_presence", "status": "online"})).await?;
    none_of(&mut ann, "presence", LONG_ENOUGH).await?;
    let mut carol = open(&cluster, 0, 3).await?;
    watch(&mut carol, &[2]).await?;
    none_of(&mut carol, "presence", Duration::from_secs(3)).await?;
    cluster.redis.as_mut().context("there is one")?.restart()?;
    shown(&mut ann, 2, "online", SHOWN).await?;
    shown(&mut carol, 2, "online", SHOWN).await?;
    drop((ann, bob, carol));
    cluster.finish().await
}
