//! Nodes on a layer, and waiting for what they hear, always with a deadline.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use switchboard_channel_layer::{
    Channel, ChannelLayer, Event, MemoryBus, Publication, RedisConfig, Status, connect_redis,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::servers;

/// For what takes no time but on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A case as a test, on a runtime of its own.
pub(crate) fn trial<C, F>(name: impl Into<String>, case: C) -> Trial
where
    C: FnOnce() -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    Trial::test(name, move || {
        let runtime = Runtime::new()?;
        let outcome = runtime.block_on(case());
        outcome.map_err(|error| Failed::from(format!("{error:?}")))
    })
}

/// What joins the nodes of a case.
pub(crate) enum Fleet {
    Memory(MemoryBus),
    Redis(servers::Redis),
}

impl Fleet {
    pub(crate) fn memory() -> anyhow::Result<Self> {
        Ok(Self::Memory(MemoryBus::default()))
    }

    pub(crate) fn redis() -> anyhow::Result<Self> {
        Ok(Self::Redis(servers::Redis::start()?))
    }

    /// One more node, whose layer is up.
    pub(crate) async fn node(&self) -> anyhow::Result<Node> {
        let mut node = match self {
            Self::Memory(bus) => {
                let (layer, events) = bus.connect();
                Node::new(layer, events)
            }
            Self::Redis(redis) => Node::join(&redis.url())?,
        };
        node.expect(Event::Restored, SOON).await?;
        node.until_up(SOON).await?;
        Ok(node)
    }
}

/// A node: its handle and what it hears.
pub(crate) struct Node {
    pub(crate) layer: ChannelLayer,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    events: mpsc::Receiver<Event>,
}

impl Node {
    fn new(layer: ChannelLayer, events: mpsc::Receiver<Event>) -> Self {
        Self { layer, tracker: TaskTracker::new(), stop: CancellationToken::new(), events }
    }

    /// A node on this Redis, whether or not it can be reached.
    pub(crate) fn join(url: &str) -> anyhow::Result<Self> {
        let tracker = TaskTracker::new();
        let stop = CancellationToken::new();
        let config = RedisConfig {
            url: url.to_owned(),
            probe_channel: Channel::new(format!("probe-{:032x}", rand::random::<u128>())),
            lease_prefix: "test:lease".to_owned(),
        };
        let (layer, events) = connect_redis(config, &tracker, stop.clone())?;
        let node = Self::new(layer, events);
        Ok(Self { tracker, stop, ..node })
    }

    pub(crate) async fn subscribe(&self, channel: &str) -> anyhow::Result<()> {
        let channel = Channel::new(channel);
        Ok(time::timeout(SOON, self.layer.subscribe(&channel)).await??)
    }

    pub(crate) fn publish(&self, channel: &str, payload: &str) {
        self.layer.publish(vec![publication(channel, payload)]);
    }

    /// The next event.
    pub(crate) async fn event(&mut self, within: Duration) -> anyhow::Result<Event> {
        let event = time::timeout(within, self.events.recv()).await;
        event.context("no event in time")?.context("the layer has ended")
    }

    /// The next event has to be this one. Messages before it are passed over.
    pub(crate) async fn expect(&mut self, expected: Event, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.event(left).await;
            match event.with_context(|| format!("waiting for {expected:?}"))? {
                Event::Messages(_) => {}
                event if event == expected => return Ok(()),
                event => bail!("heard {event:?} instead of {expected:?}"),
            }
        }
    }

    /// The next messages, this many and no more, without any other event between them.
    pub(crate) async fn messages(&mut self, n_messages: usize) -> anyhow::Result<Vec<Bytes>> {
        let mut messages = Vec::new();
        while messages.len() < n_messages {
            let event = self.event(SOON).await;
            let n_heard = messages.len();
            match event.with_context(|| format!("after {n_heard} of {n_messages} messages"))? {
                Event::Messages(batch) => messages.extend(batch),
                event => bail!("heard {event:?} after {n_heard} of {n_messages} messages"),
            }
        }
        ensure!(messages.len() == n_messages, "heard {} messages", messages.len());
        Ok(messages)
    }

    pub(crate) async fn until_up(&self, within: Duration) -> anyhow::Result<()> {
        let is_up = || self.layer.status() == Status::Up;
        until(within, is_up).await.context("waiting for the status Up")
    }

    pub(crate) fn is_degraded(&self) -> bool {
        matches!(self.layer.status(), Status::Degraded { .. })
    }

    /// Ends the node by its stop token.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.tracker.close();
        let ended = time::timeout(Duration::from_secs(2), self.tracker.wait()).await;
        ended.context("the tasks do not end")?;
        drop(self.layer);
        while let Some(event) = time::timeout(SOON, self.events.recv()).await? {
            drop(event);
        }
        Ok(())
    }
}

pub(crate) fn publication(channel: &str, payload: &str) -> Publication {
    Publication { channel: Channel::new(channel), payload: Bytes::copy_from_slice(payload.as_bytes()) }
}

/// Waits for what nobody announces.
pub(crate) async fn until(within: Duration, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let waiting = async {
        let mut looks = time::interval(Duration::from_millis(2));
        while !is_so() {
            looks.tick().await;
        }
    };
    time::timeout(within, waiting).await.context("not so in time")
}
