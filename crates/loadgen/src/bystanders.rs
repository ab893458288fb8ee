//! The bystanders of a storm: pairs of users who write to each other all the time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use futures_util::future;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::device::Device;
use crate::fleet::Fleet;
use crate::letter::Letter;
use crate::pace::Load;
use crate::report::Verdict;
use crate::tally::Tally;
use crate::traffic;
use crate::user::{Record, User};

/// A time that is as good as never.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// The pairs who write to each other all the time.
pub(crate) struct Bystanders {
    tally: Arc<Tally>,
    rate: f64,
    users: Vec<JoinHandle<Record>>,
    stop: CancellationToken,
}

impl Bystanders {
    /// Those of index `first` and on, who write so many messages a second together.
    pub(crate) fn begin(
        fleet: &Fleet,
        first: usize,
        devices: Vec<Device>,
        rate: f64,
        size: usize,
    ) -> anyhow::Result<Self> {
        let start = Instant::now();
        let tally = Arc::new(Tally::new(start, start + FAR)?);
        let letter = Letter::new(start, size);
        let paces = Load::Open { rate }.paces(devices.len(), start, start + FAR, &tally);
        let stop = CancellationToken::new();
        let users = devices.into_iter().zip(paces).enumerate().map(|(index, (device, pace))| {
            let to = fleet.account(first + (index ^ 1)).id.into();
            let user = User::new(device, to, pace, letter, Arc::clone(&tally));
            tokio::spawn(user.run(stop.clone()))
        });
        Ok(Self { users: users.collect(), tally, rate, stop })
    }

    /// How late messages were since this was asked last.
    pub(crate) fn take_delivery(&self) -> Value {
        let delivery = &self.tally.latencies.delivery;
        let json = delivery.json();
        delivery.clear();
        json
    }

    /// Lets them end, when all has arrived or there is no hope of that.
    pub(crate) async fn end(self, patience: Duration) -> anyhow::Result<Verdict> {
        self.tally.is_over.store(true, Ordering::Relaxed);
        // One more may be on its way from the pacer.
        sleep(Duration::from_secs_f64(2.0 / self.rate)).await;
        traffic::settle(&self.tally, 1, patience).await;
        self.stop.cancel();
        let records: Result<Vec<_>, _> = future::join_all(self.users).await.into_iter().collect();
        Ok(Verdict::of_pairs(&records.context("a user's task panicked")?))
    }
}
