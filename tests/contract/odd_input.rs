//! Rows of the table `Odd input`, with what the rows kept of it say: an answer to each, nothing stored that is not
//! delivered, and no closed socket.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::finish_with;
use super::pattern::{Findings, data, error_frame};
use super::script::{Script, ask, check_quiet, count};
use crate::harness::Cluster;
use crate::harness::socket::Socket;

/// What each is refused with. Row, frame, code.
const REFUSED: &[(&str, &str, &str)] = &[
    ("not JSON", "no JSON", "invalid_json"),
    ("not JSON: cut off", r#"{"type": "get_unread_count""#, "invalid_json"),
    ("not JSON: empty", "", "invalid_json"),
    ("JSON but no object: []", "[]", "invalid_frame"),
    ("JSON but no object: 5", "5", "invalid_frame"),
    ("JSON but no object: text", r#""x""#, "invalid_frame"),
    ("JSON but no object: null", "null", "invalid_frame"),
    (
        "unknown recipient_id",
        r#"{"type": "send_message", "recipient_id": 9999, "content": "x"}"#,
        "unknown_recipient",
    ),
    ("no recipient_id", r#"{"type": "send_message", "content": "x"}"#, "missing_field"),
    (
        "recipient_id abc",
        r#"{"type": "send_message", "recipient_id": "abc", "content": "x"}"#,
        "invalid_field",
    ),
    ("recipient_id 2.0", r#"{"type": "send_message", "recipient_id": 2.0, "content": "x"}"#, "invalid_field"),
    (
        "recipient_id true",
        r#"{"type": "send_message", "recipient_id": true, "content": "x"}"#,
        "invalid_field",
    ),
    (
        "recipient_id ' 2'",
        r#"{"type": "send_message", "recipient_id": " 2", "content": "x"}"#,
        "invalid_field",
    ),
    ("no content", r#"{"type": "send_message", "recipient_id": 2}"#, "empty_message"),
    ("content empty", r#"{"type": "send_message", "recipient_id": 2, "content": ""}"#, "empty_message"),
    ("content null", r#"{"type": "send_message", "recipient_id": 2, "content": null}"#, "empty_message"),
    ("content a number", r#"{"type": "send_message", "recipient_id": 2, "content": 5}"#, "invalid_field"),
    (
        "content an object",
        r#"{"type": "send_message", "recipient_id": 2, "content": {"a": 1}}"#,
        "invalid_field",
    ),
    (
        "content with U+0000",
        r#"{"type": "send_message", "recipient_id": 2, "content": "\u0000"}"#,
        "invalid_field",
    ),
    ("mark_as_read: unknown id", r#"{"type": "mark_as_read", "message_id": 9999}"#, "not_found"),
    ("mark_as_read: foreign id", r#"{"type": "mark_as_read", "message_id": FOREIGN}"#, "not_found"),
    ("mark_as_read: of what one sent", r#"{"type": "mark_as_read", "message_id": OWN}"#, "not_found"),
    ("mark_as_read: no id", r#"{"type": "mark_as_read"}"#, "missing_field"),
    ("mark_as_read: abc", r#"{"type": "mark_as_read", "message_id": "abc"}"#, "invalid_field"),
];

pub(super) async fn contract_of_odd_input(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let carol = Script::log_in(&cluster, 1, 3).await?;
    let (foreign, own) = (carol.send(2, "", "x").await?, ann.send(2, "", "x").await?);
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    for (row, frame, code) in REFUSED {
        let frame = frame.replace("FOREIGN", &foreign.to_string()).replace("OWN", &own.to_string());
        let answer = ask(&mut anns, &frame).await?;
        findings.compare(row, &answer, &error_frame(code));
        let sentence = answer["error"].as_str().unwrap_or_default();
        // Texts of the database went out, with the row that they were about.
        let is_ours = !["violates", "relation", "expected a number", "DETAIL"]
            .iter()
            .any(|word| sentence.contains(word));
        findings.hold(&format!("suffered: 25, {row}"), is_ours, sentence);
        findings.hold(
            "kept: the text for bad JSON",
            *code != "invalid_json" || sentence == "Invalid JSON",
            sentence,
        );
    }
    let long = json!({"type": "send_message", "recipient_id": 2, "subject": "ä".repeat(256), "content": "x"});
    let answer = ask(&mut anns, &long.to_string()).await?;
    findings.compare("subject over 255 characters", &answer, &error_frame("subject_too_long"));
    anns.send(Message::binary(br#"{"type": "get_unread_count"}"#.as_slice())).await?;
    findings.compare("binary frame", &anns.next().await?, &error_frame("unsupported_data"));
    check_quiet("suffered: 24, the connection stays", &mut anns).await?;
    check_quiet("never stored but not delivered", &mut bobs).await?;
    ensure!(count(&mut bobs).await? == 2, "a foreign mark_as_read changes nothing");
    let n_sent = check_sent(&mut findings, &mut anns, &mut bobs).await?;
    findings.finish()?;
    finish_with(cluster, 2 + n_sent).await
}

/// What is taken, and how many messages come of it.
async fn check_sent(findings: &mut Findings, anns: &mut Socket, bobs: &mut Socket) -> anyhow::Result<i64> {
    let send = |to: &str| format!(r#"{{"type": "send_message", "recipient_id": {to}, "content": "x"}}"#);
    let mut ids = Vec::new();
    // The last two are the same `send_message` twice: there is no client id, so they are two messages.
    for to in [r#""2""#, r#""02""#, "2", "2"] {
        let sent = ask(anns, &send(to)).await?;
        let row = format!("recipient_id {to}: delivered");
        let pushed = json!({"type": "new_message", "seq": "<number>", "data": data(1, 2, "No Subject", "x")});
        let received: Value = bobs.next().await.with_context(|| row.clone())?;
        findings.compare(&row, &received, &pushed);
        findings.hold(&row, received["data"]["message_id"] == sent["message_id"], &sent);
        findings.hold("the same send_message twice", !ids.contains(&sent["message_id"]), &sent);
        ids.push(sent["message_id"].clone());
    }
    let sent = ask(anns, &send("1")).await?;
    findings.hold("own id: message_sent", sent["type"] == "message_sent", &sent);
    let pushed = json!({"type": "new_message", "seq": "<number>", "data": data(1, 1, "No Subject", "x")});
    findings.compare("own id: new_message", &anns.next().await?, &pushed);
    check_quiet("kept: oneself, arrives once", anns).await?;
    ensure!(count(anns).await? == 0, "kept: oneself, counts as read");
    Ok(5)
}
