//! The first device of each user: our own client over a WebSocket. It sends, and reads from the first entry on.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use switchboard_checker::history::{Event, Outcome};
use switchboard_client::{Acknowledged, Backoff, Client, Config, Draft, Event as ClientEvent, RequestError};
use switchboard_protocol::{AttachmentId, MessageId, Seq, ServerFrame, UserId};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::ask::{note_send, refused, unknown};
use super::deeds::{self, follow_up, send_again, send_later};
use super::entries::entry;
use super::world::{Known, Letter, Progress, World};
use crate::Dice;

/// Sends under way at a time. With the rest below no more than the client takes without waiting for a connection.
const SENDS: usize = 8;
/// Other requests under way at a time.
const OTHERS: usize = 4;
/// After this nobody knows what became of a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a device is to do.
pub(super) enum Job {
    /// Send a message.
    Send(Letter),
    /// Ask for the count of unread messages.
    Count,
}

/// What a request came to.
enum Ending {
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

/// A device with its client.
pub(super) struct Sender {
    world: Arc<World>,
    device: String,
    user: i64,
    dice: Dice,
    client: Client,
    events: mpsc::Receiver<ClientEvent>,
    progress: Arc<Progress>,
    /// As far as it is known.
    epoch: Option<String>,
    /// Connections up to now.
    connection: u64,
    is_connected: bool,
    /// Of clients that ended before.
    former: (u64, u64),
    endings: FuturesUnordered<BoxFuture<'static, Ending>>,
    n_sends: usize,
    n_others: usize,
    /// Requests without an outcome; the load looks at it.
    pending: Arc<std::sync::atomic::AtomicUsize>,
}

impl Sender {
    pub(super) fn new(
        world: Arc<World>,
        progress: Arc<Progress>,
        pending: Arc<std::sync::atomic::AtomicUsize>,
        dice: Dice,
    ) -> Self {
        let user = progress.user;
        let (client, events) = start(&world, user, 0, None);
        Self {
            device: format!("{user}.a"),
            user,
            dice,
            client,
            events,
            progress,
            epoch: None,
            connection: 0,
            is_connected: false,
            former: (0, 0),
            endings: FuturesUnordered::new(),
            n_sends: 0,
            n_others: 0,
            pending,
            world,
        }
    }

    /// Does what it is told, and takes what comes, until devices leave.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let leaving = self.world.leaving.clone();
        let mut left = pin!(leaving.cancelled());
        loop {
            let has_room = self.n_sends < SENDS && self.n_others < OTHERS;
            tokio::select! {
                // What came before an answer is taken before it: so it is known on which connection it came.
                biased;
                event = self.events.recv() => match event {
                    Some(event) => self.take(event),
                    None => self.begin_again().await,
                },
                Some(ending) = self.endings.next(), if !self.endings.is_empty() => self.settle(ending),
                Some(job) = jobs.recv(), if has_room => match job {
                    Job::Send(letter) => self.send(letter).await,
                    Job::Count => self.ask_count(),
                },
                () = &mut left => break,
            }
        }
        self.leave().await;
    }

    /// Takes what the client says.
    fn take(&mut self, event: ClientEvent) {
        let device = self.device.clone();
        match event {
            ClientEvent::Connected(welcome) => {
                self.connection += 1;
                self.is_connected = true;
                self.epoch.get_or_insert_with(|| welcome.epoch.clone());
                self.progress.cursor.fetch_max(0, Ordering::Relaxed);
                let (transport, cursor, epoch) = ("websocket".to_owned(), welcome.cursor.0, welcome.epoch);
                self.world.notes.note(Event::Connected { device, user: self.user, transport, cursor, epoch });
            }
            ClientEvent::Entry { seq, frame } => {
                self.world.notes.note(Event::Entry(entry(&device, seq.0, &frame)));
                self.progress.cursor.store(seq.0, Ordering::Relaxed);
                self.react(&frame);
            }
            ClientEvent::Reset { cursor, epoch } => {
                self.progress.cursor.store(cursor.0, Ordering::Relaxed);
                self.epoch = Some(epoch.clone());
                self.world.notes.note(Event::Reset { device, cursor: cursor.0, epoch });
            }
            ClientEvent::Disconnected { reason, .. } => self.disconnected(reason),
            ClientEvent::Refused { reason, .. } => {
                self.world.notes.count(|counts| counts.turned_away += 1);
                self.disconnected(reason);
            }
            ClientEvent::Frame(_) => {}
        }
    }

