//! The stack itself: it starts, carries a message, and comes back from the loss of each part.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::{Link, Plan, Stack};
use crate::harness::http::{bearer, get, send_json};
use crate::harness::{DEADLINE, eventually, servers, tools};
use crate::proxy::{Direction, Toxic};

/// Whom messages go to.
const RECIPIENT: i64 = 2;

/// Needs the servers and HAProxy; ignored without them.
pub(crate) fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let runtime = Arc::clone(runtime);
    let trial = Trial::test("stack::comes_back", move || {
        let result = runtime.block_on(comes_back());
        result.map_err(|error| format!("{error:#}").into())
    });
    let is_missing = !servers::missing().is_empty() || tools::find("haproxy").is_none();
    vec![trial.with_ignored_flag(is_missing && !servers::required())]
}

async fn comes_back() -> anyhow::Result<()> {
    let begin = Instant::now();
    let stack = Stack::start(Plan::default()).await?;
    let started = begin.elapsed();
    let mut said = 0;
    carries(&stack, &mut said).await?;
    nodes_come_back(&stack, &mut said).await?;
    servers_come_back(&stack, &mut said).await?;
    balancer_comes_back(&stack, &mut said).await?;
    links_come_back(&stack, &mut said).await?;
    // Nothing is wrong: nothing is to be done, and it is whole at once.
    let begin = Instant::now();
    stack.heal().await?;
    let healed = begin.elapsed();
    ensure!(healed < Duration::from_secs(2), "healing a whole stack took {healed:?}");
    stack.finish().await?;
    crate::tell(format_args!("started in {started:?}, found whole in {healed:?}"));
    Ok(())
}

/// A message posted through the proxy is read at each node.
async fn carries(stack: &Stack, said: &mut u64) -> anyhow::Result<()> {
    *said += 1;
    let content = format!("message-{said}");
    let body = json!({ "recipient_id": RECIPIENT, "content": content, "client_message_id": content });
    let posted = async || {
        let answer = send_json(stack.through_proxy(), "POST", "/api/v1/messages", &[bearer(1)], &body).await;
        // What is not taken for a moment is said by 5xx, or not at all.
        let Some(answer) = answer.ok().filter(|answer| answer.status < 500) else {
            return Ok(None);
        };
        ensure!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.body);
        Ok(Some(()))
    };
    eventually("a message is taken", DEADLINE, posted).await?;
    for node in 0..stack.n_nodes() {
        let path = format!("/api/v1/events?cursor={}", *said - 1);
        let answer = get(stack.node(node), &path, &[bearer(RECIPIENT)]).await?.json()?;
        let arrived = &answer["events"][0]["data"]["content"];
        ensure!(*arrived == content, "node {node} has {answer} in place of `{content}`");
    }
    Ok(())
}

async fn nodes_come_back(stack: &Stack, said: &mut u64) -> anyhow::Result<()> {
    stack.kill_node(0).await?;
    stack.freeze_node(1)?;
    stack.stop_node(2).await?;
    ensure!(!stack.is_running(0) && stack.is_running(1) && !stack.is_running(2), "other nodes run");
    ensure!(!stack.is_whole().await, "whole without nodes");
    stack.start_node(2, &[("SWITCHBOARD_LOG__LEVEL".to_owned(), "debug".to_owned())]).await?;
    stack.heal().await?;
    ensure!(stack.deaths().is_empty(), "{:?}", stack.deaths());
    carries(stack, said).await
}

async fn servers_come_back(stack: &Stack, said: &mut u64) -> anyhow::Result<()> {
    stack.kill_redis().await?;
    stack.kill_postgres().await?;
    ensure!(stack.redis_command(&["PING"]).await.is_err(), "a dead Redis answers");
    stack.heal().await?;
    carries(stack, said).await?;
    let answer = stack.redis_command(&["CONFIG", "SET", "maxmemory", "1"]).await?;
    ensure!(answer == "+OK", "{answer}");
    stack.freeze_redis().await?;
    stack.freeze_postgres().await?;
    // Nodes ask now and then.
    let is_felt = async || Ok((!stack.is_whole().await).then_some(()));
    eventually("frozen servers are felt", DEADLINE, is_felt).await?;
    stack.heal().await?;
    ensure!(stack.redis_command(&["SET", "a", "b"]).await? == "+OK", "Redis is still out of memory");
    ensure!(stack.redis_command(&["DEL", "a"]).await? == ":1", "another Redis");
    carries(stack, said).await
}

async fn balancer_comes_back(stack: &Stack, said: &mut u64) -> anyhow::Result<()> {
    stack.reload_balancer().await?;
    carries(stack, said).await?;
    stack.kill_balancer().await?;
    ensure!(get(stack.through_proxy(), "/live", &[]).await.is_err(), "a dead balancer answers");
    stack.heal().await?;
    carries(stack, said).await
}

async fn links_come_back(stack: &Stack, said: &mut u64) -> anyhow::Result<()> {
    stack.link(Link::Redis(1), Direction::Both, Toxic::BlackHole).await?;
    ensure!(stack.n_connections(Link::Redis(1)).await? > 0, "node 1 does not go through its link");
    stack.refuse(Link::Clients).await?;
    ensure!(get(stack.through_proxy(), "/live", &[]).await.is_err(), "clients are not refused");
    stack.refuse(Link::Postgres(0)).await?;
    stack.reset(Link::Postgres(0)).await?;
    let is_without = async || {
        let answer = get(stack.admin(0), "/ready", &[]).await?;
        Ok((answer.status == 503).then_some(()))
    };
    eventually("node 0 misses its store", DEADLINE, is_without).await?;
    stack.heal().await?;
    carries(stack, said).await
}
