//! What the process takes, under the names that every Prometheus client gives it.

use std::fs;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{gauge, register};

/// The figures of this process. What the system does not tell stays at zero.
pub(super) struct Process {
    registry: Registry,
    cpu_seconds: Counter<f64, AtomicU64>,
    resident: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
}

impl Default for Process {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("process");
        let r = &mut registry;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = gauge(r, "start_time_seconds", "When it started, in Unix time");
        start.set(i64::try_from(started.as_secs()).unwrap_or_default());
        Self {
            cpu_seconds: register(r, "cpu_seconds", "Processor time", Counter::default()),
            resident: gauge(r, "resident_memory_bytes", "Memory"),
            open_fds: gauge(r, "open_fds", "Open files and sockets"),
            max_fds: gauge(r, "max_fds", "Files and sockets that may be open"),
            registry,
        }
    }
}

impl Process {
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn sample(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
            #[expect(clippy::cast_precision_loss, reason = "microseconds of a process fit")]
            self.cpu_seconds
                .inner()
                .store((micros as f64 / 1e6).to_bits(), std::sync::atomic::Ordering::Relaxed);
        }
        if let Ok((soft, _hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.max_fds.set(i64::try_from(soft).unwrap_or(i64::MAX));
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_fds.set(i64::try_from(files.count()).unwrap_or_default());
        }
        if let Some(bytes) = resident() {
            self.resident.set(bytes);
        }
    }
}

/// Bytes, from `VmRSS:      1234 kB`.
fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
