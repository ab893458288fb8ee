//! The task behind a client: it owns the cursor and the outbox, and outlives connections. What it does with
//! frames is in [`reading`].

mod reading;

use std::pin::pin;
use std::sync::Arc;

use switchboard_protocol::{Reaction, Seq, Welcome};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::Counters;
use crate::event::Feed;
use crate::link::{self, Link, Loss, Step};
use crate::outbox::{Outbox, Request};
use crate::{Config, Event};

/// A time that is as good as never.
const FAR: Duration = Duration::from_secs(3600);

/// The state of a client's task.
#[derive(Debug)]
pub(crate) struct Session {
    config: Config,
    /// The last entry handed over.
    cursor: Option<Seq>,
    epoch: Option<String>,
    outbox: Outbox,
    feed: Feed,
    /// Its other ends are the handles.
    requests: mpsc::Receiver<Request>,
    /// Cancelled by `close` or with the last handle.
    stop: CancellationToken,
    counters: Arc<Counters>,
    connection: Connection,
}

/// What is true of one connection only.
#[derive(Debug, Default)]
struct Connection {
    welcomed_at: Option<Instant>,
    /// When to leave this node, because it said that it goes away. It serves us until then.
    leave_at: Option<Instant>,
    /// Whether an entry was left out for a consumer that had no room: from then on the connection serves only
    /// answers, until the consumer has taken everything and the next connection resumes from the cursor.
    is_behind: bool,
}

impl Session {
    pub(crate) fn new(
        config: Config,
        requests: mpsc::Receiver<Request>,
        events: mpsc::Sender<Event>,
        stop: CancellationToken,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            cursor: config.cursor,
            epoch: config.epoch.clone(),
            outbox: Outbox::new(config.outbox, config.backoff),
            feed: Feed::new(events),
            requests,
            stop,
            counters,
            connection: Connection::default(),
            config,
        }
    }

    /// Connects again and again, until the client is closed or the node wants no more of it.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        for turn in 0.. {
            let Err(loss) = self.connect(turn).await else { return };
            tracing::debug!(reason = loss.reason, code = loss.code, "the connection ended");
            let connection = std::mem::take(&mut self.connection);
            let uptime = connection.welcomed_at.map_or(Duration::ZERO, |at| at.elapsed());
            if uptime > self.config.backoff.cap(failures) {
                failures = 0;
            }
            // Who was told to leave has had its own time for that; who is told again and again waits.
            let leave = (connection.leave_at.is_some() && failures == 0).then_some(Duration::ZERO);
            let delay = leave.or(loss.after).unwrap_or_else(|| self.config.backoff.delay(failures));
            failures = failures.saturating_add(1);
            self.feed.push(Event::Disconnected { reason: loss.reason.clone(), code: loss.code });
            if loss.reaction != Reaction::Reconnect {
                self.feed.push(Event::Refused { reason: loss.reason, reaction: loss.reaction });
                return self.end().await;
            }
            if self.wait(delay).await.is_none() {
                return;
            }
        }
    }

    /// One connection. `Ok` means that the client was closed.
    async fn connect(&mut self, turn: usize) -> Result<(), Loss> {
        let urls = &self.config.urls;
        let Some(base) = urls.get(turn % urls.len().max(1)) else {
            return Err(Loss::new("there is no url to connect to", Reaction::Stop));
        };
        let url = link::url(base, self.cursor, self.epoch.as_deref());
        // Boxed, since it is large and soon over: a process may hold thousands of sessions.
        let open = Box::pin(Link::open(&url, &self.config.token));
        let open = timeout(self.config.connect_timeout, open);
        let Some(opened) = self.stop.run_until_cancelled(open).await else {
            return Ok(());
        };
        let (mut link, welcome) = opened.map_err(|_elapsed| Loss::again("no welcome in time"))??;
        self.welcome(welcome);
        let ended = self.follow(&mut link).await;
        link.close().await;
        ended
    }

    /// With a cursor of our own we stay with it: the node says so with a `reset` if it is of no use.
    fn welcome(&mut self, welcome: Welcome) {
        self.cursor.get_or_insert(welcome.cursor);
        self.epoch.get_or_insert_with(|| welcome.epoch.clone());
        self.connection.welcomed_at = Some(Instant::now());
        self.outbox.rewind(welcome.user.id);
        self.feed.push(Event::Connected(welcome));
    }

    /// Follows the mailbox until the connection ends. `Ok` means that the client was closed.
    async fn follow(&mut self, link: &mut Link) -> Result<(), Loss> {
        let stop = self.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        let mut alarm = pin!(sleep(FAR));
        loop {
            let has_room = !self.feed.is_full() && !self.connection.is_behind;
            link.set_reading(has_room || self.reads_answers());
            let deadline = self.deadline(link.silent_at());
            if alarm.is_elapsed() || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            select! {
                step = link.step(self.outbox.is_ready()) => match step? {
                    Step::Writable => self.write(link)?,
                    Step::Text(text) => self.read(&text)?,
                    Step::Alive => {}
                },
                Some(request) = self.requests.recv(), if self.outbox.has_room() => self.outbox.push(request),
                () = self.feed.relieve(), if !has_room => self.relieved()?,
                () = &mut alarm => self.check_deadlines(link.silent_at())?,
                () = &mut stopped => return Ok(()),
            }
        }
    }

    /// Whether to read past a full feed, for the answers alone: so a consumer may await its own requests.
    fn reads_answers(&self) -> bool {
        let is_stuck = || self.feed.stuck_at().is_some_and(|at| at <= Instant::now());
        self.outbox.awaits_answer() && (self.connection.is_behind || is_stuck())
    }

    fn write(&mut self, link: &mut Link) -> Result<(), Loss> {
        self.outbox.next_frame().map_or(Ok(()), |text| link.write(text))
    }

    /// The consumer took an event that was held, or all that it was given.
    fn relieved(&self) -> Result<(), Loss> {
        if self.connection.is_behind && self.feed.is_empty() {
            let after = Some(Duration::ZERO);
            return Err(Loss { after, ..Loss::again("the consumer has room again: resuming") });
        }
        Ok(())
    }

    fn deadline(&self, silent_at: Option<Instant>) -> Instant {
        let now = Instant::now();
        let stuck_at = self.feed.stuck_at().filter(|at| *at > now);
        let deadlines = [silent_at, stuck_at, self.outbox.paused_until(), self.connection.leave_at];
        deadlines.into_iter().flatten().min().unwrap_or(now + FAR)
    }

    fn check_deadlines(&self, silent_at: Option<Instant>) -> Result<(), Loss> {
        let now = Instant::now();
        if self.connection.leave_at.is_some_and(|at| at <= now) {
            return Err(Loss::again("the node goes away"));
        }
        if silent_at.is_some_and(|at| at <= now) {
            return Err(Loss::again("nothing was heard for two heartbeats"));
        }
        Ok(())
    }

    /// Waits between connections. `None` means that the client was closed.
    async fn wait(&mut self, delay: Duration) -> Option<()> {
        let stop = self.stop.clone();
        let mut pause = pin!(sleep(delay));
        loop {
            select! {
                () = &mut pause => return Some(()),
                () = stop.cancelled() => return None,
                () = self.feed.relieve(), if self.feed.is_full() => {}
            }
        }
    }

    /// Tells everybody who waits that there will be no answer, then hands over the last events.
    async fn end(self) {
        let Self { mut feed, outbox, requests, stop, .. } = self;
        drop((outbox, requests));
        while feed.is_full() && stop.run_until_cancelled(feed.relieve()).await.is_some() {}
    }
}
