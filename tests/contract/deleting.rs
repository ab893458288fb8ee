//! The row kept on `POST /messages/delete/<id>/`.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::finish_with;
use super::pattern::{Findings, check, refusal};
use super::script::{Script, check_quiet};
use crate::harness::Cluster;

/// The entry that those are told by whose lists it leaves.
fn deleted(message: &Value, unread_count: i64) -> Value {
    json!({"type": "message_deleted", "seq": "<number>", "message_id": message, "unread_count": unread_count})
}

async fn check_deleted(script: &Script, message: &Value) -> anyhow::Result<()> {
    let answer = script.delete(message).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    check("delete", &answer.json()?, &json!({"status": "success", "message": "Message deleted"}))
}

/// Sends a message with a file to two users, and gives for each its id and where its file is.
async fn send_with_file(ann: &Script) -> anyhow::Result<Vec<(Value, String)>> {
    let fields = [("recipients", "2"), ("recipients", "3"), ("content", "x")];
    ann.send_form(&fields, &[("attachments", "a.txt", b"abc")]).await?;
    let lists = ann.json("/messages/get/").await?;
    let sent = lists["sent"].as_array().context("a list")?.iter().rev();
    let place = |message: &Value| message["attachments"][0]["download_url"].as_str().map(str::to_owned);
    sent.map(|message| Ok((message["id"].clone(), place(message).context("a file")?))).collect()
}

async fn list(script: &Script, list: &str) -> anyhow::Result<Vec<Value>> {
    let lists = script.json("/messages/get/").await?;
    let messages = lists[list].as_array().context("a list")?;
    Ok(messages.iter().map(|message| message["id"].clone()).collect())
}

pub(super) async fn contract_of_deleting(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let (bob, carol) = (Script::log_in(&cluster, 1, 2).await?, Script::log_in(&cluster, 1, 3).await?);
    let sent = send_with_file(&ann).await?;
    let [(bobs_message, bobs_file), (carols_message, carols_file)] = &sent[..] else {
        anyhow::bail!("two messages: {sent:?}")
    };
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    let foreign = carol.delete(bobs_message).await?;
    let missing = carol.delete(&json!(99_999)).await?;
    for (row, answer) in [("delete: stranger", &foreign), ("delete: unknown id", &missing)] {
        findings.hold(row, answer.status == 404 && answer.body == missing.body, &answer.head);
        findings.compare(row, &answer.json().unwrap_or(Value::Null), &refusal("not_found"));
    }
    ensure!(bob.unread().await? == 1);
    check_deleted(&ann, bobs_message).await?;
    findings.compare("kept: both are told, the sender", &anns.next().await?, &deleted(bobs_message, 0));
    findings.compare("kept: both are told, the recipient", &bobs.next().await?, &deleted(bobs_message, 0));
    ensure!(bob.unread().await? == 0, "what is gone is not unread");
    for (script, from, left) in [(&ann, "sent", vec![carols_message.clone()]), (&bob, "received", vec![])] {
        for name in [from, "archive"] {
            let got = list(script, name).await?;
            findings.hold("kept: the sender's removes it for both", got == left, format!("{name}: {got:?}"));
        }
        let answer = script.get(bobs_file).await?;
        findings.hold("kept: files go with it", answer.status == 404, answer.head);
        let again = script.delete(bobs_message).await?;
        findings.hold("delete: again", again.status == 404 && again.body == missing.body, again.head);
    }
    for script in [&ann, &carol] {
        let answer = script.get(carols_file).await?;
        findings.hold("kept: files go with the last reference", answer.bytes == b"abc", answer.head);
    }
    for socket in [&mut anns, &mut bobs] {
        check_quiet("kept: told once", socket).await?;
    }
    findings.finish()?;
    finish_with(cluster, 2).await
}

pub(super) async fn contract_of_deleting_by_the_recipient(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let sent = send_with_file(&ann).await?;
    let (message, file) = sent.first().context("a message")?;
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    check_deleted(&bob, message).await?;
    findings.compare("kept: the recipient's, their tabs are told", &bobs.next().await?, &deleted(message, 0));
    check_quiet("kept: the recipient's, nobody else is told", &mut anns).await?;
    findings.hold(
        "kept: the recipient's, from their lists",
        list(&bob, "received").await?.is_empty(),
        "received",
    );
    findings.hold(
        "kept: the recipient's, from their archive",
        list(&bob, "archive").await?.is_empty(),
        "archive",
    );
    let left = list(&ann, "sent").await?;
    findings.hold("suffered: 28, the sender's lists keep it", left.contains(message), format!("{left:?}"));
    let answer = ann.get(file).await?;
    findings.hold("suffered: 28, the sender's file", answer.bytes == b"abc", answer.head);
    findings.hold("kept: the recipient's, the file", bob.get(file).await?.status == 404, "it is there");
    findings.hold("kept: the recipient's, again", bob.delete(message).await?.status == 404, "it is there");
    // What is left of it goes with the sender's.
    check_deleted(&ann, message).await?;
    findings.compare("kept: the sender's, after that", &anns.next().await?, &deleted(message, 0));
    findings.hold("kept: the last reference", ann.get(file).await?.status == 404, "the file is there");
    check_quiet("kept: who has deleted it is told nothing", &mut bobs).await?;
    // To oneself, one is both.
    let own = ann.send(1, "", "note").await?;
    for kind in ["message_sent", "new_message"] {
        ensure!(anns.next().await?["type"] == kind);
    }
    check_deleted(&ann, &own).await?;
    findings.compare("kept: oneself, deleted", &anns.next().await?, &deleted(&own, 0));
    check_quiet("kept: oneself, deleted once", &mut anns).await?;
    findings.finish()?;
    finish_with(cluster, 3).await
}
