//! One who writes numbers and one who reads them, each with the times at which it did, over whatever happens meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use switchboard_client::{Backoff, Client, Config, Event};
use switchboard_protocol::{ServerFrame, UserId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::spread::Spread;
use crate::harness::{connected, token};

/// How long clients wait between connections: random up to the first, doubling up to the second.
pub(super) const BACKOFF: Backoff =
    Backoff { min: Duration::from_millis(20), max: Duration::from_millis(500) };
/// For anything that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between a message's acknowledgement and the next message, where nothing else is said.
const PAUSE: Duration = Duration::from_millis(20);
/// A message that took no longer went from node to node by the channel layer.
const AT_ONCE: Duration = Duration::from_millis(100);
/// So many in a row that crossed at once did not do so because a sweep was near.
const IN_A_ROW: usize = 10;

/// A client with its events.
pub(super) type Ends = (Client, mpsc::Receiver<Event>);

/// A client of `user` that may connect to these nodes in turn.
pub(super) fn client(user: i64, nodes: &[std::net::SocketAddr]) -> Ends {
    let mut config = Config::new(nodes.iter().map(|node| format!("http://{node}")), token(user));
    config.backoff = BACKOFF;
    Client::start(config)
}

/// When each of what a client did was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// The messages, in the order of their numbers.
    pub(super) done: Vec<Instant>,
    /// The connections.
    pub(super) connected: Vec<Instant>,
}

impl Log {
    /// When the first message was done after the first connection after this moment.
    pub(super) fn back_after(&self, moment: Instant) -> Option<Instant> {
        let again = self.connected.iter().find(|at| **at > moment)?;
        self.done.iter().find(|at| *at > again).copied()
    }
}

/// See the module.
pub(super) struct Talk {
    begun: watch::Receiver<Vec<Instant>>,
    acknowledged: watch::Receiver<Log>,
    heard: watch::Receiver<Log>,
    stop: CancellationToken,
    writing: JoinHandle<anyhow::Result<()>>,
    reading: JoinHandle<anyhow::Result<()>>,
    /// Connected as long as it is held.
    _reader: Client,
}

impl Talk {
    /// Returns when both are connected and the first messages are across.
    pub(super) async fn start(writer: Ends, reader: Ends, to: UserId) -> anyhow::Result<Self> {
        Self::start_at(PAUSE, writer, reader, to).await
    }

    /// The same at another pace: so long between a message's acknowledgement and the next message.
    pub(super) async fn start_at(
        pause: Duration,
        writer: Ends,
        reader: Ends,
        to: UserId,
    ) -> anyhow::Result<Self> {
        let ((writer, mut answers), (reader, mut events)) = (writer, reader);
        connected(&mut answers).await?;
        connected(&mut events).await?;
        let (heard_by, heard) = watch::channel(Log::default());
        let reading = tokio::spawn(read(events, heard_by));
        let (begun_by, begun) = watch::channel(Vec::new());
        let (acknowledged_by, acknowledged) = watch::channel(Log::default());
        let stop = CancellationToken::new();
        let writing =
            tokio::spawn(write(writer, answers, (to, pause), begun_by, acknowledged_by, stop.clone()));
        let mut talk = Self { begun, acknowledged, heard, stop, writing, reading, _reader: reader };
        talk.until_heard("the first messages", |log| (log.done.len() >= IN_A_ROW).then_some(())).await?;
        Ok(talk)
    }

    /// Waits until what the reader heard has what is looked for.
    pub(super) async fn until_heard<T>(
        &mut self,
        what: &str,
        find: impl FnMut(&Log) -> Option<T>,
    ) -> anyhow::Result<T> {
        match until(&mut self.heard, find).await {
            Some(found) => Ok(found),
            None if self.reading.is_finished() => {
                (&mut self.reading).await??;
                bail!("{what}: the reader ended")
            }
            None => bail!("{what}: not within {DEADLINE:?}"),
        }
    }

    /// Waits until what was acknowledged to the writer has what is looked for.
    pub(super) async fn until_acknowledged<T>(
        &mut self,
        what: &str,
        find: impl FnMut(&Log) -> Option<T>,
    ) -> anyhow::Result<T> {
        until(&mut self.acknowledged, find).await.with_context(|| format!("{what}: not within {DEADLINE:?}"))
    }

