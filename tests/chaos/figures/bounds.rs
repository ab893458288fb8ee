//! How long each recovery takes: one row a promise.

mod log_out;
mod node;
mod postgres;
mod redis;

use std::time::Duration;

use crate::harness::{Cluster, Pair};
use crate::{Dice, tell};

/// Tries each fault so many times, and prints what came of it.
pub(crate) async fn bounds(tries: usize) -> anyhow::Result<()> {
    tell(format_args!("| what | promised | p50 | max | tries |"));
    tell(format_args!("| --- | --- | --- | --- | --- |"));
    Box::pin(redis::away(tries)).await?;
    Box::pin(redis::dead_link(tries)).await?;
    Box::pin(node::killed(tries)).await?;
    Box::pin(postgres::killed(tries)).await?;
    Box::pin(postgres::frozen(tries)).await?;
    Box::pin(log_out::log_out(tries)).await
}

async fn cluster() -> anyhow::Result<Cluster> {
    Box::pin(Cluster::start(Pair::PostgresRedis, &[])).await
}

/// Between the one and the other, in milliseconds.
fn between(dice: &mut Dice, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + dice.roll(most - least + 1))
}

/// Nothing is stored twice, and nothing that nobody wrote.
async fn finish(cluster: Cluster, n_written: usize) -> anyhow::Result<()> {
    let n_stored = cluster.store.count_messages().await?;
    anyhow::ensure!(
        usize::try_from(n_stored)? == n_written,
        "{n_written} were written and {n_stored} stored"
    );
    Box::pin(cluster.finish()).await
}
