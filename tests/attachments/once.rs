//! A file goes with one message, whoever asks at once, and asking again changes nothing.

use anyhow::ensure;
use futures_util::future::join;
use serde_json::{Value, json};
use switchboard_protocol::AttachmentId;

use super::kit::{check_collected, check_download, check_missing, delete, try_send, upload_one};
use crate::harness::Cluster;

pub(super) async fn a_file_has_one_message(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let file = upload_one(one, 1, "file").await?.id;
    let first = try_send(one, (1, 2), &[file], json!({})).await?;
    ensure!(first.status == 201, "{}", first.body);
    for (address, recipient) in [(one, 2), (two, 2), (two, 3), (one, 1)] {
        let again = try_send(address, (1, recipient), &[file], json!({"content": "again"})).await?;
        ensure!(
            (again.status, &again.json()?["code"]) == (404, &json!("unknown_attachment")),
            "{}",
            again.body
        );
    }
    // None of several is taken if one of them cannot be.
    let other = upload_one(one, 1, "other").await?.id;
    let mixed = try_send(two, (1, 3), &[other, file], json!({})).await?;
    ensure!(mixed.json()?["code"] == "unknown_attachment", "{}", mixed.body);
    ensure!(try_send(two, (1, 3), &[other], json!({})).await?.status == 201);
    let twice = upload_one(one, 1, "twice").await?.id;
    let twice = try_send(two, (1, 3), &[twice, twice], json!({})).await?;
    ensure!((twice.status, &twice.json()?["code"]) == (400, &json!("invalid_field")), "{}", twice.body);
    ensure!(cluster.store.count_messages().await? == 2);
    cluster.finish().await
}

pub(super) async fn two_nodes_race_for_a_file(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    for round in 0..20 {
        let file = upload_one(one, 1, "file").await?.id;
        // The same mailboxes, or none in common but the sender's.
        let other = 2 + round % 2;
        let (a, b) = join(
            try_send(one, (1, 2), &[file], json!({"content": "a"})),
            try_send(two, (1, other), &[file], json!({"content": "b"})),
        )
        .await;
        let (a, b) = (a?, b?);
        let mut both = [a.status, b.status];
        both.sort_unstable();
        ensure!(both == [201, 404], "{} {}", a.body, b.body);
        let (sent, refused) = if a.status == 201 { ((2, a), b) } else { ((other, b), a) };
        ensure!(refused.json()?["code"] == "unknown_attachment", "{}", refused.body);
        ensure!(sent.1.json()?["data"]["attachments"][0]["id"] == file.0, "{}", sent.1.body);
        check_download(&cluster, sent.0, file, b"this is file").await?;
        if other == 3 {
            check_missing(&cluster, 5 - sent.0, file).await?;
        }
    }
    // The same request on both at once is one message.
    for round in 0..10 {
        let file = upload_one(one, 1, "file").await?.id;
        let more = json!({"client_message_id": format!("race-{round}")});
        let (a, b) =
            join(try_send(one, (1, 2), &[file], more.clone()), try_send(two, (1, 2), &[file], more.clone()))
                .await;
        let (a, b) = (a?, b?);
        ensure!(a.status + b.status == 401, "201 and 200: {} {}", a.body, b.body);
        ensure!(a.json()? == b.json()?, "{} {}", a.body, b.body);
    }
    ensure!(cluster.store.count_messages().await? == 30);
    cluster.finish().await
}

pub(super) async fn a_resend_with_its_files_is_a_repeat(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let mut files = Vec::new();
    for name in ["a", "b", "c"] {
        files.push(upload_one(one, 1, name).await?.id);
    }
    let more = json!({"content": "x", "client_message_id": "c1"});
    let first = try_send(one, (1, 2), &files[..2], more.clone()).await?;
    ensure!(first.status == 201, "{}", first.body);
    for address in [one, two] {
        let again = try_send(address, (1, 2), &files[..2], more.clone()).await?;
        ensure!(again.status == 200 && again.json()? == first.json()?, "{}", again.body);
    }
    let others: [&[AttachmentId]; 4] = [&files[1..], &files[..1], &files, &[]];
    for others in others {
        let other = try_send(two, (1, 2), others, more.clone()).await?;
        ensure!(
            (other.status, &other.json()?["code"]) == (409, &json!("client_message_id_reused")),
            "{}",
            other.body
        );
    }
    // It took nothing: the third file can still be sent.
    ensure!(try_send(two, (1, 3), &files[2..], json!({})).await?.status == 201);
    cluster.finish().await
}

/// The answer to the first request was lost, the message deleted elsewhere: the outbox repeats, and is not refused.
pub(super) async fn a_resend_after_a_deletion_is_a_repeat(mut cluster: Cluster) -> anyhow::Result<()> {
    let more = json!({"content": "x", "client_message_id": "c1"});
    let file = upload_one(cluster.address(0), 1, "a").await?.id;
    let mut id = Value::Null;
    for collected in [false, true] {
        if collected {
            cluster.restart_node(1).await?;
            check_collected(&cluster).await?;
        }
        let answer = try_send(cluster.address(0), (1, 2), &[file], more.clone()).await?;
        if id.is_null() {
            id = answer.json()?["message_id"].clone();
            delete(cluster.address(1), 1, serde_json::from_value(id.clone())?).await?;
            let again = try_send(cluster.address(0), (1, 2), &[file], more.clone()).await?;
            ensure!(again.status == 200 && again.json()?["message_id"] == id, "deleted: {}", again.body);
        } else {
            ensure!(answer.status == 200 && answer.json()?["message_id"] == id, "collected: {}", answer.body);
        }
    }
    ensure!(cluster.store.count_messages().await? == 1);
    cluster.finish().await
}
