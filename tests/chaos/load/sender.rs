//! The first device of each user: our own client over a WebSocket. It sends, and reads from the first entry on. What
//! becomes of its requests is in [`requests`].

mod requests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use switchboard_checker::history::Event;
use switchboard_client::{Backoff, Client, Config, Event as ClientEvent};
use switchboard_protocol::{Seq, ServerFrame};
use tokio::sync::mpsc;
use tokio::time::sleep;

use self::requests::Ending;
use super::deeds;
use super::entries::entry;
use super::world::{Letter, Progress, World};
use crate::Dice;

/// Sends under way at a time. With the rest below no more than the client takes without waiting for a connection.
const SENDS: usize = 8;
/// Other requests under way at a time.
const OTHERS: usize = 4;

/// What a device is to do.
pub(super) enum Job {
    /// Send a message.
    Send(Letter),
    /// Ask for the count of unread messages.
    Count,
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
    pending: Arc<AtomicUsize>,
}

impl Sender {
    pub(super) fn new(
        world: Arc<World>,
        progress: Arc<Progress>,
        pending: Arc<AtomicUsize>,
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
        let (closing, leaving) = (self.world.closing.clone(), self.world.leaving.clone());
        let (mut closed, mut left) = (pin!(closing.cancelled()), pin!(leaving.cancelled()));
        loop {
            let has_room = self.n_sends < SENDS && self.n_others < OTHERS;
            // Then no letter is sent any more, so none waits for room.
            let is_closing = closing.is_cancelled();
            tokio::select! {
                // What came before an answer is taken before it: so it is known on which connection it came.
                biased;
                event = self.events.recv() => match event {
                    Some(event) => self.take(event),
                    None => self.begin_again().await,
                },
                Some(ending) = self.endings.next(), if !self.endings.is_empty() => self.settle(ending),
                Some(job) = jobs.recv(), if has_room || is_closing => match job {
                    Job::Send(_) if is_closing => {}
                    Job::Send(letter) => self.send(letter).await,
                    Job::Count => self.ask_count(),
                },
                () = &mut closed, if !is_closing => {}
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
                self.world.notes.count(|counts| {
                    counts.turned_away += 1;
                    counts.turned_away_by.clone_from(&reason);
                });
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
        if let Some(recipient) = data.recipient_id {
            self.world.learn_conversation(data.sender_id.0, recipient.0, data.conversation_id.0);
        }
        let is_received =
            matches!(frame, ServerFrame::NewMessage { .. }) && data.recipient_id != Some(data.sender_id);
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