    /// Attempts that fail are no connections.
    fn disconnected(&mut self, reason: String) {
        if std::mem::take(&mut self.is_connected) {
            self.world.notes.note(Event::Disconnected { device: self.device.clone(), reason });
        }
    }

    /// The node did not want it back: as somebody would who starts the program once more.
    async fn begin_again(&mut self) {
        self.former.0 += self.client.duplicates();
        self.former.1 += self.client.gaps();
        sleep(Duration::from_secs(1)).await;
        let cursor = self.progress.cursor.load(Ordering::Relaxed).max(0);
        (self.client, self.events) = start(&self.world, self.user, cursor, self.epoch.clone());
    }

    /// What a user does about an entry.
    fn react(&mut self, frame: &ServerFrame) {
        let (ServerFrame::NewMessage { data, .. } | ServerFrame::MessageSent { data, .. }) = frame else {
            return;
        };
        self.world.learn_conversation(data.sender_id.0, data.recipient_id.0, data.conversation_id.0);
        let is_received =
            matches!(frame, ServerFrame::NewMessage { .. }) && data.sender_id != data.recipient_id;
        let is_awake = self.world.shape.lively && !self.world.closing.is_cancelled();
        if !is_received || !is_awake {
            return;
        }
        let (user, message) = (self.user, data.message_id);
        let (here, mut own) = (Arc::clone(&self.world), Dice(self.dice.roll(u64::MAX)));
        let wait = Duration::from_millis(own.roll(3_000));
        match self.dice.roll(100) {
            0..20 if self.n_others < OTHERS => self.read(message),
            0..40 => {
                self.world.later(wait, async move { deeds::read(&here, &mut own, user, message.0).await });
            }
            40 => {
                self.world.later(wait, async move { deeds::delete(&here, &mut own, user, message.0).await });
            }
            _ => {}
        }
    }

    async fn send(&mut self, letter: Letter) {
        if self.world.closing.is_cancelled() {
            return;
        }
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
        self.endings.push(Box::pin(async move {
            match within(answer).await {
                Ok(result) => Ending::Sent { op, letter, connection, result },
                Err(rest) => Ending::Overdue { op: Some(op), is_send: true, rest },
            }
        }));
    }

    fn read(&mut self, message: MessageId) {
        let op = self.world.notes.op();
        self.world.notes.note(Event::Read { op, user: self.user, message: message.0 });
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.n_others += 1;
        let (client, before) = (self.client.clone(), (self.connection, self.client.retries()));
        self.endings.push(Box::pin(async move {
            match within(async move { client.mark_read(message).await }).await {
                Ok(result) => Ending::Read { op, before, result },
                Err(rest) => Ending::Overdue { op: Some(op), is_send: false, rest },
            }
        }));
    }

    fn ask_count(&mut self) {
        let asked = self.world.notes.now();
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.n_others += 1;
        let client = self.client.clone();
        self.endings.push(Box::pin(async move {
            match within(async move { client.unread_count().await }).await {
                Ok(result) => Ending::Counted { asked, result },
                Err(rest) => Ending::Overdue { op: None, is_send: false, rest },
            }
        }));
    }

    fn settle(&mut self, ending: Ending) {
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

    async fn leave(mut self) {
        let (duplicates, gaps) = self.former;
        let (duplicates, gaps) = (duplicates + self.client.duplicates(), gaps + self.client.gaps());
        // What is in its channel has come, though nobody looked.
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
        self.client.close().await;
        let device = self.device;
        self.world.notes.note(Event::Wire { device: device.clone(), duplicates, gaps });
        self.world.notes.note(Event::Left { device });
    }
}

/// Starts a client after an entry.
fn start(
    world: &World,
    user: i64,
    cursor: i64,
    epoch: Option<String>,
) -> (Client, mpsc::Receiver<ClientEvent>) {
    let address = if user % 2 == 0 { world.ways.through_proxy } else { world.ways.balancer };
    let mut config = Config::new([format!("http://{address}")], world.token(user).to_owned());
    config.cursor = Some(Seq(cursor));
    config.epoch = epoch;
    config.backoff = Backoff { min: Duration::from_millis(50), max: Duration::from_secs(1) };
    config.events = 1_024;
    Client::start(config)
}

/// Waits for an answer as long as it makes sense; what is left of it otherwise.
async fn within<T: Send + 'static>(
    answer: impl Future<Output = T> + Send + 'static,
) -> Result<T, BoxFuture<'static, ()>> {
    let mut answer = Box::pin(answer);
    let in_time = timeout(PATIENCE, &mut answer).await;
    in_time.map_err(|_elapsed| -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _too_late = answer.await;
        })
    })
}
