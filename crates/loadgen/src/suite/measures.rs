//! What is measured through the nodes: which stage, which of our modes, and which numbers of it count.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use super::reading::Reading;
use super::results::Results;
use super::stage::{Ground, Site, Stage};

/// Users of the rows that name 200 clients.
const USERS: u64 = 200;
/// Idle connections of the plots.
const CROWDS: [u64; 6] = [100, 500, 2_000, 5_000, 10_000, 15_000];
/// What the target names.
const CROWD: u64 = 10_000;

/// Half of the messages a second that the first target names.
const HALF_OF_WHAT_IS_ASKED: f64 = 7_000.0;

/// What a message cost, in microseconds of CPU.
pub(crate) struct Cost {
    pub(crate) nodes: f64,
    pub(crate) all: f64,
}

impl Cost {
    pub(crate) fn of(reading: &Reading) -> anyhow::Result<Self> {
        let messages = reading.messages()?.max(1.0);
        Ok(Self { nodes: reading.named_cpu()? / messages, all: reading.whole_cpu()? / messages })
    }

    /// Both lines of a plot.
    pub(crate) fn plot(&self, results: &mut Results, plot: &'static str, x: f64) {
        results.plot(plot, "the nodes", x, self.nodes);
        results.plot(plot, "everything but the generator", x, self.all);
    }
}

/// What must never be is counted wherever it is looked for.
fn check(reading: &Reading, results: &mut Results) -> anyhow::Result<()> {
    for id in ["out_of_order", "lost", "duplicates"] {
        results.record(id, reading.number(&format!("/{id}"))?);
    }
    Ok(())
}

/// The highest rate, and what a message costs there.
pub(crate) async fn rate(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    site.with(Ground::Shared, 2, USERS, async |stage| {
        for _ in 0..n_runs {
            let flood = stage.flood().await?;
            check(&flood, results)?;
            let cost = Cost::of(&flood)?;
            results.record("rate", flood.number("/per_second")?);
            results.record("cpu_nodes", cost.nodes);
            results.record("cpu_all", cost.all);
        }
        Ok(())
    })
    .await
}

/// Half the highest rate, which is measured first if it was not yet.
pub(crate) async fn half_rate(stage: &Stage<'_>, results: &mut Results) -> anyhow::Result<f64> {
    if results.median("rate").is_none() {
        results.record("rate", stage.flood().await?.number("/per_second")?);
    }
    let rate = results.median("rate").context("there is no highest rate")?;
    Ok((rate / 2.0).max(1.0))
}

/// Brings a new server to where one is that has been used: it writes its log over files of before. To make one of those
/// takes tens of milliseconds, in which nothing is committed.
pub(crate) async fn settle(site: &Site, stage: &Stage<'_>, rate: f64) -> anyhow::Result<()> {
    stage.flood().await?;
    site.sql("CHECKPOINT").await?;
    // After it each page is written whole once.
    stage.run(rate).await?;
    Ok(())
}

/// Latencies at three rates.
pub(crate) async fn latency(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    site.with(Ground::Shared, 2, USERS, async |stage| {
        let half = half_rate(stage, results).await?;
        settle(site, stage, half).await?;
        for _ in 0..n_runs {
            let low = stage.run(300.0).await?;
            results.record("low_p50", low.number("/delivery_ms/p50")?);
            results.record("low_p99", low.number("/delivery_ms/p99")?);
            let middle = stage.run(HALF_OF_WHAT_IS_ASKED).await?;
            results.record("middle_p99", middle.number("/delivery_ms/p99")?);
            let high = stage.run(half).await?;
            results.record("half_p99", high.number("/delivery_ms/p99")?);
            for reading in [low, middle, high] {
                check(&reading, results)?;
            }
        }
        Ok(())
    })
    .await
}

