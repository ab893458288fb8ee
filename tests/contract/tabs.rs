//! What the other tabs of both parties see, and whether a badge clears.

use anyhow::ensure;
use serde_json::{Value, json};

use super::finish_with;
use super::pattern::Findings;
use super::script::{Script, ask, check_quiet, count};
use crate::harness::Cluster;

/// Each open socket of a user is a member of their group, on whichever node and in whichever session.
pub(super) async fn contract_of_tabs(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let bobs_phone = Script::log_in(&cluster, 0, 2).await?;
    let mut anns = [ann.socket(&cluster).await?, ann.on_other_node(&cluster).socket(&cluster).await?];
    let mut bobs =
        [bob.socket(&cluster).await?, bob.socket(&cluster).await?, bobs_phone.socket(&cluster).await?];
    let frame = r#"{"type": "send_message", "recipient_id": 2, "content": "x"}"#;
    anns[0].send(frame).await?;
    let mut sent = Value::Null;
    for socket in &mut anns {
        sent = socket.next().await?;
        findings.hold("suffered: 27, message_sent in each tab", sent["type"] == "message_sent", &sent);
    }
    for socket in &mut bobs {
        let pushed = socket.next().await?;
        let is_it = pushed["type"] == "new_message" && pushed["data"]["message_id"] == sent["message_id"];
        findings.hold("WebSocket: Group, new_message in each tab", is_it, &pushed);
    }
    let read = format!(r#"{{"type": "mark_as_read", "message_id": {}}}"#, sent["message_id"]);
    bobs[0].send(read).await?;
    for socket in &mut bobs {
        let read = socket.next().await?;
        let expect = json!({"type": "message_read", "seq": 2, "message_id": sent["message_id"], "status": "success",
                            "unread_count": 0});
        findings.compare("suffered: 26, message_read in each tab", &read, &expect);
    }
    for socket in &mut anns {
        let receipt = socket.next().await?;
        findings.hold("suffered: 26, read_receipt in each tab", receipt["type"] == "read_receipt", &receipt);
    }
    let form = ann.send(2, "", "by form").await?;
    for socket in &mut anns {
        let sent = socket.next().await?;
        let is_it = sent["type"] == "message_sent" && sent["message_id"] == form;
        findings.hold("suffered: 27, message_sent after a form", is_it, &sent);
    }
    for socket in &mut bobs {
        findings.hold("suffered: 2, each tab", socket.next().await?["data"]["message_id"] == form, "another");
        check_quiet("WebSocket: Group, once a tab", socket).await?;
    }
    findings.finish()?;
    finish_with(cluster, 2).await
}

/// Whatever was counted can be read, in each of the ways to read it.
pub(super) async fn contract_of_the_badge(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    let frame = r#"{"type": "send_message", "recipient_id": 2, "content": "x"}"#;
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(ask(&mut anns, frame).await?["message_id"].clone());
        ensure!(bobs.next().await?["type"] == "new_message");
        ensure!((bob.unread().await?, count(&mut bobs).await?) == (n, n), "suffered: 20, {n} of {n}");
    }
    let read = format!(r#"{{"type": "mark_as_read", "message_id": "{}"}}"#, ids[0]);
    ensure!(ask(&mut bobs, &read).await?["unread_count"] == 3, "suffered: 20, by frame");
    ensure!(bob.delete(&ids[1]).await?.status == 200);
    ensure!(bobs.next().await?["unread_count"] == 2, "suffered: 20, by deleting");
    ensure!(ann.delete(&ids[2]).await?.status == 200);
    ensure!(bobs.next().await?["unread_count"] == 1, "suffered: 20, by the sender's deleting");
    ensure!(bob.json("/messages/get/").await?["unread_count"] == 0, "suffered: 20, by the lists");
    ensure!(bobs.next().await?["message_ids"].is_null(), "of one message, it is named by `message_id`");
    ensure!((bob.unread().await?, count(&mut bobs).await?) == (0, 0), "suffered: 20, for good");
    finish_with(cluster, 4).await
}
