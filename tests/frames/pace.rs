//! Many frames at once: what is too fast is told when to come back, and order is kept.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{ask, check_sent, finish_with, open};
use crate::harness::http::{bearer, get};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE};

pub(super) const SLOW: &[(&str, &str)] =
    &[("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "5"), ("SWITCHBOARD_LIMITS__MESSAGES_BURST", "5")];

/// Writes all frames before the first answer is read.
async fn pipeline(socket: &mut Socket, frames: impl IntoIterator<Item = Value>) -> anyhow::Result<()> {
    let writing = async {
        for frame in frames {
            socket.0.feed(Message::text(frame.to_string())).await?;
        }
        socket.0.flush().await
    };
    Ok(timeout(DEADLINE, writing).await??)
}

fn message(n: usize) -> Value {
    json!({"type": "send_message", "recipient_id": 2, "content": n.to_string(), "request_id": n,
           "client_message_id": format!("c{n}")})
}

pub(super) async fn a_burst_is_slowed_and_nothing_is_lost(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    pipeline(&mut ann, (0..12).map(message)).await?;
    let (mut sent, mut refused) = (BTreeSet::new(), Vec::new());
    for _ in 0..12 {
        let answer = ann.next().await?;
        let id = answer["client_message_id"].as_str().context("whose answer?")?.to_owned();
        if answer["type"] == "message_sent" {
            sent.insert(id);
            continue;
        }
        ensure!(answer["code"] == "rate_limited", "{answer}");
        let n = answer["request_id"].as_u64().context("no request_id")?;
        ensure!(id == format!("c{n}") && wait_of(&answer)? <= Duration::from_secs(1), "{answer}");
        refused.push(usize::try_from(n)?);
    }
    ensure!(sent.len() >= 5 && !refused.is_empty(), "{} were sent", sent.len());
    // Others have a bucket of their own.
    let hello = json!({"type": "send_message", "recipient_id": 2, "content": "hello"});
    check_sent(&mut open(&cluster, 3).await?, &hello).await?;
    for n in refused {
        let mut answer = ask(&mut ann, message(n).to_string()).await?;
        if answer["code"] == "rate_limited" {
            // The time that it is told is what is tested; no event marks it.
            sleep(wait_of(&answer)?).await;
            answer = ask(&mut ann, message(n).to_string()).await?;
        }
        ensure!(answer["type"] == "message_sent" && answer["repeat"].is_null(), "{n}: {answer}");
    }
    let events = get(cluster.address(1), "/api/v1/events?cursor=0", &[bearer(2)]).await?.json()?;
    let received = events["events"].as_array().context("a list")?;
    let contents: BTreeSet<_> =
        received.iter().filter_map(|event| event["data"]["content"].as_str()).collect();
    ensure!(received.len() == 13 && contents.len() == 13, "each once: {contents:?}");
    finish_with(cluster, 13).await
}

fn wait_of(refusal: &Value) -> anyhow::Result<Duration> {
    let ms = refusal["retry_after_ms"].as_u64().filter(|ms| *ms > 0);
    Ok(Duration::from_millis(ms.with_context(|| format!("no time to wait: {refusal}"))?))
}

/// Twelve of these at once: how many are refused as too many.
async fn n_refused(socket: &mut Socket, frame: impl Fn(usize) -> Value) -> anyhow::Result<usize> {
    pipeline(socket, (0..12).map(frame)).await?;
    let mut n_refused = 0;
    for _ in 0..12 {
        let answer = socket.next().await?;
        if answer["type"] == "error" {
            ensure!(answer["code"] == "rate_limited", "{answer}");
            wait_of(&answer)?;
            n_refused += 1;
        }
    }
    Ok(n_refused)
}

pub(super) async fn what_writes_much_is_charged_much(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let note = json!({"type": "send_message", "recipient_id": 1, "content": "note"});
    let id = check_sent(&mut ann, &note).await?["message_id"].clone();
    ensure!(ann.next().await?["type"] == "new_message");
    let edit = |n: usize| json!({"type": "edit_message", "message_id": id, "content": n.to_string()});
    let n_edits = n_refused(&mut ann, edit).await?;
    ensure!((1..12).contains(&n_edits), "{n_edits} edits are refused");
    // Of requests there are ten times as many, and so are these only while each counts as ten.
    let mut bob = open(&cluster, 2).await?;
    let set = |n: usize| json!({"type": "set_receipts", "send_receipts": n.is_multiple_of(2)});
    let n_changes = n_refused(&mut bob, set).await?;
    ensure!((1..12).contains(&n_changes), "{n_changes} changes are refused");
    check_sent(&mut bob, &note).await?;
    finish_with(cluster, 2).await
}

/// Messages that Bob is sent, and that he then reads.
const MESSAGES: usize = 20;

/// Sends Bob his messages, and gives the frames that mark them as read.
async fn send_and_collect_reads(cluster: &Cluster, bob: &mut Socket) -> anyhow::Result<Vec<Value>> {
    let mut ann = open(cluster, 1).await?;
    pipeline(&mut ann, (0..MESSAGES).map(message)).await?;
    let mut reads = Vec::new();
    for n in 0..MESSAGES {
        ensure!(ann.next().await?["client_message_id"] == *format!("c{n}"));
        let received = bob.next().await?;
        ensure!(received["data"]["content"] == *format!("{n}"), "{received}");
        reads.push(json!({"type": "mark_as_read", "message_id": received["data"]["message_id"]}));
    }
    Ok(reads)
}

/// The counts that were asked for, in the order in which they come, once all messages are read.
async fn counts(bob: &mut Socket, n_counts: usize) -> anyhow::Result<Vec<(Value, Value)>> {
    let (mut counts, mut n_read) = (Vec::new(), 0);
    while n_read < MESSAGES || counts.len() < n_counts {
        let frame = bob.next().await?;
        match frame["type"].as_str() {
            Some("message_read") => n_read += 1,
            Some("unread_count") => counts.push((frame["request_id"].clone(), frame["unread_count"].clone())),
            _ => bail!("{frame}"),
        }
    }
    Ok(counts)
}

pub(super) async fn order_on_a_socket_is_order_in_the_store(cluster: Cluster) -> anyhow::Result<()> {
    /// More than a session has under way at once.
    const NOTES: usize = 200;
    let mut bob = open(&cluster, 2).await?;
    let notes =
        (0..NOTES).map(|n| json!({"type": "send_message", "recipient_id": 2, "content": n.to_string()}));
    pipeline(&mut bob, notes).await?;
    for n in 0..NOTES {
        for kind in ["message_sent", "new_message"] {
            let entry = bob.next().await?;
            ensure!(entry["type"] == kind && entry["data"]["content"] == *format!("{n}"), "{n}: {entry}");
        }
    }
    let reads = send_and_collect_reads(&cluster, &mut bob).await?;
    let count = json!({"type": "get_unread_count", "request_id": "all"});
    pipeline(&mut bob, reads.into_iter().chain([count])).await?;
    let counts = counts(&mut bob, 1).await?;
    ensure!(counts == [(json!("all"), json!(0))], "{counts:?}");
    finish_with(cluster, (NOTES + MESSAGES) as i64).await
}

pub(super) async fn a_count_sees_what_stands_before_it(cluster: Cluster) -> anyhow::Result<()> {
    let mut bob = open(&cluster, 2).await?;
    let reads = send_and_collect_reads(&cluster, &mut bob).await?;
    let count = |n: usize| json!({"type": "get_unread_count", "request_id": n});
    let frames = reads.into_iter().enumerate().flat_map(|(n, read)| [read, count(MESSAGES - n - 1)]);
    pipeline(&mut bob, frames).await?;
    let counts = counts(&mut bob, MESSAGES).await?;
    let expect: Vec<_> = (0..MESSAGES).rev().map(|n| (json!(n), json!(n))).collect();
    ensure!(counts == expect, "neither less nor more: {counts:?}");
    finish_with(cluster, MESSAGES as i64).await
}
