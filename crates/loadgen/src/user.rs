//! One user, who sends to their partner or group and hears from them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use switchboard_client::{Acknowledged, Answer, Client, Event, RequestError};
use switchboard_protocol::{ServerFrame, Target};
use tokio::select;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::inbox::Inbox;
use crate::pace::Pace;
use crate::tally::Tally;

/// A user of `run`, `flood` and `groups`.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) events: Receiver<Event>,
    pub(crate) to: Target,
    pub(crate) pace: Pace,
    pub(crate) letter: Letter,
    pub(crate) tally: Arc<Tally>,
    pub(crate) record: Record,
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
    /// Entries that came twice, and gaps, as the client saw them.
    pub(crate) wire_duplicates: u64,
    pub(crate) wire_gaps: u64,
    pub(crate) retries: u64,
    /// Since when the user is not connected.
    pub(crate) gone_at: Option<Instant>,
    pub(crate) last_refusal: Option<RequestError>,
}

/// A message on its way.
struct Message<T> {
    number: usize,
    due: Instant,
    result: Result<T, RequestError>,
}

type Posted = Message<Answer<Acknowledged>>;
type Sent = Message<Acknowledged>;

impl User {
    /// Sends at its pace and listens, until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Record {
        let mut stopped = pin!(stop.cancelled());
        // At most one: the next message follows it into the outbox, or the order would be lost here.
        let mut posting = FuturesUnordered::new();
        let mut sending = FuturesUnordered::new();
        loop {
            select! {
                due = self.pace.due(sending.len()), if posting.is_empty() => posting.push(self.post(due)),
                Some(posted) = posting.next(), if !posting.is_empty() => sending.push(acknowledgement(posted)),
                Some(sent) = sending.next(), if !sending.is_empty() => self.sent(sent),
                Some(event) = self.events.recv() => self.hear(event),
                () = &mut stopped => break,
            }
        }
        self.record.wire_duplicates = self.client.duplicates();
        self.record.wire_gaps = self.client.gaps();
        self.record.retries = self.client.retries();
        self.record
    }

    fn post(&mut self, due: Instant) -> impl Future<Output = Posted> + Send + use<> {
        let number = self.record.sends.len();
        self.record.sends.push(Outcome::Unknown);
        self.tally.sent.fetch_add(1, Ordering::Relaxed);
        self.tally.lag.record(self.tally.since(due));
        let content = self.letter.write(number, due);
        let (client, to) = (self.client.clone(), self.to);
        async move {
            let result = client.post(to, "", &content, None).await;
            Message { number, due, result }
        }
    }

    fn sent(&mut self, sent: Sent) {
        let outcome = match sent.result {
            Ok(Acknowledged { refusals, .. }) => {
                self.tally.acknowledgement.record(self.tally.since(sent.due));
                if refusals == 0 { Outcome::Acknowledged } else { Outcome::AcknowledgedLate }
            }
            Err(error) => {
                self.record.last_refusal = Some(error);
                Outcome::Refused
            }
        };
        self.record.sends[sent.number] = outcome;
        self.tally.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Entry { frame: ServerFrame::NewMessage { data, .. }, .. } => {
                if let Some((number, due)) = self.letter.read(&data.content) {
                    self.record.inbox.receive(number);
                    self.tally.delivered.fetch_add(1, Ordering::Relaxed);
                    self.tally.delivery.record(self.tally.since(due));
                }
            }
            Event::Disconnected { .. } => {
                self.tally.disconnects.fetch_add(1, Ordering::Relaxed);
                // A failed attempt disconnects too: away is who was connected last.
                self.record.gone_at.get_or_insert_with(Instant::now);
            }
            Event::Connected(_) => {
                self.tally.reconnect.record(self.record.gone_at.take().map(|at| at.elapsed()));
            }
            _ => {}
        }
    }
}

async fn acknowledgement(posted: Posted) -> Sent {
    let Message { number, due, result } = posted;
    let result = match result {
        Ok(answer) => answer.await,
        Err(error) => Err(error),
    };
    Message { number, due, result }
}

/// How a message carries its number and the time at which it was due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    /// Tells this run's messages from others.
    pub(crate) run: u32,
    /// Times are microseconds since then.
    pub(crate) origin: Instant,
    /// Bytes of content.
    pub(crate) size: usize,
}

impl Letter {
    fn write(&self, number: usize, due: Instant) -> String {
        let micros = due.saturating_duration_since(self.origin).as_micros();
        let head = format!("{:08x} {number} {micros} ", self.run);
        format!("{head:x<size$}", size = self.size)
    }

    fn read(&self, content: &str) -> Option<(u64, Instant)> {
        let mut fields = content.split(' ');
        let run = u32::from_str_radix(fields.next()?, 16).ok()?;
        let number = fields.next()?.parse().ok()?;
        let micros = fields.next()?.parse().ok()?;
        (run == self.run).then(|| (number, self.origin + Duration::from_micros(micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let letter = Letter { run: 7, origin: Instant::now(), size: 100 };
        let due = letter.origin + Duration::from_micros(123_456);
        let content = letter.write(42, due);
        assert_eq!(content.len(), 100);
        assert_eq!(letter.read(&content), Some((42, due)));
        assert_eq!(Letter { run: 8, ..letter }.read(&content), None);
        assert_eq!(letter.read("hello"), None);
    }
}
