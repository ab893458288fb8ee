//! What clients that read nothing cost those that do: a third of the sessions of one node stop reading while as much comes to
//! them as before.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::unistd::Pid;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::crowd::{Hall, Member, Order};
use super::machine::{Watch, descriptors};
use super::spread::{Spread, mebibytes, text};
use super::sweep::import;
use crate::harness::http::metric;
use crate::harness::{Cluster, Pair, eventually, resident};
use crate::{Dice, tell};

/// Each time all read, and then a third reads nothing.
const ROUNDS: usize = 3;
/// Each has a p99, and the middle one of them counts: something else that the machine does for a moment moves it little.
const WINDOW: Duration = Duration::from_secs(10);
/// For how many of them all read.
const CALM: usize = 3;
/// For how many a third reads nothing: until the kernel takes no more for them, and the thirty seconds of the node's
/// patience.
const STALL: usize = 7;
/// What follows a change is not counted for so long.
const SETTLED: Duration = Duration::from_secs(3);
/// Messages a second among a thousand clients: as many to those that read as to those that do not.
const RATE: f64 = 300.0;
/// For those that read again to have all that they missed.
const CATCH_UP: Duration = Duration::from_secs(120);
/// Descriptors that are not sessions.
const SPARE: usize = 500;

/// Prints what a third of so many clients costs the others by reading nothing.
pub(crate) async fn bystanders(clients: usize) -> anyhow::Result<()> {
    let clients = clients.min(descriptors()? - SPARE);
    let cluster = Box::pin(Cluster::start(Pair::PostgresRedis, &[])).await?;
    let users: Vec<i64> = import(&cluster, clients).await?.collect();
    let fresh = resident(cluster.pid(0))?;
    let mut crowd = Crowd::gather(&cluster, &users).await?;
    tell(format_args!(
        "{clients} clients, of which {} stop reading; {:.0} messages a second to them and as many to the others; \
         the node has {} before anyone is there and {} with all",
        crowd.stalling.len(),
        crowd.rate(),
        mebibytes(fresh),
        mebibytes(resident(crowd.pid)?)
    ));
    tell(format_args!("| phase | others' p50 | p99 | max | messages | memory, highest | after | closed |"));
    tell(format_args!("| --- | --- | --- | --- | --- | --- | --- | --- |"));
    Box::pin(rounds(&mut crowd)).await?;
    let n_stored = crowd.leave().await?;
    ensure!(
        usize::try_from(cluster.store.count_messages().await?)? == n_stored,
        "{n_stored} were acknowledged"
    );
    Box::pin(cluster.finish()).await
}

/// Both phases in turn, and what they say together.
async fn rounds(crowd: &mut Crowd) -> anyhow::Result<()> {
    let (mut calm, mut stalled, mut closed) = (Spread::default(), Spread::default(), Spread::default());
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let before = crowd.phase("all read", CALM, &mut closed).await?;
        crowd.stall.send_replace(true);
        let meanwhile = crowd.phase("a third reads nothing", STALL, &mut closed).await?;
        crowd.stall.send_replace(false);
        crowd.catch_up().await?;
        ratios.push(ratio(&meanwhile, &before));
        calm.extend(before);
        stalled.extend(meanwhile);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    tell(format_args!(
        "p99 of those that read, the middle one of {} windows of {} s: {} while all read, {} while a third does not; the \
         ratio is {:.2} over all, and {:.2} to {:.2} in each round (promised: below 1.20)",
        calm.len() + stalled.len(),
        WINDOW.as_secs(),
        text(calm.quantile(0.5)),
        text(stalled.quantile(0.5)),
        ratio(&stalled, &calm),
        ratios[0],
        ratios[ROUNDS - 1]
    ));
    tell(format_args!(
        "closed: {} sessions, after p50 {}, max {} without reading",
        closed.len(),
        text(closed.quantile(0.5)),
        text(closed.max())
    ));
    Ok(())
}

/// Of the middle ones.
fn ratio(of: &Spread, to: &Spread) -> f64 {
    of.quantile(0.5).as_secs_f64() / to.quantile(0.5).as_secs_f64()
}

/// All that are connected.
struct Crowd {
    hall: Arc<Hall>,
    stall: watch::Sender<bool>,
    node: std::net::SocketAddr,
    pid: Pid,
    /// Users that always read, and the ways to have them write.
    reading: Vec<(i64, mpsc::Sender<Order>)>,
    /// Users that stop reading, and what keeps them there.
    stalling: Vec<(i64, mpsc::Sender<Order>)>,
    /// Each with whether it stops reading; gives how many of its connections ended.
    members: Vec<(bool, JoinHandle<anyhow::Result<usize>>)>,
    /// Which messages were to those that always read.
    is_to_reader: Vec<bool>,
    dice: Dice,
}

