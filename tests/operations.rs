//! What operators stand on: the files of `deploy/`, the metrics and their table, and a fleet behind real balancers.

mod balancers;
mod files;
mod metrics;
mod prometheus;
mod tools;

use std::sync::Arc;

use libtest_mimic::Trial;
use tokio::runtime::Runtime;

use crate::harness::Pair;
use crate::{BOTH, Test, test};
use metrics::the_table_of_metrics_is_what_a_node_serves;

pub(crate) const TESTS: &[Test] = &[test!(the_table_of_metrics_is_what_a_node_serves, BOTH)];

/// Those that need a program of their own, or no node.
pub(crate) fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let mut trials = files::trials();
    trials.extend(tools::with_programs(runtime, prometheus::TESTS, Pair::PostgresRedis));
    trials.extend(tools::with_programs(runtime, balancers::TESTS, Pair::PostgresRedis));
    trials
}
