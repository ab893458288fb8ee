//! This machine: how many connections a node may hold.

use anyhow::Context;

use super::super::descriptors;
use super::report::Report;
use crate::config::Config;

/// Fewer descriptors than this are soon used up by clients.
const DESCRIPTORS: u64 = 8_192;
/// What to set it to: as many as memory has room for.
const GENEROUS: u64 = 65_536;
/// What a node opens besides its connections and those to the store: Redis, files, the log, its workers.
const OTHER_DESCRIPTORS: u64 = 100;

/// What the system grants.
///
/// # Errors
/// If it does not say.
pub(super) fn examine_limits(config: &Config) -> anyhow::Result<Report> {
    let hard = descriptors::most().context("the limit on open files cannot be read")?;
    let mut report = Report::default();
    judge_descriptors(&mut report, hard, config.store.pool_size);
    Ok(report)
}

fn judge_descriptors(report: &mut Report, hard: u64, pool_size: u32) {
    let room = hard.saturating_sub(OTHER_DESCRIPTORS + u64::from(pool_size));
    let found = format!(
        "the hard limit on open files is {hard}, which `serve` makes its own, and has room for about {room} clients"
    );
    if hard < DESCRIPTORS {
        report.warning(format_args!(
            "{found}: set `LimitNOFILE={GENEROUS}` in the systemd unit, `ulimits: {{nofile: {GENEROUS}}}` in a compose \
             file, or `ulimit -n {GENEROUS}` in the shell"
        ));
    } else {
        report.ok(found);
    }
}
