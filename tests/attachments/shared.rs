//! What is stored once for several, and for nobody any more.

use anyhow::{Context, ensure};
use switchboard_protocol::former::{Lists, Sent};
use switchboard_protocol::{AttachmentId, MessageId};

use super::kit::{
    age_uploads, check_collected, check_download, check_missing, check_stored, delete, n_stored, send_files,
    upload, upload_one,
};
use crate::harness::Cluster;
use crate::harness::http::{bearer, get, multipart, send};

async fn send_form(cluster: &Cluster, recipients: &[&str]) -> anyhow::Result<Sent> {
    let mut texts: Vec<_> = recipients.iter().map(|recipient| ("recipients", *recipient)).collect();
    texts.push(("content", "to all"));
    let (media_type, body) =
        multipart(&texts, &[("attachments", "a", b"for all"), ("attachments", "b", b"too")]);
    let headers = [bearer(1), media_type, "X-Requested-With: XMLHttpRequest".to_owned()];
    let answer = send(cluster.address(0), "POST", "/messages/send/", &headers, &body).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

/// The files of the newest message that a user received.
async fn newest_files(cluster: &Cluster, user: i64) -> anyhow::Result<Vec<AttachmentId>> {
    let answer = get(cluster.address(1), "/messages/get/", &[bearer(user)]).await?;
    let lists: Lists = serde_json::from_str(&answer.body)?;
    Ok(lists.received.first().context("no message")?.attachments.iter().map(|file| file.id).collect())
}

/// Has a node collect. What is younger than a day stays.
async fn collect(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.restart_node(1).await?;
    check_collected(cluster).await
}

pub(super) async fn several_recipients_share_what_is_stored(mut cluster: Cluster) -> anyhow::Result<()> {
    let sent = send_form(&cluster, &["2", "3", "4", "2", "nobody", "999999"]).await?;
    ensure!(sent.message_ids.len() == 3 && sent.message.contains("Skipped 2"), "{sent:?}");
    check_stored(&cluster, 2).await?;
    let mut files = Vec::new();
    for user in 2..=4 {
        files.push((user, newest_files(&cluster, user).await?));
    }
    for (user, ids) in &files {
        ensure!(ids.len() == 2);
        for (id, content) in ids.iter().zip([&b"for all"[..], b"too"]) {
            check_download(&cluster, *user, *id, content).await?;
            check_download(&cluster, 1, *id, content).await?;
        }
        for (_, others) in files.iter().filter(|(other, _)| other != user) {
            check_missing(&cluster, *user, others[0]).await?;
        }
    }
    let mut messages: Vec<(i64, MessageId)> = (2..).zip(sent.message_ids).collect();
    while let Some((user, message)) = messages.pop() {
        delete(cluster.address(0), 1, message).await?;
        collect(&mut cluster).await?;
        for (other, ids) in &files {
            let stays = messages.iter().any(|(left, _)| left == other);
            if stays {
                check_download(&cluster, *other, ids[0], b"for all").await?;
            } else {
                check_missing(&cluster, *other, ids[0]).await?;
                check_missing(&cluster, 1, ids[0]).await?;
            }
        }
        check_stored(&cluster, if messages.is_empty() { 0 } else { 2 }).await?;
        ensure!(user >= 2);
    }
    // Nobody to send to: nothing is kept.
    let (media_type, body) = multipart(&[("recipient", "999999")], &[("attachments", "a", b"lost")]);
    let answer = send(cluster.address(0), "POST", "/messages/send/", &[bearer(1), media_type], &body).await?;
    ensure!(answer.status == 400, "{}", answer.body);
    collect(&mut cluster).await?;
    check_stored(&cluster, 0).await?;
    cluster.finish().await
}

pub(super) async fn nobody_wants_them(mut cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let sent = upload_one(address, 1, "sent").await?.id;
    send_files(address, (1, 2), &[sent]).await?;
    let old = upload(address, 1, &[("old", b"old"), ("older", b"older")]).await?;
    age_uploads(&cluster).await?;
    let young = upload_one(address, 1, "young").await?.id;
    ensure!(n_stored(&cluster.attachments()) == 4);
    collect(&mut cluster).await?;
    check_stored(&cluster, 2).await?;
    for file in old {
        check_missing(&cluster, 1, file.id).await?;
    }
    check_download(&cluster, 1, young, b"this is young").await?;
    check_download(&cluster, 2, sent, b"this is sent").await?;
    send_files(cluster.address(0), (1, 3), &[young]).await?;
    check_download(&cluster, 3, young, b"this is young").await?;
    cluster.finish().await
}
