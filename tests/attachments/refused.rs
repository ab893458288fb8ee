//! What is no upload, or stops being one, leaves nothing behind.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use switchboard_protocol::AttachmentId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::kit::{
    age_uploads, bytes, check_collected, check_stored, n_stored, send_files, sql, try_send, try_upload,
    upload, upload_one,
};
use crate::harness::http::{bearer, multipart, send};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, eventually};

pub(super) const SMALL: &[(&str, &str)] = &[("SWITCHBOARD_ATTACHMENTS__MAX_BYTES", "1000")];

pub(super) async fn too_many_files(cluster: Cluster) -> anyhow::Result<()> {
    let names: Vec<String> = (0..11).map(|n| format!("{n}.txt")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let answer = try_upload(cluster.address(0), 1, &files).await?;
    ensure!(
        (answer.status, &answer.json()?["code"]) == (400, &json!("too_many_attachments")),
        "{}",
        answer.body
    );
    check_stored(&cluster, 0).await?;
    let parts: Vec<_> = files.iter().map(|(name, bytes)| ("attachments", *name, *bytes)).collect();
    let (media_type, body) = multipart(&[("recipient", "2"), ("content", "x")], &parts);
    let answer = send(cluster.address(1), "POST", "/messages/send/", &[bearer(1), media_type], &body).await?;
    ensure!(
        (answer.status, &answer.json()?["code"]) == (400, &json!("too_many_attachments")),
        "{}",
        answer.body
    );
    check_stored(&cluster, 0).await?;
    let mut ids: Vec<_> =
        upload(cluster.address(0), 1, &files[..10]).await?.iter().map(|file| file.id).collect();
    ids.push(upload_one(cluster.address(0), 1, "one more").await?.id);
    let answer = try_send(cluster.address(0), (1, 2), &ids, json!({})).await?;
    ensure!(
        (answer.status, &answer.json()?["code"]) == (400, &json!("too_many_attachments")),
        "{}",
        answer.body
    );
    let mut socket = Socket::open(&cluster, 1, 1, "").await?;
    socket.next().await?;
    let frame = json!({"type": "send_message", "recipient_id": 2, "attachment_ids": ids});
    socket.send(frame.to_string()).await?;
    let error = socket.next().await?;
    ensure!(error["code"] == "too_many_attachments", "{error}");
    // Ten are not too many, and all come.
    send_files(cluster.address(0), (1, 2), &ids[..10]).await?;
    let sent = socket.next().await?;
    ensure!(sent["data"]["attachments"].as_array().is_some_and(|files| files.len() == 10), "{sent}");
    ensure!(cluster.store.count_messages().await? == 1);
    cluster.finish().await
}

pub(super) async fn too_large_a_file(cluster: Cluster) -> anyhow::Result<()> {
    let (fits, over) = (bytes(1_000), bytes(1_001));
    for files in [&[("over", &over[..])][..], &[("fits", &fits), ("over", &over)]] {
        let answer = try_upload(cluster.address(0), 1, files).await?;
        ensure!(
            (answer.status, &answer.json()?["code"]) == (413, &json!("attachment_too_large")),
            "{}",
            answer.body
        );
        check_stored(&cluster, 0).await?;
    }
    let files = [("attachments", "over", &over[..])];
    let (media_type, body) = multipart(&[("recipient", "2"), ("content", "x")], &files);
    let answer = send(cluster.address(1), "POST", "/messages/send/", &[bearer(1), media_type], &body).await?;
    ensure!(
        (answer.status, &answer.json()?["code"]) == (413, &json!("attachment_too_large")),
        "{}",
        answer.body
    );
    check_stored(&cluster, 0).await?;
    ensure!(cluster.store.count_messages().await? == 0);
    upload(cluster.address(0), 1, &[("fits", &fits), ("fits too", &fits)]).await?;
    check_stored(&cluster, 2).await?;
    cluster.finish().await
}

pub(super) async fn an_upload_cut_off_leaves_nothing(mut cluster: Cluster) -> anyhow::Result<()> {
    let kept = upload_one(cluster.address(0), 1, "kept").await?.id;
    send_files(cluster.address(0), (1, 2), &[kept]).await?;
    let large = bytes(2_000_000);
    let (media_type, body) =
        multipart(&[], &[("file", "small", b"a whole one before"), ("file", "large", &large)]);
    let head = format!(
        "POST /api/v1/attachments HTTP/1.1\r\nHost: x\r\n{}\r\n{media_type}\r\nContent-Length: {}\r\n\r\n",
        bearer(1),
        body.len()
    );
    let mut stream = TcpStream::connect(cluster.address(0)).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..1_000_000]).await?;
    // The whole one, and some of the other.
    let folder = cluster.attachments();
    let look = async || Ok((n_stored(&folder) == 3).then_some(()));
    eventually("the upload is under way", Duration::from_secs(10), look).await?;
    drop(stream);
    check_stored(&cluster, 1).await?;
    // Its rows tell of nothing that could be sent, and go with what else nobody wants.
    for id in kept.0 + 1..=kept.0 + 2 {
        let answer = try_send(cluster.address(0), (1, 2), &[AttachmentId(id)], json!({})).await?;
        ensure!(answer.json()?["code"] == "unknown_attachment", "{}", answer.body);
    }
    age_uploads(&cluster).await?;
    cluster.restart_node(1).await?;
    check_collected(&cluster).await?;
    if let Some(client) = sql(&cluster).await? {
        let one_row = async || {
            let rows: i64 = client.query_one("SELECT count(*) FROM attachments", &[]).await?.get(0);
            Ok((rows == 1).then_some(()))
        };
        eventually("the rows are gone", Duration::from_secs(10), one_row).await?;
    }
    check_stored(&cluster, 1).await?;
    cluster.finish().await
}

pub(super) async fn what_is_no_upload(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let path = "/api/v1/attachments";
    let form = "Content-Type: multipart/form-data; boundary=b".to_owned();
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n";
    for (media_type, body, status, code) in [
        ("Content-Type: application/json".to_owned(), "{}".to_owned(), 415, "unsupported_media_type"),
        ("X-Nothing: 1".to_owned(), String::new(), 415, "unsupported_media_type"),
        ("Content-Type: multipart/form-data".to_owned(), String::new(), 400, "invalid_field"),
        (form.clone(), "--b--\r\n".to_owned(), 400, "missing_field"),
        (form.clone(), format!("{part}\r\n--b--\r\n"), 400, "missing_field"),
        (form.clone(), format!("{part}no end"), 400, "invalid_field"),
        (form.clone(), "no form at all".to_owned(), 400, "invalid_field"),
    ] {
        let answer = send(address, "POST", path, &[bearer(1), media_type.clone()], body.as_bytes()).await?;
        let found = (answer.status, answer.json()?["code"].clone());
        ensure!(found == (status, json!(code)), "{media_type} {body:?}: {} {}", answer.status, answer.body);
    }
    let (media_type, body) = multipart(&[], &[("f", "x", b"x")]);
    let answer = send(address, "POST", path, &[media_type], &body).await?;
    ensure!(answer.status == 401, "{}", answer.body);
    check_stored(&cluster, 0).await?;
    cluster.finish().await
}
