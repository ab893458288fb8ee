//! Postgres is killed and started again, or stands still, while sessions on both nodes ask again and again.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use switchboard_protocol::UserId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{between, cluster, finish};
use crate::figures::spread::Spread;
use crate::figures::talk::{self, Log, read};
use crate::harness::http::bearer;
use crate::harness::servers::Postgres;
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, connected};
use crate::{Dice, tell};

/// Whom they write to.
const READER: UserId = UserId(9);

/// Back after half a second to three seconds.
pub(super) async fn killed(tries: usize) -> anyhow::Result<()> {
    let mut dice = Dice(4);
    let fault = async |postgres: &mut Postgres| {
        tokio::task::block_in_place(|| postgres.kill())?;
        sleep(between(&mut dice, 500, 3_000)).await;
        tokio::task::block_in_place(|| postgres.restart())
    };
    after("Postgres killed, and back: until a message is acknowledged", tries, fault).await
}

/// For three seconds.
pub(super) async fn frozen(tries: usize) -> anyhow::Result<()> {
    let fault = async |postgres: &mut Postgres| {
        postgres.freeze()?;
        sleep(Duration::from_secs(3)).await;
        postgres.thaw()
    };
    after("Postgres frozen for 3 s, and back: until a message is acknowledged", tries, fault).await
}

/// From the end of each fault until each of two sessions, one a node, is told that a message is stored.
async fn after(
    what: &str,
    tries: usize,
    mut fault: impl AsyncFnMut(&mut Postgres) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cluster = cluster().await?;
    let (_reader, mut events) = talk::client(READER.0, &[cluster.address(0)]);
    connected(&mut events).await?;
    let (heard_by, mut heard) = watch::channel(Log::default());
    let reading = tokio::spawn(read(events, heard_by));
    let mut askers = vec![Asker::start(&cluster, 0, 1), Asker::start(&cluster, 1, 2)];
    let (mut took, mut dice) = (Spread::default(), Dice(5));
    for _ in 0..tries {
        // Up to here they are acknowledged.
        for asker in &mut askers {
            asker.next_after(Instant::now()).await?;
        }
        sleep(between(&mut dice, 200, 1_000)).await;
        fault(cluster.postgres.as_mut().context("there is one")?).await?;
        let back = Instant::now();
        for asker in &mut askers {
            took.add(asker.next_after(back).await? - back);
        }
    }
    took.row(what, "by itself");
    let (mut n_written, mut n_ended) = (0, 0);
    for asker in askers {
        let (written, ended) = asker.finish().await?;
        n_written += written;
        n_ended += ended;
    }
    tell(format_args!("| … sessions that ended meanwhile, of 2 | none | {n_ended} | | {tries} |"));
    let all = heard.wait_for(|log| log.done.len() >= n_written);
    let is_all_heard = matches!(timeout(DEADLINE, all).await, Ok(Ok(_)));
    if reading.is_finished() {
        reading.await??;
    } else {
        ensure!(is_all_heard, "of {n_written} messages not all were heard");
    }
    finish(cluster, n_written).await
}

/// A session that writes numbers, each until it is stored, and then the next.
struct Asker {
    stored: watch::Receiver<Vec<Instant>>,
    stop: CancellationToken,
    /// In the end, how many sessions have ended.
    asking: JoinHandle<anyhow::Result<usize>>,
}

impl Asker {
    fn start(cluster: &Cluster, node: usize, user: i64) -> Self {
        let (stored_by, stored) = watch::channel(Vec::new());
        let stop = CancellationToken::new();
        let asking = tokio::spawn(ask(cluster.address(node), user, stored_by, stop.clone()));
        Self { stored, stop, asking }
    }

    async fn next_after(&mut self, moment: Instant) -> anyhow::Result<Instant> {
        let is_after = |stored: &Vec<Instant>| stored.last().is_some_and(|last| *last > moment);
        let stored =
            timeout(DEADLINE * 2, self.stored.wait_for(is_after)).await.context("nothing is stored")??;
        let first = stored.iter().find(|at| **at > moment);
        first.copied().context("the last one is after it")
    }

    async fn finish(self) -> anyhow::Result<(usize, usize)> {
        self.stop.cancel();
        let n_ended = timeout(DEADLINE * 2, self.asking).await???;
        let n_stored = self.stored.borrow().len();
        Ok((n_stored, n_ended))
    }
}

async fn ask(
    node: SocketAddr,
    user: i64,
    stored: watch::Sender<Vec<Instant>>,
    stop: CancellationToken,
) -> anyhow::Result<usize> {
    let (mut n_sessions, mut n) = (0_usize, 0);
    while !stop.is_cancelled() {
        // While the store is away nobody is let in.
        if let Ok(Ok(mut socket)) = Socket::connect(node, &[bearer(user)], "").await {
            n_sessions += 1;
            while !stop.is_cancelled() && store_next(&mut socket, n).await.is_ok() {
                n += 1;
                stored.send_modify(|stored| stored.push(Instant::now()));
                sleep(Duration::from_millis(20)).await;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(n_sessions.saturating_sub(1))
}

/// Repeats a message until it is acknowledged. An error is the end of the session.
async fn store_next(socket: &mut Socket, n: usize) -> anyhow::Result<()> {
    let id = n.to_string();
    let message =
        json!({"type": "send_message", "recipient_id": READER.0, "content": id, "client_message_id": id});
    socket.send(message.to_string()).await?;
    loop {
        let frame = socket.next().await?;
        if frame["client_message_id"] == id.as_str() {
            if frame["type"] == "message_sent" {
                return Ok(());
            }
            ensure!(frame["code"] == "store_unavailable", "{frame}");
            sleep(Duration::from_millis(10)).await;
            socket.send(message.to_string()).await?;
        }
    }
}