impl Crowd {
    /// Everyone on the first node, each third one of those that stop reading.
    async fn gather(cluster: &Cluster, users: &[i64]) -> anyhow::Result<Self> {
        let (stall, is_stalled) = watch::channel(false);
        let node = cluster.address(0);
        let hall = Hall::new(node, is_stalled);
        let (mut reading, mut stalling, mut members) = (Vec::new(), Vec::new(), Vec::new());
        for (n, user) in users.iter().enumerate() {
            let stalls = n % 3 == 0;
            let (mut member, orders) = Member::new(&hall, *user, stalls);
            let connection = member.open().await?;
            members.push((stalls, tokio::spawn(member.run(connection))));
            if stalls { &mut stalling } else { &mut reading }.push((*user, orders));
        }
        ensure!(!reading.is_empty() && !stalling.is_empty(), "too few clients");
        sleep(SETTLED).await;
        let (is_to_reader, dice, pid) = (Vec::new(), Dice(7), cluster.pid(0));
        Ok(Self { hall, stall, node, pid, reading, stalling, members, is_to_reader, dice })
    }

    /// Messages a second to each of the two parts.
    fn rate(&self) -> f64 {
        RATE * (self.reading.len() + self.stalling.len()) as f64 / 1_000.0
    }

    /// Writes for so many windows, prints a row, notes when the node closed sessions, and gives the others' p99 of each
    /// window.
    async fn phase(&mut self, what: &str, windows: usize, closed: &mut Spread) -> anyhow::Result<Spread> {
        let watch = Watch::start(self.pid);
        let lasts = SETTLED + WINDOW * u32::try_from(windows)?;
        let closings = tokio::spawn(closings(self.node, Instant::now(), lasts));
        self.write(SETTLED).await?;
        let mut marks = vec![self.hall.n_messages()];
        for _ in 0..windows {
            self.write(WINDOW).await?;
            marks.push(self.hall.n_messages());
        }
        // Those on their way count too.
        sleep(Duration::from_secs(1)).await;
        let delays = |from, to| self.hall.delays(from..to, |n| self.is_to_reader[n]);
        let each = marks.windows(2).map(|mark| delays(mark[0], mark[1]).quantile(0.99)).collect();
        let delays = delays(marks[0], marks[windows]);
        let of = [0.5, 0.99, 1.0].map(|share| text(delays.quantile(share)));
        let closings = closings.await??;
        tell(format_args!(
            "| {what}, {} s | {} | {} | {} | {} | {} | {} | {} |",
            lasts.as_secs(),
            of[0],
            of[1],
            of[2],
            delays.len(),
            mebibytes(watch.finish().await?),
            mebibytes(resident(self.pid)?),
            closings.len()
        ));
        closed.extend(closings);
        Ok(each)
    }

    /// Has those that read write to one another, and to those that may not read, at the rate.
    async fn write(&mut self, lasts: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + lasts;
        let mut ticks = interval(Duration::from_secs_f64(1.0 / self.rate()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while Instant::now() < until {
            ticks.tick().await;
            let to = self.dice.pick(&self.reading).context("there are some")?.0;
            self.write_one(to, 64, true).await?;
            let to = self.dice.pick(&self.stalling).context("there are some")?.0;
            let size = 4_096 + self.dice.roll(4_096) as usize;
            self.write_one(to, size, false).await?;
        }
        Ok(())
    }

    async fn write_one(&mut self, to: i64, size: usize, is_to_reader: bool) -> anyhow::Result<()> {
        let (_, orders) = self.dice.pick(&self.reading).context("there are some")?;
        self.is_to_reader.push(is_to_reader);
        orders.send(self.hall.order(to, size)).await.ok().context("a session ended for good")
    }

    /// Waits until everyone has all that was stored.
    async fn catch_up(&self) -> anyhow::Result<()> {
        let (watch, begun, n_missed) = (Watch::start(self.pid), Instant::now(), self.hall.n_missing());
        let all = async || Ok((self.hall.n_missing() == 0).then_some(()));
        eventually("everyone has everything", CATCH_UP, all).await?;
        let took = text(begun.elapsed());
        sleep(SETTLED).await;
        let memory = [watch.finish().await?, resident(self.pid)?].map(mebibytes);
        tell(format_args!(
            "| they read again, and have all after {took} | | | | {n_missed} | {} | {} | |",
            memory[0], memory[1]
        ));
        Ok(())
    }

    /// Everyone goes; gives how many messages were stored.
    async fn leave(self) -> anyhow::Result<usize> {
        drop((self.reading, self.stalling));
        let mut n_ended = [0, 0];
        for (stalls, member) in self.members {
            n_ended[usize::from(stalls)] += member.await??;
        }
        tell(format_args!(
            "connections that ended: {} of those that always read, {} of those that stopped",
            n_ended[0], n_ended[1]
        ));
        ensure!(self.hall.n_missing() == 0, "{} messages are lost", self.hall.n_missing());
        self.hall.n_stored()
    }
}

/// When the node closed sessions within this time, since its beginning.
async fn closings(node: std::net::SocketAddr, begun: Instant, lasts: Duration) -> anyhow::Result<Spread> {
    let n_closed = async || metric(node, "switchboard_sessions_closed_total").await;
    let (mut closings, mut last) = (Spread::default(), n_closed().await?);
    let mut looks = interval(Duration::from_millis(250));
    while begun.elapsed() < lasts {
        looks.tick().await;
        let now = n_closed().await?;
        closings.extend(std::iter::repeat_n(begun.elapsed(), (now - last) as usize));
        last = now;
    }
    Ok(closings)
}
