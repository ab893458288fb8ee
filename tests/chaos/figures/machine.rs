//! What processes use, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::harness::servers::children;
use crate::harness::{Cluster, resident};

/// The unit of CPU time in `/proc`: 100 a second on every architecture that Linux runs servers on.
const TICKS_PER_SECOND: u32 = 100;

/// CPU time that all threads of a process used so far, to a hundredth of a second.
pub(super) fn cpu(pid: Pid) -> anyhow::Result<Duration> {
    ticks(pid, 11)
}

/// The same of a process and of all its children, which come and go, if none has more than one thread. Precise: what many
/// of them use together may be less than a hundredth of a second each.
pub(super) fn cpu_of_family(parent: Pid) -> anyhow::Result<Duration> {
    // Of children that have ended.
    let mut sum = cpu_of_thread(parent)? + ticks(parent, 13)?;
    for child in children(parent)? {
        // One that ends meanwhile counts with its parent next time.
        sum += cpu_of_thread(child).unwrap_or_default();
    }
    Ok(sum)
}

/// Two neighbouring fields: user and system time.
fn ticks(pid: Pid, first: usize) -> anyhow::Result<Duration> {
    let fields = fields(pid)?;
    let times = fields.get(first..first + 2).context("no CPU time")?;
    let ticks = times.iter().map(|field| field.parse::<u64>()).sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}

fn cpu_of_thread(pid: Pid) -> anyhow::Result<Duration> {
    let times = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanoseconds = times.split(' ').next().context("no CPU time")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// The process that starts those which serve Postgres's connections.
pub(super) async fn postmaster(cluster: &Cluster) -> anyhow::Result<Pid> {
    let url = cluster.postgres.as_ref().context("there is one")?.url();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let own: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let postmaster = parent_of(Pid::from_raw(own))?;
    drop(client);
    connection.await??;
    Ok(postmaster)
}

/// How many descriptors this process may have, having raised the limit as far as it goes.
pub(super) fn descriptors() -> anyhow::Result<usize> {
    let (_soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(usize::try_from(hard)?)
}

/// Looks at a process's memory twenty times a second.
pub(super) struct Watch {
    stop: CancellationToken,
    looking: JoinHandle<anyhow::Result<u64>>,
}

impl Watch {
    pub(super) fn start(pid: Pid) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let looking = tokio::spawn(async move {
            let mut looks = interval(Duration::from_millis(50));
            let mut highest = 0;
            while stopped.run_until_cancelled(looks.tick()).await.is_some() {
                highest = highest.max(resident(pid)?);
            }
            Ok(highest)
        });
        Self { stop, looking }
    }

    /// The most that was seen, in bytes.
    pub(super) async fn finish(self) -> anyhow::Result<u64> {
        self.stop.cancel();
        self.looking.await?
    }
}

fn parent_of(pid: Pid) -> anyhow::Result<Pid> {
    Ok(Pid::from_raw(fields(pid)?.get(1).context("no parent")?.parse()?))
}

/// What stands after the name, which may hold spaces and brackets itself: the state, the parent, …
fn fields(pid: Pid) -> anyhow::Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("no name")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}
