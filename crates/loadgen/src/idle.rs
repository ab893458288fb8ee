//! Connections that only stand there, and after a busy time again: how many do, and what they cost in memory.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use clap::Args;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep};

use crate::crew::{Crew, Lead, Share};
use crate::device::Device;
use crate::fleet::Fleet;
use crate::json::Json;
use crate::process::{self, Meter};
use crate::report;
use crate::wire::{Frame, Loss};

/// After the last handshake or frame, until the memory is read.
const BREATH: Duration = Duration::from_secs(2);
/// How often it is looked whether all are through with the busy time, and how long at most.
const GLANCE: Duration = Duration::from_millis(50);
const BUSY_PATIENCE: Duration = Duration::from_secs(600);
/// Frames of the busy time: in so many rounds, each answered before the next, so many at a time. A user may send 1,000
/// that cost the store nothing before a node lets them wait.
const ROUNDS: usize = 20;
const FRAMES_A_ROUND: usize = 10;
/// A frame that costs the store nothing, and its answer, which repeats its `request_id`: 200 bytes, and 151.
const PING_BYTES: usize = 200;
const REQUEST_ID_BYTES: usize = 120;

/// How many connections, and what they do.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// How many.
    #[arg(long)]
    connections: usize,
    /// How long to hold them all.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Before they are held, each sends 200 frames of 200 bytes and gets an answer of 151 bytes to each, and the memory is
    /// read again.
    #[arg(long)]
    busy: bool,
}

/// What a part opened.
#[derive(Debug, Serialize, Deserialize)]
struct Opened {
    n: usize,
    /// Why one did not come to stand.
    failure: Option<String>,
}

/// Lets the parts open the connections, prints the report, and says whether all stood to the end.
pub(crate) async fn lead(crew: &mut Crew, shape: &Shape, pids: &[u32], json: &Json) -> anyhow::Result<bool> {
    ensure!(shape.connections > 0, "there is nothing to open");
    crew.hear::<()>().await?;
    let before = resident(pids)?;
    crew.go().await?;
    let opened: Vec<Opened> = crew.hear().await?;
    let n_opened = opened.iter().map(|part| part.n).sum();
    let failure = opened.into_iter().find_map(|part| part.failure);
    sleep(BREATH).await;
    let after = resident(pids)?;
    report::print(&table(shape, n_opened, failure.as_deref(), pids, &before, &after))?;
    let a_connection = |now: &[u64]| bytes(now).saturating_sub(bytes(&before)).checked_div(n_opened as u64);

    let mut busy = None;
    if shape.busy {
        crew.go().await?;
        crew.hear::<()>().await?;
        sleep(BREATH).await;
        let after = resident(pids)?;
        report::print("after 200 frames in and 200 out on each\n")?;
        report::print(&memory(n_opened, pids, &before, &after))?;
        busy = a_connection(&after);
    }

    let meter = Meter::start(pids, &crew.pids());
    sleep(Duration::from_secs_f64(shape.seconds)).await;
    let spent = meter.end();
    crew.go().await?;
    let n_dropped: usize = crew.hear::<usize>().await?.iter().sum();
    report::print(&format!(
        "held for {} s: {n_dropped} connections were dropped meanwhile\n",
        shape.seconds
    ))?;
    report::print(&report::cores(&spent))?;
    let is_good = n_opened == shape.connections && n_dropped == 0;
    let counted = json!({
        "opened": n_opened, "dropped": n_dropped, "before": bytes(&before), "after": bytes(&after),
        "bytes_per_connection": a_connection(&after), "bytes_per_connection_busy": busy,
    });
    json.write("idle", is_good, &spent, counted)?;
    Ok(is_good)
}

fn table(
    shape: &Shape,
    n_opened: usize,
    failure: Option<&str>,
    pids: &[u32],
    before: &[u64],
    after: &[u64],
) -> String {
    let mut text = format!("opened {n_opened} of {} connections\n", shape.connections);
    if let Some(failure) = failure {
        // Writing to a text cannot fail, here and below.
        let _ = writeln!(text, "  for example: {failure}");
    }
    text + &memory(n_opened, pids, before, after)
}

