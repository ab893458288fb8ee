//! The task that keeps what is held standing at Redis: it flushes what has changed, renews all of it with one command, and
//! writes it anew when the link or what stood there is gone. One thing at a time.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline};
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::book::Chunk;
use super::{Leases, Phase};
use crate::redis::Link;
use crate::redis::server::{Backoff, Loss, Server};

/// Between two renewals. A third of the term, so that two may fail.
const RENEWAL_PERIOD: Duration = Duration::from_secs(4);

/// How long the stop token waits for the keys to be removed. Without that they expire.
const FAREWELL: Duration = Duration::from_millis(500);

pub(in crate::redis) struct Keeper {
    server: Server,
    link: Arc<Link>,
    backoff: Backoff,
    /// Since when Redis takes what is held on this connection.
    up_since: Option<Instant>,
    is_reported_down: bool,
    n_keys: u64,
    /// The key that is written now.
    id: String,
    /// Whether everything that is held stands in that key.
    is_whole: bool,
    /// The last key that was whole before it, until this one is: meanwhile it tells what this one does not.
    former: Option<String>,
}

impl Keeper {
    pub(in crate::redis) fn new(server: Server, link: Arc<Link>) -> Self {
        Self {
            server,
            link,
            backoff: Backoff::default(),
            up_since: None,
            is_reported_down: false,
            n_keys: 0,
            id: String::new(),
            is_whole: false,
            former: None,
        }
    }

    /// Keeps until the stop token, over as many connections as it takes; the first is made when it is needed.
    pub(in crate::redis) async fn run(mut self, stop: CancellationToken) {
        let link = Arc::clone(&self.link);
        let keep_for_ever = async {
            link.leases.wanted().await;
            loop {
                let Err(loss) = self.keep().await;
                self.lose(&loss);
                self.backoff.pause().await;
            }
        };
        stop.run_until_cancelled(keep_for_ever).await;
        if let Phase::Up(connection) = link.leases.phase.send_replace(Phase::Down) {
            // Nobody waits for it longer: the keys expire all the same.
            let _ = time::timeout(FAREWELL, self.remove_keys(connection)).await;
        }
        link.leases.lock().fall();
    }

    /// Keeps over one connection.
    async fn keep(&mut self) -> Result<Infallible, Loss> {
        let link = Arc::clone(&self.link);
        let leases = &link.leases;
        let mut connection = self.server.commands().await?;
        leases.phase.send_replace(Phase::Up(connection.clone()));
        self.begin_anew();

        let mut renewals = time::interval_at(Instant::now() + RENEWAL_PERIOD, RENEWAL_PERIOD);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !self.is_whole && leases.lock().is_whole() {
                self.is_whole = true;
                self.retire_former(&mut connection).await?;
            }
            tokio::select! {
                // In this order, so that changes without end do not keep the renewals away, which look whether all stands.
                biased;
                _ = renewals.tick() => self.renew(&mut connection).await?,
                () = leases.suspected.notified() => self.renew(&mut connection).await?,
                chunk = leases.take() => self.flush(&mut connection, chunk).await?,
            }
        }
    }

    /// Writes everything to another key from now on.
    fn begin_anew(&mut self) {
        let leases = &self.link.leases;
        self.n_keys += 1;
        let id = mem::replace(&mut self.id, format!("{}{}", leases.own, self.n_keys));
        if mem::take(&mut self.is_whole) {
            self.former = Some(id);
        }
        leases.lock().begin_anew();
    }

    async fn flush(&mut self, connection: &mut MultiplexedConnection, chunk: Chunk) -> Result<(), Loss> {
        let leases = &self.link.leases;
        let flush = leases.keys.flush(&self.id, &chunk);
        let (_n_names,): (usize,) = query(leases, connection, &flush).await?;
        leases.tally.lease_flushes.add(1);
        leases.lock().settle(chunk);
        self.stand();
        Ok(())
    }

    /// Renews, and begins anew if there are not as many names as there should be: the server was emptied, or has lost some.
    async fn renew(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Loss> {
        let leases = &self.link.leases;
        let (n_names,): (usize,) = query(leases, connection, &leases.keys.renew(&self.id)).await?;
        let n_standing = leases.lock().n_standing();
        self.stand();
        if n_names != n_standing {
            warn!(
                n_names,
                n_standing, "Redis has {n_names} leases of {n_standing}: writing all of them again"
            );
            self.begin_anew();
        }
        Ok(())
    }

    /// Everything stands in the present key.
    async fn retire_former(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Loss> {
        let Some(former) = self.former.take() else {
            return Ok(());
        };
        let leases = &self.link.leases;
        query(leases, connection, &leases.keys.retire(&former)).await
    }

    async fn remove_keys(&self, mut connection: MultiplexedConnection) -> Result<(), Loss> {
        let leases = &self.link.leases;
        for id in self.former.iter().chain([&self.id]) {
            query::<()>(leases, &mut connection, &leases.keys.remove(id)).await?;
        }
        Ok(())
    }

    /// Redis takes what is held.
    fn stand(&mut self) {
        self.up_since.get_or_insert_with(Instant::now);
        if mem::take(&mut self.is_reported_down) {
            info!("leases are kept at Redis again");
        }
    }

    fn lose(&mut self, loss: &Loss) {
        let leases = &self.link.leases;
        leases.tally.lease_failures.add(1);
        leases.lock().fall();
        self.backoff.judge(self.up_since.take());
        // A server that refuses to write may still be read, over the same connection until there is another.
        if !loss.is_refusal() {
            leases.phase.send_replace(Phase::Down);
        }
        if !self.is_reported_down {
            warn!("leases are not kept at Redis, trying on: {loss}");
            self.is_reported_down = true;
        }
    }
}

async fn query<T: FromRedisValue>(
    leases: &Leases,
    connection: &mut MultiplexedConnection,
    pipeline: &Pipeline,
) -> Result<T, Loss> {
    leases.query(connection, pipeline).await.map_err(Loss::Lease)
}
