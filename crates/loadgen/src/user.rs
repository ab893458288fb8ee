//! One user, who sends to their partner or group and hears from them.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use switchboard_protocol::Target;
use tokio::select;
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_websockets::Payload;

use crate::device::Device;
use crate::inbox::Inbox;
use crate::letter::Letter;
use crate::pace::Pace;
use crate::tally::Tally;
use crate::wire::{Frame, Loss};

/// Messages of one user that wait for their answer. What is due above that waits in turn.
const OUTBOX: usize = 1024;
/// What a node refuses for the moment: it is sent again.
const REFUSED_FOR_THE_MOMENT: [&str; 3] = ["rate_limited", "store_unavailable", "draining"];
/// After such a refusal that does not say how long to wait.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A user of `run`, `flood` and `groups`.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) device: Device,
    pub(crate) to: Target,
    pub(crate) pace: Pace,
    pub(crate) letter: Letter,
    pub(crate) tally: Arc<Tally>,
    pub(crate) record: Record,
    /// What waits for its answer, in the order of the numbers.
    outbox: VecDeque<Message>,
}

/// What became of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No answer yet.
    Unknown,
    Acknowledged,
    /// Acknowledged, after it was refused for the moment: later messages may have overtaken it.
    AcknowledgedLate,
    Refused,
}

/// What one user has to say at the end.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// By number.
    pub(crate) sends: Vec<Outcome>,
    pub(crate) inbox: Inbox,
    /// Entries that came twice, and gaps, as the connection showed them.
    pub(crate) wire_duplicates: u64,
    pub(crate) wire_gaps: u64,
    /// How often a message was sent again because it was refused for the moment.
    pub(crate) retries: u64,
    pub(crate) last_refusal: Option<String>,
}

/// A message on its way.
#[derive(Debug)]
struct Message {
    number: usize,
    due: Instant,
    /// When it is sent again, if it was refused for the moment.
    again_at: Option<Instant>,
    is_late: bool,
}

/// What a user turns to.
enum Turn {
    Heard(Result<Payload, Loss>),
    Due(Instant),
    Alarm,
    Stop,
}

impl User {
    pub(crate) fn new(device: Device, to: Target, pace: Pace, letter: Letter, tally: Arc<Tally>) -> Self {
        let (record, outbox) = (Record::default(), VecDeque::new());
        Self { device, to, pace, letter, tally, record, outbox }
    }

    /// Sends at its pace and listens, over as many connections as it takes, until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Record {
        while let Err(loss) = self.follow(&stop).await {
            self.tally.disconnects.fetch_add(1, Ordering::Relaxed);
            let gone_at = Instant::now();
            match stop.run_until_cancelled(self.device.resume(loss)).await {
                Some(Ok(())) => self.tally.latencies.reconnect.record(Some(gone_at.elapsed())),
                Some(Err(loss)) => {
                    self.record.last_refusal = Some(loss.reason);
                    break;
                }
                None => break,
            }
        }
        self.record.wire_duplicates = self.device.duplicates;
        self.record.wire_gaps = self.device.gaps;
        self.record
    }

    /// One connection. `Ok` means that it was stopped.
    async fn follow(&mut self, stop: &CancellationToken) -> Result<(), Loss> {
        // What was under way on the last connection may be stored or not.
        self.outbox.iter_mut().for_each(|message| message.again_at = Some(Instant::now()));
        let mut stopped = pin!(stop.cancelled());
        let mut alarm = pin!(sleep_until(Instant::now()));
        loop {
            // All that is due by now goes out together, when the connection is next listened to.
            self.send_again().await?;
            while self.outbox.len() < OUTBOX
                && let Some(due) = self.pace.due(self.outbox.len()).now_or_never()
            {
                self.send(due).await?;
            }
            let deadline = self.deadline();
            if alarm.is_elapsed() || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            let turn = select! {
                biased;
                heard = self.device.next() => Turn::Heard(heard),
                due = self.pace.due(self.outbox.len()), if self.outbox.len() < OUTBOX => Turn::Due(due),
                () = &mut alarm => Turn::Alarm,
                () = &mut stopped => Turn::Stop,
            };
            match turn {
                Turn::Heard(heard) => {
                    self.hear(&heard?)?;
                    while let Some(heard) = self.device.link.next_ready() {
                        self.hear(&heard?)?;
                    }
                }
                Turn::Due(due) => self.send(due).await?,
                Turn::Alarm => self.device.check()?,
                Turn::Stop => return Ok(()),
            }
        }
    }

    fn deadline(&self) -> Instant {
        let again_at = self.outbox.iter().filter_map(|message| message.again_at).min();
        let deadline = self.device.deadline();
        again_at.map_or(deadline, |again_at| again_at.min(deadline))
    }

    async fn send(&mut self, due: Instant) -> Result<(), Loss> {
        let number = self.record.sends.len();
        self.record.sends.push(Outcome::Unknown);
        self.tally.sent.fetch_add(1, Ordering::Relaxed);
        self.tally.latencies.lag.record(self.tally.since(due));
        self.outbox.push_back(Message { number, due, again_at: None, is_late: false });
        self.device.link.feed(self.letter.frame(self.to, number, due)).await
    }

    async fn send_again(&mut self) -> Result<(), Loss> {
        for message in &mut self.outbox {
            if message.again_at.take_if(|at| *at <= Instant::now()).is_some() {
                let frame = self.letter.frame(self.to, message.number, message.due);
                self.device.link.feed(frame).await?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, text: &[u8]) -> Result<(), Loss> {
        let frame = Frame::parse(text)?;
        if !self.device.is_new(&frame)? {
            return Ok(());
        }
        match frame.kind {
            "new_message" => self.receive(&frame),
            "message_sent" => {
                let id = frame.client_message_id.map(|id| id.get().trim_matches('"'));
                self.acknowledge(id.and_then(|id| self.letter.number_of(id)));
            }
            "error" => self.refuse(&frame),
            _ => {}
        }
        Ok(())
    }

    fn receive(&mut self, frame: &Frame<'_>) {
        if let Some((number, due)) = frame.content().and_then(|content| self.letter.read(content)) {
            self.record.inbox.receive(number);
            self.tally.delivered.fetch_add(1, Ordering::Relaxed);
            self.tally.latencies.delivery.record(self.tally.since(due));
        }
    }

    fn acknowledge(&mut self, number: Option<usize>) {
        let Some(message) = number.and_then(|number| self.take(number)) else { return };
        self.tally.latencies.acknowledgement.record(self.tally.since(message.due));
        let outcome = if message.is_late { Outcome::AcknowledgedLate } else { Outcome::Acknowledged };
        self.record.sends[message.number] = outcome;
        self.tally.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.tally.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&mut self, frame: &Frame<'_>) {
        let number = frame.request_id.and_then(|id| id.get().parse().ok());
        let code = frame.code.unwrap_or_default();
        if REFUSED_FOR_THE_MOMENT.contains(&code) {
            let after = frame.retry_after_ms.map_or(AGAIN_AFTER, Duration::from_millis);
            let refused = self.outbox.iter_mut().find(|message| Some(message.number) == number);
            if let Some(message) = refused {
                message.again_at = Some(Instant::now() + after);
                message.is_late = true;
                self.record.retries += 1;
            }
        } else if let Some(message) = number.and_then(|number| self.take(number)) {
            self.record.last_refusal = Some(code.to_owned());
            self.record.sends[message.number] = Outcome::Refused;
            self.tally.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&mut self, number: usize) -> Option<Message> {
        let at = self.outbox.iter().position(|message| message.number == number)?;
        self.outbox.remove(at)
    }
}
