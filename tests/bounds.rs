//! What one client may not do to the others, or with what it no longer has: bodies on their way, large answers, links on
//! other sites, files without a message, frames that cost nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::http::{Answer, bearer, get, log_in, multipart, origin, send, send_json};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, eventually};
use crate::{BOTH, Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(a_request_on_its_way_ends_with_its_session, BOTH),
    test!(long_answers_end_at_a_megabyte, BOTH),
    test!(a_link_on_another_site_reads_nothing, BOTH),
    test!(a_glance_at_a_link_spends_no_ticket, BOTH),
    test!(what_is_personal_is_kept_nowhere, BOTH),
    test!(files_that_wait_are_counted, BOTH, &[("SWITCHBOARD_ATTACHMENTS__WAITING_PER_USER", "3")]),
    test!(
        pings_are_slowed,
        BOTH,
        &[("SWITCHBOARD_LIMITS__MESSAGES_PER_SECOND", "5"), ("SWITCHBOARD_LIMITS__MESSAGES_BURST", "5"),]
    ),
];

/// The session is ended on the other node while the body of a request is still coming.
async fn a_request_on_its_way_ends_with_its_session(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let (form_type, form) = multipart(&[("recipient", "2"), ("content", "too late")], &[]);
    let body = json!({"recipient_id": 2, "content": "too late"}).to_string().into_bytes();
    let json_type = "Content-Type: application/json".to_owned();
    for (path, media_type, body) in
        [("/messages/send/", form_type, form), ("/api/v1/messages", json_type, body)]
    {
        let cookie = log_in(address, 1).await?;
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\n{cookie}\r\n{}\r\n{media_type}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            origin(address),
            body.len()
        );
        let (first, rest) = body.split_at(body.len() / 2);
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(first).await?;
        let headers = [cookie, origin(cluster.address(1))];
        let out = send(cluster.address(1), "POST", "/api/v1/auth/logout", &headers, &[]).await?;
        ensure!(out.status == 204, "{}", out.body);
        let mut answer = Vec::new();
        // It is told by itself, within the two seconds that are promised, tripled.
        let read = timeout(Duration::from_secs(6), stream.read_to_end(&mut answer)).await;
        read.with_context(|| format!("{path}: it goes on"))??;
        let _refused_already = stream.write_all(rest).await;
        let text = String::from_utf8_lossy(&answer);
        ensure!(text.starts_with("HTTP/1.1 401 "), "{path}: {text}");
    }
    let events = get(cluster.address(0), "/api/v1/events?cursor=0", &[bearer(2)]).await?.json()?;
    ensure!(events["events"] == json!([]), "{events}");
    cluster.finish().await
}

