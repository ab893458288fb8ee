//! CPU and memory of processes, from `/proc`.

use std::fs;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Duration, Instant};

/// The unit of CPU time in `/proc`: 100 a second on every architecture that Linux runs servers on.
const TICKS_PER_SECOND: u32 = 100;

/// User and system time so far.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} has no CPU time"))?;
    Ok(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let field = |name| kilobytes(&status, name).with_context(|| format!("{path} has no {name}"));
    Ok(Memory { resident: field("VmRSS:")? * 1024, peak: field("VmHWM:")? * 1024 })
}

/// Measures processes, those of the generator, and the whole machine, from a start on.
#[derive(Debug)]
pub(crate) struct Meter {
    began: Instant,
    machine_cpu: Option<Duration>,
    own: Vec<(u32, Option<Duration>)>,
    processes: Vec<(u32, Option<Duration>)>,
}

/// What was spent meanwhile, as far as it could be read.
#[derive(Debug)]
pub(crate) struct Spent {
    pub(crate) elapsed: Duration,
    /// By all that ran, the generator included.
    pub(crate) machine_cpu: Option<Duration>,
    pub(crate) own_cpu: Option<Duration>,
    /// Each process, with its memory in the end.
    pub(crate) processes: Vec<(u32, Option<Duration>, Option<Memory>)>,
}

impl Meter {
    /// Of these processes, and of the parts of the generator besides this one.
    pub(crate) fn start(pids: &[u32], parts: &[u32]) -> Self {
        let now = |pid: &u32| (*pid, cpu(*pid).ok());
        let own = std::iter::once(&std::process::id()).chain(parts).map(now).collect();
        let processes = pids.iter().map(now).collect();
        Self { began: Instant::now(), machine_cpu: machine_cpu(), own, processes }
    }

    pub(crate) fn end(self) -> Spent {
        let since = |pid, before: Option<Duration>| Some(cpu(pid).ok()?.saturating_sub(before?));
        let measured = |(pid, before)| (pid, since(pid, before), memory(pid).ok());
        Spent {
            elapsed: self.began.elapsed(),
            machine_cpu: machine_cpu().zip(self.machine_cpu).map(|(now, before)| now.saturating_sub(before)),
            own_cpu: self.own.into_iter().map(|(pid, before)| since(pid, before)).sum(),
            processes: self.processes.into_iter().map(measured).collect(),
        }
    }
}

impl Spent {
    /// CPU time of the processes.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().filter_map(|(_, cpu, _)| *cpu).sum()
    }
}

/// What all processors did but wait.
fn machine_cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    Some(Duration::from_secs(busy_ticks(&stat)?) / TICKS_PER_SECOND)
}

/// Thousands of connections need as many descriptors; the soft limit is often 1024. If it cannot be raised,
/// the connections that fail say so.
pub(crate) fn raise_descriptor_limit() {
    if let Ok((_soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Fields 14 and 15. The second field is a name in brackets, which may hold spaces and brackets itself.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The sum over processors of user, nice, system, interrupts and soft interrupts: without idle and the wait for disks, and
/// without what other machines on the same hardware took.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, interrupts, soft, ..] = ticks[..] else { return None };
    Some(user + nice + system + interrupts + soft)
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cpu_time_past_an_odd_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn reads_what_the_machine_did() {
        let stat = "cpu  10 2 30 4000 500 6 7 800 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(10 + 2 + 30 + 6 + 7));
    }

    #[test]
    fn reads_its_own_memory() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
    }
}
