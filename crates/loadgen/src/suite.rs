//! `suite`: the published measurement. It starts what it measures, runs the other modes as child processes, and writes
//! the table of targets.
//!
//! - [`table`]: the targets, one row each. [`plots`]: what is drawn, by [`svg`].
//! - [`servers`]: Postgres and Redis, if none are given. [`stage`]: a database, nodes and users, and our modes against
//!   them. [`processes`]: what is started is ended.
//! - [`measures`]: what goes through nodes. [`mailbox`]: readings and costs by length. [`limits`]: Postgres and Redis by
//!   themselves. [`soak`]: whether anything creeps.
//! - [`reading`]: what a mode wrote. [`results`]: what there is so far. [`statistics`]: medians and slopes.
//!
//! To add a row: its line in `table::TARGETS`, and a `record` under its id where it is measured.

mod limits;
mod mailbox;
mod measures;
mod plots;
mod processes;
mod reading;
mod results;
mod servers;
mod soak;
mod stage;
mod statistics;
mod svg;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::results::Results;
use self::stage::Site;
use self::table::Measure;
use crate::report;

/// What is measured, on what, and where it is written to.
#[derive(Debug, Args)]
pub(crate) struct Suite {
    /// The server's binary, as target/release/switchboard. Its configuration is the environment's, but for the store,
    /// the layer and the limits on users.
    #[arg(long, value_name = "PROGRAM")]
    node: PathBuf,
    /// A Postgres in which databases may be made; each is dropped again. Without it one is started.
    #[arg(long, value_name = "URL")]
    postgres_url: Option<String>,
    /// A Redis. Without it one is started.
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// Where the servers that are started keep their data: on the disk that is to be measured. The system's folder for
    /// temporary files, if not given.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each measured window.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Only these, separated by commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measure>,
    /// Writes the table in Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draws plots into this folder, and measures what only they show.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Then keeps half the highest rate for so long, and says whether anything creeps.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<f64>,
}

/// Measures, prints the table, writes every value of every run to a file if asked to, and says whether all of it was
/// measured, every target met, and nothing creeps.
///
/// # Errors
/// If there is nothing to measure on, a file cannot be written, or it was interrupted: then what there is by then is
/// written. What cannot be measured is a row that says why.
pub(crate) async fn run(suite: &Suite, json: Option<&Path>) -> anyhow::Result<bool> {
    ensure!(suite.runs > 0, "there is nothing to do in 0 runs");
    let parent = suite.folder.clone().unwrap_or_else(std::env::temp_dir);
    let stop = stop_on_signal()?;
    let mut own = Vec::new();
    let postgres_url = match &suite.postgres_url {
        Some(url) => url.clone(),
        None => started(&mut own, servers::postgres(&parent).await?),
    };
    let redis_url = match &suite.redis_url {
        Some(url) => url.clone(),
        None => started(&mut own, servers::redis(&parent).await?),
    };
    let node =
        fs::canonicalize(&suite.node).with_context(|| format!("cannot find {}", suite.node.display()))?;
    let folder = TempDir::with_prefix_in("suite-", &parent)?;
    let site = Site { node, postgres_url, redis_url, folder, seconds: suite.seconds, stop };
    let mut results = Results::default();
    let ended = suite.measure(&site, &mut results).await;
    suite.write(&results, json)?;
    ended?;
    Ok(table::is_good(&results) && soak::is_good(&results.soak))
}

/// Keeps a server until the end, and says where it is.
fn started(own: &mut Vec<servers::Server>, server: servers::Server) -> String {
    let url = server.url.clone();
    own.push(server);
    url
}

/// Cancelled by Ctrl-C, or by what a supervisor sends.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            stop.cancel();
        }
    });
    Ok(stop)
}

impl Suite {
    /// Each in turn. What fails does not keep the others from being measured.
    async fn measure(&self, site: &Site, results: &mut Results) -> anyhow::Result<()> {
        let start = Instant::now();
        for measure in Measure::value_variants() {
            let is_asked_for = if self.only.is_empty() {
                *measure != Measure::Connections || self.plots.is_some()
            } else {
                self.only.contains(measure)
            };
            if !is_asked_for {
                continue;
            }
            let minutes = start.elapsed().as_secs_f64() / 60.0;
            report::progress(&format!("{minutes:.1} min: {measure:?}, {} runs", self.runs).to_lowercase());
            if let Err(error) = Box::pin(self.take(*measure, site, results)).await {
                report::progress(&format!("{measure:?}: {error:#}"));
                results.fail(*measure, format!("{error:#}"));
            }
            ensure!(!site.stop.is_cancelled(), "interrupted");
        }
        if let Some(minutes) = self.soak {
            report::progress(&format!("soak, {minutes} min"));
            Box::pin(soak::run(site, results, minutes)).await.context("soak")?;
        }
        Ok(())
    }

    async fn take(&self, measure: Measure, site: &Site, results: &mut Results) -> anyhow::Result<()> {
        let (n_runs, with_plots) = (self.runs, self.plots.is_some());
        match measure {
            Measure::Rate => measures::rate(site, results, n_runs).await,
            Measure::Latency => measures::latency(site, results, n_runs).await,
            Measure::Memory => measures::memory(site, results, n_runs, with_plots).await,
            Measure::Fanout => measures::fanout(site, results, n_runs).await,
            Measure::Storm => measures::storm(site, results, n_runs).await,
            Measure::Mailbox => mailbox::run(site, results, n_runs, with_plots).await,
            Measure::Nodes => measures::nodes(site, results, n_runs).await,
            Measure::Sqlite => measures::sqlite(site, results, n_runs).await,
            Measure::Limits => limits::run(site, results, n_runs, with_plots).await,
            Measure::Connections => measures::connections(site, results, n_runs).await,
        }
    }

    fn write(&self, results: &Results, json: Option<&Path>) -> anyhow::Result<()> {
        let machine = machine();
        let mut text = format!("{machine}; {} runs of each\n\n{}", self.runs, table::markdown(results));
        if !results.soak.is_empty() {
            // Writing to a text cannot fail.
            let _ = write!(text, "\n{}", soak::markdown(&results.soak));
        }
        report::print(&text)?;
        let write = |path: &Path, text: String| {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        if let Some(path) = &self.markdown {
            write(path, text)?;
        }
        if let Some(path) = json {
            let whole = json!({
                "machine": machine, "runs": self.runs, "targets": table::TARGETS, "results": results
            });
            write(path, serde_json::to_string_pretty(&whole)?)?;
        }
        self.plots.as_ref().map_or(Ok(()), |folder| plots::write(&results.curves, folder))
    }
}

/// Whatever the figures depend on that does not show in them.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.map_or("an unknown processor", |(_, model)| model);
    format!("{cores} cores of {model}, Linux {}", kernel.trim())
}
