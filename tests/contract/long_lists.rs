//! The row kept on `GET /messages/get/`: pages and their bounds; and the order of what comes in one minute.

use anyhow::{Context, ensure};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::finish_with;
use super::pattern::{Findings, refusal};
use super::script::Script;
use crate::harness::{Cluster, DEADLINE};

/// More than may be asked for.
const MESSAGES: usize = 1_003;

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().into_iter().flatten().filter_map(|message| message["id"].as_i64()).collect()
}

/// Sends as many messages to user 2 and gives their ids.
async fn send_many(cluster: &Cluster, ann: &Script) -> anyhow::Result<Vec<i64>> {
    let mut socket = ann.socket(cluster).await?;
    let mut sent = Vec::new();
    while sent.len() < MESSAGES {
        let burst = 50.min(MESSAGES - sent.len());
        for n in 0..burst {
            let frame = format!(r#"{{"type": "send_message", "recipient_id": 2, "content": "{n}"}}"#);
            timeout(DEADLINE, socket.0.feed(Message::text(frame))).await??;
        }
        timeout(DEADLINE, socket.0.flush()).await??;
        for _ in 0..burst {
            sent.push(socket.next().await?["message_id"].as_i64().context("an id")?);
        }
    }
    Ok(sent)
}

pub(super) async fn contract_of_long_lists(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let sent = send_many(&cluster, &ann).await?;
    let newest = |n: usize, before: usize| sent[before - n..before].iter().rev().copied().collect::<Vec<_>>();
    let before = sent[MESSAGES - 3];
    // Each marks as read what it returns, and leaves the rest. Path, what it returns, what is unread after it.
    let pages = [
        ("?limit=1".to_owned(), newest(1, MESSAGES), MESSAGES - 1),
        ("?limit=0".to_owned(), newest(1, MESSAGES), MESSAGES - 1),
        ("?limit=3".to_owned(), newest(3, MESSAGES), MESSAGES - 3),
        (format!("?limit=2&before={before}"), newest(2, MESSAGES - 3), MESSAGES - 5),
        ("?before=1".to_owned(), vec![], MESSAGES - 5),
        (String::new(), newest(200, MESSAGES), MESSAGES - 200),
        ("?limit=5000".to_owned(), newest(1_000, MESSAGES), MESSAGES - 1_000),
        ("?limit=1000".to_owned(), newest(1_000, MESSAGES), MESSAGES - 1_000),
        (format!("?before={}", sent[3]), newest(3, 3), 0),
    ];
    for (query, expect, unread) in pages {
        let row = format!("kept: /messages/get/{query}");
        let page = bob.json(&format!("/messages/get/{query}")).await?;
        for list in ["received", "archive"] {
            let got = ids(&page[list]);
            findings.hold(&row, got == expect, format!("{list}: {} of {}: {got:?}", got.len(), expect.len()));
        }
        findings.hold(&row, page["sent"] == json!([]), &page["sent"]);
        findings.hold(&row, page["unread_count"] == unread, format!("{} unread", page["unread_count"]));
        findings.hold(&row, bob.unread().await? == i64::try_from(unread)?, "/messages/unread/");
    }
    let page = ann.json("/messages/get/").await?;
    findings.hold(
        "kept: newest 200 a list, sent",
        ids(&page["sent"]) == newest(200, MESSAGES),
        &page["sent"],
    );
    for query in ["?limit=abc", "?limit=", "?before=abc", "?before=1.5"] {
        let answer = bob.get(&format!("/messages/get/{query}")).await?;
        findings.hold(query, answer.status == 400, &answer.head);
        findings.compare(query, &answer.json().unwrap_or(Value::Null), &refusal("invalid_field"));
    }
    findings.finish()?;
    finish_with(cluster, MESSAGES.try_into()?).await
}

/// Within a minute they came newest first, all received before all sent, and at times of no zone.
pub(super) async fn contract_of_order(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let mut expect = Vec::new();
    for n in 0..4 {
        expect.push(ann.send(2, "", &format!("ann {n}")).await?);
        expect.push(bob.send(1, "", &format!("bob {n}")).await?);
    }
    expect.push(ann.send(1, "", "to myself").await?);
    expect.reverse();
    let lists = ann.json("/messages/get/").await?;
    let archive = lists["archive"].as_array().context("a list")?;
    let got: Vec<_> = archive.iter().map(|message| message["id"].clone()).collect();
    ensure!(got == expect, "suffered: 16: {got:?} instead of {expect:?}");
    let times: Vec<_> = archive.iter().filter_map(|message| message["created_at"].as_str()).collect();
    ensure!(times.len() == 9 && times.iter().rev().is_sorted(), "suffered: 15: {times:?}");
    // What one wrote to oneself is in both lists, and once in the archive.
    for (list, n) in [("received", 5), ("sent", 5)] {
        ensure!(ids(&lists[list]).len() == n && lists[list][0]["id"] == expect[0], "{list}: {}", lists[list]);
        ensure!(lists[list][0]["is_read"] == true, "kept: oneself, counts as read: {}", lists[list][0]);
    }
    finish_with(cluster, 9).await
}
