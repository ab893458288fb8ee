//! `presence`: users who watch each other, and turn away and back.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use switchboard_client::{Client, Event};
use switchboard_protocol::{ClientFrame, Presence, ServerFrame, UserId, limits};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use crate::fleet::Fleet;
use crate::groups;
use crate::json::Json;
use crate::process::{Meter, Spent};
use crate::report;
use crate::tally::Latency;

/// How often it is looked whether all know of all.
const GLANCE: Duration = Duration::from_millis(20);
/// After all do: what it took to get there is over, and nothing measures it.
const BREATH: Duration = Duration::from_secs(1);
/// How long a user who turned away stays so. To be away counts after 2 s, and is heard of within 2 more.
const STAY: f64 = 5.0;

/// Who watches whom, and how often they change.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Members of a group, 2 to 100. Each watches all others of theirs.
    #[arg(long, default_value_t = 100)]
    members: usize,
    /// Users, from the head of the token file; a multiple of the members. All of them, if not given.
    #[arg(long)]
    users: Option<usize>,
    /// Changes a second in the second window: users who turn away, and 5 s later are back again.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Length of each of the two windows. In the first nobody changes.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// How long to wait for what is not known yet, before and after.
    #[arg(long, default_value_t = 60.0)]
    settle: f64,
}

/// What all who watch have heard.
struct Heard {
    /// What each user said last, and when.
    said: HashMap<UserId, Mutex<(Presence, Instant)>>,
    /// How many who watch know the one whom they watch as online.
    n_online: AtomicI64,
    notices: AtomicU64,
    disconnects: AtomicU64,
    /// From when a user turned away until one who watches knew it.
    away: Latency,
    /// The same of those who are back.
    back: Latency,
}

/// Measures both windows, prints the report, and says whether in the end everybody knew what everybody was.
pub(crate) async fn run(fleet: &Fleet, shape: &Shape, pids: &[u32], json: &Json) -> anyhow::Result<bool> {
    let (size, n_users) = (shape.members, fleet.n_users(shape.users)?);
    ensure!((2..=limits::GROUP_MEMBERS).contains(&size), "a group has 2 to 100 members, and not {size}");
    ensure!(n_users >= size && n_users.is_multiple_of(size), "{n_users} users make no groups of {size}");
    ensure!(shape.rate.is_finite() && shape.rate >= 0.0, "the rate must be 0 or above");
    let n_places = n_users * (size - 1);
    report::print(&format!("{n_users} users in groups of {size}: {n_places} places of who watches whom\n"))?;

    let ids: Vec<_> = fleet.accounts[..n_users].iter().map(|account| account.id).collect();
    let said = ids.iter().map(|id| (*id, Mutex::new((Presence::Online, Instant::now()))));
    let heard = Arc::new(Heard {
        said: said.collect(),
        n_online: AtomicI64::new(0),
        notices: AtomicU64::new(0),
        disconnects: AtomicU64::new(0),
        away: Latency::new()?,
        back: Latency::new()?,
    });
    let clients = watch_each_other(fleet, &ids, size, &heard).await?;
    let patience = Duration::from_secs_f64(shape.settle);
    let asked_at = Instant::now();
    heard.settle(n_places as i64, patience).await;
    report::print(&format!("all known to all after {:.1} s\n", asked_at.elapsed().as_secs_f64()))?;
    sleep(BREATH).await;

    heard.window("nobody changes", shape.seconds, 0, pids, async {}).await?;
    let n_changes = (shape.rate * shape.seconds) as usize;
    // Each of the ring turns away, then each is back, and so on.
    let ring = ((shape.rate * STAY).ceil() as usize).clamp(1, n_users);
    let changes = heard.change(&clients[..ring], &ids, n_changes, shape.rate);
    let (spent, notices) = heard.window("some change", shape.seconds, n_changes, pids, changes).await?;

    let n_away = match (n_changes / ring, n_changes % ring) {
        (rounds, more) if rounds.is_multiple_of(2) => more,
        (_, back) => ring - back,
    };
    let expected = ((n_users - n_away) * (size - 1)) as i64;
    heard.settle(expected, patience).await;
    let wrong = (expected - heard.n_online.load(Ordering::Relaxed)).unsigned_abs();
    let disconnects = heard.disconnects.load(Ordering::Relaxed);
    report::print(&format!("in the end\n  wrong            {wrong}\n  disconnects      {disconnects}\n"))?;
    let is_good = wrong == 0 && disconnects == 0;
    let counted = json!({
        "changes": n_changes, "notices": notices, "wrong": wrong, "disconnects": disconnects,
        "away_ms": heard.away.json(), "back_ms": heard.back.json(),
    });
    json.write("presence", is_good, &spent, counted)?;
    Ok(is_good)
}

