//! The writer: the one way to change mailboxes. A task a node that commits what has come while it was busy.
//!
//! There is no timer: the first command of an idle writer is committed at once, and under load batches grow by
//! themselves. After a commit the entries go to this node's hub and to the channel layer, then the answers.

mod aside;
mod slices;

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use switchboard_channel_layer::Publication;
use switchboard_store::{Command, Committer, Event, Outcome, OwnAct, SendCommand, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::Span;
use tracing::field::Empty;

use self::aside::{Aside, tend};
use self::slices::slices;
use crate::hub::{HubHandle, Surroundings, stopping};
use crate::metrics::Metrics;
use crate::packet::{Origin, Packet};
use crate::sabotage;
use crate::trace::TraceContext;

/// Commands that wait. A session waits for room before it reads its next frame.
const QUEUE: usize = 4_096;
/// Bytes of the commands that wait or are being committed; the same waits for room.
const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Commands in a batch. More gains little and keeps the first waiting.
const BATCH: usize = 256;
/// How long after it was accepted a command has its outcome, or the client is told that it is unknown.
const DEADLINE: Duration = Duration::from_secs(5);
/// What a batch gets at least, however long it has waited: longer than the store lets a lock be waited for, so that
/// one locked mailbox has a definite answer.
const LEAST: Duration = Duration::from_millis(2_500);
/// Between two tries of a batch.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// The way to talk to the writer. When the last is dropped, the writer commits what waits and ends.
#[derive(Clone)]
pub struct WriterHandle {
    queue: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// What comes of a command, some time later.
pub type Answer = oneshot::Receiver<Result<Outcome, StoreError>>;

struct Job {
    command: Command,
    waiting: Waiting,
}

/// Who waits for an outcome.
struct Waiting {
    accepted: Instant,
    origin: Origin,
    /// Its part of the trace: it ends when this is dropped.
    span: Span,
    reply: oneshot::Sender<Result<Outcome, StoreError>>,
    /// Its share of the bytes, given back with it.
    _bytes: OwnedSemaphorePermit,
}

impl WriterHandle {
    /// Starts the writer on the present runtime.
    pub fn start(surroundings: Surroundings, hub: HubHandle, tracker: &TaskTracker) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let metrics = Arc::clone(&surroundings.metrics);
        let committer = surroundings.store.committer();
        let writer = Writer { surroundings, hub, committer, tracker: tracker.clone(), failing: false };
        tracker.spawn(writer.run(jobs));
        Self { queue, bytes: Arc::new(Semaphore::new(QUEUE_BYTES)), metrics }
    }

    /// Puts a command into the queue, waiting for room: from then on it is in order with what is submitted
    /// after it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the writer has ended.
    pub async fn submit(&self, command: Command) -> Result<Answer, StoreError> {
        let size = match &command {
            Command::Send(send) => {
                send.content.len() + send.subject.len() + 512 * (1 + send.attachments.len())
            }
            Command::MarkRead { messages, .. } => 256 + 64 * messages.len(),
            Command::Edit(edit) => edit.content.len() + edit.subject.as_ref().map_or(0, String::len) + 512,
            Command::Own { act: OwnAct::Conversation { draft: Some(draft), .. }, .. } => draft.len() + 512,
            // Up to a hundred members.
            Command::Group { .. } => 4_096,
            Command::Delete { .. } | Command::React { .. } | Command::Own { .. } => 512,
        };
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(size).await.map_err(|_closed| stopping())?;
        let (reply, answer) = oneshot::channel();
        let span = tracing::debug_span!("writer", batch = Empty);
        // It is not entered: traces take the last moment within a span for its end.
        let origin = Origin::here(TraceContext::of(&span));
        let waiting = Waiting { accepted: Instant::now(), origin, span, reply, _bytes: bytes };
        self.queue.send(Job { command, waiting }).await.map_err(|_closed| stopping())?;
        self.metrics.writer_queue.inc();
        Ok(answer)
    }

    /// The bytes of what waits or is being committed.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        QUEUE_BYTES.saturating_sub(self.bytes.available_permits())
    }

    /// A client message id for a message that came without one, so that its own retry is safe.
    #[must_use]
    pub fn generate_id() -> String {
        format!("{}{:032x}", SendCommand::GENERATED, rand::random::<u128>())
    }
}

