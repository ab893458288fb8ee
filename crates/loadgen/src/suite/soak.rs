//! Whether anything creeps under a load that goes on: memory, descriptors, latency.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::Serialize;

use super::measures::half_rate;
use super::results::Results;
use super::stage::{Ground, Site, Stage};
use super::statistics::Slope;
use super::table::number;
use crate::process;

/// Users that the load is of; two more look how long their messages take meanwhile.
const USERS: u64 = 200;
/// Seconds until the load is there.
const WARMUP: f64 = 10.0;

/// What became of one thing over the whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Creep {
    what: &'static str,
    unit: &'static str,
    slope: Slope,
    is_flat: bool,
}

/// What is sampled: its plot, its line there, its unit.
type Line = (&'static str, &'static str, &'static str);
const MEMORY: Line = ("soak-memory", "resident memory of the nodes", "MiB");
const DESCRIPTORS: Line = ("soak-descriptors", "open descriptors of the nodes", "");
const P50: Line = ("soak-latency", "delivery, p50", "ms");
const P99: Line = ("soak-latency", "delivery, p99", "ms");

/// Half the highest rate for so many minutes, sampled about each ten seconds.
///
/// # Errors
/// If the load ended early, or anything of it was lost, doubled or out of order.
pub(crate) async fn run(site: &Site, results: &mut Results, minutes: f64) -> anyhow::Result<()> {
    site.with(Ground::Shared, 2, USERS + 2, async |stage| {
        let rate = format!("{:.0}", half_rate(stage, results).await?);
        let seconds = (minutes * 60.0).to_string();
        let users = USERS.to_string();
        let warmup = WARMUP.to_string();
        let load = ["run", "--users", &users, "--rate", &rate, "--seconds", &seconds, "--warmup", &warmup];
        let mut samples = Vec::new();
        let reading = tokio::select! {
            biased;
            reading = stage.measure(&load) => reading?,
            result = sample(stage, &mut samples) => {
                let Err(error) = result;
                return Err(error);
            }
        };
        for id in ["lost", "duplicates", "out_of_order"] {
            let count = reading.number(&format!("/{id}"))?;
            ensure!(count == 0.0, "{count} messages were counted as {id}");
        }
        judge(&samples, minutes * 60.0, results);
        Ok(())
    })
    .await
}

/// When, and what was seen then.
type Sample = (f64, [(Line, f64); 4]);

/// Samples until something fails.
async fn sample(stage: &Stage<'_>, samples: &mut Vec<Sample>) -> anyhow::Result<Infallible> {
    let observers = stage.tokens_of(USERS + 1..=USERS + 2).await?;
    let start = Instant::now();
    loop {
        // Their messages meet the load; they are few enough to be none themselves.
        let look = ["run", "--rate", "50", "--seconds", "8", "--warmup", "1"];
        let reading = stage.measure_as(&observers, &look).await?;
        let (mut resident, mut descriptors) = (0, 0);
        for pid in stage.pids() {
            resident += process::memory(pid)?.resident;
            descriptors += fs::read_dir(format!("/proc/{pid}/fd")).context("a node is gone")?.count();
        }
        samples.push((
            start.elapsed().as_secs_f64(),
            [
                (MEMORY, resident as f64 / 1_048_576.0),
                (DESCRIPTORS, descriptors as f64),
                (P50, reading.number("/delivery_ms/p50")?),
                (P99, reading.number("/delivery_ms/p99")?),
            ],
        ));
    }
}

/// Of what was sampled under load; what was read while it began or after its end does not count. The first tenth is drawn,
/// and not judged: what fills once is still filling.
fn judge(samples: &[Sample], seconds: f64, results: &mut Results) {
    let start = WARMUP + seconds / 10.0;
    let under_load: Vec<_> =
        samples.iter().filter(|(at, _)| (WARMUP..WARMUP + seconds).contains(at)).collect();
    for nth in 0..4 {
        let mut points = Vec::new();
        for (at, lines) in &under_load {
            let ((plot, what, _), value) = lines[nth];
            results.plot(plot, what, at / 60.0, value);
            points.push((*at, value));
        }
        points.retain(|(at, _)| *at >= start);
        if let (Some(slope), Some((_, lines))) = (Slope::of(&points), under_load.first()) {
            let (_, what, unit) = lines[nth].0;
            results.soak.push(Creep { what, unit, slope, is_flat: slope.is_flat() });
        }
    }
}

/// Whether nothing creeps.
pub(crate) fn is_good(soak: &[Creep]) -> bool {
    soak.iter().all(|creep| creep.is_flat)
}

/// A row for each thing.
pub(crate) fn markdown(soak: &[Creep]) -> String {
    let mut text = String::from("| under load | slope an hour, ± its standard error | over the run | |\n");
    text += "| --- | ---: | ---: | --- |\n";
    for Creep { what, unit, slope, is_flat } in soak {
        let verdict = if *is_flat { "no slope" } else { "**creeps**" };
        let (per_hour, error, drift) = (number(slope.per_hour), number(slope.error), slope.drift * 100.0);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| {what} | {per_hour} ± {error} {unit} | {drift:.1} % | {verdict} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_creeps_is_told_apart() {
        let noise = |nth: usize| if nth.is_multiple_of(2) { 0.3 } else { -0.3 };
        let sample = |nth: usize| {
            let at = nth as f64 * 10.0;
            (at, [(MEMORY, 100.0 + at / 10.0), (DESCRIPTORS, 250.0), (P50, 2.0 + noise(nth)), (P99, 9.0)])
        };
        let mut samples: Vec<Sample> = (0..60).map(sample).collect();
        // Before the load is there, while it is new, and when it is over: not counted.
        samples[0].1[1].1 = 10.0;
        samples[1].1[3].1 = 90.0;
        samples.push((700.0, [(MEMORY, 0.0), (DESCRIPTORS, 0.0), (P50, 0.0), (P99, 0.0)]));
        let mut results = Results::default();
        judge(&samples, 590.0, &mut results);
        let flat: Vec<_> = results.soak.iter().map(|creep| creep.is_flat).collect();
        assert_eq!(flat, [false, true, true, true], "{:?}", results.soak);
        assert!(!is_good(&results.soak) && is_good(&results.soak[1..]));
        let table = markdown(&results.soak);
        assert!(table.contains("| resident memory of the nodes | 360 ± 0 MiB |"), "{table}");
        assert_eq!(table.matches("no slope").count(), 3);
    }
}
