//! Files are there with their message: live, by replay, in every list, and byte for byte on either node.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use switchboard_protocol::former::{Lists, Sent as FormerSent};
use switchboard_protocol::{Attachment, ErrorCode, api, history};

use super::kit::{PNG, bytes, check_download, check_stored, upload, upload_one};
use crate::harness::Cluster;
use crate::harness::http::{bearer, get, multipart, send, send_json};
use crate::harness::socket::Socket;

async fn open(cluster: &Cluster, node: usize, user: i64, query: &str) -> anyhow::Result<Socket> {
    let mut socket = Socket::open(cluster, node, user, query).await?;
    let welcome = socket.next().await?;
    ensure!(welcome["type"] == "welcome", "{welcome}");
    Ok(socket)
}

pub(super) async fn files_come_with_their_message(cluster: Cluster) -> anyhow::Result<()> {
    let large = bytes(700_000);
    let contents: [&[u8]; 3] = [PNG, b"<script>alert(1)</script>", &large];
    let files =
        upload(cluster.address(0), 1, &[("a.png", PNG), ("b.html", contents[1]), ("c.bin", &large)]).await?;
    let named: Vec<_> =
        files.iter().map(|file| (file.filename.as_str(), file.file_size, file.media_type.as_str())).collect();
    let octets = "application/octet-stream";
    ensure!(
        named
            == [
                ("a.png", PNG.len() as i64, "image/png"),
                ("b.html", 25, "text/html"),
                ("c.bin", 700_000, octets)
            ]
            || named[1].2 == octets,
        "{named:?}"
    );
    let (mut anns, mut annes) = (open(&cluster, 0, 1, "").await?, open(&cluster, 1, 1, "").await?);
    let mut bobs = open(&cluster, 1, 2, "").await?;
    let ids: Vec<_> = files.iter().map(|file| file.id).collect();
    // By HTTP, then by WebSocket: two of them, and the other one with no text.
    let body = json!({"recipient_id": 2, "content": "two", "attachment_ids": ids[..2]});
    let answer = send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    ensure!(answer.status == 201, "{}", answer.body);
    let frame = json!({"type": "send_message", "recipient_id": 2, "attachment_ids": ids[2..]});
    anns.send(frame.to_string()).await?;
    let expect = [json!(files[..2]), json!(files[2..])];
    ensure!(answer.json()?["data"]["attachments"] == expect[0], "{}", answer.body);
    for (nth, expect) in expect.iter().enumerate() {
        for (socket, kind) in
            [(&mut anns, "message_sent"), (&mut annes, "message_sent"), (&mut bobs, "new_message")]
        {
            let frame = socket.next().await?;
            ensure!(frame["type"] == kind && frame["seq"] == nth + 1, "{frame}");
            ensure!(frame["data"]["attachments"] == *expect, "{frame}");
        }
    }
    for (user, kind) in [(1, "message_sent"), (2, "new_message")] {
        let mut replay = open(&cluster, 0, user, "cursor=0").await?;
        for expect in &expect {
            let frame = replay.next().await?;
            ensure!(frame["type"] == kind && frame["data"]["attachments"] == *expect, "{frame}");
        }
    }
    check_lists(&cluster, &[&files[2..], &files[..2]]).await?;
    for (file, content) in files.iter().zip(contents) {
        for user in [1, 2] {
            check_download(&cluster, user, file.id, content).await?;
        }
    }
    cluster.finish().await
}

/// Every list of both users has these messages between them, newest first.
async fn check_lists(cluster: &Cluster, newest_first: &[&[Attachment]]) -> anyhow::Result<()> {
    for user in [1, 2] {
        let ask = async |path: &str| {
            let answer = get(cluster.address(1), path, &[bearer(user)]).await?;
            ensure!(answer.status == 200, "{path}: {}", answer.body);
            Ok(answer.body)
        };
        let page: history::HistoryPage =
            serde_json::from_str(&ask("/api/v1/conversations/1/messages").await?)?;
        let found: Vec<_> = page.messages.iter().map(|message| &message.attachments[..]).collect();
        ensure!(found == newest_first, "history of {user}: {found:?}");
        let talks: api::ConversationsPage = serde_json::from_str(&ask("/api/v1/conversations").await?)?;
        let last = &talks.conversations.first().context("no conversation")?.last_message;
        let is_same = last.as_ref().is_some_and(|last| last.attachments == newest_first[0]);
        ensure!(is_same, "{last:?}");
        let lists: Lists = serde_json::from_str(&ask("/messages/get/").await?)?;
        let of_user = if user == 1 { &lists.sent } else { &lists.received };
        for list in [of_user, &lists.archive] {
            let found: Vec<_> = list.iter().map(|message| &message.attachments[..]).collect();
            ensure!(found == newest_first, "lists of {user}: {found:?}");
        }
    }
    Ok(())
}

pub(super) async fn files_of_a_form_come_with_their_message(cluster: Cluster) -> anyhow::Result<()> {
    let mut bobs = open(&cluster, 1, 2, "").await?;
    let texts = [("recipient", "2"), ("subject", "s"), ("content", "")];
    let files: [(&str, &str, &[u8]); 3] = [
        ("attachments", "a.txt", b"first"),
        ("attachments", "empty", b""),
        ("attachments", "b.txt", b"second"),
    ];
    let (media_type, body) = multipart(&texts, &files);
    let headers = [bearer(1), media_type, "X-Requested-With: XMLHttpRequest".to_owned()];
    let answer = send(cluster.address(0), "POST", "/messages/send/", &headers, &body).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    let sent: FormerSent = serde_json::from_str(&answer.body)?;
    let frame = bobs.next().await?;
    ensure!(frame["type"] == "new_message" && frame["data"]["message_id"] == sent.message_id.0, "{frame}");
    let attachments: Vec<Attachment> = serde_json::from_value(frame["data"]["attachments"].clone())?;
    let names: Vec<_> = attachments.iter().map(|file| file.filename.as_str()).collect();
    ensure!(names == ["a.txt", "b.txt"], "{names:?}");
    for (file, content) in attachments.iter().zip([&b"first"[..], b"second"]) {
        ensure!(file.url == file.download_url && file.url == format!("/messages/download/{}/", file.id));
        for user in [1, 2] {
            check_download(&cluster, user, file.id, content).await?;
        }
    }
    // What a message would refuse without a file, it refuses with an empty one.
    let (media_type, body) = multipart(&[("recipient", "2")], &[("attachments", "empty", b"")]);
    let answer = send(cluster.address(0), "POST", "/messages/send/", &[bearer(1), media_type], &body).await?;
    ensure!(answer.status == 400 && answer.json()?["code"] == ErrorCode::EmptyMessage.as_str());
    check_stored(&cluster, 2).await?;
    // A message may go to oneself, with its file.
    let own = upload_one(cluster.address(0), 1, "own").await?;
    let mut anns = open(&cluster, 1, 1, "").await?;
    let body = json!({"recipient_id": 1, "attachment_ids": [own.id]});
    send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    for kind in ["message_sent", "new_message"] {
        let frame: Value = anns.next().await?;
        ensure!(frame["type"] == kind && frame["data"]["attachments"][0]["id"] == own.id.0, "{frame}");
    }
    check_download(&cluster, 1, own.id, b"this is own").await?;
    cluster.finish().await
}
