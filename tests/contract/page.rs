//! The section on scripts: what the former page does, from its first request on, and finds here.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::finish_with;
use super::pattern::{Findings, attachment, data};
use super::script::{Script, ask, check_quiet, count};
use crate::harness::Cluster;
use crate::harness::socket::Socket;

/// The page at S: a socket, the lists, and what it does on `new_message`.
pub(super) async fn contract_of_the_page(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    // On load and on open.
    let mut bobs = bob.socket(&cluster).await?;
    ensure!(count(&mut bobs).await? == 0, "script: on open, asks the unread count");
    ensure!(bob.json("/api/users/").await?["users"][0]["full_name"] == "User 1", "script: on load, users");
    ensure!(bob.json("/messages/get/").await?["received"] == json!([]), "script: on load, messages");
    // Ann fills in the dialog.
    let fields = [("recipient", "2"), ("subject", "Menu"), ("content", "See the file.")];
    let sent = ann.send_form(&fields, &[("attachments", "menu.txt", b"Soup")]).await?;
    let pushed = bobs.next().await?;
    let mut expect =
        json!({"type": "new_message", "seq": "<number>", "data": data(1, 2, "Menu", "See the file.")});
    expect["data"]["attachments"] = json!([attachment("menu.txt", 4)]);
    expect["data"]["message_id"] = sent["message_id"].clone();
    findings.compare("suffered: 2, script: on new_message", &pushed, &expect);
    // Bob's page asks the count, marks the message read, and reloads all.
    ensure!(count(&mut bobs).await? == 1, "script: on new_message, asks the count");
    let read = format!(r#"{{"type": "mark_as_read", "message_id": {}}}"#, sent["message_id"]);
    ensure!(ask(&mut bobs, &read).await?["type"] == "message_read", "script: marks read");
    ensure!(count(&mut bobs).await? == 0, "script: the badge clears");
    let lists = bob.json("/messages/get/").await?;
    let row = &lists["received"][0];
    // An id that the page compares strictly is the same number everywhere.
    findings.hold(
        "suffered: 23, ids are numbers",
        row["id"].is_u64() && row["id"] == pushed["data"]["message_id"],
        row,
    );
    findings.hold("script: reloads all, read by now", row["is_read"] == true, row);
    findings.hold("script: the same time", row["created_at"] == pushed["data"]["created_at"], row);
    for place in ["download_url", "url"] {
        let path = row["attachments"][0][place].as_str().context("a path")?;
        let answer = bob.get(path).await?;
        findings.hold(&format!("suffered: 31, {place}"), answer.bytes == b"Soup", answer.head);
    }
    // The script replaces the first 0 of `/messages/delete/0/`.
    let path = "/messages/delete/0/".replacen('0', &row["id"].to_string(), 1);
    ensure!(bob.post(&path, &[], &[]).await?.json()?["status"] == "success", "script: delete");
    ensure!(bobs.next().await?["type"] == "message_deleted");
    check_quiet("script: nothing else comes", &mut bobs).await?;
    findings.finish()?;
    finish_with(cluster, 1).await
}

/// The page at H, and whoever has no socket: it asks for lists and the count, again and again.
pub(super) async fn contract_of_polling(cluster: Cluster) -> anyhow::Result<()> {
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    ensure!(bob.json("/messages/get/").await?["unread_count"] == 0);
    let mut anns = ann.socket(&cluster).await?;
    let sent = ask(&mut anns, r#"{"type": "send_message", "recipient_id": 2, "content": "x"}"#).await?;
    // What was acknowledged is there, whichever node is asked, at the first look.
    for script in [&bob, &bob.on_other_node(&cluster)] {
        ensure!(script.unread().await? == 1, "script: polls the count");
        ensure!(
            script.json("/dashboard/notifications/").await?["total_unread"] == 1,
            "script: polls the bell"
        );
    }
    let lists = bob.on_other_node(&cluster).json("/messages/get/").await?;
    ensure!(lists["received"][0]["id"] == sent["message_id"] && lists["received"][0]["is_read"] == false);
    ensure!((lists["unread_count"].as_i64(), bob.unread().await?) == (Some(0), 0), "kept: it marks as read");
    ensure!(anns.next().await?["type"] == "read_receipt", "who polls gives receipts too");
    finish_with(cluster, 1).await
}

/// It connects again without a cursor, and asks for the count alone: the lists have what came in between. A script
/// that sends the cursor of its last frame gets it as if nothing had happened.
pub(super) async fn contract_of_a_broken_connection(mut cluster: Cluster) -> anyhow::Result<()> {
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    ann.send(2, "", "before").await?;
    let mut bobs = bob.socket(&cluster).await?;
    let live = ann.send(2, "", "live").await?;
    let seen = bobs.next().await?;
    ensure!(seen["data"]["message_id"] == live, "{seen}");
    cluster.stop_node(1).await?;
    let missed = ann.send(2, "", "missed").await?;
    let bob = bob.on_other_node(&cluster);
    let mut plain = bob.socket(&cluster).await?;
    ensure!(count(&mut plain).await? == 3, "script: on open, asks the unread count");
    check_quiet("script: without a cursor, from the present on", &mut plain).await?;
    let headers = [bob.cookie.clone()];
    let query = format!("cursor={}", seen["seq"]);
    let resumed = Socket::handshake_with(&cluster, 0, &headers, &query).await?;
    let mut resumed = resumed.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    ensure!(resumed.next().await?["type"] == "welcome");
    let frame = resumed.next().await?;
    ensure!(frame["data"]["message_id"] == missed, "suffered: 11, what was missed: {frame}");
    check_quiet("suffered: 11, and nothing twice", &mut resumed).await?;
    let lists = bob.json("/messages/get/").await?;
    let ids: Vec<&Value> =
        lists["received"].as_array().context("a list")?.iter().map(|row| &row["id"]).collect();
    ensure!(ids.len() == 3 && *ids[0] == missed && *ids[1] == live, "suffered: 11, the lists: {ids:?}");
    ensure!(bob.unread().await? == 0, "suffered: 11, the badge clears");
    finish_with(cluster, 3).await
}
