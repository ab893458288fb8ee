//! What is told and kept nowhere: who writes, and who is there.

mod presence;
mod typing;

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::Cluster;
use crate::harness::http::{bearer, send_json};
use crate::harness::socket::Socket;
use crate::{BOTH, PROCESSES, Test, test};

use presence::{
    a_block_ends_watching, a_client_that_asks_again_and_again_is_answered_at_a_pace,
    a_killed_node_takes_its_users_along, presence_follows_sessions, presence_is_for_acquaintances,
    redis_forgets_everybody, who_comes_back_was_never_gone,
};
use typing::{a_block_hides_who_writes, typing_ends, typing_reaches_the_other_members};

pub(crate) const TESTS: &[Test] = &[
    test!(typing_reaches_the_other_members, BOTH),
    test!(typing_ends, BOTH),
    test!(a_block_hides_who_writes, BOTH),
    test!(presence_follows_sessions, BOTH),
    test!(presence_is_for_acquaintances, BOTH),
    test!(a_block_ends_watching, BOTH),
    test!(a_client_that_asks_again_and_again_is_answered_at_a_pace, BOTH),
    test!(who_comes_back_was_never_gone, BOTH),
    test!(a_killed_node_takes_its_users_along, PROCESSES),
    test!(redis_forgets_everybody, PROCESSES),
];

/// A session that has begun.
async fn open(cluster: &Cluster, node: usize, user: i64) -> anyhow::Result<Socket> {
    let mut socket = Socket::open(cluster, node, user, "").await?;
    ensure!(socket.next().await?["type"] == "welcome");
    Ok(socket)
}

async fn say(socket: &mut Socket, frame: Value) -> anyhow::Result<()> {
    socket.send(frame.to_string()).await
}

/// Asks over HTTP for what must be done.
async fn ask(cluster: &Cluster, user: i64, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
    let path = format!("/api/v1/{path}");
    let answer = send_json(cluster.address(0), method, &path, &[bearer(user)], &body).await?;
    ensure!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.body);
    if answer.body.is_empty() { Ok(Value::Null) } else { answer.json() }
}

/// A group of these, owned by the first.
async fn group(cluster: &Cluster, owner: i64, others: &[i64]) -> anyhow::Result<Value> {
    let body = json!({"title": "people", "member_ids": others});
    Ok(ask(cluster, owner, "POST", "conversations", body).await?["conversation_id"].clone())
}

async fn leave(cluster: &Cluster, group: &Value, user: i64) -> anyhow::Result<()> {
    let path = format!("conversations/{group}/members/{user}");
    ask(cluster, user, "DELETE", &path, Value::Null).await.map(drop)
}

/// The next frame of a type, past all others.
async fn next_of(socket: &mut Socket, kind: &str, wait: Duration) -> anyhow::Result<Value> {
    let next = async {
        loop {
            let frame = socket.next().await?;
            if frame["type"] == kind {
                return anyhow::Ok(frame);
            }
        }
    };
    timeout(wait, next).await.with_context(|| format!("no `{kind}` within {wait:?}"))?
}

/// Nothing of a type comes for a while.
async fn none_of(socket: &mut Socket, kind: &str, wait: Duration) -> anyhow::Result<()> {
    let come = async {
        loop {
            let frame = socket.next().await?;
            if frame["type"] == kind {
                bail!("it was told {frame}");
            }
        }
    };
    timeout(wait, come).await.unwrap_or(Ok(()))
}

/// Nothing of a type has come up to now: it would be before a message that is sent to this user by somebody else.
async fn none_before_a_message(
    cluster: &Cluster,
    socket: &mut Socket,
    kind: &str,
    user: i64,
) -> anyhow::Result<()> {
    let body = json!({"recipient_id": user, "content": "up to now"});
    ask(cluster, 50, "POST", "messages", body).await?;
    loop {
        let frame = socket.next().await?;
        ensure!(frame["type"] != kind, "user {user} was told {frame}");
        if frame["data"]["content"] == "up to now" {
            return Ok(());
        }
    }
}
