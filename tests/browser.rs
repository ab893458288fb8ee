//! The page, and the client that it could be made of, in a real browser on two nodes: `tests/browser`, which is JavaScript.
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
use crate::harness::{Cluster, Pair, servers, token};

/// All of a file; each wait within it has a bound of its own.
const PATIENCE: Duration = Duration::from_secs(600);
/// What is tested, and where.
const FILES: [(&str, &str); 11] = [
    ("a_conversation_at_the_page", "conversation.test.mjs"),
    ("history_at_the_page", "history.test.mjs"),
    ("a_group_at_the_page", "group.test.mjs"),
    ("files_at_the_page", "files.test.mjs"),
    ("notifications_of_the_page", "notification.test.mjs"),
    ("hostile_texts_at_the_page", "hostile.test.mjs"),
    ("trouble_at_the_page", "trouble.test.mjs"),
    ("ten_thousand_messages_at_the_page", "long.test.mjs"),
    ("the_page_by_keyboard", "keyboard.test.mjs"),
    ("the_page_is_accessible", "accessible.test.mjs"),
    ("the_client_in_a_browser", CLIENT),
];
const CLIENT: &str = "client.test.mjs";

pub(crate) fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let trial = |pair: Pair, (name, file): (&str, &'static str)| {
        let runtime = Arc::clone(runtime);
        let trial =
            Trial::test(format!("{pair:?}::{name}"), move || Ok(runtime.block_on(in_a_browser(pair, file))?));
        let without_servers = pair == Pair::PostgresRedis && !servers::missing().is_empty();
        trial.with_ignored_flag(!servers::required() && (without_servers || !is_installed()))
    };
    BOTH.iter().flat_map(|pair| FILES.map(|file| trial(*pair, file))).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser")
}

fn is_installed() -> bool {
    let is_program = |name| servers::on_path(name).is_some();
    let has_browser = std::env::var_os("CHROMIUM").is_some() || is_program("chromium");
    let is_package = |name| folder().join("node_modules").join(name).is_dir();
    is_program("node") && has_browser && ["playwright-core", "axe-core"].into_iter().all(is_package)
}

async fn in_a_browser(pair: Pair, file: &str) -> anyhow::Result<()> {
    let mut cluster = Cluster::start(pair, &[]).await?;
    let urls = format!("http://{},http://{}", cluster.address(0), cluster.address(1));
    // The last test of the client kills a node, if it is a process of its own.
    let kills = file == CLIENT && pair == Pair::PostgresRedis;
    let victim = if kills { cluster.pid(0).to_string() } else { String::new() };
    let test = Command::new("node")
        .args(["--test", file])
        .current_dir(folder())
        .env("SWITCHBOARD_URLS", urls)
        .env("SWITCHBOARD_TOKEN", token(1))
        .env("SWITCHBOARD_VICTIM", victim)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        timeout(PATIENCE, test).await.context("it does not end")?.context("node is not installed")?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{said}\n{complained}");
    if kills {
        cluster.kill_node(0).await?;
    }
    cluster.finish().await
}