    /// When the message arrived from which on all cross at once, of those begun after this moment.
    pub(super) async fn until_at_once(&mut self, moment: Instant) -> anyhow::Result<Instant> {
        let begun = self.begun.clone();
        let stands = |log: &Log| {
            let begun = begun.borrow();
            let from = begun.partition_point(|at| *at < moment);
            let crossed: Vec<_> = begun.iter().zip(&log.done).skip(from).collect();
            let mut rows = crossed.windows(IN_A_ROW);
            rows.find(|row| row.iter().all(|(begun, done)| **done - **begun <= AT_ONCE)).map(|row| *row[0].1)
        };
        self.until_heard("messages cross at once", stands).await
    }

    /// Waits until all that were begun before this moment are heard, and says when the last one was.
    pub(super) async fn until_all_before(&mut self, moment: Instant) -> anyhow::Result<Instant> {
        let n_begun = self.begun.borrow().partition_point(|at| *at < moment);
        let last = n_begun.checked_sub(1).context("nothing was begun")?;
        self.until_heard("all arrive", |log| log.done.get(last).copied()).await
    }

    /// How long those took that were begun from one moment up to another and are heard.
    pub(super) fn delays(&self, from: Instant, to: Instant) -> Spread {
        let took = self.took().into_iter();
        took.filter(|(begun, _)| (from..to).contains(begun)).map(|(_, took)| took).collect()
    }

    /// Writes no more, waits until all is heard, and gives how long each took and when it was begun.
    pub(super) async fn finish(mut self) -> anyhow::Result<Vec<(Instant, Duration)>> {
        self.stop.cancel();
        timeout(DEADLINE, &mut self.writing).await.context("the last message is not acknowledged")???;
        let n_begun = self.begun.borrow().len();
        self.until_heard("all arrive", |log| (log.done.len() >= n_begun).then_some(())).await?;
        self.reading.abort();
        let n_heard = self.heard.borrow().done.len();
        ensure!(n_heard == n_begun, "{n_begun} were written and {n_heard} heard");
        Ok(self.took())
    }

    fn took(&self) -> Vec<(Instant, Duration)> {
        let (begun, heard) = (self.begun.borrow(), self.heard.borrow());
        begun.iter().zip(&heard.done).map(|(begun, done)| (*begun, *done - *begun)).collect()
    }
}

/// Nothing if it takes too long, or if nobody notes anything any more.
async fn until<T>(log: &mut watch::Receiver<Log>, mut find: impl FnMut(&Log) -> Option<T>) -> Option<T> {
    let finding = async {
        loop {
            let found = find(&log.borrow_and_update());
            if found.is_some() {
                return found;
            }
            log.changed().await.ok()?;
        }
    };
    timeout(DEADLINE, finding).await.ok().flatten()
}

/// Writes one number after the other, each when the one before is acknowledged.
async fn write(
    writer: Client,
    events: mpsc::Receiver<Event>,
    (to, pause): (UserId, Duration),
    begun: watch::Sender<Vec<Instant>>,
    acknowledged: watch::Sender<Log>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let writing = async {
        for n in 0.. {
            begun.send_modify(|begun| begun.push(Instant::now()));
            writer.send(to, "", &n.to_string(), None).await?;
            acknowledged.send_modify(|log| log.done.push(Instant::now()));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        Ok(())
    };
    tokio::select! {
        written = writing => written,
        () = note_connections(events, &acknowledged) => bail!("the writer ended"),
    }
}

async fn note_connections(mut events: mpsc::Receiver<Event>, log: &watch::Sender<Log>) {
    while let Some(event) = events.recv().await {
        if let Event::Connected(_) = event {
            log.send_modify(|log| log.connected.push(Instant::now()));
        }
    }
}

/// Reads numbers, of each sender in order, each once.
pub(super) async fn read(mut events: mpsc::Receiver<Event>, heard: watch::Sender<Log>) -> anyhow::Result<()> {
    let mut n_heard: HashMap<UserId, u64> = HashMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Connected(_) => heard.send_modify(|log| log.connected.push(Instant::now())),
            Event::Entry { frame: ServerFrame::NewMessage { data, .. }, .. } => {
                let n = n_heard.entry(data.sender_id).or_default();
                ensure!(data.content == n.to_string(), "`{}` came where {n} was to come", data.content);
                *n += 1;
                heard.send_modify(|log| log.done.push(Instant::now()));
            }
            Event::Reset { cursor, .. } => bail!("the reader was reset to {cursor}"),
            Event::Refused { reason, .. } => bail!("the reader was refused: {reason}"),
            _ => {}
        }
    }
    bail!("the reader ended")
}
