//! Requests of a device over its socket: each is noted, has a number of its own, and comes to an end that is noted too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use switchboard_checker::history::{Event, Outcome};
use switchboard_client::{Acknowledged, Draft, RequestError};
use switchboard_protocol::{AttachmentId, MessageId, UserId};
use tokio::time::timeout;

use super::{OTHERS, Sender};
use crate::Dice;
use crate::load::ask::{note_send, refused, unknown};
use crate::load::deeds::{follow_up, send_again, send_later};
use crate::load::world::{Known, Letter};

/// What a request came to.
pub(super) enum Ending {
    Sent {
        op: u64,
        letter: Letter,
        connection: u64,
        result: Result<Acknowledged, RequestError>,
    },
    Read {
        op: u64,
        before: (u64, u64),
        result: Result<(), RequestError>,
    },
    Counted {
        asked: u64,
        result: Result<i64, RequestError>,
    },
    /// It was given up; the client goes on with it until it ends.
    Overdue {
        op: Option<u64>,
        is_send: bool,
        rest: BoxFuture<'static, ()>,
    },
    /// One that was given up has ended.
    Late {
        is_send: bool,
    },
}

impl Sender {
    /// Sends a message.
    pub(super) async fn send(&mut self, letter: Letter) {
        let draft = Draft {
            client_message_id: Some(letter.client_message_id.clone()),
            attachment_ids: letter.attachments.iter().map(|id| AttachmentId(*id)).collect(),
            ..Draft::new(UserId(letter.recipient), &*letter.content)
        };
        let op = note_send(&self.world, &letter, Some(self.device.clone()));
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.n_sends += 1;
        if self.world.shape.lively && self.dice.roll(200) == 0 {
            let (here, mut own) = (Arc::clone(&self.world), Dice(self.dice.roll(u64::MAX)));
            let twin = letter.clone();
            self.world.later(Duration::ZERO, async move { send_again(&here, &mut own, &twin).await });
        }
        let connection = self.connection;
        // Waits for nothing: there is room for all that may be under way.
        let posted = self.client.post_draft(draft).await;
        let answer = async move { posted?.await };
        let patience = self.world.shape.patience;
        self.endings.push(Box::pin(async move {
            match within(patience, answer).await {
                Ok(result) => Ending::Sent { op, letter, connection, result },
                Err(rest) => Ending::Overdue { op: Some(op), is_send: true, rest },
            }
        }));
    }

    /// Marks a message as read.
    pub(super) fn read(&mut self, message: MessageId) {
        let op = self.world.notes.op();
        self.world.notes.note(Event::Read { op, user: self.user, message: message.0 });
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.n_others += 1;
        let (client, before) = (self.client.clone(), (self.connection, self.client.retries()));
        let patience = self.world.shape.patience;
        self.endings.push(Box::pin(async move {
            match within(patience, async move { client.mark_read(message).await }).await {
                Ok(result) => Ending::Read { op, before, result },
                Err(rest) => Ending::Overdue { op: Some(op), is_send: false, rest },
            }
        }));
    }

    /// Asks how many messages are not read.
    pub(super) fn ask_count(&mut self) {
        let asked = self.world.notes.now();
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.n_others += 1;
        let (client, patience) = (self.client.clone(), self.world.shape.patience);
        self.endings.push(Box::pin(async move {
            match within(patience, async move { client.unread_count().await }).await {
                Ok(result) => Ending::Counted { asked, result },
                Err(rest) => Ending::Overdue { op: None, is_send: false, rest },
            }
        }));
    }

    /// Notes what a request came to.
    pub(super) fn settle(&mut self, ending: Ending) {
        match ending {
            Ending::Sent { op, letter, connection, result } => {
                self.n_sends -= 1;
                self.sent(op, letter, connection, result);
            }
            Ending::Read { op, before, result } => {
                self.n_others -= 1;
                // A refusal of a second attempt says nothing of the first.
                let was_once = before == (self.connection, self.client.retries());
                let outcome = match result {
                    Ok(()) => Outcome::Done,
                    Err(RequestError::Refused(error)) if was_once => refused(error.code, || error.error),
                    Err(error) => unknown(error.to_string()),
                };
                self.world.notes.outcome(op, outcome);
            }
            Ending::Counted { asked, result } => {
                self.n_others -= 1;
                if let Ok(count) = result {
                    let (user, via) = (self.user, "socket".to_owned());
                    self.world.notes.note(Event::Unread { user, count, via, asked });
                }
            }
            Ending::Overdue { op, is_send, rest } => {
                if let Some(op) = op {
                    self.world.notes.outcome(op, unknown("no answer in time"));
                }
                self.endings.push(Box::pin(async move {
                    rest.await;
                    Ending::Late { is_send }
                }));
            }
            Ending::Late { is_send } => {
                let n_under_way = if is_send { &mut self.n_sends } else { &mut self.n_others };
                *n_under_way -= 1;
                return;
            }
        }
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }

    fn sent(&mut self, op: u64, letter: Letter, connection: u64, result: Result<Acknowledged, RequestError>) {
        match result {
            Ok(Acknowledged { message_id, seq, repeat, refusals }) => {
                // All that came before the entry was taken, so a connection in between would be known.
                let is_taken = self.progress.cursor.load(Ordering::Relaxed) >= seq.0;
                let again = refusals > 0 || repeat || !is_taken || connection != self.connection;
                let message = message_id.0;
                self.world.notes.outcome(op, Outcome::Sent { message, seq: seq.0, repeat, again });
                if self.world.shape.lively {
                    follow_up(&self.world, &mut self.dice, Known { message, letter });
                    if self.dice.roll(200) == 0 && self.n_others < OTHERS {
                        self.ask_count();
                    }
                }
            }
            Err(RequestError::Refused(error)) => {
                self.world.notes.outcome(op, refused(error.code, || error.error));
            }
            Err(error) => {
                self.world.notes.outcome(op, unknown(error.to_string()));
                send_later(&self.world, &mut self.dice, letter);
            }
        }
    }
}

/// Waits for an answer as long as it makes sense; what is left of it otherwise.
async fn within<T: Send + 'static>(
    patience: Duration,
    answer: impl Future<Output = T> + Send + 'static,
) -> Result<T, BoxFuture<'static, ()>> {
    let mut answer = Box::pin(answer);
    let in_time = timeout(patience, &mut answer).await;
    in_time.map_err(|_elapsed| -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _too_late = answer.await;
        })
    })
}
