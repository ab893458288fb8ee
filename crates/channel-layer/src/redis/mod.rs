//! The layer over Redis pub/sub: one link that subscribes, one that publishes, and one for leases if there are any, each
//! with its own endless reconnect.
//!
//! [`Link`] is what the node's handle talks to. It holds what the tasks share; nothing on it waits for Redis, except
//! [`Link::subscribe`], which waits for the confirmation as long as the link stands, and [`Link::held`], for a second.

mod config;
mod inspect;
mod leases;
mod outbox;
mod publisher;
mod server;
mod subscriber;
mod wanted;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::config::{ConfigError, RedisConfig};
pub use self::inspect::{
    ClockOffset, InspectError, MemoryLimit, OutputBufferLimit, RedisReport, inspect_redis,
};
use self::leases::{Keeper, Leases};
use self::outbox::Outbox;
use self::publisher::Publisher;
use self::server::Server;
use self::subscriber::Subscriber;
use self::wanted::Wanted;
use crate::channel::{Channel, Publication};
use crate::counters::{Counters, Tally};
use crate::event::{Event, Outlet};
use crate::layer::{ChannelLayer, Down, Status};
use crate::leases::LeaseConfig;

/// Joins the nodes that share a Redis, and returns at once, whether or not Redis can be reached: the layer keeps trying
/// until the stop token, and the first [`Event::Restored`] says that it has succeeded. Must be called inside a tokio runtime.
///
/// `rediss://` needs a process-wide rustls provider: `main` must have called
/// `rustls::crypto::aws_lc_rs::default_provider().install_default()` before.
///
/// # Errors
/// If the URL is not one of a single Redis server.
pub fn connect_redis(
    config: RedisConfig,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> Result<(ChannelLayer, mpsc::Receiver<Event>), ConfigError> {
    let server = Server::new(&config.url)?;
    let leases = LeaseConfig { key_prefix: config.lease_prefix };
    let link = Arc::new(Link::new(config.probe_channel, leases));
    let (outlet, events) = Outlet::new(Arc::clone(&link.tally));

    let publisher = Publisher::new(server.clone(), Arc::clone(&link));
    tracker.spawn(publisher.run(stop.clone()));
    let keeper = Keeper::new(server.clone(), Arc::clone(&link));
    tracker.spawn(keeper.run(stop.clone()));
    let subscriber = Subscriber::new(server, Arc::clone(&link), outlet);
    tracker.spawn(subscriber.run(stop));

    Ok((ChannelLayer::redis(link), events))
}

/// What the handle, the subscriber, the publisher and the keeper of leases of one node share.
pub(crate) struct Link {
    wanted: Wanted,
    outbox: Outbox,
    leases: Leases,
    /// Subscribed by this node alone, always, and published to by this node alone.
    probe_channel: Channel,
    /// Set when the probe stayed away, cleared when one is heard.
    is_silent: AtomicBool,
    /// Changed by the subscriber when the probe stayed away; the publisher then makes its link anew.
    silences: watch::Sender<u64>,
    tally: Arc<Tally>,
}

impl Link {
    fn new(probe_channel: Channel, leases: LeaseConfig) -> Self {
        let tally = Arc::new(Tally::default());
        Self {
            wanted: Wanted::default(),
            outbox: Outbox::new(Arc::clone(&tally)),
            leases: Leases::new(leases, Arc::clone(&tally)),
            probe_channel,
            is_silent: AtomicBool::new(false),
            silences: watch::Sender::new(0),
            tally,
        }
    }

    pub(crate) fn publish(&self, batch: Vec<Publication>) {
        self.outbox.push(batch);
    }

    pub(crate) async fn subscribe(&self, channel: &Channel) -> Result<(), Down> {
        self.wanted.subscribe(channel).await
    }

    pub(crate) fn unsubscribe(&self, channel: &Channel) {
        self.wanted.unsubscribe(channel);
    }

    pub(crate) fn hold(&self, changes: Vec<(i64, Option<u8>)>) {
        self.leases.hold(changes);
    }

    pub(crate) async fn held(&self, names: &[i64]) -> Result<HashMap<i64, u8>, Down> {
        self.leases.held(names).await
    }

    pub(crate) fn status(&self) -> Status {
        let reason = if !self.wanted.is_up() {
            "not subscribed at Redis"
        } else if !self.outbox.is_open() {
            "no link to publish to Redis"
        } else if self.is_silent.load(Ordering::Relaxed) {
            "what is published to Redis does not come back"
        } else {
            return Status::Up;
        };
        Status::Degraded { reason }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.tally.snapshot(self.wanted.len())
    }

    /// `took` is known of a probe that was asked for on this connection.
    fn probe_was_heard(&self, took: Option<Duration>) {
        self.is_silent.store(false, Ordering::Relaxed);
        if let Some(micros) = took.and_then(|took| u64::try_from(took.as_micros()).ok()) {
            self.tally.probe.store(micros, Ordering::Relaxed);
        }
    }

    fn probe_stayed_away(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
        self.tally.probes_lost.add(1);
        self.silences.send_modify(|n_silences| *n_silences += 1);
    }
}
