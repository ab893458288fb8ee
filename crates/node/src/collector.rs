//! What nobody has any more: files without a message, expired sessions and tickets, revocations of yesterday.
//!
//! Each node does this by itself; two at once do no harm.

use std::sync::Arc;
use std::time::Duration;

use switchboard_protocol::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use crate::problem::ApiError;
use crate::state::Node;

/// How often files are looked for.
const PERIOD: Duration = Duration::from_secs(60);
/// Rounds between two looks for what is rarer.
const RARE: u64 = 60;
/// Files removed in a round: a great many are spread over some.
const BATCH: i64 = 500;

/// Collects for as long as it is polled.
pub(crate) async fn run(node: Arc<Node>) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
        tick.tick().await;
        if let Err(error) = collect_files(&node).await {
            tracing::debug!("files are collected later: {error}");
        }
        if round % RARE == 0 {
            forget_expired(&node).await;
        }
    }
}

/// Removes the bytes first: a row that is left has them removed again.
async fn collect_files(node: &Node) -> Result<(), ApiError> {
    let ttl = i64::try_from(node.settings.orphan_ttl.as_micros()).unwrap_or(i64::MAX);
    let given_up_before = Timestamp(now(node).await?.0.saturating_sub(ttl));
    let keys =
        node.with_store(|store| async move { store.loose_files(given_up_before, BATCH).await }).await?;
    for key in keys {
        if let Err(error) = node.files.remove(&key).await {
            tracing::warn!("a file without a message stays for now: {error}");
            continue;
        }
        node.with_store(|store| async move { store.forget_file(&key).await }).await?;
    }
    Ok(())
}

async fn forget_expired(node: &Node) {
    if let Err(error) = node.with_store(|store| async move { store.forget_expired().await }).await {
        tracing::debug!("expired sessions are forgotten later: {error}");
    }
    if let Err(error) = forget_revocations(node).await {
        tracing::debug!("old revocations are forgotten later: {error}");
    }
    if let Err(error) = node.files.sweep_partial(node.settings.orphan_ttl).await {
        tracing::warn!("what is left of broken uploads stays for now: {error}");
    }
}

async fn forget_revocations(node: &Node) -> Result<(), ApiError> {
    let a_day_ago = Timestamp(now(node).await?.0 - 86_400_000_000);
    node.with_store(|store| async move { store.forget_revocations(a_day_ago).await }).await
}

/// By the store's clock, where it has one of its own: a node whose clock is ahead must not take away what others need.
async fn now(node: &Node) -> Result<Timestamp, ApiError> {
    Ok(node.with_store(|store| async move { store.clock().await }).await?.unwrap_or_else(Timestamp::now))
}
