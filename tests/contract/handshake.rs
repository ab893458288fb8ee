//! Rows of the table `WebSocket /ws/messages/`: who is let in, and what comes first.

use serde_json::{Value, json};

use super::finish_with;
use super::pattern::{Findings, refusal};
use super::script::{Script, check_quiet};
use crate::harness::Cluster;
use crate::harness::http::{get, origin};
use crate::harness::socket::Socket;

/// What we send first; before, nothing came until something happened. Scripts ignore types that they do not know.
fn welcome(user: i64) -> Value {
    json!({
        "type": "welcome", "user": {"id": user, "username": format!("user{user}"), "full_name": format!("User {user}")},
        "connection_id": "<text>", "epoch": "<text>", "cursor": 0, "unread_count": 0, "server_time": "<time>",
        "heartbeat_interval_ms": "<number>",
        "limits": {
            "frame_bytes": 262_144, "content_bytes": 32_768, "subject_chars": 255, "attachments": 10,
            "attachment_bytes": 26_214_400, "messages_per_second": "<number>",
        },
    })
}

pub(super) async fn contract_of_the_handshake(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let line = str::to_owned;
    let refused = [
        ("WebSocket: Auth, no cookie", vec![], "unauthorized"),
        ("WebSocket: Auth, no cookie, our page", vec![origin(ann.address)], "unauthorized"),
        ("WebSocket: Auth, another's cookie", vec![line("Cookie: sessionid=abc")], "unauthorized"),
        ("WebSocket: Auth, a wrong cookie", vec![line("Cookie: switchboard=abc")], "unauthorized"),
        // A foreign page was let in, with what its visitor was.
        ("suffered: 30", vec![ann.cookie.clone(), line("Origin: https://evil.example")], "foreign_origin"),
        ("suffered: 30, null", vec![ann.cookie.clone(), line("Origin: null")], "foreign_origin"),
    ];
    for (row, headers, code) in refused {
        match Socket::handshake_with(&cluster, 0, &headers, "").await? {
            Ok(_socket) => findings.hold(row, false, "it was let in"),
            Err((status, body)) => {
                findings.hold(row, status == 403, format!("{status} {body}"));
                findings.compare(row, &body, &json!({"status": 403, "title": "<text>", "code": code}));
            }
        }
    }
    let accepted = [
        ("WebSocket: URL, our page", 0, vec![ann.cookie.clone(), origin(cluster.address(0))]),
        ("WebSocket: Origin, a script sends none", 0, vec![ann.cookie.clone()]),
        ("WebSocket: Auth, the other node", 1, vec![ann.cookie.clone(), origin(cluster.address(1))]),
        ("WebSocket: Auth, among cookies", 0, vec![format!("{}; theme=dark", ann.cookie)]),
    ];
    for (row, node, headers) in accepted {
        match Socket::handshake_with(&cluster, node, &headers, "").await? {
            Ok(mut socket) => {
                findings.compare(row, &socket.next().await?, &welcome(1));
                check_quiet("WebSocket: On connect", &mut socket).await?;
            }
            Err(refused) => findings.hold(row, false, format!("{refused:?}")),
        }
    }
    let upgrade =
        ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    for path in ["/ws/", "/ws/messages", "/ws/other/", "/messages/"] {
        let headers: Vec<_> = upgrade.into_iter().map(line).chain([ann.cookie.clone()]).collect();
        let answer = get(ann.address, path, &headers).await?;
        let row = format!("WebSocket: URL, {path}: fails, and not with 500");
        findings.hold(&row, answer.status == 404, &answer.head);
        findings.hold(&row, answer.json()?["code"] == refusal("not_found")["code"], answer.body);
    }
    findings.finish()?;
    finish_with(cluster, 0).await
}
