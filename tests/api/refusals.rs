//! What is refused, and how: a foreign id exactly as one that does not exist.

use anyhow::ensure;
use serde_json::{Value, json};
use switchboard_protocol::api::{ConversationsPage, UsersPage};

use crate::attachments::kit::upload_one;
use crate::harness::Cluster;
use crate::harness::http::{Answer, bearer, get, send, send_json};

pub(super) async fn foreign_and_unknown_are_alike(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let file = upload_one(one, 1, "secret").await?;
    let body = json!({"recipient_id": 2, "content": "secret", "attachment_ids": [file.id]});
    let sent = send_json(one, "POST", "/api/v1/messages", &[bearer(1)], &body).await?.json()?;
    let (message, conversation) = (&sent["message_id"], &sent["data"]["conversation_id"]);
    let same = |a: &Answer, b: &Answer| a.status == 404 && (a.status, &a.body) == (b.status, &b.body);
    for (method, foreign, unknown) in [
        ("POST", format!("/api/v1/messages/{message}/read"), "/api/v1/messages/999999/read"),
        ("DELETE", format!("/api/v1/messages/{message}"), "/api/v1/messages/999999"),
        (
            "GET",
            format!("/api/v1/conversations/{conversation}/messages"),
            "/api/v1/conversations/999999/messages",
        ),
        ("GET", format!("/api/v1/attachments/{}", file.id), "/api/v1/attachments/999999"),
        ("GET", format!("/api/v1/conversations/{conversation}"), "/api/v1/conversations/999999"),
        ("GET", format!("/api/v1/messages/{message}/versions"), "/api/v1/messages/999999/versions"),
        ("PUT", format!("/api/v1/messages/{message}/reactions/x"), "/api/v1/messages/999999/reactions/x"),
        ("POST", format!("/messages/delete/{message}/"), "/messages/delete/999999/"),
        ("GET", format!("/messages/download/{}/", file.id), "/messages/download/999999/"),
    ] {
        for address in [one, two] {
            let a = send(address, method, &foreign, &[bearer(3)], &[]).await?;
            let b = send(address, method, unknown, &[bearer(3)], &[]).await?;
            ensure!(same(&a, &b), "{foreign}: {} {} and {} {}", a.status, a.body, b.status, b.body);
            ensure!(
                !a.body.contains("secret") && a.head.lines().count() == b.head.lines().count(),
                "{}",
                a.head
            );
        }
    }
    // A sender cannot read what they sent, no more than what is not there.
    let a = send(one, "POST", &format!("/api/v1/messages/{message}/read"), &[bearer(1)], &[]).await?;
    let b = send(one, "POST", "/api/v1/messages/999999/read", &[bearer(1)], &[]).await?;
    ensure!(same(&a, &b), "{}", a.body);
    for recipient in [999_999, 0] {
        let body = json!({"recipient_id": recipient, "content": "x"});
        let answer = send_json(two, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
        ensure!(
            (answer.status, &answer.json()?["code"]) == (404, &json!("unknown_recipient")),
            "{}",
            answer.body
        );
    }
    // It did nothing: still there, still unread.
    let answer = get(two, "/messages/unread/", &[bearer(2)]).await?;
    ensure!(answer.json()? == json!({"unread_count": 1}), "{}", answer.body);
    cluster.finish().await
}

pub(super) async fn numbers_that_cannot_be(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    for path in
        ["/api/v1/users", "/api/v1/conversations", "/api/v1/conversations/1/messages", "/api/v1/search"]
    {
        let parameter = if path == "/api/v1/users" { "after" } else { "before" };
        for value in ["x", "1.5", "99999999999999999999", "", "1e3"] {
            for parameter in ["limit", parameter] {
                let answer = get(address, &format!("{path}?{parameter}={value}"), &[bearer(1)]).await?;
                let refused = answer.status == 400 && answer.json()?["code"] == "invalid_field";
                ensure!(refused, "{path} {parameter}={value}: {} {}", answer.status, answer.body);
            }
        }
    }
    // What is a number is brought within the limits.
    for (limit, n_users) in [("-1", 1), ("0", 1), ("1000", 50), ("9223372036854775807", 50)] {
        let answer = get(address, &format!("/api/v1/users?limit={limit}"), &[bearer(1)]).await?;
        let page: UsersPage = serde_json::from_str(&answer.body)?;
        ensure!(page.users.len() == n_users, "{limit}: {}", page.users.len());
    }
    for before in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
        let answer = get(address, &format!("/api/v1/conversations?before={before}"), &[bearer(1)]).await?;
        let page: ConversationsPage = serde_json::from_str(&answer.body)?;
        ensure!(page.conversations.is_empty() && page.before.is_none());
        let answer = get(address, &format!("/api/v1/users?after={before}"), &[bearer(1)]).await?;
        ensure!(answer.status == 200, "{before}: {}", answer.body);
    }
    for id in ["x", "-1", "0", "1.0", "99999999999999999999", "9223372036854775807", "%00", "1%2F2"] {
        for (method, path) in [
            ("POST", format!("/api/v1/messages/{id}/read")),
            ("DELETE", format!("/api/v1/messages/{id}")),
            ("GET", format!("/api/v1/conversations/{id}/messages")),
            ("GET", format!("/api/v1/attachments/{id}")),
            ("GET", format!("/api/v1/conversations/{id}")),
            ("GET", format!("/api/v1/messages/{id}/versions")),
            ("PUT", format!("/api/v1/messages/{id}/reactions/x")),
            ("PUT", format!("/api/v1/blocks/{id}")),
            ("DELETE", format!("/api/v1/conversations/{id}/members/1")),
            ("DELETE", format!("/api/v1/conversations/1/members/{id}")),
        ] {
            let answer = send(address, method, &path, &[bearer(1)], &[]).await?;
            let code = if path == "/api/v1/blocks/0" { "unknown_recipient" } else { "not_found" };
            ensure!(answer.status == 404 && answer.json()?["code"] == code, "{path}: {}", answer.body);
        }
    }
    cluster.finish().await
}