/// Connects the users, makes their groups, and lets each watch the others of theirs.
async fn watch_each_other(
    fleet: &Fleet,
    ids: &[UserId],
    size: usize,
    heard: &Arc<Heard>,
) -> anyhow::Result<Vec<Client>> {
    let connections = fleet.connect_all(0..ids.len(), |config| config.events = 4 * size).await?;
    let (clients, events): (Vec<_>, Vec<_>) = connections.into_iter().unzip();
    let owners: Vec<_> = clients.iter().step_by(size).cloned().collect();
    groups::make_all(&owners, ids, size).await?;
    for events in events {
        tokio::spawn(Arc::clone(heard).listen(events));
    }
    for (index, client) in clients.iter().enumerate() {
        let first = index - index % size;
        let others = ids[first..first + size].iter().filter(|id| **id != ids[index]);
        client.ask(ClientFrame::WatchPresence { user_ids: others.copied().collect() }).await?;
    }
    Ok(clients)
}

impl Heard {
    async fn listen(self: Arc<Self>, mut events: Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Frame(ServerFrame::Presence { user_id, status, .. }) => self.hear(user_id, status),
                Event::Disconnected { .. } => drop(self.disconnects.fetch_add(1, Ordering::Relaxed)),
                _ => {}
            }
        }
    }

    fn hear(&self, user: UserId, status: Presence) {
        self.notices.fetch_add(1, Ordering::Relaxed);
        let Some(said) = self.said.get(&user) else { return };
        let (last, at) = *said.lock().unwrap_or_else(PoisonError::into_inner);
        // What somebody was before they changed again says nothing of how late it is.
        let delay = (last == status).then(|| at.elapsed());
        match status {
            Presence::Online => {
                self.back.record(delay);
                self.n_online.fetch_add(1, Ordering::Relaxed);
            }
            Presence::Away => {
                self.away.record(delay);
                self.n_online.fetch_sub(1, Ordering::Relaxed);
            }
            // At first, of those who have just come: the next word is of their being there.
            Presence::Offline => {}
        }
    }

    /// Lets the users change in turn, at this rate.
    async fn change(&self, ring: &[Client], ids: &[UserId], n_changes: usize, rate: f64) {
        let began = Instant::now();
        for nth in 0..n_changes {
            sleep_until(began + Duration::from_secs_f64(nth as f64 / rate)).await;
            let (user, round) = (nth % ring.len(), nth / ring.len());
            let status = if round.is_multiple_of(2) { Presence::Away } else { Presence::Online };
            if let Some(said) = self.said.get(&ids[user]) {
                *said.lock().unwrap_or_else(PoisonError::into_inner) = (status, Instant::now());
            }
            // One that cannot be asked is known as something else in the end.
            let _late = ring[user].ask(ClientFrame::SetPresence { status }).await;
        }
    }

    /// Waits until so many places know of somebody who is online, or there is no hope of that.
    async fn settle(&self, n_online: i64, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.n_online.load(Ordering::Relaxed) != n_online && Instant::now() < deadline {
            sleep(GLANCE).await;
        }
    }

    /// Measures while this happens, for so long at least, and prints what was spent and heard. Latencies count from the
    /// window on.
    async fn window(
        &self,
        name: &str,
        seconds: f64,
        n_changes: usize,
        pids: &[u32],
        work: impl Future<Output = ()>,
    ) -> anyhow::Result<(Spent, u64)> {
        self.away.clear();
        self.back.clear();
        let (meter, before) = (Meter::start(pids, &[]), self.notices.load(Ordering::Relaxed));
        tokio::join!(sleep(Duration::from_secs_f64(seconds)), work);
        let spent = meter.end();
        let notices = self.notices.load(Ordering::Relaxed) - before;
        let mut text = format!("{name}, {seconds} s: {n_changes} changes, {notices} notices\n");
        for (name, latency) in [("away", &self.away), ("back", &self.back)] {
            let [p50, p90, p99, max] = latency.summary();
            if latency.count() > 0 {
                writeln!(text, "  {name} after, ms: p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, max {max:.0}")?;
            }
        }
        report::print(&(text + &report::cores(&spent)))?;
        Ok((spent, notices))
    }
}
