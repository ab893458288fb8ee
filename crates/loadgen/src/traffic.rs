//! `run` and `flood`: users in pairs, a measured window, a verdict. The window is also that of `groups`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, ensure};
use clap::Args;
use switchboard_protocol::Target;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::crew::{Crew, Lead, Share};
use crate::device::Device;
use crate::fleet::Fleet;
use crate::json::Json;
use crate::letter::Letter;
use crate::pace::{Load, Pace};
use crate::process::Meter;
use crate::report::{self, Totals, Usage, Verdict};
use crate::tally::{Counts, Tally};
use crate::user::{Record, User};

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

/// Measures while the parts put the load on, prints the report, and says whether everything was as it should be.
pub(crate) async fn lead(
    crew: &mut Crew,
    shape: &Shape,
    load: Load,
    pids: &[u32],
    json: &Json,
) -> anyhow::Result<bool> {
    let usage = measure(crew, &shape.window, 1, pids).await?;
    let mode = match load {
        Load::Open { .. } => "run",
        Load::Closed { .. } => "flood",
    };
    let is_good = usage.totals.verdict.is_good();
    json.write(mode, is_good, &usage.spent, usage.json())?;
    report::print(&report::traffic(&usage))?;
    Ok(is_good)
}

/// Measures the window, while each message goes to so many recipients.
pub(crate) async fn measure(
    crew: &mut Crew,
    window: &Window,
    n_recipients: u64,
    pids: &[u32],
) -> anyhow::Result<Usage> {
    crew.hear::<()>().await?;
    report::progress(&format!(
        "all are connected; measuring {} s, {} s from now",
        window.seconds, window.warmup
    ));
    crew.go().await?;
    sleep(BREATH + Duration::from_secs_f64(window.warmup)).await;
    let meter = Meter::start(pids, &crew.pids());
    sleep(Duration::from_secs_f64(window.seconds)).await;
    let spent = meter.end();
    report::progress("waiting for what has not arrived");
    let totals = crew.hear::<Totals>().await?.into_iter().reduce(Totals::with);
    Ok(Usage { totals: totals.context("there are no parts")?, n_recipients, spent })
}

/// Puts on a part of the load.
pub(crate) async fn part(
    fleet: &Arc<Fleet>,
    share: Share,
    shape: &Shape,
    load: Load,
    lead: &mut Lead,
) -> anyhow::Result<()> {
    let n_users = shape.check(fleet, load)?;
    let pairs = share.part(n_users / 2);
    let users = 2 * pairs.start..2 * pairs.end;
    let devices = Device::stand_all(fleet, users.clone()).await?;
    lead.ready().await?;
    let bout = Bout::new(&shape.window)?;
    let load = load.of(users.len(), n_users);
    let paces = load.paces(users.len(), bout.start, bout.tally.window.1, &bout.tally);
    let users = devices.into_iter().zip(paces).zip(users).map(|((device, pace), index)| {
        // 0 and 1 are partners, 2 and 3, and so on.
        bout.user(device, fleet.account(index ^ 1).id.into(), pace)
    });
    let (window, records) = bout.run(users.collect(), 1).await?;
    lead.report(&bout.totals(window, Verdict::of_pairs(&records))?)
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
        let letter = Letter::new(start, window.size);
        Ok(Self { start, tally, letter, patience: Duration::from_secs_f64(window.settle) })
    }

    pub(crate) fn user(&self, device: Device, to: Target, pace: Pace) -> User {
        User::new(device, to, pace, self.letter, Arc::clone(&self.tally))
    }

    /// Lets them all send and listen to the end, and says what they counted in the window. Each message has so many
    /// recipients.
    pub(crate) async fn run(
        &self,
        users: Vec<User>,
        n_recipients: u64,
    ) -> anyhow::Result<(Counts, Vec<Record>)> {
        let stop = CancellationToken::new();
        let users: Vec<JoinHandle<Record>> =
            users.into_iter().map(|user| tokio::spawn(user.run(stop.clone()))).collect();
        let (start, end) = self.tally.window;
        sleep_until(start).await;
        let before = self.tally.counts();
        sleep_until(end).await;
        let window = self.tally.counts().with(before, u64::wrapping_sub);
        settle(&self.tally, n_recipients, self.patience).await;
        stop.cancel();
        let mut records = Vec::new();
        for user in users {
            records.push(user.await.context("a user's task panicked")?);
        }
        Ok((window, records))
    }

    /// What there is to report after the run.
    pub(crate) fn totals(self, window: Counts, verdict: Verdict) -> anyhow::Result<Totals> {
        let whole = self.tally.counts();
        let tally = Arc::into_inner(self.tally).context("somebody still counts")?;
        Ok(Totals { whole, window, latencies: tally.latencies, verdict })
    }
}

/// Waits until every send is answered and delivered, or there is no hope of that.
pub(crate) async fn settle(tally: &Tally, n_recipients: u64, patience: Duration) {
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