pub(super) async fn texts_up_to_their_limits(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let long = |n: usize, text: &str| Value::from(text.repeat(n));
    for (field, value, status, code) in [
        ("content", long(32 * 1024, "x"), 201, ""),
        ("content", long(16 * 1024, "é"), 201, ""),
        ("content", long(32 * 1024 + 1, "x"), 413, "content_too_large"),
        ("content", long(300 * 1024, "x"), 413, "frame_too_large"),
        ("content", json!(" \n\t"), 400, "empty_message"),
        ("content", json!("a\u{0}b"), 400, "invalid_field"),
        ("content", json!(["x"]), 400, "invalid_field"),
        ("subject", long(255, "é"), 201, ""),
        ("subject", long(256, "x"), 400, "subject_too_long"),
        ("client_message_id", long(128, "x"), 201, ""),
        ("client_message_id", long(129, "x"), 400, "invalid_field"),
        ("client_message_id", json!("with space"), 400, "invalid_field"),
        ("client_message_id", json!(""), 400, "invalid_field"),
        ("recipient_id", json!("02x"), 400, "invalid_field"),
        ("recipient_id", json!(2.5), 400, "invalid_field"),
        ("recipient_id", Value::Null, 400, "missing_field"),
        ("attachment_ids", json!("1"), 400, "invalid_field"),
        ("attachment_ids", json!([[1]]), 400, "invalid_field"),
        ("attachment_ids", json!([999_999]), 404, "unknown_attachment"),
    ] {
        let mut body = json!({"recipient_id": 2, "content": "x"});
        body[field] = value;
        let answer = send_json(address, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
        let found = answer.json()?["code"].as_str().unwrap_or_default().to_owned();
        ensure!((answer.status, found.as_str()) == (status, code), "{field}: {} {found}", answer.status);
    }
    let json = ["Content-Type: application/json".to_owned(), bearer(1)];
    let text = ["Content-Type: text/plain".to_owned(), bearer(1)];
    for (headers, body, status, code) in [
        (&json, &b"{"[..], 400, "invalid_json"),
        (&json, b"[]", 400, "invalid_frame"),
        (&json, b"\xff", 400, "invalid_json"),
        (&json, b"", 400, "invalid_json"),
        (&json, b"{\"recipient_id\":2,\"recipient_id\":3,\"content\":\"x\"}", 400, "invalid_field"),
        (&text, b"{\"recipient_id\":2,\"content\":\"x\"}", 415, "unsupported_media_type"),
    ] {
        let answer = send(address, "POST", "/api/v1/messages", headers, body).await?;
        ensure!(answer.status == status && answer.json()?["code"] == code, "{body:?}: {}", answer.body);
    }
    ensure!(cluster.store.count_messages().await? == 4);
    cluster.finish().await
}