fn memory(n_opened: usize, pids: &[u32], before: &[u64], after: &[u64]) -> String {
    let mut text = String::new();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    for ((pid, before), after) in pids.iter().zip(before).zip(after) {
        let (before, after) = (megabytes(*before), megabytes(*after));
        let _ = writeln!(text, "  pid {pid}: {before:.1} MB before, {after:.1} MB now");
    }
    let grown = bytes(after).saturating_sub(bytes(before));
    if let Some(each) = grown.checked_div(n_opened as u64).filter(|_| !pids.is_empty()) {
        let _ = writeln!(text, "  {each} bytes a connection");
    }
    text
}

fn resident(pids: &[u32]) -> anyhow::Result<Vec<u64>> {
    pids.iter().map(|pid| Ok(process::memory(*pid)?.resident)).collect()
}

fn bytes(processes: &[u64]) -> u64 {
    processes.iter().sum()
}

/// What the connections of a part have come to.
#[derive(Debug, Default)]
struct Crowd {
    n_dropped: AtomicUsize,
    n_through: AtomicUsize,
}

/// Opens a part of the connections and holds them.
pub(crate) async fn part(
    fleet: &Arc<Fleet>,
    share: Share,
    shape: &Shape,
    lead: &mut Lead,
) -> anyhow::Result<()> {
    lead.ready().await?;
    let opening = share.part(shape.connections).map(|index| Device::stand(fleet, index, index, None));
    let opened: Vec<_> = stream::iter(opening).buffer_unordered(fleet.connecting).collect().await;
    let failure = opened.iter().find_map(|opened| opened.as_ref().err()).map(|loss| loss.reason.clone());
    let (crowd, (sender, busy)) = (Arc::new(Crowd::default()), watch::channel(()));
    let mut n = 0;
    for device in opened.into_iter().flatten() {
        n += 1;
        tokio::spawn(stand(device, busy.clone(), Arc::clone(&crowd)));
    }
    lead.report(&Opened { n, failure })?;
    if shape.busy {
        lead.wait().await?;
        sender.send(()).context("no connection stands")?;
        let deadline = Instant::now() + BUSY_PATIENCE;
        let n_done = || crowd.n_through.load(Ordering::Relaxed) + crowd.n_dropped.load(Ordering::Relaxed);
        while n_done() < n && Instant::now() < deadline {
            sleep(GLANCE).await;
        }
        ensure!(n_done() >= n, "only {} of {n} connections are through with their frames", n_done());
        lead.report(&())?;
    }
    lead.wait().await?;
    lead.report(&crowd.n_dropped.load(Ordering::Relaxed))
}

/// Holds one connection until it ends.
async fn stand(mut device: Device, mut busy: watch::Receiver<()>, crowd: Arc<Crowd>) {
    let ended: Result<(), Loss> = async {
        loop {
            tokio::select! {
                heard = device.next() => drop(heard?),
                Ok(()) = busy.changed() => {
                    talk(&mut device).await?;
                    crowd.n_through.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
    .await;
    drop(ended);
    crowd.n_dropped.fetch_add(1, Ordering::Relaxed);
}

async fn talk(device: &mut Device) -> Result<(), Loss> {
    let ping = format!(r#"{{"type":"ping","request_id":"{:x<REQUEST_ID_BYTES$}","rest":""#, "");
    let ping = format!(r#"{ping:x<width$}"}}"#, width = PING_BYTES - 2);
    for _ in 0..ROUNDS {
        for _ in 0..FRAMES_A_ROUND {
            device.link.feed(ping.clone()).await?;
        }
        let mut n_pongs = 0;
        while n_pongs < FRAMES_A_ROUND {
            n_pongs += usize::from(Frame::parse(&device.next().await?)?.kind == "pong");
        }
    }
    Ok(())
}
