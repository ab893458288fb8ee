//! What those see who are connected when a node goes away, and those who come.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::crowd;
use crate::harness::Cluster;
use crate::harness::http::{EventStream, bearer, get, send_json};
use crate::harness::socket::Socket;

/// What a session saw of the end of its node.
struct Leave {
    /// When it was told to leave, from when it was told.
    told: Duration,
    /// When it was closed, from the signal on.
    closed: Duration,
    code: u16,
    /// Messages that came after it was told.
    n_received: usize,
}

/// Listens to the end.
async fn leave(mut socket: Socket, signal: Instant) -> anyhow::Result<Leave> {
    let (mut told, mut n_received) = (None, 0);
    loop {
        match socket.next_message().await? {
            Message::Text(text) => {
                let frame: Value = serde_json::from_str(&text)?;
                if frame["type"] == "reconnect" {
                    ensure!(told.is_none(), "it was told twice");
                    let after = frame["after_ms"].as_u64().context("a time")?;
                    told = Some(Duration::from_millis(after));
                } else if frame["type"] == "new_message" && told.is_some() {
                    n_received += 1;
                }
            }
            Message::Close(close) => {
                let told = told.context("it was not told")?;
                let code = close.context("a code")?.code.into();
                return Ok(Leave { told, closed: signal.elapsed(), code, n_received });
            }
            _ => {}
        }
    }
}

/// 400 sessions leave over 1.6 s, each at its own time, and get messages until then.
pub(super) async fn each_session_leaves_at_its_own_time(mut cluster: Cluster) -> anyhow::Result<()> {
    const SPREAD: Duration = Duration::from_millis(1_600);
    let sockets = crowd(&cluster, 400).await?;
    let mut stream = EventStream::open(cluster.address(0), "/api/v1/events/stream", &[bearer(1)]).await?;
    ensure!(stream.next().await?.1["type"] == "welcome");
    let begun = Instant::now();
    let stopping = cluster.begin_stop(0)?.context("it runs")?;
    let mut leaves = JoinSet::new();
    for socket in sockets {
        leaves.spawn(leave(socket, begun));
    }
    // From the other node to all of them, for as long as they are there.
    let other = cluster.address(1);
    let sending = async {
        for user in (2..42).cycle() {
            let message = json!({"recipient_id": user, "content": "x"});
            let sent = send_json(other, "POST", "/api/v1/messages", &[bearer(1)], &message).await?;
            ensure!(sent.status == 201, "{}", sent.body);
        }
        Ok(())
    };
    let leaves = tokio::select! {
        leaves = leaves.join_all() => leaves.into_iter().collect::<anyhow::Result<Vec<_>>>()?,
        ended = sending => return ended,
    };
    stopping.await??;
    crate::tell(format_args!("a stop with 400 sessions took {:?}", begun.elapsed()));
    let times: BTreeSet<_> = leaves.iter().map(|leave| leave.told).collect();
    ensure!(times.len() > 100, "{} different times", times.len());
    ensure!(times.last().is_some_and(|last| (SPREAD / 2..=SPREAD * 101 / 100).contains(last)), "{times:?}");
    for leave in &leaves {
        ensure!(leave.code == 1012, "closed with {}", leave.code);
        ensure!(leave.closed >= leave.told, "{:?} < {:?}", leave.closed, leave.told);
        ensure!(leave.closed < leave.told + Duration::from_secs(3), "{:?} > {:?}", leave.closed, leave.told);
    }
    let n_received: usize = leaves.iter().map(|leave| leave.n_received).sum();
    ensure!(n_received > 0, "nothing came to a session that was told to leave");
    // The stream is told too, and ends by itself.
    loop {
        match stream.next().await {
            Ok((_, frame)) if frame["type"] == "reconnect" => break,
            Ok(_) => {}
            Err(error) => return Err(error.context("it was not told")),
        }
    }
    while stream.next().await.is_ok() {}
    cluster.finish().await
}

/// Those that are there go on, what they ask for is done; those that come are sent elsewhere.
pub(super) async fn a_stop_answers_requests_and_lets_nobody_in(mut cluster: Cluster) -> anyhow::Result<()> {
    let mut sockets = crowd(&cluster, 400).await?;
    let address = cluster.address(0);
    let poll = tokio::spawn(async move {
        let begun = Instant::now();
        let answer = get(address, "/api/v1/events?wait=30", &[bearer(1)]).await?;
        anyhow::Ok((answer, begun.elapsed()))
    });
    // The poll is under way; if it is not, it is answered at once all the same.
    sleep(Duration::from_millis(100)).await;
    let stopping = cluster.begin_stop(0)?.context("it runs")?;
    let (mut longest, mut last) = (0, None);
    for mut socket in sockets.drain(..) {
        let told = socket.next().await?["after_ms"].as_u64().context("no time")?;
        if told >= longest {
            (longest, last) = (told, Some(socket));
        }
    }
    let mut last = last.context("there is one")?;

    let ready = get(address, "/ready", &[]).await?;
    ensure!(ready.status == 503 && ready.json()?["status"] == "draining", "{}", ready.body);
    let refused = Socket::connect(address, &[bearer(1)], "").await?.err().context("it was let in")?;
    let (status, body) = refused;
    ensure!(status == 503 && body["code"] == "draining", "{status} {body}");
    ensure!(body["retry_after_ms"].as_u64().is_some_and(|ms| ms <= 1_000), "{body}");
    let refused = get(address, "/api/v1/events/stream", &[bearer(1)]).await?;
    ensure!(refused.status == 503 && refused.header("retry-after") == Some("1"), "{}", refused.head);
    let me = get(address, "/api/v1/me", &[bearer(1)]).await?;
    ensure!(me.status == 200 && me.header("connection") == Some("close"), "{}\n{}", me.head, me.body);

    let message = json!({"type": "send_message", "recipient_id": 1, "content": "on the way out"});
    last.send(message.to_string()).await?;
    let sent = last.next().await?;
    ensure!(sent["type"] == "message_sent", "{sent}");
    ensure!(last.close_code().await? == 1012);
    let (answer, waited) = poll.await??;
    ensure!(answer.status == 200 && waited < Duration::from_secs(5), "{waited:?} {}", answer.body);
    stopping.await??;
    ensure!(cluster.store.count_messages().await? == 1);
    cluster.finish().await
}
