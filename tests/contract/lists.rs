//! Rows of the section `HTTP` on what can be read: users, lists, the count, the bell menu.

use anyhow::ensure;
use serde_json::{Value, json};
use switchboard_protocol::UserId;
use switchboard_store::Import;

use super::finish_with;
use super::pattern::{Findings, check, listed};
use super::script::Script;
use crate::harness::{Cluster, USERS};

pub(super) async fn contract_of_users(cluster: Cluster) -> anyhow::Result<()> {
    let nameless = Import { username: "nameless".to_owned(), full_name: String::new(), password_hash: None };
    let ids = cluster.store.import_users(vec![nameless]).await?;
    ensure!(ids == [UserId(USERS + 1)]);
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let user = |id: i64| {
        json!({"id": id, "username": format!("user{id}"), "full_name": format!("User {id}"), "role": "user",
               "sections": []})
    };
    let mut users: Vec<Value> = (1..=USERS).map(user).collect();
    users.push(
        json!({"id": USERS + 1, "username": "nameless", "full_name": "", "role": "user", "sections": []}),
    );
    check("HTTP: /api/users/", &ann.json("/api/users/").await?, &json!({"users": users}))?;
    // Who has no full name is called by their user name.
    let id = ann.send(USERS + 1, "", "x").await?;
    let mut message = listed(&id, (1, USERS + 1), ("No Subject", "x"), false, "sent");
    message["recipient"] = json!("nameless");
    check("HTTP: recipient", &ann.json("/messages/get/").await?["sent"], &json!([message]))?;
    finish_with(cluster, 1).await
}

pub(super) async fn contract_of_lists(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let nothing = json!({"received": [], "sent": [], "archive": [], "unread_count": 0});
    findings.compare("/messages/get/, nothing yet", &bob.json("/messages/get/").await?, &nothing);
    let first = ann.send(2, "", "one").await?;
    let second = ann.send(2, "Two", "two").await?;
    let third = bob.send(1, "Re: Two", "three").await?;
    ensure!((bob.unread().await?, ann.unread().await?) == (2, 1), "/messages/unread/");
    let mut bobs = bob.socket(&cluster).await?;
    let mut anns = ann.socket(&cluster).await?;
    let one = |is_read| listed(&first, (1, 2), ("No Subject", "one"), is_read, "received");
    let two = |is_read| listed(&second, (1, 2), ("Two", "two"), is_read, "received");
    let three = |is_read, kind| listed(&third, (2, 1), ("Re: Two", "three"), is_read, kind);
    let lists = |is_read| {
        let sent = three(false, "sent");
        json!({"received": [two(is_read), one(is_read)], "sent": [sent], "archive": [sent, two(is_read), one(is_read)],
               "unread_count": 0})
    };
    // The count is taken afterwards, the lists before.
    let got = bob.json("/messages/get/").await?;
    findings.compare("/messages/get/, marks as read what it returns", &got, &lists(false));
    let got = bob.json("/messages/get/").await?;
    findings.compare("/messages/get/, again", &got, &lists(true));
    ensure!((bob.unread().await?, ann.unread().await?) == (0, 1), "/messages/get/ marks one's own only");
    let read = json!({
        "type": "message_read", "seq": "<number>", "message_id": second, "message_ids": [first, second],
        "status": "success", "unread_count": 0,
    });
    findings.compare("suffered: 26, message_read", &bobs.next().await?, &read);
    let receipt = json!({
        "type": "read_receipt", "seq": "<number>", "message_id": second, "message_ids": [first, second],
        "reader_id": 2, "read_at": "<time>",
    });
    findings.compare("suffered: 26, read_receipt", &anns.next().await?, &receipt);
    // To the sender it is told whether it was read.
    let sent = |id: &Value, subject, content| listed(id, (1, 2), (subject, content), true, "sent");
    let (one, two) = (sent(&first, "No Subject", "one"), sent(&second, "Two", "two"));
    let three = three(false, "received");
    let expect =
        json!({"received": [three], "sent": [two, one], "archive": [three, two, one], "unread_count": 0});
    findings.compare("/messages/get/, the sender's", &ann.json("/messages/get/").await?, &expect);
    findings.finish()?;
    finish_with(cluster, 3).await
}

pub(super) async fn contract_of_notifications(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let menu = |unread: i64, subjects: &[&str]| {
        let line = |subject: &&str| {
            json!({"type": "message", "label": "New message", "title": "User 1", "subtitle": subject,
                   "created_at": "<time>", "created_at_epoch": "<number>", "target": "/"})
        };
        json!({"unread_messages": unread, "pending_tasks": 0, "total_unread": unread,
               "has_notifications": unread > 0, "latest_notifications": subjects.iter().map(line).collect::<Vec<_>>()})
    };
    let path = "/dashboard/notifications/";
    findings.compare("notifications, none", &bob.json(path).await?, &menu(0, &[]));
    for subject in ["1", "2", "3", "4", "5", "<b>6</b>", ""] {
        ann.send(2, subject, "x").await?;
    }
    let latest = ["No Subject", "<b>6</b>", "5", "4", "3"];
    let got = bob.json(path).await?;
    findings.compare("notifications, five, the newest first", &got, &menu(7, &latest));
    let epoch = got["latest_notifications"][0]["created_at_epoch"].as_i64().unwrap_or_default();
    let now = switchboard_protocol::Timestamp::now().0 / 1_000_000;
    findings.hold("notifications, created_at_epoch", (now - 600..=now).contains(&epoch), epoch);
    findings.compare("notifications, read nothing", &bob.json(path).await?, &menu(7, &latest));
    findings.compare("notifications, the sender has none", &ann.json(path).await?, &menu(0, &[]));
    bob.json("/messages/get/?limit=6").await?;
    findings.compare("notifications, past what is read", &bob.json(path).await?, &menu(1, &["1"]));
    findings.finish()?;
    finish_with(cluster, 7).await
}
