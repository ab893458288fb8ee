//! Paths that are not there, and what an operator reads of those that are.

use anyhow::{Context, ensure};
use serde_json::json;

use super::{ask, check_refused, check_sent, finish_with, open};
use crate::harness::Cluster;
use crate::harness::http::{Answer, bearer, get, metric, send};
use crate::harness::socket::Socket;

/// One request of any method, without a body; the head of the answer in lower case.
async fn request(cluster: &Cluster, method: &str, path: &str) -> anyhow::Result<Answer> {
    let mut answer = send(cluster.address(0), method, path, &[bearer(1)], &[]).await?;
    answer.head = answer.head.to_ascii_lowercase();
    Ok(answer)
}

pub(super) async fn paths_and_methods(cluster: Cluster) -> anyhow::Result<()> {
    for path in
        ["/nowhere", "/api/v1/nothing", "/ws/", "/ws/messages", "/live/", "/%2e%2e/etc/passwd", "/%00"]
    {
        let answer = request(&cluster, "GET", path).await?;
        let body = answer.json().with_context(|| path.to_owned())?;
        ensure!((answer.status, &body["code"]) == (404, &json!("not_found")), "{path}: {}", answer.body);
        ensure!(body["status"] == 404 && answer.head.contains("application/problem+json"), "{path}");
    }
    let paths = ["/live", "/ready", "/metrics", "/ws/messages/", "/api/v1/events", "/api/v1/events/stream"];
    for path in paths.into_iter().chain(["/api/v1/conversations/1/messages"]) {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = request(&cluster, method, path).await?;
            let is_problem = answer.head.contains("application/problem+json");
            ensure!(answer.status == 405 && is_problem, "{method} {path}: {} {}", answer.status, answer.body);
            ensure!(answer.head.contains("allow: get"), "{method} {path}: {}", answer.head);
            ensure!(answer.json()?["code"] == "method_not_allowed", "{method} {path}: {}", answer.body);
        }
    }
    for path in
        ["/ws/messages/?cursor=x", "/api/v1/events?cursor=x", "/api/v1/conversations/1/messages?limit=x"]
    {
        let answer = request(&cluster, "GET", path).await?;
        let body = answer.json().with_context(|| path.to_owned())?;
        ensure!((answer.status, &body["code"]) == (400, &json!("invalid_field")), "{path}: {}", answer.body);
    }
    let live = request(&cluster, "GET", "/live").await?;
    ensure!(live.status == 200 && live.json()? == json!({"status": "live"}), "{}", live.body);
    finish_with(cluster, 0).await
}

/// Refused like any other request: as a problem, with a code.
pub(super) async fn a_request_that_is_no_handshake(cluster: Cluster) -> anyhow::Result<()> {
    let answer = request(&cluster, "GET", "/ws/messages/").await?;
    ensure!((400..500).contains(&answer.status), "{}", answer.status);
    ensure!(answer.head.contains("application/problem+json"), "{}\n\n{}", answer.head, answer.body);
    let body = answer.json()?;
    ensure!(body["status"] == answer.status && body["code"].is_string(), "{body}");
    // It has taken no place, and no session was counted.
    ensure!(metric(cluster.address(0), "switchboard_sessions").await? == 0.0);
    finish_with(cluster, 0).await
}

pub(super) async fn what_happened_is_counted(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let mut last = json!(null);
    for n in 0..5 {
        let client_message_id = format!("c{n}");
        last = json!({"type": "send_message", "recipient_id": 2, "content": "x",
                      "client_message_id": client_message_id});
        check_sent(&mut ann, &last).await?;
    }
    ensure!(check_sent(&mut ann, &last).await?["repeat"] == true);
    // Each of these is followed by a ping.
    check_refused(
        &mut ann,
        r#"{"type":"send_message","recipient_id":9999,"content":"x"}"#,
        "unknown_recipient",
    )
    .await?;
    check_refused(&mut ann, "no JSON", "invalid_json").await?;
    ask(&mut ann, r#"{"type":"get_unread_count","request_id":1}"#).await?;
    ensure!(Socket::handshake(&cluster, 0, Some("Bearer garbage"), "").await?.is_err());
    let expect = [
        (r#"switchboard_commands_total{outcome="committed"}"#, 5.0),
        (r#"switchboard_commands_total{outcome="repeated"}"#, 1.0),
        (r#"switchboard_commands_total{outcome="refused"}"#, 1.0),
        (r#"switchboard_frames_received_total{type="send_message"}"#, 7.0),
        (r#"switchboard_frames_received_total{type="ping"}"#, 2.0),
        (r#"switchboard_frames_received_total{type="get_unread_count"}"#, 1.0),
        (r#"switchboard_frames_received_total{type="invalid"}"#, 1.0),
        (r#"switchboard_errors_sent_total{code="invalid_json"}"#, 1.0),
        (r#"switchboard_errors_sent_total{code="unknown_recipient"}"#, 1.0),
        (r#"switchboard_requests_refused_total{code="unauthorized"}"#, 1.0),
        (r#"switchboard_sessions{transport="websocket"}"#, 1.0),
        ("switchboard_writer_queue_commands", 0.0),
        (r#"switchboard_hub_packets_total{outcome="forwarded"}"#, 5.0),
        ("switchboard_messages_accepted_total", 5.0),
        (r#"switchboard_frames_sent_total{type="message_sent"}"#, 6.0),
        (r#"switchboard_delivery_seconds_count{origin="here"}"#, 5.0),
    ];
    for (name, value) in expect {
        let counted = metric(cluster.address(0), name).await?;
        ensure!(counted == value, "{name} is {counted} instead of {value}");
    }
    let sent = metric(cluster.address(0), "switchboard_frames_sent_total").await?;
    ensure!(sent >= 12.0, "a welcome, five entries, a repeat, two errors, two pongs, a count: {sent}");
    let answer = get(cluster.address(0), "/metrics", &[]).await?;
    ensure!(answer.status == 200 && answer.body.ends_with("# EOF\n"), "{}", answer.head);
    finish_with(cluster, 5).await
}
