//! A real Prometheus that scrapes two nodes under load: each panel of the dashboard has an answer, and no rule is broken.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use switchboard_protocol::UserId;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::tools::{find, free_address, root};
use crate::harness::http::get;
use crate::harness::servers::Process;
use crate::harness::{Cluster, connected, eventually};
use crate::{PROCESSES, Test, tell, test};

pub(super) const TESTS: &[(&str, Test)] = &[("prometheus", test!(each_panel_has_an_answer, PROCESSES))];

/// Series that are only there once a node has failed at something.
const FAILURES: &str = r#"status=~"5..""#;

/// Two scrapes, a second apart, and what evaluating takes; on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn each_panel_has_an_answer(cluster: Cluster) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (prometheus, _running) = start(&cluster, &folder)?;
    let stop = CancellationToken::new();
    let talk = tokio::spawn(stop.clone().run_until_cancelled_owned(talk(
        cluster.client(1, &[0], None),
        cluster.client(2, &[1], None),
        cluster.address(0),
    )));
    let panels = panels()?;
    ensure!(panels.len() > 20, "the panels are not found");
    for (title, queries) in panels {
        for query in queries {
            let what = format!("{title}: {query}");
            if query.starts_with("sum by (status)") && query.contains(FAILURES) {
                ensure!(ask_now(prometheus, &query).await?.is_empty(), "{what}: a node has failed");
                continue;
            }
            let answer = eventually(&what, PATIENCE, async || answer(prometheus, &query).await).await?;
            tell(format_args!("{title}: {answer}"));
        }
    }
    let rules = ask(prometheus, "/api/v1/rules").await?;
    let groups = rules["groups"].as_array().context("no rules")?;
    let rules: Vec<_> = groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
    ensure!(!rules.is_empty(), "no rules");
    for rule in rules {
        ensure!(rule["health"] != "err" && rule["state"] != "firing", "{rule}");
    }
    stop.cancel();
    talk.await?;
    cluster.finish().await
}

/// Scrapes both nodes each second; the rules are those of `deploy/`.
fn start(cluster: &Cluster, folder: &TempDir) -> anyhow::Result<(SocketAddr, Process)> {
    let rules = root().join("deploy/prometheus/alerts.yml").canonicalize()?;
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
         scrape_configs: [{{job_name: switchboard, static_configs: [{{targets: ['{}', '{}']}}]}}]\n",
        rules.display(),
        cluster.address(0),
        cluster.address(1),
    );
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, config)?;
    let address = free_address()?;
    let mut command = Command::new(find("prometheus").context("prometheus is not installed")?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"));
    Ok((address, Process::spawn(command, folder.path())?))
}

type Connection = (switchboard_client::Client, tokio::sync::mpsc::Receiver<switchboard_client::Event>);

/// Messages back and forth, and requests, good and bad, as fast as they are answered.
async fn talk(
    (ann, mut anns): Connection,
    (bob, mut bobs): Connection,
    address: SocketAddr,
) -> anyhow::Result<()> {
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    loop {
        ann.send(UserId(2), "", "x", None).await?;
        bob.send(UserId(1), "", "x", None).await?;
        get(address, "/api/v1/me", &[crate::harness::http::bearer(1)]).await?;
        // Of what is refused there are panels too.
        get(address, "/nowhere", &[]).await?;
        get(address, "/api/v1/me", &["Authorization: Bearer garbage".to_owned()]).await?;
        ensure!(ann.send(UserId(9_999), "", "x", None).await.is_err(), "nobody has that id");
        while anns.try_recv().is_ok() || bobs.try_recv().is_ok() {}
    }
}

/// Title and queries of each panel, with the dashboard's variables put in.
fn panels() -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let text = fs::read_to_string(root().join("deploy/grafana/dashboards/switchboard.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let mut panels = Vec::new();
    let mut waiting: Vec<&Value> = dashboard["panels"].as_array().context("no panels")?.iter().collect();
    while let Some(panel) = waiting.pop() {
        waiting.extend(panel["panels"].as_array().into_iter().flatten());
        let targets = panel["targets"].as_array().into_iter().flatten();
        let queries: Vec<_> = targets.filter_map(|target| target["expr"].as_str()).map(filled_in).collect();
        if !queries.is_empty() {
            let title = panel["title"].as_str().context("a panel without a title")?;
            panels.push((title.to_owned(), queries));
        }
    }
    Ok(panels)
}

fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "5s")
        .replace("$__range", "5s")
        .replace("$job", "switchboard")
        .replace("$instance", ".*")
}

/// What a query comes to now: its series and the value of the first. Nothing while there is none.
async fn answer(prometheus: SocketAddr, query: &str) -> anyhow::Result<Option<String>> {
    // While it starts nobody answers.
    let Ok(series) = ask_now(prometheus, query).await else {
        return Ok(None);
    };
    // A quantile of nothing, as before the second scrape.
    let known = series.iter().filter(|series| series["value"][1] != "NaN");
    let values: Vec<_> = known.filter_map(|series| series["value"][1].as_str()).collect();
    Ok(values.first().map(|first| format!("{} series, the first {first}", values.len())))
}

async fn ask_now(prometheus: SocketAddr, query: &str) -> anyhow::Result<Vec<Value>> {
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
    let mut data = ask(prometheus, &format!("/api/v1/query?{query}")).await?;
    Ok(data["result"].as_array_mut().context("no result")?.drain(..).collect())
}

async fn ask(prometheus: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let mut answer = get(prometheus, path, &[]).await?.json()?;
    ensure!(answer["status"] == "success", "{path}: {answer}");
    Ok(answer["data"].take())
}
