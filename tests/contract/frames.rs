//! Rows of the tables `Client to server` and `Server to client`: every frame, as the former scripts write and read it.

use anyhow::ensure;
use serde_json::{Value, json};

use super::finish_with;
use super::pattern::{Findings, data, error_frame};
use super::script::{Script, ask, check_quiet, count};
use crate::harness::Cluster;

/// Row, frame, subject and content that arrive. Written as Python writes JSON, and the last as a browser does.
const SENDS: &[(&str, &str, &str, &str)] = &[
    (
        "send_message",
        r#"{"type": "send_message", "recipient_id": 2, "subject": "Lunch", "content": "At noon?"}"#,
        "Lunch",
        "At noon?",
    ),
    (
        "send_message: recipient_id, digits",
        r#"{"type": "send_message", "recipient_id": "2", "subject": "Lunch", "content": "At noon?"}"#,
        "Lunch",
        "At noon?",
    ),
    (
        "send_message: subject, default",
        r#"{"type": "send_message", "recipient_id": 2, "content": "x"}"#,
        "No Subject",
        "x",
    ),
    (
        "send_message: subject, empty",
        r#"{"type": "send_message", "recipient_id": 2, "subject": "", "content": "x"}"#,
        "No Subject",
        "x",
    ),
    (
        "send_message: subject, null",
        r#"{"type": "send_message", "recipient_id": 2, "subject": null, "content": "x"}"#,
        "No Subject",
        "x",
    ),
    (
        "send_message: content, as sent",
        r#"{"type": "send_message", "recipient_id": 2, "content": " <b>\u00e4\ud83c\udf0d</b> & \"x\"\n "}"#,
        "No Subject",
        " <b>ä\u{1F30D}</b> & \"x\"\n ",
    ),
    (
        "send_message: fields that nobody knows",
        r#"{"priority": 1, "type": "send_message", "csrf": {"a": [1, null]}, "recipient_id": 2, "content": "x"}"#,
        "No Subject",
        "x",
    ),
    (
        "send_message: no spaces",
        r#"{"type":"send_message","recipient_id":2,"content":"x"}"#,
        "No Subject",
        "x",
    ),
];

pub(super) async fn contract_of_sends(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    for (row, frame, subject, content) in SENDS {
        let sent = ask(&mut anns, frame).await?;
        let mut message = data(1, 2, subject, content);
        message["message_id"] = sent["message_id"].clone();
        let acknowledgement = json!({
            "type": "message_sent", "message_id": "<number>", "status": "success",
            // Ours.
            "seq": "<number>", "data": message,
        });
        findings.compare(row, &sent, &acknowledgement);
        let received = bobs.next().await?;
        let push = json!({"type": "new_message", "data": message, "seq": "<number>"});
        findings.compare(&format!("new_message, after {row}"), &received, &push);
    }
    check_quiet("message_sent: to this socket, once", &mut anns).await?;
    check_quiet("new_message: once", &mut bobs).await?;
    findings.finish()?;
    finish_with(cluster, SENDS.len().try_into()?).await
}

pub(super) async fn contract_of_frames(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    for as_digits in [false, true] {
        let frame = r#"{"type": "send_message", "recipient_id": 2, "content": "x"}"#;
        let sent = ask(&mut anns, frame).await?;
        ensure!(bobs.next().await?["type"] == "new_message");
        ensure!(count(&mut bobs).await? == 1, "get_unread_count: unread rows of the caller");
        ensure!(count(&mut anns).await? == 0, "get_unread_count: of the caller alone");
        let id = &sent["message_id"];
        // It echoed what it was sent; digits mean the number.
        let id_as_sent = if as_digits { json!(id.to_string()) } else { id.clone() };
        let read =
            ask(&mut bobs, &format!(r#"{{"type": "mark_as_read", "message_id": {id_as_sent}}}"#)).await?;
        let expect = json!({
            "type": "message_read", "message_id": id, "status": "success",
            // Ours.
            "seq": "<number>", "unread_count": 0,
        });
        findings.compare(&format!("mark_as_read: {id_as_sent}"), &read, &expect);
        let receipt = json!({
            "type": "read_receipt", "seq": "<number>", "message_id": id, "reader_id": 2, "read_at": "<time>",
        });
        findings.compare("suffered: 26, the sender is told", &anns.next().await?, &receipt);
        ensure!(count(&mut bobs).await? == 0, "mark_as_read: counts no more");
        // Success again, as it was always.
        let again = ask(&mut bobs, &format!(r#"{{"type": "mark_as_read", "message_id": {id}}}"#)).await?;
        let mut expect = expect;
        expect["repeat"] = json!(true);
        findings.compare("mark_as_read: again", &again, &expect);
    }
    // Nothing came of these: neither an effect nor an answer.
    let others = [
        (r#"{"type": "shout", "recipient_id": 2}"#, "unknown_type"),
        (r#"{"type": "new_message", "data": {}}"#, "unknown_type"),
        (r#"{"type": ""}"#, "unknown_type"),
        (r#"{"type": null}"#, "unknown_type"),
        (r#"{"message_id": 1}"#, "unknown_type"),
        ("{}", "unknown_type"),
    ];
    for (frame, code) in others {
        let answer: Value = ask(&mut anns, frame).await?;
        findings.compare(&format!("anything else, or no type: {frame}"), &answer, &error_frame(code));
    }
    check_quiet("anything else: no effect", &mut anns).await?;
    check_quiet("anything else: no effect on others", &mut bobs).await?;
    findings.finish()?;
    finish_with(cluster, 2).await
}
