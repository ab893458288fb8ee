//! Lines about requests and sessions.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{end, open, talker};
use crate::harness::http::{EventStream, bearer, get, metric, send};
use crate::harness::{Cluster, DEADLINE, eventually};

const BEHIND_A_PROXY: (&str, &str) = ("SWITCHBOARD_SERVER__TRUSTED_PROXIES", "127.0.0.0/8");

/// The address of a client, by what the proxy says.
const CLIENT: &str = "198.51.100.7";

/// The lines of one part of the node; every line of the log must be an object.
fn lines_of(log: &str, target: &str) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        if line["target"].as_str().is_some_and(|of| of.starts_with(target)) {
            found.push(line);
        }
    }
    Ok(found)
}

pub(super) async fn a_request_has_one_line(cluster: Cluster) -> anyhow::Result<()> {
    let talker = talker(&cluster, &[BEHIND_A_PROXY])?;
    let at = talker.address;
    let mut expect = Vec::new();
    for (method, path, given, user, method_told, route, status) in [
        ("GET", "/api/v1/me", "", Some(1), "GET", "/api/v1/me", 200),
        ("GET", "/api/v1/me?ticket=a-secret-of-somebody", "edge-1.2_Z", None, "GET", "/api/v1/me", 401),
        (
            "GET",
            "/api/v1/conversations/7/messages",
            "no id",
            Some(2),
            "GET",
            "/api/v1/conversations/{id}/messages",
            404,
        ),
        ("GET", "/a-secret-path?and=query", "", None, "GET", "other", 404),
        ("FLOOD", "/api/v1/me", "", None, "other", "/api/v1/me", 405),
        ("GET", "/live", "", None, "", "", 200),
        ("GET", "/ready", "", None, "", "", 200),
        ("GET", "/metrics", "", None, "", "", 200),
    ] {
        let mut headers: Vec<_> = user.map(bearer).into_iter().collect();
        headers.push(format!("X-Forwarded-For: {CLIENT}"));
        headers.extend((!given.is_empty()).then(|| format!("X-Request-Id: {given}")));
        let answer = send(at, method, path, &headers, &[]).await?;
        ensure!(answer.status == status, "{method} {path}: {}", answer.status);
        let id = answer.header("x-request-id").with_context(|| answer.head.clone())?.to_owned();
        let is_new = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(if given == "edge-1.2_Z" { id == given } else { is_new }, "{given}: {id}");
        if !route.is_empty() {
            expect.push(json!([id, method_told, route, status, user]));
        }
    }
    let counted = metric(at, "switchboard_http_requests_total").await?;
    ensure!(counted >= expect.len() as f64, "{counted}");
    ensure!(metric(at, "switchboard_http_requests_in_flight").await? == 1.0, "that of who asks");
    let log = end(talker)?;
    let told = lines_of(&log, "switchboard_node::http::access")?;
    ensure!(told.iter().all(|line| line["level"] == "INFO" && line["ms"].is_f64()), "{told:?}");
    let fields = ["request_id", "method", "route", "status", "user_id"];
    let told: Vec<_> = told.iter().map(|line| json!(fields.map(|field| &line[field]))).collect();
    ensure!(told == expect, "{told:#?}\ninstead of\n{expect:#?}");
    ensure!(!log.contains("secret") && !log.contains("query"), "{log}");
    // Without a proxy that is trusted, nobody gives a request its id.
    let answer = get(cluster.address(0), "/live", &["X-Request-Id: mine".to_owned()]).await?;
    ensure!(answer.header("x-request-id").is_some_and(|id| id != "mine"), "{}", answer.head);
    cluster.finish().await
}

pub(super) async fn a_session_has_one_line(cluster: Cluster) -> anyhow::Result<()> {
    let talker = talker(&cluster, &[])?;
    let at = talker.address;
    let (mut socket, of_socket) = open(at, 1, CLIENT).await?;
    for frame in [r#"{"type":"ping"}"#, "no frame"] {
        socket.send(frame).await?;
        socket.next().await?;
    }
    socket.0.close(None).await?;
    let _end = socket.next_message().await;
    let mut stream = EventStream::open(at, "/api/v1/events/stream", &[bearer(2)]).await?;
    let (_, welcome) = stream.next().await?;
    let of_stream = welcome["connection_id"].as_str().context("an id")?.to_owned();
    let (mut last, of_last) = open(at, 3, CLIENT).await?;
    let is_gone = async || Ok((metric(at, "switchboard_sessions").await? == 2.0).then_some(()));
    eventually("the first session to end", DEADLINE, is_gone).await?;
    let log = end(talker)?;
    ensure!(last.close_code().await? == 1012, "it was told");
    let mut told = Vec::new();
    for line in lines_of(&log, "switchboard_node::session")? {
        ensure!(line["level"] == "INFO" && line["seconds"].is_f64() && line["address"].is_null(), "{line}");
        let fields = ["connection_id", "user_id", "transport", "frames_in", "frames_out", "reason"];
        told.push(json!(fields.map(|field| &line[field])));
    }
    for expect in [
        json!([of_socket, 1, "websocket", 2, 3, "normal"]),
        json!([of_stream, 2, "event_stream", 0, 2, "restart"]),
        json!([of_last, 3, "websocket", 0, 2, "restart"]),
    ] {
        ensure!(told.iter().filter(|line| **line == expect).count() == 1, "{expect}: {told:#?}");
    }
    ensure!(told.len() == 3, "{told:#?}");
    cluster.finish().await
}

pub(super) async fn addresses_are_told_only_if_asked(cluster: Cluster) -> anyhow::Result<()> {
    for (asked, expect) in [("false", Value::Null), ("true", json!(CLIENT))] {
        let settings =
            [BEHIND_A_PROXY, ("SWITCHBOARD_LOG__ADDRESSES", asked), ("SWITCHBOARD_LOG__LEVEL", "trace")];
        let talker = talker(&cluster, &settings)?;
        let at = talker.address;
        let forwarded = format!("X-Forwarded-For: {CLIENT}");
        ensure!(get(at, "/api/v1/me", &[bearer(1), forwarded.clone()]).await?.status == 200);
        let garbage = "Authorization: Bearer garbage".to_owned();
        ensure!(get(at, "/api/v1/me", &[garbage, forwarded.clone()]).await?.status == 401);
        let path = "/api/v1/events/stream";
        EventStream::open(at, path, &[bearer(2), forwarded]).await?.next().await?;
        drop(open(at, 3, CLIENT).await?);
        let log = end(talker)?;
        ensure!(asked == "true" || !log.contains(CLIENT), "{log}");
        let mut lines = lines_of(&log, "switchboard_node::http::access")?;
        ensure!(lines.len() == 4, "{lines:?}");
        let sessions = lines_of(&log, "switchboard_node::session")?.into_iter();
        lines.extend(sessions.filter(|line| line["level"] == "INFO"));
        ensure!(lines.len() == 6 && lines.iter().all(|line| line["address"] == expect), "{lines:#?}");
    }
    cluster.finish().await
}
