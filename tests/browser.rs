//! The page in a real browser, two people on two nodes: `tests/browser`, which is JavaScript.
//!
//! It needs `node`, `chromium` and what `npm ci` installs there; where one is missing it is ignored.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use tokio::process::Command;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::BOTH;
use crate::harness::{Cluster, Pair, servers};

/// All of it; each wait within it has a bound of its own.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let trial = |pair: &Pair| {
        let (runtime, pair) = (Arc::clone(runtime), *pair);
        let trial = Trial::test(format!("{pair:?}::the_page_in_a_browser"), move || {
            Ok(runtime.block_on(the_page_in_a_browser(pair))?)
        });
        let without_servers = pair == Pair::PostgresRedis && !servers::missing().is_empty();
        trial.with_ignored_flag(!servers::required() && (without_servers || !is_installed()))
    };
    BOTH.iter().map(trial).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser")
}

fn is_installed() -> bool {
    let is_program = |name| servers::on_path(name).is_some();
    let has_browser = std::env::var_os("CHROMIUM").is_some() || is_program("chromium");
    is_program("node") && has_browser && folder().join("node_modules/playwright-core").is_dir()
}

async fn the_page_in_a_browser(pair: Pair) -> anyhow::Result<()> {
    let cluster = Cluster::start(pair, &[]).await?;
    let urls = format!("http://{},http://{}", cluster.address(0), cluster.address(1));
    let test = Command::new("node")
        .arg("--test")
        .current_dir(folder())
        .env("SWITCHBOARD_URLS", urls)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        timeout(PATIENCE, test).await.context("it does not end")?.context("node is not installed")?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}\n{complained}");
    cluster.finish().await
}
