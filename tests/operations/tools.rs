//! Programs that some tests need besides the nodes: balancers, Prometheus, checkers. Where one is missing its tests are
//! ignored, unless everything has to run.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use tokio::runtime::Runtime;

pub(super) use crate::harness::tools::{adapted, find, free_address, haproxy, root};
use crate::harness::{Pair, servers};
use crate::{Test, run};

/// Whether a test that needs these has to be left out.
pub(super) fn is_left_out(programs: &[&str]) -> bool {
    !servers::required() && programs.iter().any(|program| find(program).is_none())
}

/// Tests on a cluster, each with the program that it needs.
pub(super) fn with_programs(
    runtime: &Arc<Runtime>,
    tests: &'static [(&str, Test)],
    pair: Pair,
) -> Vec<Trial> {
    let trial = |(program, test): &'static (&str, Test)| {
        let runtime = Arc::clone(runtime);
        let trial =
            Trial::test(format!("{pair:?}::{}", test.name), move || run(&runtime, test, pair, test.settings));
        let without_servers = !servers::required() && !servers::missing().is_empty();
        trial.with_ignored_flag(without_servers || is_left_out(&[program]))
    };
    tests.iter().map(trial).collect()
}

/// Runs a program to its end; what it said, if it was content.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| program.clone())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}\n{said}{complained}", output.status);
    Ok(format!("{said}{complained}"))
}
