//! What bounds us, measured beside: Postgres committing the same messages with no node before it, and Redis publishing.

use std::process::Command;

use anyhow::Context;
use switchboard_protocol::UserId;
use switchboard_store::Store;
use tokio::time::{Duration, Instant};

use super::mailbox::{commit, send};
use super::processes::{on_path, output};
use super::results::Results;
use super::stage::{Ground, Site};
use crate::process::Meter;

/// As many as in the rows through the nodes.
const USERS: u64 = 200;
/// Messages in a batch.
const BATCHES: [usize; 6] = [1, 4, 16, 64, 256, 1024];
/// What the row names.
const BATCH: usize = 256;

/// Batches in the store of a fleet, whose node has nothing to do; then Redis.
pub(crate) async fn run(
    site: &Site,
    results: &mut Results,
    n_runs: usize,
    with_plots: bool,
) -> anyhow::Result<()> {
    let window = Duration::from_secs_f64(site.seconds);
    site.with(Ground::Shared, 1, USERS, async |stage| {
        let store = Store::open(&stage.store_url, 1).await?;
        let sizes = if with_plots { &BATCHES[..] } else { &[BATCH] };
        for run in 0..n_runs {
            for size in sizes {
                let spent = batches(&store, window, stage.first_user, *size, run).await?;
                results.plot("batch", "time", *size as f64, spent.time);
                results.plot("batch", "CPU of everything", *size as f64, spent.cpu);
                if *size == BATCH {
                    results.record("postgres_limit", 1e6 / spent.time);
                }
            }
        }
        Ok(())
    })
    .await?;
    for _ in 0..n_runs {
        results.record("redis_limit", redis(&site.redis_url).await?);
    }
    Ok(())
}

/// What a message took, in microseconds: of the clock, and of all processors.
struct Share {
    time: f64,
    cpu: f64,
}

/// Commits batches of one size, one after another, between the same pairs as in a flood.
async fn batches(
    store: &Store,
    window: Duration,
    first_user: u64,
    size: usize,
    run: usize,
) -> anyhow::Result<Share> {
    let mut committer = store.committer();
    let user = |index: u64| UserId((first_user + index % USERS).cast_signed());
    let mut n_sent = 0;
    let (start, meter) = (Instant::now(), Meter::start(&[], &[]));
    while start.elapsed() < window {
        let next = n_sent..n_sent + size as u64;
        let message = |nth: u64| send([user(nth), user(nth ^ 1)], &format!("{run}-{size}-{nth}"));
        commit(&mut committer, next.map(message).collect()).await?;
        n_sent += size as u64;
    }
    let spent = meter.end();
    let cpu = spent.machine_cpu.context("the machine does not tell its CPU time")?;
    let share = |spent: Duration| spent.as_secs_f64() * 1e6 / n_sent as f64;
    Ok(Share { time: share(spent.elapsed), cpu: share(cpu) })
}

/// What `redis-benchmark` makes of it.
async fn redis(url: &str) -> anyhow::Result<f64> {
    let program = on_path("redis-benchmark").context("`redis-benchmark` is not installed")?;
    let mut command = Command::new(program);
    command.args(["-u", url, "-c", "4", "-P", "64", "-n", "1000000", "--csv"]);
    command.args(["PUBLISH", "switchboard-suite", &"x".repeat(200)]);
    let printed = output(command).await?;
    rate(&printed).with_context(|| format!("`redis-benchmark` printed: {printed}"))
}

/// The requests a second: the field after the name, in the last line.
fn rate(csv: &str) -> Option<f64> {
    let fields = csv.lines().last()?.strip_prefix('"')?.split("\",\"").nth(1)?;
    fields.trim_end_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn rates_of_redis_benchmark() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\"\n\"PUBLISH a xxx\",\"1612903.25\",\"0.112\"\n";
        assert_eq!(super::rate(csv), Some(1_612_903.25));
        assert_eq!(super::rate("\"PUBLISH a\",\"5.00\"\n"), Some(5.0));
        assert_eq!(super::rate("could not connect"), None);
    }
}
