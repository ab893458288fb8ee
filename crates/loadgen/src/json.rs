//! What is written for programs to read: the same as is printed, and the same keys for every mode.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::Duration;

use crate::process::Spent;
use crate::report::{Totals, Usage};

/// Where the measurements go as JSON, an object a line, if anywhere.
#[derive(Debug)]
pub(crate) struct Json(Option<PathBuf>);

impl Json {
    /// Into a new file.
    pub(crate) fn create(path: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(path) = &path {
            fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Self(path))
    }

    /// What was spent, and what else there is to say of a mode.
    pub(crate) fn write(&self, mode: &str, is_good: bool, spent: &Spent, more: Value) -> anyhow::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let micros = |cpu: Option<Duration>| cpu.map(|cpu| cpu.as_micros() as u64);
        let processes = spent.processes.iter().map(|(pid, cpu, memory)| {
            let (resident, peak) = (memory.map(|memory| memory.resident), memory.map(|memory| memory.peak));
            json!({"pid": pid, "cpu_us": micros(*cpu), "resident": resident, "peak": peak})
        });
        let mut object = json!({
            "mode": mode, "good": is_good, "seconds": spent.elapsed.as_secs_f64(),
            "processes": processes.collect::<Vec<_>>(), "own_cpu_us": micros(spent.own_cpu),
            "machine_cpu_us": micros(spent.machine_cpu),
        });
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        let mut file = fs::OpenOptions::new().append(true).open(path)?;
        writeln!(file, "{object}").with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Usage {
    /// What is said of `run` and `flood`, and of `groups` of one size, beside what was spent.
    pub(crate) fn json(&self) -> Value {
        let Totals { whole, window, latencies, verdict } = &self.totals;
        let messages = window.delivered as f64 / self.n_recipients as f64;
        json!({
            "sent": window.sent, "acknowledged": window.acknowledged, "delivered": window.delivered,
            "recipients": self.n_recipients, "per_second": messages / self.spent.elapsed.as_secs_f64(),
            "lost": verdict.lost, "duplicates": verdict.duplicates, "out_of_order": verdict.out_of_order,
            "gaps": verdict.gaps, "unacknowledged": verdict.unacknowledged, "refused": verdict.refused,
            "skipped": whole.skipped, "disconnects": whole.disconnects,
            "delivery_ms": latencies.delivery.json(), "acknowledgement_ms": latencies.acknowledgement.json(),
            "lag_ms": latencies.lag.json(),
        })
    }
}
