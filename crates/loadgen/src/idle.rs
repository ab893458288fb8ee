//! Connections that only stand there: how many do, and what they cost in memory.

use std::fmt::Write as _;

use anyhow::ensure;
use switchboard_client::Event;
use tokio::time::{Duration, sleep};

use crate::fleet::{Connection, Fleet};
use crate::process;
use crate::report;

/// Events kept for each connection: nobody looks at them before the end.
const EVENTS: usize = 32;
/// After the last handshake, until the memory is read.
const BREATH: Duration = Duration::from_secs(1);

/// Opens the connections, holds them, prints the report, and says whether all stood to the end.
pub(crate) async fn run(
    fleet: &Fleet,
    n_connections: usize,
    seconds: f64,
    pids: &[u32],
) -> anyhow::Result<bool> {
    ensure!(n_connections > 0, "there is nothing to open");
    let before = resident(pids)?;
    let configs = (0..n_connections).map(|index| {
        let mut config = fleet.config(index);
        config.events = EVENTS;
        config
    });
    let (standing, failed): (Vec<_>, Vec<_>) =
        Fleet::connect(configs.collect()).await.into_iter().partition(Result::is_ok);
    let mut standing: Vec<Connection> = standing.into_iter().flatten().collect();
    sleep(BREATH).await;
    let after = resident(pids)?;

    let mut text = format!("opened {} of {n_connections} connections\n", standing.len());
    if let Some(Err(error)) = failed.first() {
        // Writing to a text cannot fail, here and below.
        let _ = writeln!(text, "  for example: {error:#}");
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    for ((pid, before), after) in pids.iter().zip(&before).zip(&after) {
        let _ = writeln!(
            text,
            "  pid {pid}: {:.1} MB before, {:.1} MB now",
            megabytes(*before),
            megabytes(*after)
        );
    }
    if !pids.is_empty() && !standing.is_empty() {
        let grown: u64 = after.iter().sum::<u64>().saturating_sub(before.iter().sum());
        let _ = writeln!(text, "  {} bytes a connection", grown / standing.len() as u64);
    }
    let own = process::memory(std::process::id())?;
    let _ = writeln!(text, "  the generator itself: {:.1} MB", megabytes(own.resident));
    report::print(&text)?;

    sleep(Duration::from_secs_f64(seconds)).await;
    let n_dropped = standing.iter_mut().filter_map(|connection| dropped(connection).then_some(())).count();
    report::print(&format!("held for {seconds} s: {n_dropped} connections were dropped meanwhile\n"))?;
    Ok(failed.is_empty() && n_dropped == 0)
}

fn resident(pids: &[u32]) -> anyhow::Result<Vec<u64>> {
    pids.iter().map(|pid| Ok(process::memory(*pid)?.resident)).collect()
}

/// Whether the connection ended since it stood, even if another followed.
fn dropped((_client, events): &mut Connection) -> bool {
    while let Ok(event) = events.try_recv() {
        if let Event::Disconnected { .. } = event {
            return true;
        }
    }
    false
}