/// Twenty messages of 32 KiB, each six times as large in JSON: lists, pages and conversations give some, then the rest.
async fn long_answers_end_at_a_megabyte(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let content = "\u{1}".repeat(32 * 1024);
    let mut n_received = 0;
    for _ in 0..20 {
        let body = json!({"recipient_id": 2, "content": content});
        let sent = send_json(address, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
        ensure!(sent.status == 201, "{}", sent.status);
    }
    let mut path = "/messages/get/".to_owned();
    while n_received < 20 {
        let answer = get(address, &path, &[bearer(2)]).await?;
        ensure!(answer.bytes.len() < 4 * 1024 * 1024, "{} bytes", answer.bytes.len());
        let lists = answer.json()?;
        let received = lists["received"].as_array().context("a list")?;
        ensure!(!received.is_empty(), "after {n_received} there is nothing");
        n_received += received.len();
        // What it did not give is not read.
        ensure!(lists["unread_count"] == 20 - n_received, "{} after {n_received}", lists["unread_count"]);
        path = format!("/messages/get/?before={}", received[received.len() - 1]["id"]);
    }
    let mut path = "/api/v1/conversations/1/messages".to_owned();
    let mut n_found = 0;
    loop {
        let answer = get(address, &path, &[bearer(2)]).await?;
        ensure!(answer.bytes.len() < 2 * 1024 * 1024, "{} bytes", answer.bytes.len());
        let page = answer.json()?;
        n_found += page["messages"].as_array().context("a page")?.len();
        let Some(before) = page["before"].as_i64() else { break };
        path = format!("/api/v1/conversations/1/messages?before={before}");
    }
    ensure!(n_found == 20, "{n_found}");
    cluster.finish().await
}

async fn a_link_on_another_site_reads_nothing(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let body = json!({"recipient_id": 2, "content": "unread"});
    send_json(address, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    let cookie = log_in(address, 2).await?;
    for (site, status, unread) in
        [("cross-site", 403, 1), ("same-site", 403, 1), ("none", 200, 0), ("same-origin", 200, 0)]
    {
        let headers =
            [cookie.clone(), format!("Sec-Fetch-Site: {site}"), "Sec-Fetch-Mode: navigate".to_owned()];
        let answer = get(address, "/messages/get/", &headers).await?;
        ensure!(answer.status == status, "{site}: {} {}", answer.status, answer.body);
        let count = get(address, "/messages/unread/", std::slice::from_ref(&cookie)).await?.json()?;
        ensure!(count["unread_count"] == unread, "{site}: {count}");
    }
    cluster.finish().await
}

async fn a_glance_at_a_link_spends_no_ticket(cluster: Cluster) -> anyhow::Result<()> {
    let answer = send(cluster.address(0), "POST", "/api/v1/auth/ticket", &[bearer(1)], &[]).await?.json()?;
    let ticket = answer["ticket"].as_str().context("a ticket")?;
    let glance = get(cluster.address(1), &format!("/ws/messages/?ticket={ticket}"), &[]).await?;
    ensure!(glance.status == 426, "{}", glance.body);
    let socket = Socket::handshake(&cluster, 1, None, &format!("ticket={ticket}")).await?;
    let mut socket = socket.map_err(|(status, body)| anyhow::anyhow!("{status} {body}"))?;
    ensure!(socket.next().await?["type"] == "welcome");
    cluster.finish().await
}

async fn what_is_personal_is_kept_nowhere(cluster: Cluster) -> anyhow::Result<()> {
    let address = cluster.address(0);
    let is_kept_nowhere = |answer: &Answer| {
        let values = (answer.header("cache-control"), answer.header("x-content-type-options"));
        values == (Some("no-store"), Some("nosniff"))
    };
    let paths = ["me", "users", "conversations", "conversations/1/messages", "events", "nothing"];
    let former = ["/messages/get/", "/messages/unread/", "/api/users/", "/dashboard/notifications/"];
    let paths = paths.iter().map(|path| format!("/api/v1/{path}")).chain(former.map(str::to_owned));
    for path in paths {
        for headers in [vec![bearer(1)], Vec::new()] {
            let answer = get(address, &path, &headers).await?;
            ensure!(is_kept_nowhere(&answer), "{path}: {}", answer.head);
        }
    }
    let form = format!("usn=user1&password={}", crate::harness::http::PASSWORD.replace(' ', "+"));
    let headers = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
    let answer = send(address, "POST", "/login/", &headers, form.as_bytes()).await?;
    ensure!(answer.status == 302 && is_kept_nowhere(&answer), "{}", answer.head);
    cluster.finish().await
}

async fn files_that_wait_are_counted(cluster: Cluster) -> anyhow::Result<()> {
    let upload = async |node: usize| -> anyhow::Result<(u16, Value)> {
        let (media_type, body) = multipart(&[], &[("f", "a.txt", b"text")]);
        let headers = [bearer(1), media_type];
        let path = "/api/v1/attachments";
        let answer = send(cluster.address(node), "POST", path, &headers, &body).await?;
        Ok((answer.status, answer.json()?))
    };
    let mut first = Value::Null;
    for n in 0..3 {
        let (status, body) = upload(n % 2).await?;
        ensure!(status == 201, "{body}");
        first = body["attachments"][0]["id"].clone();
    }
    let (status, body) = upload(0).await?;
    ensure!((status, &body["code"]) == (400, &json!("too_many_attachments")), "{status} {body}");
    // One that has a message does not wait.
    let message = json!({"recipient_id": 2, "content": "x", "attachment_ids": [first]});
    let sent = send_json(cluster.address(1), "POST", "/api/v1/messages", &[bearer(1)], &message).await?;
    ensure!(sent.status == 201, "{}", sent.body);
    ensure!(upload(1).await?.0 == 201);
    cluster.finish().await
}

/// Ten times as many as messages: fifty at once, then at most a hundred a second. Every one is answered.
async fn pings_are_slowed(cluster: Cluster) -> anyhow::Result<()> {
    let mut socket = Socket::open(&cluster, 0, 1, "").await?;
    ensure!(socket.next().await?["type"] == "welcome");
    let begun = Instant::now();
    for n in 0..150 {
        socket.send(json!({"type": "ping", "request_id": n}).to_string()).await?;
    }
    for n in 0..150 {
        let pong = socket.next().await?;
        ensure!(pong == json!({"type": "pong", "request_id": n}), "{pong}");
    }
    ensure!(begun.elapsed() > Duration::from_millis(500), "all within {:?}", begun.elapsed());
    // Others are not.
    let mut other = Socket::open(&cluster, 0, 2, "").await?;
    let welcome = async || Ok((other.next().await?["type"] == "welcome").then_some(()));
    eventually("a welcome", DEADLINE, welcome).await?;
    cluster.finish().await
}
