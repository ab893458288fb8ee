//! A shard of the hub: the task that owns some of the mailboxes, with its timers and its readings of the store.
//!
//! It waits for nothing but its own `select!`: whatever takes time is in `work`, and comes back as [`Done`].

mod heads;
mod repair;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use switchboard_channel_layer::Channel;
use switchboard_protocol::{MailboxId, Seq};
use switchboard_store::{Entry, Head, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::heads::Readings;
use self::repair::REPAIRS;
use super::Surroundings;
use super::mailbox::{Accepted, Mailbox};
use super::outlet::Outlet;
use crate::ephemeral::Notice;
use crate::packet::Packet;
use crate::sabotage::{self, sabotaged};

/// How long the whole sweep takes: each mailbox is compared with the store once in it. Below the two seconds that
/// are promised by what reading and delivering take.
const SWEEP_PERIOD: Duration = Duration::from_millis(1_600);
/// How long a gap is left to close by itself: a reorder is common.
const REORDER_WAIT: Duration = Duration::from_millis(50);
/// How long an attach waits for its subscription. After that the sweep serves until it stands.
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(1);
/// How long a mailbox without sessions keeps its subscription: most clients that leave come back.
const LINGER: Duration = Duration::from_secs(10);
/// Parts of the sweep, spread over its period.
const SLICES: usize = 8;
/// Commands taken in one turn, before timers and readings have theirs.
const TURN: usize = 64;

/// What a shard is told.
pub(super) enum Command {
    Attach { mailbox: MailboxId, outlet: Arc<Outlet>, reply: Reply },
    Head { mailbox: MailboxId, reply: Reply },
    Deliver(Vec<Packet>),
    Tell(Vec<Notice>),
    Sweep,
}

type Reply = oneshot::Sender<Result<Head, StoreError>>;

/// Somebody who waits for a head.
struct Request {
    /// Set if they join the mailbox with it.
    outlet: Option<Arc<Outlet>>,
    reply: Reply,
}

/// What the shard waits for.
enum Done {
    Subscribed(MailboxId),
    Requested(Vec<(MailboxId, Vec<Request>)>, Readings),
    Swept(usize, Readings),
    /// With how far it was asked.
    Paged(MailboxId, Seq, Result<Vec<Entry>, StoreError>),
}

/// A mailbox with what the shard must know of it.
struct Place {
    mailbox: Mailbox,
    channel: Channel,
    /// Those that wait for the subscription; none once it stands, or will by itself.
    subscribing: Option<Vec<Request>>,
    /// Sessions on their way in.
    attaching: usize,
    /// Since when it has no session, nor one on its way in.
    idle_since: Option<Instant>,
}

/// A gap that is about to be closed.
struct Gap {
    due: Instant,
    mailbox: MailboxId,
    /// What showed it; nothing for the rest of one that is being closed.
    cause: Option<&'static str>,
}

pub(super) struct Shard {
    surroundings: Surroundings,
    /// By slice of the sweep.
    places: [HashMap<MailboxId, Box<Place>>; SLICES],
    requests: HashMap<MailboxId, Vec<Request>>,
    reading_requests: bool,
    /// Whether a reading of the slice is under way, and whether it was asked for again since.
    sweeping: [(bool, bool); SLICES],
    next_slice: usize,
    /// Gaps, by when they are to be closed; for equal waits a queue is in order.
    gaps: VecDeque<Gap>,
    /// Readings under way that close a gap.
    repairs: usize,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
}

fn slice_of(mailbox: MailboxId) -> usize {
    (mailbox.0 / super::SHARDS as i64).rem_euclid(SLICES as i64) as usize
}

impl Shard {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings,
            places: Default::default(),
            requests: HashMap::new(),
            reading_requests: false,
            sweeping: Default::default(),
            next_slice: 0,
            gaps: VecDeque::new(),
            repairs: 0,
            work: FuturesUnordered::new(),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        let mut tick = interval(SWEEP_PERIOD / SLICES as u32);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = Vec::with_capacity(TURN);
        loop {
            // While as many as may be are read for, the others wait.
            let gap_due = self.gaps.front().map(|gap| gap.due).filter(|_| self.repairs < REPAIRS);
            tokio::select! {
                () = stop.cancelled() => break,
                taken = commands.recv_many(&mut turn, TURN) => {
                    if taken == 0 {
                        break;
                    }
                    for command in turn.drain(..) {
                        self.obey(command);
                    }
                }
                Some(done) = self.work.next() => self.finish(done),
                _ = tick.tick() => self.tick(),
                () = sleep_until(gap_due.unwrap_or_else(Instant::now)), if gap_due.is_some() => self.close_gap(),
            }
            self.read_requests();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Attach { mailbox, outlet, reply } => {
                self.attach(mailbox, Request { outlet: Some(outlet), reply });
            }
            Command::Head { mailbox, reply } => {
                self.requests.entry(mailbox).or_default().push(Request { outlet: None, reply });
            }
            Command::Deliver(packets) => self.deliver(packets),
            Command::Tell(notices) => self.tell(&notices),
            Command::Sweep => (0..SLICES).for_each(|slice| self.sweep(slice)),
        }
    }

    /// Subscribes first, if need be: what is published after that is heard, what before is in the head.
    fn attach(&mut self, id: MailboxId, request: Request) {
        let Self { surroundings, work, .. } = self;
        let place = self.places[slice_of(id)].entry(id).or_insert_with(|| {
            let channel = surroundings.channel(id);
            let (layer, wanted) = (surroundings.layer.clone(), channel.clone());
            surroundings.metrics.hub_mailboxes.inc();
            let is_late = sabotaged!("read_before_subscribe");
            work.push(Box::pin(async move {
                sabotage::dawdle(is_late).await;
                // Down or late: it stays wanted, and the sweep serves until it stands.
                let _confirmed = timeout(SUBSCRIBE_WAIT, layer.subscribe(&wanted)).await;
                Done::Subscribed(id)
            }));
            Box::new(Place {
                mailbox: Mailbox::default(),
                channel,
                subscribing: (!is_late).then(Vec::new),
                attaching: 0,
                idle_since: None,
            })
        });
        place.attaching += 1;
        place.idle_since = None;
        match &mut place.subscribing {
            Some(waiting) => waiting.push(request),
            None => self.requests.entry(id).or_default().push(request),
        }
    }

    /// Takes packets that belong together, and hands over at their end what they brought.
    fn deliver(&mut self, packets: Vec<Packet>) {
        let mut ready = Vec::new();
        for packet in packets {
            let id = packet.mailbox;
            let Some(place) = self.places[slice_of(id)].get_mut(&id).filter(|it| it.idle_since.is_none())
            else {
                continue;
            };
            let was_ready = place.mailbox.is_ready();
            let outcome = match place.mailbox.accept(packet) {
                Accepted::Forwarded => "forwarded",
                Accepted::Duplicate => "duplicate",
                Accepted::Early => "early",
            };
            if !was_ready && place.mailbox.is_ready() {
                ready.push(id);
            }
            self.surroundings.metrics.hub_packets.of(outcome).inc();
            self.watch_gap(id, REORDER_WAIT, Some("later_entry"));
        }
        for id in ready {
            if let Some(place) = self.places[slice_of(id)].get_mut(&id) {
                place.mailbox.hand_over();
            }
        }
    }

    /// Past all order, to who is here now.
    fn tell(&self, notices: &[Notice]) {
        for notice in notices {
            if let Some(place) = self.places[slice_of(notice.mailbox)].get(&notice.mailbox) {
                place.mailbox.tell(notice);
            }
        }
    }

    fn tick(&mut self) {
        let slice = self.next_slice;
        self.next_slice = (slice + 1) % SLICES;
        let now = Instant::now();
        let Surroundings { layer, metrics, .. } = &self.surroundings;
        self.places[slice].retain(|_id, place| {
            if place.attaching > 0 || place.mailbox.prune() {
                return true;
            }
            let lingers = now.duration_since(*place.idle_since.get_or_insert(now)) < LINGER;
            if !lingers {
                if !sabotaged!("never_unsubscribe") {
                    layer.unsubscribe(&place.channel);
                }
                metrics.hub_mailboxes.dec();
            }
            lingers
        });
        self.sweep(slice);
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Subscribed(id) => {
                let place = self.places[slice_of(id)].get_mut(&id);
                if let Some(waiting) = place.and_then(|place| place.subscribing.take()) {
                    self.requests.entry(id).or_default().extend(waiting);
                }
            }
            Done::Requested(requests, readings) => {
                self.reading_requests = false;
                self.answer(requests, readings);
            }
            Done::Swept(slice, readings) => {
                let (_, again) = std::mem::take(&mut self.sweeping[slice]);
                self.observe(&readings, "sweep");
                if again {
                    self.sweep(slice);
                }
            }
            Done::Paged(id, asked, entries) => self.repair(id, asked, entries),
        }
    }
}
