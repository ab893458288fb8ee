//! Programs that some tests need besides the nodes: balancers, Prometheus, checkers. Where one is missing its tests are
//! ignored, unless everything has to run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use tokio::runtime::Runtime;

use crate::harness::{Pair, servers};
use crate::{Test, run};

/// The top of the tree.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program on the path, or one that `tests/run` has put into the environment of Python's tools.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin".into(), "/sbin".into(), root().join("tests/operations/.venv/bin")];
    let mut others = folders.into_iter().map(|folder: PathBuf| folder.join(program));
    servers::on_path(program).or_else(|| others.find(|path| path.is_file()))
}

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
        let trial = Trial::test(format!("{pair:?}::{}", test.name), move || run(&runtime, test, pair));
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

/// The file of `deploy/`, with what is marked in it changed for this machine.
pub(super) fn adapted(file: &str, changes: &[(&str, &str)], into: &Path) -> anyhow::Result<PathBuf> {
    let mut text = fs::read_to_string(root().join("deploy").join(file))?;
    for (from, to) in changes {
        ensure!(text.contains(from), "{file} has no `{from}`: mend this test");
        text = text.replace(from, to);
    }
    let path = into.join(file);
    fs::write(&path, text)?;
    Ok(path)
}

/// An address that nobody listens on now.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, servers::free_port()?).into())
}
