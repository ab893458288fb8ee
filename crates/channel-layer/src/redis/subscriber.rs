//! The task that subscribes: it alone speaks on the pub/sub connection, makes the subscriptions follow what is wanted, and
//! hands over what arrives. It never waits for the node: the `redis` crate reads into a queue without bound, so a wait here
//! would grow memory; what the node has no room for is dropped.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future;
use futures_util::stream::FuturesUnordered;
use redis::aio::PubSubSink;
use redis::{Msg, RedisResult};
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Link;
use super::server::{Backoff, Loss, Server};
use super::wanted::Chunk;
use crate::channel::Channel;
use crate::event::{BATCH, Outlet};

/// Commands under way when many channels are to be changed.
const CHUNKS: usize = 8;

/// For the confirmation of a command, behind whatever messages Redis has queued before it. A server that stopped is given
/// up after this, and whoever waits for a subscription is told.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(3);

/// Between two probes.
const PROBE_PERIOD: Duration = Duration::from_millis(2_500);

/// Three probes in a row that did not come back. With the reconnect that follows, a dead but open link is replaced within
/// 10 s.
const SILENCE: Duration = Duration::from_millis(7_500);

pub(super) struct Subscriber {
    server: Server,
    link: Arc<Link>,
    outlet: Outlet,
    backoff: Backoff,
    /// Since when every wanted subscription stands.
    up_since: Option<Instant>,
    is_reported_down: bool,
}

impl Subscriber {
    pub(super) fn new(server: Server, link: Arc<Link>, outlet: Outlet) -> Self {
        Self { server, link, outlet, backoff: Backoff::default(), up_since: None, is_reported_down: false }
    }

    /// Subscribes until the stop token, over as many connections as it takes.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let link = Arc::clone(&self.link);
        let subscribe_for_ever = async {
            loop {
                let Err(loss) = self.subscribe().await;
                self.lose(&loss);
                self.backoff.pause().await;
            }
        };
        stop.run_until_cancelled(subscribe_for_ever).await;
        link.wanted.fall();
    }

    /// Subscribes over one connection.
    async fn subscribe(&mut self) -> Result<Infallible, Loss> {
        let link = Arc::clone(&self.link);
        let (sink, messages) = self.server.subscriber().await?.split();
        let mut messages = messages.ready_chunks(BATCH);
        confirm(subscribe(sink.clone(), std::slice::from_ref(&link.probe_channel))).await?;
        link.wanted.rise();

        let mut under_way = FuturesUnordered::new();
        let mut probes = time::interval(PROBE_PERIOD);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<Instant> = None;
        let silence = time::sleep(SILENCE);
        tokio::pin!(silence);
        loop {
            while under_way.len() < CHUNKS
                && let Some(chunk) = link.wanted.next_chunk()
            {
                under_way.push(change(sink.clone(), chunk));
            }
            if under_way.is_empty() && self.up_since.is_none() && link.wanted.complete() {
                self.rise();
            }
            tokio::select! {
                batch = messages.next() => {
                    if self.hand_over(batch.ok_or(Loss::Closed)?) {
                        link.probe_was_heard(asked.take().map(|asked| asked.elapsed()));
                        silence.as_mut().reset(Instant::now() + SILENCE);
                    }
                }
                Some(chunk) = under_way.next() => link.wanted.settle(chunk?),
                () = link.wanted.changed() => {}
                _ = probes.tick() => {
                    asked.get_or_insert_with(Instant::now);
                    link.outbox.push_probe();
                }
                () = &mut silence => {
                    link.probe_stayed_away();
                    return Err(Loss::Silence);
                }
            }
        }
    }

    /// Hands over what is not a probe, and says whether one was among it.
    fn hand_over(&mut self, messages: Vec<Msg>) -> bool {
        let n_messages = messages.len();
        let payloads: Vec<_> = messages
            .into_iter()
            .filter(|message| message.get_channel_name() != self.link.probe_channel.as_str())
            .map(|message| Bytes::copy_from_slice(message.get_payload_bytes()))
            .collect();
        let has_probe = payloads.len() < n_messages;
        self.outlet.messages(payloads);
        has_probe
    }

    /// Every wanted subscription stands.
    fn rise(&mut self) {
        self.up_since = Some(Instant::now());
        self.outlet.restored();
        let n_channels = self.link.wanted.len();
        info!(n_channels, "subscribed at Redis to {n_channels} channels");
        self.is_reported_down = false;
    }

    fn lose(&mut self, loss: &Loss) {
        self.link.wanted.fall();
        if let Some(since) = self.up_since.take() {
            self.backoff.judge(Some(since));
            self.outlet.lost();
        }
        if loss.is_of_a_connection() {
            self.link.tally.reconnects.add(1);
            // The publisher learns only by publishing that its connection went too.
            self.link.outbox.push_probe();
        }
        if !self.is_reported_down {
            warn!("not subscribed at Redis, trying on: {loss}");
            self.is_reported_down = true;
        }
    }
}

/// Makes one chunk of changes, and gives it back when Redis has confirmed it.
async fn change(sink: PubSubSink, chunk: Chunk) -> Result<Chunk, Loss> {
    let subscribed = subscribe(sink.clone(), &chunk.subscribe);
    let unsubscribed = unsubscribe(sink, &chunk.unsubscribe);
    confirm(future::try_join(subscribed, unsubscribed)).await?;
    Ok(chunk)
}

async fn subscribe(mut sink: PubSubSink, channels: &[Channel]) -> RedisResult<()> {
    match names(channels) {
        names if names.is_empty() => Ok(()),
        names => sink.subscribe(names).await,
    }
}

async fn unsubscribe(mut sink: PubSubSink, channels: &[Channel]) -> RedisResult<()> {
    match names(channels) {
        // Without names it would be all channels.
        names if names.is_empty() => Ok(()),
        names => sink.unsubscribe(names).await,
    }
}

fn names(channels: &[Channel]) -> Vec<&str> {
    channels.iter().map(Channel::as_str).collect()
}

async fn confirm<T>(command: impl Future<Output = RedisResult<T>>) -> Result<T, Loss> {
    let confirmed = time::timeout(CONFIRM_DEADLINE, command).await;
    confirmed.or(Err(Loss::SubscribeTimeout))?.map_err(Loss::Subscribe)
}
