//! `run` and `flood`: users in pairs, a measured window, a verdict. The window is also that of `groups`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, ensure};
use clap::Args;
use switchboard_protocol::Target;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Connection, Fleet};
use crate::pace::{Load, Pace};
use crate::process::Meter;
use crate::report::{self, Usage, Verdict};
use crate::tally::Tally;
use crate::user::{Letter, Record, User};

/// Between the last connection and the first message: handshakes are over, and nothing measures them.
const BREATH: Duration = Duration::from_millis(200);
/// How often it is looked whether everything has arrived.
const GLANCE: Duration = Duration::from_millis(20);

/// What `run` and `flood` have in common.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Users, from the head of the token file; even. All of them, if not given. Each sends to a neighbour, who is
    /// on another node if there is one.
    #[arg(long)]
    users: Option<usize>,
    #[command(flatten)]
    window: Window,
}

/// How long, and how much at a time.
#[derive(Debug, Args)]
pub(crate) struct Window {
    /// Length of the measured window.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Load before the measured window. It is checked, but not measured.
    #[arg(long, default_value_t = 2.0)]
    warmup: f64,
    /// How long to wait afterwards for what has not arrived.
    #[arg(long, default_value_t = 30.0)]
    settle: f64,
    /// Bytes of content.
    #[arg(long, default_value_t = 200)]
    size: usize,
}

impl Shape {
    /// How many users there are, if they can put on that load.
    fn check(&self, fleet: &Fleet, load: Load) -> anyhow::Result<usize> {
        let n_users = fleet.n_users(self.users)?;
        ensure!(n_users >= 2 && n_users.is_multiple_of(2), "users come in pairs, and there are {n_users}");
        if let Load::Open { rate } = load {
            ensure!(rate.is_finite() && rate > 0.0, "the rate must be above 0");
        }
        Ok(n_users)
    }
}

/// Puts the load on, prints the report, and says whether everything was as it should be.
pub(crate) async fn run(fleet: &Fleet, shape: &Shape, load: Load, pids: &[u32]) -> anyhow::Result<bool> {
    let n_users = shape.check(fleet, load)?;
    let connections = connect(fleet, n_users, load).await?;
    let bout = Bout::new(&shape.window)?;
    let paces = load.paces(n_users, bout.start, bout.tally.window.1, &bout.tally);
    let users = connections.into_iter().zip(paces).enumerate().map(|(index, (connection, pace))| {
        // 0 and 1 are partners, 2 and 3, and so on.
        bout.user(connection, fleet.accounts[index ^ 1].id.into(), pace)
    });
    let users = users.collect();
    let (usage, records) = bout.run(users, 1, pids).await?;
    let verdict = Verdict::of_pairs(&records);
    report::print(&report::traffic(&bout.tally, &usage, &verdict))?;
    Ok(verdict.is_good())
}

/// Load from a start through a measured window until all has arrived.
#[derive(Debug)]
pub(crate) struct Bout {
    pub(crate) start: Instant,
    pub(crate) tally: Arc<Tally>,
    letter: Letter,
    patience: Duration,
}

impl Bout {
    /// One that starts at once.
    pub(crate) fn new(window: &Window) -> anyhow::Result<Self> {
        let start = Instant::now() + BREATH;
        let window_start = start + Duration::from_secs_f64(window.warmup);
        let window_end = window_start + Duration::from_secs_f64(window.seconds);
        let tally = Arc::new(Tally::new(window_start, window_end)?);
        let letter = Letter { run: rand::random(), origin: start, size: window.size };
        Ok(Self { start, tally, letter, patience: Duration::from_secs_f64(window.settle) })
    }

    pub(crate) fn user(&self, (client, events): Connection, to: Target, pace: Pace) -> User {
        let (tally, record) = (Arc::clone(&self.tally), Record::default());
        User { client, events, to, pace, letter: self.letter, tally, record }
    }

    /// Lets them all send and listen to the end. Each message has so many recipients.
    pub(crate) async fn run(
        &self,
        users: Vec<User>,
        n_recipients: u64,
        pids: &[u32],
    ) -> anyhow::Result<(Usage, Vec<Record>)> {
        let stop = CancellationToken::new();
        let users: Vec<JoinHandle<Record>> =
            users.into_iter().map(|user| tokio::spawn(user.run(stop.clone()))).collect();
        let usage = measure(&self.tally, n_recipients, pids).await;
        settle(&self.tally, n_recipients, self.patience).await;
        stop.cancel();
        let mut records = Vec::new();
        for user in users {
            records.push(user.await.context("a user's task panicked")?);
        }
        Ok((usage, records))
    }
}

async fn connect(fleet: &Fleet, n_users: usize, load: Load) -> anyhow::Result<Vec<Connection>> {
    let outbox = match load {
        Load::Open { .. } => 1024,
        Load::Closed { inflight } => inflight,
    };
    fleet.connect_all(n_users, |config| config.outbox = outbox).await
}

/// Sleeps through the window, and takes the difference of what is measured at both its ends.
async fn measure(tally: &Tally, n_recipients: u64, pids: &[u32]) -> Usage {
    let (start, end) = tally.window;
    sleep_until(start).await;
    let (meter, before) = (Meter::start(pids), tally.delivered.load(Ordering::Relaxed));
    sleep_until(end).await;
    let delivered = tally.delivered.load(Ordering::Relaxed) - before;
    Usage { delivered, n_recipients, spent: meter.end() }
}

/// Waits until every send is answered and delivered, or there is no hope of that.
async fn settle(tally: &Tally, n_recipients: u64, patience: Duration) {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        // Answers first: what is answered was sent, and what is delivered was sent too.
        let answered = tally.answered.load(Ordering::Relaxed);
        let delivered = tally.delivered.load(Ordering::Relaxed);
        let sent = tally.sent.load(Ordering::Relaxed);
        if answered == sent && delivered >= sent * n_recipients {
            // One that comes a second time would come now.
            return sleep(BREATH).await;
        }
        sleep(GLANCE).await;
    }
}
