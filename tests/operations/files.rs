//! The files of `deploy/`, read by the programs that they are for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use super::tools::{adapted, find, is_left_out, output, root};

/// Name, the programs that it needs, and what it does.
type Check = (&'static str, &'static [&'static str], fn() -> anyhow::Result<()>);

const CHECKS: &[Check] = &[
    ("haproxy_takes_its_file", &["haproxy"], haproxy_takes_its_file),
    ("nginx_takes_its_file", &["nginx"], nginx_takes_its_file),
    ("prometheus_takes_its_files", &["promtool"], prometheus_takes_its_files),
    ("each_alert_fires_when_it_should", &["promtool"], each_alert_fires_when_it_should),
    ("the_image_is_built_by_the_book", &["hadolint"], the_image_is_built_by_the_book),
    ("kubernetes_takes_the_manifests", &["kubernetes-validate"], kubernetes_takes_the_manifests),
    ("alerts_and_panels_name_what_is_served", &[], alerts_and_panels_name_what_is_served),
];

pub(super) fn trials() -> Vec<Trial> {
    let trial = |(name, programs, check): &Check| {
        let (check, is_left_out) = (*check, is_left_out(programs));
        let trial = Trial::test(format!("deploy::{name}"), move || {
            check().map_err(|error| format!("{error:#}").into())
        });
        trial.with_ignored_flag(is_left_out)
    };
    CHECKS.iter().map(trial).collect()
}

fn program(name: &str) -> anyhow::Result<Command> {
    Ok(Command::new(find(name).with_context(|| format!("{name} is not installed"))?))
}

fn deploy(path: &str) -> PathBuf {
    root().join("deploy").join(path)
}

/// The files under a folder with this ending, in order.
fn files(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    ensure!(!files.is_empty(), "{}: no {ending}", folder.display());
    Ok(files)
}

fn haproxy_takes_its_file() -> anyhow::Result<()> {
    output(program("haproxy")?.args(["-c", "-f"]).arg(deploy("haproxy.cfg")))?;
    Ok(())
}

fn nginx_takes_its_file() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    // It writes its pid file even to check; that of the machine is none of ours.
    let pid = folder.path().join("pid").display().to_string();
    let file = adapted("nginx.conf", &[("/tmp/nginx.pid", &pid)], folder.path())?;
    output(program("nginx")?.args(["-t", "-q", "-p"]).arg(folder.path()).arg("-c").arg(file))?;
    Ok(())
}

fn prometheus_takes_its_files() -> anyhow::Result<()> {
    output(
        program("promtool")?
            .args(["check", "config", "--syntax-only"])
            .arg(deploy("prometheus/prometheus.yml")),
    )?;
    output(program("promtool")?.args(["check", "rules"]).arg(deploy("prometheus/alerts.yml")))?;
    Ok(())
}

fn each_alert_fires_when_it_should() -> anyhow::Result<()> {
    output(program("promtool")?.args(["test", "rules"]).arg(deploy("prometheus/alerts.test.yml")))?;
    // Each has a test in which it fires, and its paragraph in the runbook.
    let tests = fs::read_to_string(deploy("prometheus/alerts.test.yml"))?;
    let runbook = fs::read_to_string(deploy("README.md"))?.to_ascii_lowercase();
    let alerts = alerts()?;
    ensure!(alerts.len() > 5, "the alerts are not found");
    for alert in alerts {
        ensure!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} has no test");
        ensure!(
            runbook.contains(&format!("### {}\n", alert.to_ascii_lowercase())),
            "{alert} is not in the runbook"
        );
    }
    Ok(())
}

fn alerts() -> anyhow::Result<Vec<String>> {
    let rules = fs::read_to_string(deploy("prometheus/alerts.yml"))?;
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert:"));
    Ok(names.map(|name| name.trim().to_owned()).collect())
}

fn the_image_is_built_by_the_book() -> anyhow::Result<()> {
    output(program("hadolint")?.arg(deploy("Dockerfile")))?;
    Ok(())
}

fn kubernetes_takes_the_manifests() -> anyhow::Result<()> {
    let manifests = files(&deploy("kubernetes"), ".yaml")?;
    output(program("kubernetes-validate")?.arg("--strict").args(manifests))?;
    Ok(())
}

/// Every metric in an alert or a panel stands in the table.
fn alerts_and_panels_name_what_is_served() -> anyhow::Result<()> {
    let table = fs::read_to_string(deploy("METRICS.md"))?;
    let is_served = |name: &str| {
        let name = name.trim_start_matches("switchboard_");
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        [name, base].iter().any(|name| table.contains(&format!("| `{name}` |")))
    };
    for path in ["prometheus/alerts.yml", "grafana/dashboards/switchboard.json"] {
        let text = fs::read_to_string(deploy(path))?;
        let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || "_:".contains(char)));
        let named = |word: &&str| {
            !word.contains(':') && ["switchboard_", "process_"].iter().any(|prefix| word.starts_with(prefix))
        };
        let mut n_named = 0;
        for word in words.filter(named) {
            ensure!(is_served(word), "{path} names {word}, which no node serves");
            n_named += 1;
        }
        ensure!(n_named > 10, "{path}: no metrics are found");
    }
    Ok(())
}