struct Writer {
    surroundings: Surroundings,
    hub: HubHandle,
    committer: Committer,
    /// For what holds up no batch.
    tracker: TaskTracker,
    /// Whether the last batch got no answer.
    failing: bool,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            let metrics = &self.surroundings.metrics;
            metrics.writer_queue.dec_by(i64::try_from(jobs.len()).unwrap_or(i64::MAX));
            if self.failing {
                // What has waited past its deadline behind others that failed is not made to wait for one more try.
                for job in jobs.extract_if(.., |job| job.waiting.accepted.elapsed() > DEADLINE) {
                    metrics.commands.of("unanswered").inc();
                    let _gone = job.waiting.reply.send(Err(unanswered("it waited too long for the store")));
                }
            }
            if !jobs.is_empty() {
                let (batch, waiting) = jobs.drain(..).map(|job| (job.command, job.waiting)).unzip();
                self.commit(batch, waiting).await;
            }
        }
    }

    async fn commit(&mut self, batch: Vec<Command>, waiting: Vec<Waiting>) {
        let oldest = waiting.iter().map(|waiting| waiting.accepted).min().unwrap_or_else(Instant::now);
        let deadline = (oldest + DEADLINE).max(Instant::now() + LEAST);
        for Waiting { span, .. } in &waiting {
            span.record("batch", i64::try_from(batch.len()).unwrap_or(i64::MAX));
        }
        match self.try_until(deadline, &Arc::from(batch), &waiting).await {
            Ok(outcomes) => {
                if self.failing {
                    tracing::info!("the store takes messages again");
                }
                self.failing = false;
                for (waiting, outcome) in waiting.into_iter().zip(outcomes) {
                    let _gone = waiting.reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                if !self.failing {
                    tracing::error!("the store takes no messages: {error}");
                }
                self.failing = true;
                self.count("unanswered", waiting.len());
                for waiting in waiting {
                    let _gone = waiting.reply.send(Err(unanswered(&error.to_string())));
                }
            }
        }
    }

    /// Commits and announces, again and again until the store answers or the deadline is near.
    async fn try_until(
        &mut self,
        deadline: Instant,
        batch: &Arc<[Command]>,
        waiting: &[Waiting],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let begun = Instant::now();
            fail_point!("crash_before_commit");
            let result = self.committer.commit(Arc::clone(batch), deadline).await;
            let metrics = &self.surroundings.metrics;
            match result {
                Ok(outcomes) => {
                    fail_point!("crash_after_commit");
                    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
                    metrics.batch_size.observe(batch.len() as f64);
                    metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
                    self.announce(&outcomes, waiting).await;
                    self.follow_up(batch, &outcomes, tries > 1).await;
                    fail_point!("crash_after_publish");
                    return Ok(outcomes);
                }
                Err(error) if Instant::now() + RETRY_WAIT > deadline => return Err(error),
                Err(_) => {
                    metrics.commit_retries.inc();
                    sleep(RETRY_WAIT).await;
                }
            }
        }
    }

    /// Tells the hub and the other nodes.
    async fn announce(&self, outcomes: &[Outcome], waiting: &[Waiting]) {
        let changes = outcomes.iter().zip(waiting).filter_map(|(outcome, waiting)| match outcome {
            Outcome::Committed(entries) => Some((entries.as_slice(), &waiting.origin)),
            Outcome::Repeated(_) | Outcome::Refused(_) => None,
        });
        for (index, packets) in slices(changes).enumerate() {
            if index > 0 {
                // Who takes what was announced before is to have the time for it.
                yield_now().await;
            }
            self.announce_slice(packets).await;
        }
    }

    async fn announce_slice(&self, mut packets: Vec<Packet>) {
        sabotage::spoil(&mut packets);
        let publication = |packet: &Packet| Publication {
            channel: self.surroundings.channel(packet.mailbox),
            payload: packet.payload.clone(),
        };
        let mut publications = packets.iter().map(publication).collect();
        sabotage::distort(&mut publications);
        self.surroundings.layer.publish(publications);
        self.hub.deliver(packets).await;
    }

    /// Counts what came of a batch, and has looked after what its entries do not bring.
    async fn follow_up(&self, batch: &[Command], outcomes: &[Outcome], tried_again: bool) {
        let (mut messages, mut repeated, mut refused, mut asides) = (0, 0, 0, Vec::new());
        for (command, outcome) in batch.iter().zip(outcomes) {
            match outcome {
                Outcome::Committed(entries) => {
                    let is_message = entries.iter().any(|entry| matches!(entry.event, Event::Sent(_)));
                    messages += u64::from(is_message);
                    asides.extend(entries.iter().filter_map(|entry| match &entry.event {
                        Event::Block(block) => Some(Aside::Rights(block.user_id)),
                        _ => None,
                    }));
                }
                // An earlier try of this batch may have done it, and told nobody.
                Outcome::Repeated(entry) => {
                    repeated += 1;
                    if tried_again {
                        self.hub.check(entry.mailbox).await;
                    }
                }
                // And done now, it may be what cannot be done twice.
                Outcome::Refused(_) => {
                    refused += 1;
                    asides.extend(tried_again.then(|| Aside::Check(command.actor())));
                }
            }
        }
        self.surroundings.metrics.messages_accepted.inc_by(messages);
        self.count("repeated", repeated);
        self.count("refused", refused);
        self.count("committed", outcomes.len() - repeated - refused);
        if !asides.is_empty() {
            self.tracker.spawn(tend(self.surroundings.store.clone(), self.hub.clone(), asides));
        }
    }

    fn count(&self, outcome: &'static str, n: usize) {
        self.surroundings.metrics.commands.of(outcome).inc_by(n as u64);
    }
}

fn unanswered(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.to_owned())
}
