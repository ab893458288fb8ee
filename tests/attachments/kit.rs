//! Uploads, sends and downloads in a line each, and a look at what is stored.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use switchboard_protocol::api::{Sent, Uploaded};
use switchboard_protocol::{Attachment, AttachmentId, MessageId, Timestamp};

use crate::harness::http::{Answer, bearer, get, multipart, send, send_json};
use crate::harness::{Cluster, DEADLINE, eventually};

/// The beginning of any PNG.
pub(crate) const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

/// Bytes that repeat nowhere soon, so that a shift would show.
pub(crate) fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// Uploads files, each a name and its bytes.
pub(crate) async fn upload(
    address: SocketAddr,
    user: i64,
    files: &[(&str, &[u8])],
) -> anyhow::Result<Vec<Attachment>> {
    let answer = try_upload(address, user, files).await?;
    ensure!(answer.status == 201, "{} {}", answer.status, answer.body);
    let Uploaded { attachments } = serde_json::from_str(&answer.body)?;
    Ok(attachments)
}

/// The same, with whatever comes of it.
pub(crate) async fn try_upload(
    address: SocketAddr,
    user: i64,
    files: &[(&str, &[u8])],
) -> anyhow::Result<Answer> {
    let files: Vec<_> = files.iter().map(|(name, bytes)| ("file", *name, *bytes)).collect();
    let (media_type, body) = multipart(&[], &files);
    send(address, "POST", "/api/v1/attachments", &[bearer(user), media_type], &body).await
}

/// One small file.
pub(crate) async fn upload_one(address: SocketAddr, user: i64, name: &str) -> anyhow::Result<Attachment> {
    let content = format!("this is {name}");
    upload(address, user, &[(name, content.as_bytes())]).await?.pop().context("no file")
}

/// Sends a message with files; `more` are further fields.
pub(crate) async fn try_send(
    address: SocketAddr,
    (sender, recipient): (i64, i64),
    files: &[AttachmentId],
    more: Value,
) -> anyhow::Result<Answer> {
    let mut body = json!({"recipient_id": recipient, "attachment_ids": files});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    send_json(address, "POST", "/api/v1/messages", &[bearer(sender)], &body).await
}

/// The same, where it must be sent.
pub(crate) async fn send_files(
    address: SocketAddr,
    (sender, recipient): (i64, i64),
    files: &[AttachmentId],
) -> anyhow::Result<MessageId> {
    let answer = try_send(address, (sender, recipient), files, json!({})).await?;
    ensure!(answer.status == 201, "{} {}", answer.status, answer.body);
    Ok(serde_json::from_str::<Sent>(&answer.body)?.message_id)
}

/// Deletes a message.
pub(crate) async fn delete(address: SocketAddr, user: i64, message: MessageId) -> anyhow::Result<()> {
    let path = format!("/api/v1/messages/{message}");
    let answer = send(address, "DELETE", &path, &[bearer(user)], &[]).await?;
    ensure!(answer.status == 204, "{} {}", answer.status, answer.body);
    Ok(())
}

/// Both addresses of a file.
pub(crate) fn urls(file: AttachmentId) -> [String; 2] {
    [format!("/api/v1/attachments/{file}"), format!("/messages/download/{file}/")]
}

/// A file, by each address on each node: it is there, with these bytes.
#[track_caller]
pub(crate) fn check_download<'a>(
    cluster: &'a Cluster,
    user: i64,
    file: AttachmentId,
    expect: &'a [u8],
) -> impl Future<Output = anyhow::Result<()>> + 'a {
    let place = std::panic::Location::caller();
    async move {
        for (node, url) in (0..2).flat_map(|node| urls(file).map(|url| (node, url))) {
            let answer = get(cluster.address(node), &url, &[bearer(user)]).await?;
            ensure!(answer.status == 200, "{place}: {url} for {user}: {}", answer.body);
            ensure!(answer.bytes == expect, "{place}: {url} has {} bytes", answer.bytes.len());
        }
        Ok(())
    }
}

/// A file by each address on each node: exactly what is said of one that never was.
#[track_caller]
pub(crate) fn check_missing(
    cluster: &Cluster,
    user: i64,
    file: AttachmentId,
) -> impl Future<Output = anyhow::Result<()>> + '_ {
    let place = std::panic::Location::caller();
    async move {
        for node in 0..2 {
            for (url, unknown) in urls(file).into_iter().zip(urls(AttachmentId(999_999))) {
                let found = get(cluster.address(node), &url, &[bearer(user)]).await?;
                let missing = get(cluster.address(node), &unknown, &[bearer(user)]).await?;
                ensure!(found.status == 404, "{place}: {url} for {user}: {}", found.status);
                ensure!((found.status, &found.body) == (missing.status, &missing.body), "{}", found.body);
            }
        }
        Ok(())
    }
}

/// The files in the folder of attachments, those that are not whole yet too.
pub(crate) fn n_stored(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { n_stored(&entry.path()) } else { 1 }).sum()
}

/// Waits until there are so many.
pub(crate) async fn check_stored(cluster: &Cluster, n_expected: usize) -> anyhow::Result<()> {
    let folder = cluster.attachments();
    let look = async || Ok((n_stored(&folder) == n_expected).then_some(()));
    let found = eventually("files in the folder", DEADLINE, look).await;
    found.with_context(|| format!("{} files instead of {n_expected}", n_stored(&folder)))
}

/// A client of the cluster's Postgres, if it has one.
pub(crate) async fn sql(cluster: &Cluster) -> anyhow::Result<Option<tokio_postgres::Client>> {
    let Some(postgres) = &cluster.postgres else { return Ok(None) };
    let url = postgres.url().replace("/postgres", "/switchboard").replace("//switchboard@", "//postgres@");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(Some(client))
}

/// Lets two days pass for what was uploaded, as far as the collector can tell. It looks when a node starts.
pub(crate) async fn age_uploads(cluster: &Cluster) -> anyhow::Result<()> {
    if let Some(client) = sql(cluster).await? {
        let two_days = 2 * 86_400 * 1_000_000_i64;
        client.execute("UPDATE attachments SET created_at = created_at - $1", &[&two_days]).await?;
    } else {
        // There is no SQL to be had here: the first half of the collector's work, as if it were later.
        cluster.store.loose_files(Timestamp(Timestamp::now().0 + 60_000_000), 1_000).await?;
    }
    Ok(())
}

/// Waits until the store knows of no file whose bytes are to go.
pub(crate) async fn check_collected(cluster: &Cluster) -> anyhow::Result<()> {
    let look = async || Ok(cluster.store.loose_files(Timestamp(0), 1_000).await?.is_empty().then_some(()));
    eventually("loose files are collected", DEADLINE, look).await
}