/// Memory of connections. Each number has a new node: one that was full before would not show it.
pub(crate) async fn memory(
    site: &Site,
    results: &mut Results,
    n_runs: usize,
    with_plots: bool,
) -> anyhow::Result<()> {
    let crowds = if with_plots { &CROWDS[..] } else { &[CROWD] };
    for _ in 0..n_runs {
        for crowd in crowds {
            let arguments = ["idle", "--connections", &crowd.to_string(), "--seconds", "1", "--busy"];
            let work = async |stage: &Stage<'_>| stage.measure(&arguments).await;
            let idle = site.with(Ground::Shared, 1, *crowd, work).await?;
            ensure!(idle.number("/opened")? == *crowd as f64, "not all of {crowd} connections stood");
            for (series, id, bytes) in [
                ("idle", "memory_idle", "/bytes_per_connection"),
                ("after 200 frames in and as many out", "memory_busy", "/bytes_per_connection_busy"),
            ] {
                let kilobytes = idle.number(bytes)? / 1024.0;
                results.plot("memory", series, *crowd as f64, kilobytes);
                if *crowd == CROWD {
                    results.record(id, kilobytes);
                }
            }
        }
    }
    Ok(())
}

/// One message to many sessions.
pub(crate) async fn fanout(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    site.with(Ground::Shared, 2, 10, async |stage| {
        for _ in 0..n_runs {
            for (id, queued) in [("fanout_1", "1"), ("fanout_16", "16")] {
                let fanout = stage.measure(&["fanout", "--sessions", "1000", "--queued", queued]).await?;
                results.record(id, fanout.number("/cpu_us_per_delivery")?);
            }
        }
        Ok(())
    })
    .await
}

/// Many come back at once.
pub(crate) async fn storm(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    // A hundred bystanders beside those who come back.
    site.with(Ground::Shared, 2, 5_100, async |stage| {
        for _ in 0..n_runs {
            let storm = stage.measure(&["storm", "--clients", "5000", "--behind", "10"]).await?;
            results.record("storm_rate", storm.number("/reconnects_per_second")?);
            results.record("storm_wrong", storm.number("/missed")? + storm.number("/duplicates")?);
            let before = storm.number("/bystanders_before_ms/p99")?;
            results.record("storm_bystanders", storm.number("/bystanders_during_ms/p99")? / before);
        }
        Ok(())
    })
    .await
}

/// The same load on more nodes. They take turns, so that all of them see the same weather.
pub(crate) async fn nodes(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    for _ in 0..n_runs {
        let mut alone = None;
        for n_nodes in [1, 2, 4] {
            let work = async |stage: &Stage<'_>| stage.flood().await;
            let cost = Cost::of(&site.with(Ground::Shared, n_nodes, USERS, work).await?)?;
            cost.plot(results, "nodes", n_nodes as f64);
            let alone = *alone.get_or_insert(cost.all);
            if n_nodes == 4 {
                results.record("nodes_ratio", cost.all / alone);
            }
        }
    }
    Ok(())
}

/// A node by itself.
pub(crate) async fn sqlite(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    site.with(Ground::Embedded, 1, USERS, async |stage| {
        for _ in 0..n_runs {
            results.record("sqlite_rate", stage.flood().await?.number("/per_second")?);
        }
        Ok(())
    })
    .await
}

/// What a message costs while many others are connected and silent.
pub(crate) async fn connections(site: &Site, results: &mut Results, n_runs: usize) -> anyhow::Result<()> {
    let most = CROWDS[CROWDS.len() - 1];
    site.with(Ground::Shared, 2, USERS + most, async |stage| {
        let others = stage.tokens_of(USERS + 1..=USERS + most).await?;
        for _ in 0..n_runs {
            for crowd in CROWDS {
                let arguments = ["idle", "--connections", &crowd.to_string(), "--seconds", "3600"];
                let mut idle = stage.load(&others, &arguments)?.stdout(Stdio::piped()).spawn()?;
                stands(&mut idle).await?;
                let cost = Cost::of(&stage.flood().await?)?;
                cost.plot(results, "connections", crowd as f64);
                idle.kill().await?;
            }
        }
        Ok(())
    })
    .await
}

/// Waits until `idle` has opened its connections, which it says with its first line.
async fn stands(idle: &mut Child) -> anyhow::Result<()> {
    let output = idle.stdout.take().context("`idle` prints nowhere")?;
    let line = BufReader::new(output).lines().next_line().await?;
    line.map(|_opened| ()).context("`idle` ended at once")
}
