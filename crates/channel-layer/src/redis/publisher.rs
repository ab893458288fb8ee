//! The task that publishes: what waited while the last pipelines were under way is the next one. No timer.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, RedisError, Value};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Link;
use super::outbox::Batch;
use super::server::{Backoff, Loss, Server};
use crate::channel::Publication;

/// Pipelines under way. Four were measured to reach nine tenths of what Redis can take; more only hold more.
const PIPELINES: usize = 4;

/// How long the stop token waits for what is already queued.
const FAREWELL: Duration = Duration::from_millis(500);

/// The probe's payload; that it arrives is all it says.
const PROBE: &[u8] = b"probe";

pub(super) struct Publisher {
    server: Server,
    link: Arc<Link>,
    backoff: Backoff,
    /// Since when Redis answers on this connection.
    up_since: Option<Instant>,
    /// Publications whose answer has not come.
    n_unanswered: usize,
    is_reported_down: bool,
    is_refusal_reported: bool,
}

/// A pipeline's end: how many publications it had, and what Redis answered.
type Answer = (usize, Result<Vec<Value>, RedisError>);

impl Publisher {
    pub(super) fn new(server: Server, link: Arc<Link>) -> Self {
        Self {
            server,
            link,
            backoff: Backoff::default(),
            up_since: None,
            n_unanswered: 0,
            is_reported_down: false,
            is_refusal_reported: false,
        }
    }

    /// Publishes until the stop token, over as many connections as it takes.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while let Err(loss) = self.publish(&stop).await {
            self.lose(&loss);
            stop.run_until_cancelled(self.backoff.pause()).await;
        }
        self.link.outbox.close();
    }

    /// Publishes over one connection, until it is lost or the stop token comes.
    async fn publish(&mut self, stop: &CancellationToken) -> Result<(), Loss> {
        let link = Arc::clone(&self.link);
        let mut silences = link.silences.subscribe();
        let Some(connection) = stop.run_until_cancelled(self.server.commands()).await else {
            return Ok(());
        };
        let connection = connection?;
        self.stand();

        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                // In this order, so that each pipeline is written before the next is taken.
                biased;
                Some(answer) = under_way.next() => self.settle(answer)?,
                _ = silences.changed() => return Err(Loss::Silence),
                () = stop.cancelled() => break,
                batch = link.outbox.take(), if under_way.len() < PIPELINES => {
                    self.n_unanswered += batch.publications.len();
                    under_way.push(send(connection.clone(), batch, &link));
                }
            }
        }

        let farewell = async {
            while let Some(batch) = link.outbox.try_take() {
                self.n_unanswered += batch.publications.len();
                under_way.push(send(connection.clone(), batch, &link));
            }
            while let Some(answer) = under_way.next().await {
                self.settle(answer)?;
            }
            Ok(())
        };
        let in_time = time::timeout(FAREWELL, farewell).await;
        self.give_up_unanswered();
        in_time.unwrap_or(Ok(()))
    }

    /// The connection stands. The probe goes out at once, since only it can tell that publishing works.
    fn stand(&mut self) {
        self.link.outbox.open();
        self.link.outbox.push_probe();
    }

    fn settle(&mut self, (n_publications, answer): Answer) -> Result<(), Loss> {
        let answers = answer.map_err(Loss::Publish)?;
        self.n_unanswered -= n_publications;
        self.up_since.get_or_insert_with(Instant::now);
        if mem::take(&mut self.is_reported_down) {
            info!("publishing to Redis again");
        }

        let mut refusals = answers.iter().filter_map(|answer| match answer {
            Value::ServerError(error) => Some(error.code()),
            _ => None,
        });
        let Some(code) = refusals.next() else {
            self.link.tally.published.add(n_publications);
            // A probe alone says nothing of other channels, which may be refused while it is not.
            self.is_refusal_reported &= n_publications == 0;
            return Ok(());
        };
        // The probe may be one of them and is not counted.
        let n_refused = (1 + refusals.count()).min(n_publications);
        self.link.tally.publish_down.add(n_refused);
        self.link.tally.published.add(n_publications - n_refused);
        if !self.is_refusal_reported {
            warn!(code, "Redis refuses to publish: {code}");
            self.is_refusal_reported = true;
        }
        Ok(())
    }

    fn lose(&mut self, loss: &Loss) {
        self.link.outbox.close();
        self.give_up_unanswered();
        self.backoff.judge(self.up_since.take());
        if loss.is_of_a_connection() {
            self.link.tally.reconnects.add(1);
        }
        if !self.is_reported_down {
            warn!("not publishing to Redis, trying on: {loss}");
            self.is_reported_down = true;
        }
    }

    fn give_up_unanswered(&mut self) {
        let n_unanswered = mem::take(&mut self.n_unanswered);
        self.link.tally.publish_down.add(n_unanswered);
    }
}

/// Sends one pipeline and waits for its answers, which are not looked at beyond whether they are errors: how many nodes
/// took a publication says nothing about whether the right one did.
async fn send(mut connection: MultiplexedConnection, batch: Batch, link: &Link) -> Answer {
    let mut pipeline = Pipeline::with_capacity(batch.publications.len() + 1);
    for Publication { channel, payload } in &batch.publications {
        pipeline.cmd("PUBLISH").arg(channel.as_str()).arg(&payload[..]);
    }
    if batch.has_probe {
        pipeline.cmd("PUBLISH").arg(link.probe_channel.as_str()).arg(PROBE);
    }
    let n_commands = pipeline.len();
    let answer = connection.req_packed_commands(&pipeline, 0, n_commands).await;
    (batch.publications.len(), answer)
}
