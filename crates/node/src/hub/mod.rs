//! The hub: for each mailbox with a session on this node, what was delivered last, and to whom the next goes.
//!
//! It lives on the back-end runtime, in shards by mailbox; each shard is a task that owns its mailboxes. Packets
//! come from this node's writer and from the channel layer, whichever is first; sessions take them out of their
//! [`Outlet`]s. What the layer loses, repeats or reorders is put right in `mailbox.rs`; what it never brings is
//! found by the sweep in `shard.rs`.

mod mailbox;
mod outlet;
mod shard;

use std::sync::Arc;

use switchboard_channel_layer::{Channel, ChannelLayer, Event, Publication};
use switchboard_protocol::MailboxId;
use switchboard_store::{Head, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::outlet::{Item, Lagged, Outlet, Taken};
use self::shard::{Command, Shard};
use crate::ephemeral::{self, Notice};
use crate::metrics::Metrics;
use crate::packet::Packet;

/// More would only spread the same work thinner: a shard does a few microseconds a packet.
const SHARDS: usize = 4;

/// Commands that wait for a shard. Whoever sends waits for room; a shard waits for nobody.
const QUEUE: usize = 1_024;

/// What is left unanswered when the node stops.
pub(crate) fn stopping() -> StoreError {
    StoreError::Unavailable("the node is stopping".to_owned())
}

/// What the hub works with.
#[derive(Clone)]
pub struct Surroundings {
    /// Where the truth is.
    pub store: Store,
    /// What brings packets from other nodes.
    pub layer: ChannelLayer,
    /// The id that channel names begin with.
    pub deployment: Arc<str>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// The bytes that may wait for one session.
    pub outlet_bytes: usize,
}

impl Surroundings {
    /// The channel of a mailbox. The braces keep it on one slot of a Redis Cluster.
    pub(crate) fn channel(&self, mailbox: MailboxId) -> Channel {
        Channel::new(format!("{}:mailbox:{{{mailbox}}}", self.deployment))
    }
}

/// The way to talk to the hub.
#[derive(Clone)]
pub struct HubHandle {
    shards: Arc<[mpsc::Sender<Command>]>,
    surroundings: Surroundings,
    /// Tells this node's own notices from those of others. Drawn at the start.
    id: u64,
}

/// A session's place in the hub. Dropping it ends the session there.
pub struct Attachment {
    outlet: Arc<Outlet>,
    /// Where the mailbox stood: everything after it comes through the outlet.
    pub head: Head,
}

impl Attachment {
    /// What has come for the session.
    #[must_use]
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.outlet.close();
    }
}

impl HubHandle {
    /// Starts the hub on the present runtime. `events` is the other end of the layer.
    pub fn start(
        surroundings: Surroundings,
        mut events: mpsc::Receiver<Event>,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let shards = (0..SHARDS).map(|_| {
            let (sender, commands) = mpsc::channel(QUEUE);
            tracker.spawn(Shard::new(surroundings.clone()).run(commands, stop.clone()));
            sender
        });
        let hub = Self { shards: shards.collect(), surroundings, id: rand::random() };
        let dispatcher = hub.clone();
        tracker.spawn(async move {
            let dispatch = async {
                while let Some(event) = events.recv().await {
                    dispatcher.dispatch(event).await;
                }
            };
            stop.run_until_cancelled(dispatch).await;
        });
        hub
    }

    /// Hands over what the layer brought. Waiting for a shard here fills the layer's queue, which then drops and
    /// says so: there is one place where packets are dropped.
    async fn dispatch(&self, event: Event) {
        match event {
            Event::Messages(payloads) => {
                let (notices, payloads): (Vec<_>, Vec<_>) =
                    payloads.into_iter().partition(|payload| Notice::is_one(payload));
                let total = notices.len() + payloads.len();
                let heard: Vec<_> = notices.iter().filter_map(Notice::decode).collect();
                let packets: Vec<_> = payloads.into_iter().filter_map(Packet::decode).collect();
                let malformed = total - heard.len() - packets.len();
                self.surroundings.metrics.drops.of("malformed").inc_by(malformed as u64);
                // First what may be ended by a message.
                self.pass(heard.into_iter().filter(|(node, _)| *node != self.id).map(|(_, notice)| notice));
                self.deliver(packets).await;
            }
            Event::Restored => {
                for shard in &*self.shards {
                    let _stopping = shard.send(Command::Sweep).await;
                }
            }
            Event::Lost => {}
        }
    }

