//! `deploy/METRICS.md` against what a node serves.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use switchboard_protocol::UserId;

use super::tools::root;
use crate::harness::http::get;
use crate::harness::{Cluster, connected, next_message};

/// A row of the table, or what is served under a name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    /// Words by label; none where the table only says where they come from.
    labels: BTreeMap<String, BTreeSet<String>>,
}

pub(super) async fn the_table_of_metrics_is_what_a_node_serves(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, mut anns) = cluster.client(1, &[0], None);
    let (_bob, mut bobs) = cluster.client(2, &[1], None);
    connected(&mut anns).await?;
    connected(&mut bobs).await?;
    ann.send(UserId(2), "", "x", None).await?;
    next_message(&mut bobs).await?;
    let served = served(&get(cluster.address(0), "/metrics", &[]).await?.body);
    let table = table()?;
    let names = |metrics: &BTreeMap<String, Metric>| metrics.keys().cloned().collect::<BTreeSet<_>>();
    let differ: Vec<_> = names(&served).symmetric_difference(&names(&table)).cloned().collect();
    ensure!(differ.is_empty(), "only in the table, or only served: {differ:?}");
    for (name, row) in &table {
        let metric = &served[name];
        ensure!(metric.kind == row.kind, "{name} is a {}, not a {}", metric.kind, row.kind);
        for (label, words) in &row.labels {
            let served = metric.labels.get(label).with_context(|| format!("{name} has no label {label}"))?;
            ensure!(
                words.is_empty() || words == served,
                "{name}: {label} is one of {served:?}, not {words:?}"
            );
        }
        ensure!(metric.labels.len() == row.labels.len(), "{name} has the labels {:?}", metric.labels);
    }
    cluster.finish().await
}

/// The rows by name, as it is served.
fn table() -> anyhow::Result<BTreeMap<String, Metric>> {
    let text = std::fs::read_to_string(root().join("deploy/METRICS.md"))?;
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut metrics = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _meaning] = cells[..] else {
            anyhow::bail!("not four cells: {row}");
        };
        let name = name.trim_matches('`');
        let name = if name.starts_with("process_") { name.to_owned() } else { format!("switchboard_{name}") };
        let labels = labels.split(';').filter(|label| !label.trim().is_empty()).map(|label| {
            let (label, words) = label.split_once(':').unwrap_or((label, ""));
            // Words in a sentence are no list.
            let is_list =
                words.split(',').all(|word| word.trim().trim_matches('`').len() + 2 == word.trim().len());
            let words =
                words.split(',').filter(|_| is_list).map(|word| word.trim().trim_matches('`').to_owned());
            (label.trim().trim_matches('`').to_owned(), words.collect())
        });
        metrics.insert(name, Metric { kind: kind.to_owned(), labels: labels.collect() });
    }
    Ok(metrics)
}

/// What stands in the `OpenMetrics` text: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
fn served(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut family = (String::new(), String::new());
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap_or((head, ""));
            let suffix = if kind == "counter" { "_total" } else { "" };
            family = (format!("{name}{suffix}"), kind.to_owned());
            metrics.insert(family.0.clone(), Metric { kind: family.1.clone(), ..Metric::default() });
        } else if let (Some((_, rest)), Some(metric)) = (line.split_once('{'), metrics.get_mut(&family.0)) {
            let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
            for label in labels.split("\",") {
                let (name, word) = label.split_once("=\"").unwrap_or((label, ""));
                if name != "le" {
                    metric
                        .labels
                        .entry(name.to_owned())
                        .or_default()
                        .insert(word.trim_matches('"').to_owned());
                }
            }
        }
    }
    metrics
}
