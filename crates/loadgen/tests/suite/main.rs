//! The suite as an operator runs it, in small: it starts Postgres, Redis and nodes, measures, and leaves nothing behind.
//! Ignored where one of them is missing; the nodes are those that were built beside `switchboard-load`.

#[path = "../../../../tests/harness/servers.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod servers;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

const LOAD: &str = env!("CARGO_BIN_EXE_switchboard-load");

fn main() -> ExitCode {
    let is_missing = !servers::missing().is_empty() || !node().is_file();
    let is_ignored = is_missing && !servers::required();
    let trial = |name: &str, test: fn() -> anyhow::Result<()>| {
        Trial::test(name, move || Ok(test()?)).with_ignored_flag(is_ignored)
    };
    let trials = vec![
        trial("what_is_asked_for_is_measured", what_is_asked_for_is_measured),
        trial("an_interrupted_suite_leaves_nothing", an_interrupted_suite_leaves_nothing),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn node() -> PathBuf {
    Path::new(LOAD).with_file_name("switchboard")
}

/// The suite, with all that it makes under a folder.
fn suite(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(LOAD);
    command.arg("suite").arg("--node").arg(node()).arg("--folder").arg(folder).args(arguments);
    command
}

/// A new folder that Postgres can reach, which runs as another user.
fn folder() -> anyhow::Result<TempDir> {
    let folder = TempDir::new()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn is_empty(folder: &Path) -> anyhow::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

fn what_is_asked_for_is_measured() -> anyhow::Result<()> {
    let (folder, results) = (folder()?, TempDir::new()?);
    let (table, json) = (results.path().join("table.md"), results.path().join("values.json"));
    let mut suite = suite(folder.path(), &["--only", "rate,limits", "--runs", "2", "--seconds", "0.5"]);
    suite.arg("--markdown").arg(&table).arg("--json").arg(&json).arg("--plots").arg(results.path());
    let output = suite.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // A target may be missed here, but nothing may fail.
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{}: {errors}", output.status);

    let table = fs::read_to_string(table)?;
    ensure!(!table.contains("not measured"), "{table}");
    ensure!(String::from_utf8(output.stdout)? == table, "what is printed is not what is written");
    let values: Value = serde_json::from_str(&fs::read_to_string(json)?)?;
    for id in ["rate", "cpu_nodes", "cpu_all", "postgres_limit", "redis_limit"] {
        let samples = values["results"]["samples"][id].as_array().with_context(|| format!("no {id}"))?;
        let is_there = |sample: &Value| sample.as_f64().is_some_and(|value| value > 0.0);
        ensure!(samples.len() == 2 && samples.iter().all(is_there), "{id}: {samples:?}");
    }
    for id in ["lost", "duplicates", "out_of_order"] {
        let samples = values["results"]["samples"][id].as_array().with_context(|| format!("no {id}"))?;
        ensure!(samples.iter().all(|sample| sample.as_f64() == Some(0.0)), "{id}: {samples:?}");
    }
    ensure!(results.path().join("batch.svg").is_file(), "the plot is not there");
    ensure!(is_empty(folder.path())?, "something stays behind");
    Ok(())
}

fn an_interrupted_suite_leaves_nothing() -> anyhow::Result<()> {
    let folder = folder()?;
    let mut suite = suite(folder.path(), &["--only", "limits", "--runs", "1", "--seconds", "600"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let errors = suite.stderr.take().context("it prints nowhere")?;
    let mut lines = BufReader::new(errors).lines();
    // It has servers by now, and makes the stage.
    lines.next().context("it ended at once")??;
    ensure!(!is_empty(folder.path())?, "it starts nothing");
    signal::kill(Pid::from_raw(suite.id().cast_signed()), Signal::SIGINT)?;
    ensure!(suite.wait()?.code() == Some(2), "an interrupted suite is no success");
    ensure!(is_empty(folder.path())?, "something stays behind");
    Ok(())
}
