//! Clients in pairs who write to one another all the time, and somebody who asks over HTTP.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use switchboard_client::{Client, Config, Event};
use switchboard_protocol::{ServerFrame, UserId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::harness::http::{Answer, bearer, get, send_json};
use crate::harness::{DEADLINE, connected, eventually, token};

/// Between two messages of one client.
const PACE: Duration = Duration::from_secs(2);

/// What one client has seen; read while it goes on.
#[derive(Default)]
struct Seen {
    acknowledged: AtomicU64,
    received: AtomicU64,
    /// Messages that came out of their order, or twice.
    wrong: AtomicU64,
}

/// All clients.
pub(super) struct Talk {
    seen: Vec<Arc<Seen>>,
    tasks: Vec<JoinHandle<anyhow::Result<Vec<Duration>>>>,
    /// No more messages.
    quiet: CancellationToken,
    /// The end.
    stop: CancellationToken,
}

/// How long clients were away, from the end of one connection to the next welcome.
pub(super) struct Figures {
    sent: u64,
    away: Vec<Duration>,
}

impl Talk {
    /// Connects them all, then lets them talk.
    pub(super) async fn begin(public: SocketAddr, users: &[UserId]) -> anyhow::Result<Self> {
        let (quiet, stop) = (CancellationToken::new(), CancellationToken::new());
        let seen: Vec<_> = users.iter().map(|_| Arc::new(Seen::default())).collect();
        let clients = users.iter().map(|user| async move {
            let (client, mut events) =
                Client::start(Config::new([format!("http://{public}")], token(user.0)));
            connected(&mut events).await?;
            anyhow::Ok((client, events))
        });
        let mut tasks = Vec::new();
        for (index, (client, events)) in try_join_all(clients).await?.into_iter().enumerate() {
            let partner = users[index ^ 1];
            let write = write(client, partner, Arc::clone(&seen[index]), quiet.clone());
            let hear = hear(events, Arc::clone(&seen[index]), stop.clone());
            tasks.push(tokio::spawn(async move {
                // The writer keeps the handle until the end, and with it the connection.
                let (written, away) = tokio::join!(write, hear);
                drop(written?);
                Ok(away)
            }));
        }
        Ok(Self { seen, tasks, quiet, stop })
    }

    /// Waits until each client has had an acknowledgement and a message once more.
    pub(super) async fn all_are_served(&self) -> anyhow::Result<()> {
        let counts = |seen: &Arc<Seen>| {
            (seen.acknowledged.load(Ordering::Relaxed), seen.received.load(Ordering::Relaxed))
        };
        let before: Vec<_> = self.seen.iter().map(counts).collect();
        let all = async || {
            let mut pairs = self.seen.iter().map(counts).zip(&before);
            Ok(pairs.all(|(now, before)| now.0 > before.0 && now.1 > before.1).then_some(()))
        };
        eventually("each client is served again", DEADLINE, all).await
    }

    /// Lets what is under way arrive, and judges.
    pub(super) async fn end(self) -> anyhow::Result<Figures> {
        self.quiet.cancel();
        let arrived = async || {
            let count = |index: usize| self.seen[index].received.load(Ordering::Relaxed);
            let mut seen = self.seen.iter().enumerate();
            let all = seen.all(|(index, seen)| count(index ^ 1) == seen.acknowledged.load(Ordering::Relaxed));
            Ok(all.then_some(()))
        };
        let outcome = eventually("all that was acknowledged has arrived", DEADLINE, arrived).await;
        self.stop.cancel();
        let mut away = Vec::new();
        for task in self.tasks {
            away.extend(task.await??);
        }
        outcome?;
        let total = |count: fn(&Seen) -> &AtomicU64| {
            self.seen.iter().map(|seen| count(seen).load(Ordering::Relaxed)).sum::<u64>()
        };
        ensure!(
            total(|seen| &seen.wrong) == 0,
            "{} messages came twice or out of order",
            total(|seen| &seen.wrong)
        );
        away.sort();
        Ok(Figures { sent: total(|seen| &seen.acknowledged), away })
    }
}

/// Sends 0, 1, 2, …, each when the one before is acknowledged. Gives the handle back.
async fn write(
    client: Client,
    partner: UserId,
    seen: Arc<Seen>,
    quiet: CancellationToken,
) -> anyhow::Result<Client> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        if quiet.run_until_cancelled(pace.tick()).await.is_none() {
            break;
        }
        client.send(partner, "", &number.to_string(), None).await?;
        seen.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Ok(client)
}

/// Counts what comes, and how long each absence was.
async fn hear(mut events: mpsc::Receiver<Event>, seen: Arc<Seen>, stop: CancellationToken) -> Vec<Duration> {
    let (mut away, mut gone) = (Vec::new(), None);
    while let Some(Some(event)) = stop.run_until_cancelled(events.recv()).await {
        match event {
            Event::Entry { frame: ServerFrame::NewMessage { data, .. }, .. } => {
                let expected = seen.received.fetch_add(1, Ordering::Relaxed);
                if data.content != expected.to_string() {
                    seen.wrong.fetch_add(1, Ordering::Relaxed);
                }
            }
            Event::Disconnected { .. } => {
                gone.get_or_insert_with(Instant::now);
            }
            Event::Connected(_) => away.extend(gone.take().map(|gone| gone.elapsed())),
            _ => {}
        }
    }
    away
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share: f64| {
            let index = (self.away.len() as f64 * share) as usize;
            self.away.get(index.min(self.away.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        write!(
            f,
            "{} messages, {} reconnects: away p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}",
            self.sent,
            self.away.len()
        )
    }
}

/// Somebody who reads and writes over HTTP all the time. Each request is on a connection of its own.
pub(super) struct Requests {
    task: JoinHandle<()>,
    stop: CancellationToken,
    answered: Arc<AtomicUsize>,
    failed: Arc<OnceLock<String>>,
}

impl Requests {
    pub(super) fn begin(public: SocketAddr, user: i64) -> Self {
        let (stop, answered) = (CancellationToken::new(), Arc::default());
        let failed = Arc::<OnceLock<String>>::default();
        let requests = go_on_asking(public, user, Arc::clone(&answered), stop.clone());
        let failure = Arc::clone(&failed);
        let task = tokio::spawn(async move {
            if let Err(error) = requests.await {
                let _first = failure.set(format!("{error:#}"));
            }
        });
        Self { task, stop, answered, failed }
    }

    /// Fails if one has failed.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.failed.get().map_or(Ok(()), |error| bail!("{error}"))
    }

    /// Ends it. None has failed.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let Self { task, answered, failed, .. } = self;
        task.await?;
        failed.get().map_or(Ok(()), |error| bail!("{error}"))?;
        ensure!(answered.load(Ordering::Relaxed) > 100, "there were few requests");
        Ok(())
    }
}

async fn go_on_asking(
    public: SocketAddr,
    user: i64,
    answered: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let headers = [bearer(user)];
    let message = json!({"recipient_id": 1, "content": "over HTTP"});
    while !stop.is_cancelled() {
        let read = get(public, "/api/v1/me", &headers).await.context("a request through the balancer")?;
        is_answered(&read, 200)?;
        is_answered(&send_json(public, "POST", "/api/v1/messages", &headers, &message).await?, 201)?;
        answered.fetch_add(2, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// As it should be. A store that is late on a busy machine is another matter than a node that goes away.
fn is_answered(answer: &Answer, status: u16) -> anyhow::Result<()> {
    let is_late = answer.status == 503 && answer.body.contains("store_unavailable");
    ensure!(answer.status == status || is_late, "through the balancer: {} {}", answer.head, answer.body);
    Ok(())
}
