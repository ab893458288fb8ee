//! Who is there, what they have said to each other, and how they ask.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::requests::Request;
use crate::attachments::kit::upload_one;
use crate::harness::Cluster;
use crate::harness::http::{bearer, send, send_json};
use crate::harness::socket::Socket;

/// Made the group.
pub(super) const OWNER: i64 = 1;
/// Is in it.
pub(super) const MEMBER: i64 = 2;
/// Was in it.
pub(super) const FORMER: i64 = 3;
/// Was never in it.
pub(super) const NEVER: i64 = 4;
/// Neither, and blocked by the owner.
pub(super) const BLOCKED: i64 = 5;
/// Is in it, and has another role given.
pub(super) const OTHER: i64 = 6;
/// Comes and goes.
pub(super) const GUEST: i64 = 7;

/// What there is when somebody asks.
pub(super) struct Scene {
    pub(super) group: Value,
    /// In the group, of the owner, with a file.
    pub(super) of_owner: Value,
    pub(super) file: Value,
    /// In the group, of the member.
    pub(super) of_member: Value,
    /// In the group, of the one who left.
    pub(super) of_former: Value,
    /// Of the owner and the blocked.
    pub(super) pair: Value,
    pub(super) to_blocked: Value,
    pub(super) of_blocked: Value,
    /// A group of the blocked.
    pub(super) group_of_blocked: Value,
}

impl Scene {
    pub(super) async fn new(cluster: &Cluster) -> anyhow::Result<Self> {
        let group = make_group(cluster, "the book club", OWNER, &[MEMBER, FORMER, OTHER, GUEST]).await?;
        let file = upload_one(cluster.address(0), OWNER, "canary").await?;
        let say = |text: &str| json!({"conversation_id": group, "content": format!("{text} canary")});
        let mut with_file = say("first");
        with_file["attachment_ids"] = json!([file.id]);
        let (of_owner, _) = tell(cluster, OWNER, with_file).await?;
        let (of_member, _) = tell(cluster, MEMBER, say("second")).await?;
        let (of_former, _) = tell(cluster, FORMER, say("third")).await?;
        let path = format!("/api/v1/messages/{of_owner}");
        done(cluster, OWNER, "PATCH", &path, json!({"content": "first canary, changed"})).await?;
        let path = format!("/api/v1/conversations/{group}/members/{FORMER}");
        done(cluster, FORMER, "DELETE", &path, Value::Null).await?;
        let (to_blocked, pair) =
            tell(cluster, OWNER, json!({"recipient_id": BLOCKED, "content": "hello"})).await?;
        let (of_blocked, _) =
            tell(cluster, BLOCKED, json!({"recipient_id": OWNER, "content": "hello"})).await?;
        let group_of_blocked = make_group(cluster, "other people", BLOCKED, &[NEVER]).await?;
        done(cluster, OWNER, "PUT", &format!("/api/v1/blocks/{BLOCKED}"), Value::Null).await?;
        let file = json!(file.id);
        Ok(Self {
            group,
            of_owner,
            file,
            of_member,
            of_former,
            pair,
            to_blocked,
            of_blocked,
            group_of_blocked,
        })
    }
}

pub(super) async fn make_group(
    cluster: &Cluster,
    title: &str,
    owner: i64,
    members: &[i64],
) -> anyhow::Result<Value> {
    let body = json!({"title": title, "member_ids": members});
    let answer =
        send_json(cluster.address(0), "POST", "/api/v1/conversations", &[bearer(owner)], &body).await?;
    ensure!(answer.status == 201, "{} {}", answer.status, answer.body);
    Ok(answer.json()?["conversation_id"].clone())
}

/// The first group of a user's list.
pub(super) async fn group_of(cluster: &Cluster, user: i64) -> anyhow::Result<Value> {
    let answer = send(cluster.address(0), "GET", "/api/v1/conversations", &[bearer(user)], &[]).await?;
    let found = answer.json()?;
    let groups = found["conversations"].as_array().context("a list")?;
    let group = groups.iter().find(|it| it["kind"] == "group").with_context(|| answer.body.clone())?;
    Ok(group["id"].clone())
}

/// Sends a message; its id and that of its conversation.
async fn tell(cluster: &Cluster, user: i64, body: Value) -> anyhow::Result<(Value, Value)> {
    let answer = send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(user)], &body).await?;
    ensure!(answer.status == 201, "{body}: {} {}", answer.status, answer.body);
    let sent = answer.json()?;
    Ok((sent["message_id"].clone(), sent["data"]["conversation_id"].clone()))
}

async fn done(cluster: &Cluster, user: i64, method: &str, path: &str, body: Value) -> anyhow::Result<()> {
    let answer = send_json(cluster.address(1), method, path, &[bearer(user)], &body).await?;
    ensure!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
    Ok(())
}

/// Asks over HTTP: `ok`, or the code of the refusal.
pub(super) async fn asks(
    cluster: &Cluster,
    node: usize,
    user: i64,
    request: &Request,
) -> anyhow::Result<String> {
    let (method, path, body) = request.http.as_ref().context("a way over HTTP")?;
    let answer = send_json(cluster.address(node), method, path, &[bearer(user)], body).await?;
    if answer.status < 300 {
        return Ok("ok".to_owned());
    }
    let code = answer.json()?["code"].as_str().unwrap_or_default().to_owned();
    ensure!(!code.is_empty() && !answer.body.contains("canary"), "{path}: {} {}", answer.status, answer.body);
    Ok(code)
}

/// Asks by frame, likewise.
pub(super) async fn ask(
    cluster: &Cluster,
    node: usize,
    user: i64,
    request: &Request,
) -> anyhow::Result<String> {
    let mut socket = Socket::open(cluster, node, user, "").await?;
    let mut frame = request.frame.clone();
    frame["request_id"] = json!("asked");
    socket.send(frame.to_string()).await?;
    if request.answer.is_empty() {
        // It has none: what comes first then is the answer to the next.
        socket.send(r#"{"type": "ping", "request_id": "asked"}"#).await?;
    }
    loop {
        let frame = socket.next().await?;
        let is_answer =
            frame["type"] == request.answer || request.answer.is_empty() && frame["type"] == "pong";
        if frame["type"] == "error" {
            ensure!(frame["request_id"] == "asked", "{frame}");
            return Ok(frame["code"].as_str().context("a code")?.to_owned());
        }
        if is_answer {
            return Ok("ok".to_owned());
        }
    }
}
