//! CPU and memory of processes, from `/proc`.

use std::fmt::Write as _;
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

/// What processes spend, and this one, from a start on.
#[derive(Debug)]
pub(crate) struct Meter {
    began: Instant,
    processes: Vec<(String, u32, Option<Duration>)>,
}

impl Meter {
    pub(crate) fn start(pids: &[u32]) -> Self {
        let own = ("generator       ".to_owned(), std::process::id());
        let others = pids.iter().map(|pid| (format!("pid {pid:<12}"), *pid));
        let processes = others.chain([own]).map(|(name, pid)| (name, pid, cpu(pid).ok()));
        Self { began: Instant::now(), processes: processes.collect() }
    }

    /// A line for each process: how many hundredths of a core it took, and its memory.
    pub(crate) fn end(self) -> String {
        let (seconds, mut text) = (self.began.elapsed().as_secs_f64(), String::new());
        for (name, pid, before) in self.processes {
            let spent = cpu(pid).ok().zip(before).map(|(after, before)| after.saturating_sub(before));
            let line = match spent.zip(memory(pid).ok()) {
                Some((spent, memory)) => {
                    let percent = 100.0 * spent.as_secs_f64() / seconds;
                    format!("{percent:>6.1} % of a core, {:.1} MB", memory.resident as f64 / 1e6)
                }
                None => "is gone".to_owned(),
            };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "  {name} {line}");
        }
        text
    }
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
    fn reads_its_own_memory() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
    }
}
