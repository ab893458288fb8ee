//! What a mode of ours measured, as it wrote it to `--json`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// The JSON of one run of one mode.
#[derive(Debug)]
pub(crate) struct Reading(Value);

impl Reading {
    pub(crate) fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).context("it wrote no JSON")?;
        Ok(Self(serde_json::from_str(&text).context("what it wrote is no JSON")?))
    }

    /// The number at a JSON pointer, such as `/delivery_ms/p99`.
    pub(crate) fn number(&self, pointer: &str) -> anyhow::Result<f64> {
        let value = self.0.pointer(pointer).and_then(Value::as_f64);
        value.with_context(|| format!("the JSON of `{}` has no number at {pointer}", self.mode()))
    }

    /// Messages of the measured window.
    pub(crate) fn messages(&self) -> anyhow::Result<f64> {
        Ok(self.number("/per_second")? * self.number("/seconds")?)
    }

    /// CPU time of the processes that were named, in microseconds.
    pub(crate) fn named_cpu(&self) -> anyhow::Result<f64> {
        let processes = self.0.pointer("/processes").and_then(Value::as_array);
        let cpu = |process: &Value| process.get("cpu_us").and_then(Value::as_f64);
        let sum = processes.and_then(|processes| processes.iter().map(cpu).sum::<Option<f64>>());
        sum.with_context(|| {
            format!("the JSON of `{}` does not tell the CPU time of each process", self.mode())
        })
    }

    /// CPU time of the whole machine but for the load generator itself, in microseconds.
    pub(crate) fn whole_cpu(&self) -> anyhow::Result<f64> {
        Ok(self.number("/machine_cpu_us")? - self.number("/own_cpu_us")?)
    }

    /// What should not have been, in words; nothing if all was well.
    pub(crate) fn oddities(&self) -> Option<String> {
        let counts =
            ["lost", "duplicates", "out_of_order", "gaps", "unacknowledged", "refused", "skipped", "dropped"];
        let count = |name: &&str| self.0.get(*name).and_then(Value::as_u64).filter(|count| *count > 0);
        let odd: Vec<_> = counts.iter().filter_map(|name| Some(format!("{name} {}", count(name)?))).collect();
        (!odd.is_empty()).then(|| odd.join(", "))
    }

    fn mode(&self) -> &str {
        self.0.pointer("/mode").and_then(Value::as_str).unwrap_or("an unknown mode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Reading {
        Reading(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn costs_are_of_the_window() {
        let flood = reading(
            r#"{"mode": "flood", "seconds": 2.0, "per_second": 500.0, "own_cpu_us": 300, "machine_cpu_us": 2300,
                "processes": [{"pid": 1, "cpu_us": 400}, {"pid": 2, "cpu_us": 600}]}"#,
        );
        assert_eq!(flood.messages().unwrap(), 1000.0);
        assert_eq!(flood.named_cpu().unwrap(), 1000.0);
        assert_eq!(flood.whole_cpu().unwrap(), 2000.0);
    }

    #[test]
    fn what_should_not_have_been() {
        assert_eq!(reading(r#"{"lost": 0, "sent": 5}"#).oddities(), None);
        let odd = reading(r#"{"lost": 1, "gaps": 0, "skipped": 20}"#).oddities();
        assert_eq!(odd.as_deref(), Some("lost 1, skipped 20"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let gone = reading(r#"{"mode": "run", "processes": [{"pid": 1, "cpu_us": null}]}"#);
        assert!(gone.named_cpu().unwrap_err().to_string().contains("`run`"));
        assert!(gone.number("/delivery_ms/p99").unwrap_err().to_string().contains("/delivery_ms/p99"));
    }
}
