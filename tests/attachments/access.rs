//! Who may have a file. For all others it is as if it had never been.

use anyhow::{Context, ensure};
use serde_json::json;
use switchboard_protocol::AttachmentId;

use super::kit::{check_download, check_missing, delete, send_files, try_send, upload_one, urls};
use crate::harness::Cluster;
use crate::harness::http::{bearer, get, log_in, origin, send};
use crate::harness::socket::Socket;

pub(super) async fn a_file_is_for_those_who_have_its_message(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let file = upload_one(address, 1, "secret").await?;
    check_download(&cluster, 1, file.id, b"this is secret").await?;
    for user in [2, 3] {
        check_missing(&cluster, user, file.id).await?;
    }
    // Nor can they send what is not theirs, or find out that it is there.
    for id in [file.id, AttachmentId(999_999)] {
        let answer = try_send(cluster.address(1), (2, 3), &[id], json!({"content": "x"})).await?;
        ensure!(
            (answer.status, &answer.json()?["code"]) == (404, &json!("unknown_attachment")),
            "{}",
            answer.body
        );
        ensure!(!answer.body.contains(&id.to_string()), "{}", answer.body);
        let mut socket = Socket::open(&cluster, 1, 2, "").await?;
        socket.next().await?;
        let frame =
            json!({"type": "send_message", "recipient_id": 3, "content": "x", "attachment_ids": [id]});
        socket.send(frame.to_string()).await?;
        let error = socket.next().await?;
        ensure!(error["type"] == "error" && error["code"] == "unknown_attachment", "{error}");
    }
    let message = send_files(address, (1, 2), &[file.id]).await?;
    for user in [1, 2] {
        check_download(&cluster, user, file.id, b"this is secret").await?;
    }
    check_missing(&cluster, 3, file.id).await?;
    delete(cluster.address(1), 2, message).await?;
    check_missing(&cluster, 2, file.id).await?;
    check_download(&cluster, 1, file.id, b"this is secret").await?;
    delete(address, 1, message).await?;
    for user in [1, 2, 3] {
        check_missing(&cluster, user, file.id).await?;
    }
    // The sender's deletion alone takes it from both.
    let file = upload_one(address, 1, "another").await?;
    let message = send_files(address, (1, 2), &[file.id]).await?;
    delete(cluster.address(1), 1, message).await?;
    for user in [1, 2] {
        check_missing(&cluster, user, file.id).await?;
    }
    for id in
        ["0", "-1", "x", "1x", "9007199254740993", "99999999999999999999", "%2e%2e", "1%00", "1%2f..%2f1"]
    {
        for url in [format!("/api/v1/attachments/{id}"), format!("/messages/download/{id}/")] {
            let answer = get(address, &url, &[bearer(1)]).await?;
            ensure!(answer.status == 404, "{url}: {} {}", answer.status, answer.body);
        }
    }
    cluster.finish().await
}

pub(super) async fn logged_out_is_logged_out(cluster: Cluster) -> anyhow::Result<()> {
    let file = upload_one(cluster.address(0), 1, "secret").await?;
    send_files(cluster.address(0), (1, 2), &[file.id]).await?;
    let cookie = log_in(cluster.address(0), 2).await?;
    for url in urls(file.id) {
        let answer = get(cluster.address(1), &url, std::slice::from_ref(&cookie)).await?;
        ensure!(answer.status == 200 && answer.body == "this is secret", "{}", answer.body);
    }
    let headers = [cookie.clone(), origin(cluster.address(0))];
    let answer = send(cluster.address(0), "POST", "/api/v1/auth/logout", &headers, &[]).await?;
    ensure!(answer.status == 204, "{}", answer.body);
    for node in 0..2 {
        for (url, unknown) in urls(file.id).into_iter().zip(urls(AttachmentId(999_999))) {
            for credentials in [vec![cookie.clone()], vec![]] {
                let answer = get(cluster.address(node), &url, &credentials).await?;
                ensure!(answer.status == 401 && !answer.body.contains("secret"), "{}", answer.body);
                let missing = get(cluster.address(node), &unknown, &credentials).await?;
                ensure!((missing.status, &missing.body) == (answer.status, &answer.body), "{}", missing.body);
            }
        }
    }
    let answer = get(cluster.address(0), &urls(file.id)[1], &[]).await?;
    let error = answer.json()?["error"].as_str().context("no sentence")?.to_owned();
    ensure!(error == "Unauthorized", "{error}");
    cluster.finish().await
}