    /// Delivers packets to the sessions of this node, in their order a mailbox.
    pub async fn deliver(&self, packets: Vec<Packet>) {
        let mut parts: [Vec<Packet>; SHARDS] = Default::default();
        for packet in packets {
            parts[Self::index(packet.mailbox)].push(packet);
        }
        for (shard, packets) in self.shards.iter().zip(parts) {
            if !packets.is_empty() {
                let _stopping = shard.send(Command::Deliver(packets)).await;
            }
        }
    }

    /// Tells what is kept nowhere, to the sessions of this node and of the others.
    pub fn tell(&self, notices: Vec<Notice>) {
        let Surroundings { layer, metrics, .. } = &self.surroundings;
        metrics.ephemeral.of("published").inc_by(notices.len() as u64);
        let publication = |notice: &Notice| Publication {
            channel: self.surroundings.channel(notice.mailbox),
            payload: ephemeral::encode(notice, self.id),
        };
        layer.publish(notices.iter().map(publication).collect());
        self.pass(notices.into_iter());
    }

    /// The same to the sessions of this node alone. What a busy shard has no room for is dropped: nothing waits for it.
    fn pass(&self, notices: impl Iterator<Item = Notice>) {
        let mut parts: [Vec<Notice>; SHARDS] = Default::default();
        for notice in notices {
            parts[Self::index(notice.mailbox)].push(notice);
        }
        for (shard, notices) in self.shards.iter().zip(parts) {
            let n_notices = notices.len() as u64;
            if n_notices > 0 && shard.try_send(Command::Tell(notices)).is_err() {
                self.surroundings.metrics.drops.of("ephemeral").inc_by(n_notices);
            }
        }
    }

    /// Gives a session a place: from the head that it returns on, every entry comes through its outlet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn attach(&self, mailbox: MailboxId) -> Result<Attachment, StoreError> {
        let Surroundings { outlet_bytes, metrics, .. } = &self.surroundings;
        let outlet = Arc::new(Outlet::new(*outlet_bytes, Arc::clone(metrics)));
        let (reply, answer) = oneshot::channel();
        let attach = Command::Attach { mailbox, outlet: Arc::clone(&outlet), reply };
        // If this is given up while it waits, the hub finds the outlet closed.
        let mut attachment = Attachment {
            outlet,
            head: Head { mailbox, floor: Default::default(), last_seq: Default::default(), unread: 0 },
        };
        attachment.head = self.ask(mailbox, attach, answer).await?;
        Ok(attachment)
    }

    /// Where a mailbox stands, read from the store after this call; many at once share a query.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn head(&self, mailbox: MailboxId) -> Result<Head, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(mailbox, Command::Head { mailbox, reply }, answer).await
    }

    /// Compares a mailbox with the store soon: something may have been missed.
    pub async fn check(&self, mailbox: MailboxId) {
        let (reply, _nobody_waits) = oneshot::channel();
        let _stopping = self.shards[Self::index(mailbox)].send(Command::Head { mailbox, reply }).await;
    }

    async fn ask(
        &self,
        mailbox: MailboxId,
        command: Command,
        answer: oneshot::Receiver<Result<Head, StoreError>>,
    ) -> Result<Head, StoreError> {
        self.shards[Self::index(mailbox)].send(command).await.map_err(|_closed| stopping())?;
        answer.await.map_err(|_closed| stopping())?
    }

    fn index(mailbox: MailboxId) -> usize {
        mailbox.0.rem_euclid(SHARDS as i64) as usize
    }
}
