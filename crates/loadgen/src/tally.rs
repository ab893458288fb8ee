//! What all users count together, and how it is put together from the parts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

/// Shared by all users. Counters are of the whole run, latencies of the measured window but for
/// `reconnect`.
#[derive(Debug)]
pub(crate) struct Tally {
    /// When the measured window begins and ends.
    pub(crate) window: (Instant, Instant),
    /// Whether no more is sent, even before the window ends.
    pub(crate) is_over: AtomicBool,
    pub(crate) sent: AtomicU64,
    /// Sends with an answer: acknowledged or refused.
    pub(crate) answered: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) delivered: AtomicU64,
    /// Messages that were due and not sent, because their user was too far behind.
    pub(crate) skipped: AtomicU64,
    pub(crate) disconnects: AtomicU64,
    pub(crate) latencies: Latencies,
}

/// How long things took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// From the end of a user's connection to the next `welcome`, over the whole run.
    pub(crate) reconnect: Latency,
    /// From when a message was due until its recipient had it.
    pub(crate) delivery: Latency,
    /// From when a message was due until its sender had the acknowledgement.
    pub(crate) acknowledgement: Latency,
    /// From when a message was due until it was handed to the connection: the generator's own share.
    pub(crate) lag: Latency,
}

impl Tally {
    pub(crate) fn new(start: Instant, end: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            window: (start, end),
            is_over: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
            latencies: Latencies::new()?,
        })
    }

    /// The time since a message was due, if it was due in the measured window.
    pub(crate) fn since(&self, due: Instant) -> Option<Duration> {
        (self.window.0 <= due && due < self.window.1).then(|| due.elapsed())
    }

    /// What was counted until now.
    pub(crate) fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            sent: count(&self.sent),
            acknowledged: count(&self.acknowledged),
            delivered: count(&self.delivered),
            skipped: count(&self.skipped),
            disconnects: count(&self.disconnects),
        }
    }
}

/// What was counted in some time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) delivered: u64,
    pub(crate) skipped: u64,
    pub(crate) disconnects: u64,
}

impl Counts {
    /// With those of another part, or those of an earlier time taken off.
    pub(crate) fn with(self, other: Self, operation: fn(u64, u64) -> u64) -> Self {
        Self {
            sent: operation(self.sent, other.sent),
            acknowledged: operation(self.acknowledged, other.acknowledged),
            delivered: operation(self.delivered, other.delivered),
            skipped: operation(self.skipped, other.skipped),
            disconnects: operation(self.disconnects, other.disconnects),
        }
    }
}

impl Latencies {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            reconnect: Latency::new()?,
            delivery: Latency::new()?,
            acknowledgement: Latency::new()?,
            lag: Latency::new()?,
        })
    }

    pub(crate) fn add(&self, other: &Self) {
        self.reconnect.add(&other.reconnect);
        self.delivery.add(&other.delivery);
        self.acknowledgement.add(&other.acknowledgement);
        self.lag.add(&other.lag);
    }
}

/// A distribution of durations.
#[derive(Debug)]
pub(crate) struct Latency {
    /// In microseconds. Locked for one record at a time, with nothing awaited in between.
    histogram: Mutex<Histogram<u64>>,
}

impl Latency {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let histogram = Histogram::new(3).context("cannot make a histogram")?;
        Ok(Self { histogram: Mutex::new(histogram) })
    }

    pub(crate) fn record(&self, duration: Option<Duration>) {
        if let Some(duration) = duration {
            let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            // The histogram grows as it must; only a value that no memory could hold is an error.
            let _ = self.locked().record(micros);
        }
    }

    /// Takes over what another one recorded.
    pub(crate) fn add(&self, other: &Self) {
        // Of the same precision, so that no value is left out.
        let _ = self.locked().add(&*other.locked());
    }

    /// Forgets what was recorded.
    pub(crate) fn clear(&self) {
        self.locked().reset();
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.locked().len()
    }

    /// p50, p90, p99 and the longest, in milliseconds.
    pub(crate) fn summary(&self) -> [f64; 4] {
        let histogram = self.locked();
        let quantiles = [0.5, 0.9, 0.99].map(|quantile| histogram.value_at_quantile(quantile));
        let [p50, p90, p99] = quantiles;
        [p50, p90, p99, histogram.max()].map(|micros| micros as f64 / 1000.0)
    }

    /// The same by name.
    pub(crate) fn json(&self) -> Value {
        let [p50, p90, p99, max] = self.summary();
        json!({"p50": p50, "p90": p90, "p99": p99, "max": max})
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        // A thread that panicked while it counted leaves a histogram that is good enough to print.
        self.histogram.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// As pairs of a value and how often it was recorded.
impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let histogram = self.locked();
        let recorded = histogram.iter_recorded();
        serializer.collect_seq(recorded.map(|step| (step.value_iterated_to(), step.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let latency = Self::new().map_err(D::Error::custom)?;
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latency.locked().record_n(value, count).map_err(D::Error::custom)?;
        }
        Ok(latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_of_parts_are_put_together() {
        let (one, other) = (Latency::new().unwrap(), Latency::new().unwrap());
        (1..=50).for_each(|ms| one.record(Some(Duration::from_millis(ms))));
        (51..=100).for_each(|ms| other.record(Some(Duration::from_millis(ms))));
        let sent = serde_json::to_string(&other).unwrap();
        one.add(&serde_json::from_str(&sent).unwrap());
        assert_eq!(one.count(), 100);
        let rounded = one.summary().map(|ms| (ms + 0.001).floor());
        assert_eq!(rounded, [50.0, 90.0, 99.0, 100.0]);
    }
}
