//! Clients who send, read and delete all the time, and write down what they see.
//!
//! Each user has two devices from the first entry on: `7.a`, our own client, which sends ([`sender`]), and `7.b`, which
//! only reads and changes its transport every few seconds ([`roamer`]); now and then a `7.c1` logs in by password,
//! follows, and logs out ([`visitor`]). [`traffic`] decides who writes when, [`deeds`] is what they do over HTTP, by
//! [`ask`]; [`rest`] is what is asked at the end, and [`store`] reads what is stored. All of them share a [`world`] and
//! write into [`notes`].

mod ask;
mod deeds;
mod entries;
mod follower;
mod notes;
mod rest;
mod roamer;
mod sender;
mod store;
mod traffic;
mod transport;
mod trial;
mod visitor;
mod words;
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::ensure;
use switchboard_checker::history::{Event, Recorder};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

pub(crate) use self::notes::Counts;
pub(crate) use self::store::dump_store;
pub(crate) use self::trial::trials;

use self::notes::Notes;
use self::sender::{Job, Sender};
use self::words::canaries;
use self::world::{Progress, World};
use crate::Dice;
use crate::harness::{DEADLINE, eventually};

/// How much there is of it.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Users 1 to this take part.
    pub(crate) users: i64,
    /// Messages a second, of all together.
    pub(crate) rate: f64,
    /// What chance is made from.
    pub(crate) seed: u64,
    /// Reads, deletions, repeats, files, snooping and log-outs too.
    pub(crate) lively: bool,
    /// After this a device gives up waiting for an answer over its socket: nobody knows what became of it.
    pub(crate) patience: Duration,
}

impl Shape {
    /// Longer than any fault.
    pub(crate) const PATIENT: Duration = Duration::from_secs(60);

    /// For an operation to have its outcome: devices give up in time, and one more may have been waiting.
    fn outcomes(&self) -> Duration {
        2 * self.patience + DEADLINE
    }
}

/// The ways in.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// The balancer.
    pub(crate) balancer: SocketAddr,
    /// The balancer, by a link that faults happen to.
    pub(crate) through_proxy: SocketAddr,
    /// Each node.
    pub(crate) nodes: Vec<SocketAddr>,
}

/// Letters that wait for their sender; what does not fit is not written.
const QUEUE: usize = 4;

/// All of them, at work.
pub(crate) struct Load {
    world: Arc<World>,
    /// By user, beginning with 1.
    jobs: Vec<mpsc::Sender<Job>>,
    progress: Vec<Arc<Progress>>,
    /// Requests of devices that have no outcome.
    pending: Arc<AtomicUsize>,
    /// Until devices leave.
    devices: TaskTracker,
    /// Until the load is stopped.
    makers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts; every device was connected once when it returns.
    ///
    /// # Errors
    /// If one cannot connect.
    pub(crate) async fn start(ways: Ways, shape: Shape, recorder: Recorder) -> anyhow::Result<Self> {
        let mut dice = Dice(shape.seed);
        let mut own = || Dice(dice.roll(u64::MAX));
        let world = Arc::new(World::new(ways, shape.clone(), Notes::new(recorder)));
        let (devices, pending) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
        let (mut jobs, mut progress) = (Vec::new(), Vec::new());
        for user in 1..=shape.users {
            let [first, second] = [Progress::new(user), Progress::new(user)];
            let (sender, receiver) = mpsc::channel(QUEUE);
            let device = Sender::new(Arc::clone(&world), Arc::clone(&first), Arc::clone(&pending), own());
            devices.spawn(device.run(receiver));
            devices.spawn(roamer::roam(Arc::clone(&world), Arc::clone(&second), own()));
            jobs.push(sender);
            progress.extend([first, second]);
        }
        let mut load = Self { world, jobs, progress, pending, devices, makers: Vec::new() };
        let are_connected =
            async || Ok(load.progress.iter().all(|device| device.is_connected()).then_some(()));
        eventually("every device is connected", DEADLINE, are_connected).await?;
        let world = &load.world;
        load.makers.push(tokio::spawn(traffic::write(Arc::clone(world), load.jobs.clone(), own())));
        if shape.lively {
            load.makers.push(tokio::spawn(visitor::visits(Arc::clone(world), own())));
        }
        Ok(load)
    }

    /// Begins nothing more, and waits until each operation has its outcome.
    ///
    /// # Errors
    /// If one never gets it, which is a mistake of ours, or if the history cannot be written.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        self.world.closing.cancel();
        for maker in self.makers.drain(..) {
            maker.await?;
        }
        self.world.tracker.close();
        let outcomes = timeout(self.world.shape.outcomes(), self.world.tracker.wait()).await;
        ensure!(outcomes.is_ok(), "something over HTTP does not end");
        self.until_answered().await?;
        self.world.notes.check()
    }

    /// Waits until devices have asked for all that waits, and have their outcomes.
    async fn until_answered(&self) -> anyhow::Result<()> {
        let is_empty = |jobs: &mpsc::Sender<Job>| jobs.capacity() == jobs.max_capacity();
        let are_answered = async || {
            let are_idle = self.jobs.iter().all(is_empty) && self.pending.load(Ordering::Relaxed) == 0;
            Ok(are_idle.then_some(()))
        };
        eventually("every request has its outcome", self.world.shape.outcomes(), are_answered).await
    }

    /// Has each node take a message.
    ///
    /// # Errors
    /// If one does not.
    pub(crate) async fn prove(&self) -> anyhow::Result<()> {
        let mut dice = Dice(!self.world.shape.seed);
        for node in &self.world.ways.nodes {
            let letter = traffic::letter(&self.world, &mut dice, u64::MAX);
            let sent = ask::post(&self.world, *node, &letter).await;
            ensure!(sent.is_ok(), "{node}: {:?}", sent.err());
        }
        Ok(())
    }

    /// Waits until each device has applied what its mailbox has, or the time is over: it is not for us to judge.
    ///
    /// # Errors
    /// If Postgres cannot be asked.
    pub(crate) async fn settle(&mut self, database_url: &str, within: Duration) -> anyhow::Result<()> {
        rest::settle(&self.progress, database_url, within).await
    }

    /// At rest: asks everybody for everything in each way; then all devices leave.
    ///
    /// # Errors
    /// If nobody answers, though everything is healed.
    pub(crate) async fn finish(self) -> anyhow::Result<Counts> {
        rest::look_around(&self.world).await?;
        for jobs in &self.jobs {
            timeout(DEADLINE, jobs.send(Job::Count)).await??;
        }
        // A job that was taken is pending a moment later.
        sleep(Duration::from_millis(50)).await;
        self.until_answered().await?;
        self.world.leaving.cancel();
        self.devices.close();
        timeout(DEADLINE, self.devices.wait()).await?;
        self.world.notes.check()?;
        Ok(self.world.notes.counts())
    }
}

/// Looks for canaries where none may be, in logs and metrics: each place a name and its text.
///
/// # Errors
/// If the history cannot be written.
pub(crate) fn scan_for_canaries(places: &[(String, String)], recorder: &Recorder) -> anyhow::Result<()> {
    for (place, text) in places {
        for canary in canaries(text).collect::<BTreeSet<_>>() {
            let (place, canary) = (place.clone(), canary.to_owned());
            recorder.note(Event::Exposed { place, canary })?;
        }
    }
    Ok(())
}
