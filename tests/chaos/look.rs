//! What a run looks at that clients do not see: memory, the queue of a peer that takes nothing, what is left when all have left.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use serde_json::json;
use switchboard_checker::history::{Event, Recorder};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::harness::http::{bearer, metric, send_json, upgrade};
use crate::harness::{USERS, resident};
use crate::sabotages::QUEUE_BYTES;
use crate::stack::Stack;

/// What a node may have, in bytes: several times what it has under this load, and little beside what hostile peers send.
const NODE_BYTES: u64 = 512 << 20;
/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(500);
/// For the peer that takes nothing: so many messages, of so many bytes. More than its queue and the kernel's buffers hold.
const LETTERS: usize = 600;
const LETTER_BYTES: usize = 30 * 1024;
const AT_ONCE: usize = 20;
/// Two heartbeats, and what a peer that takes nothing is given; then channels linger for some seconds.
const SILENCE: Duration = Duration::from_secs(120);
/// Nobody of the load.
const STALLED: i64 = USERS;

/// Notes what memory each node has, again and again. Never ends.
pub(crate) async fn watch_memory(stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
    loop {
        for node in 0..stack.n_nodes() {
            // It may have ended.
            if let Some(bytes) = stack.pid(node).and_then(|pid| resident(pid).ok()) {
                let (process, limit) = (format!("node {node}"), Some(NODE_BYTES));
                recorder.note(Event::Memory { process, bytes, limit })?;
            }
        }
        sleep(LOOK).await;
    }
}

/// Has a peer of the first node take nothing while megabytes come for it, and notes what waits in the node's queues: no more
/// than twice what one session may have, whatever the others do.
pub(crate) async fn stall_a_peer(stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
    let address = stack.node(0);
    let mut stalled = TcpStream::connect(address).await?;
    stalled.write_all(upgrade(address, &bearer(STALLED)).as_bytes()).await?;
    let body = json!({"recipient_id": STALLED, "content": "x".repeat(LETTER_BYTES)});
    let limit = Some(2 * QUEUE_BYTES.parse::<u64>()?);
    // Not from itself: that would be two entries.
    let sender = [bearer(STALLED - 1)];
    for _ in 0..LETTERS / AT_ONCE {
        let letters = (0..AT_ONCE).map(|_| send_json(address, "POST", "/api/v1/messages", &sender, &body));
        try_join_all(letters).await?;
        let bytes = metric(stack.admin(0), "switchboard_hub_queue_bytes").await? as u64;
        recorder.note(Event::Memory { process: "queues of node 0".to_owned(), bytes, limit })?;
    }
    Ok(())
}

/// Once all have left, waits until nothing is left of them, and notes what is. Nodes were told goodbye by those who could;
/// of the others they learn by their silence.
pub(crate) async fn wait_for_rest(stack: &Stack, recorder: &Recorder) -> anyhow::Result<()> {
    let deadline = Instant::now() + SILENCE;
    let mut left = what_is_held(stack).await?;
    while left.iter().any(|(_, held)| *held > 0) && Instant::now() < deadline {
        sleep(LOOK).await;
        left = what_is_held(stack).await?;
    }
    for (what, ended) in left {
        recorder.note(Event::Rest { what, begun: 0, ended })?;
    }
    Ok(())
}

/// What nodes hold for sessions, and Redis for nodes.
async fn what_is_held(stack: &Stack) -> anyhow::Result<Vec<(String, i64)>> {
    // The first line of the answer is `*N`.
    let answer = stack.redis_command(&["PUBSUB", "CHANNELS", "*:mailbox:*"]).await?;
    let channels = answer.strip_prefix('*').context("no list")?.parse().context("no number")?;
    let mut held = vec![("channels in Redis".to_owned(), channels)];
    for node in 0..stack.n_nodes() {
        for what in ["sessions", "hub_mailboxes", "writer_queue_bytes", "hub_queue_bytes"] {
            let value = metric(stack.admin(node), &format!("switchboard_{what}")).await? as i64;
            held.push((format!("{what} of node {node}"), value));
        }
    }
    Ok(held)
}
