//! The CPU time of this process, and of the Postgres server if it is on this machine.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// The unit of CPU time in `/proc`: 100 a second.
const TICK: Duration = Duration::from_millis(10);

/// The first process of a Postgres server.
pub(crate) struct Server(u32);

impl Server {
    /// That of a database on this machine.
    pub(crate) async fn find(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        Ok(Self(field(&backend.to_string(), 1)?.try_into()?))
    }

    /// That of all its processes so far. Of those that ended, as far as it was waited for them.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let of_server = self.0.to_string();
        let mut ticks = (11..15).map(|nth| field(&of_server, nth)).sum::<anyhow::Result<u64>>()?;
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let pid = name.to_string_lossy();
            if pid.parse::<u32>().is_ok() && field(&pid, 1).is_ok_and(|parent| parent == u64::from(self.0)) {
                ticks += field(&pid, 11).unwrap_or(0) + field(&pid, 12).unwrap_or(0);
            }
        }
        Ok(TICK * u32::try_from(ticks)?)
    }
}

/// That of this process so far.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    Ok(TICK * u32::try_from(field("self", 11)? + field("self", 12)?)?)
}

/// A number of `/proc/PID/stat`, counted from what follows the name: 1 the parent, 11 and 12 user and system time, 13 and
/// 14 those of children.
fn field(pid: &str, nth: usize) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("no name in brackets")?;
    Ok(rest.split(' ').nth(nth).context("too few fields")?.parse()?)
}
