//! What all users count together.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use hdrhistogram::Histogram;
use tokio::time::{Duration, Instant};

/// Shared by all users. Counters are of the whole run, latencies of the measured window but for
/// `reconnect`.
#[derive(Debug)]
pub(crate) struct Tally {
    /// When the measured window begins and ends.
    pub(crate) window: (Instant, Instant),
    pub(crate) sent: AtomicU64,
    /// Sends with an answer: acknowledged or refused.
    pub(crate) answered: AtomicU64,
    pub(crate) delivered: AtomicU64,
    /// Messages that were due and not sent, because their user was too far behind.
    pub(crate) skipped: AtomicU64,
    pub(crate) disconnects: AtomicU64,
    /// From the end of a user's connection to the next `welcome`, over the whole run.
    pub(crate) reconnect: Latency,
    /// From when a message was due until its recipient had it.
    pub(crate) delivery: Latency,
    /// From when a message was due until its sender had the acknowledgement.
    pub(crate) acknowledgement: Latency,
    /// From when a message was due until it was handed to the client: the generator's own share.
    pub(crate) lag: Latency,
}

impl Tally {
    pub(crate) fn new(start: Instant, end: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            window: (start, end),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
            reconnect: Latency::new()?,
            delivery: Latency::new()?,
            acknowledgement: Latency::new()?,
            lag: Latency::new()?,
        })
    }

    /// The time since a message was due, if it was due in the measured window.
    pub(crate) fn since(&self, due: Instant) -> Option<Duration> {
        (self.window.0 <= due && due < self.window.1).then(|| due.elapsed())
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

    fn locked(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        // A thread that panicked while it counted leaves a histogram that is good enough to print.
        self.histogram.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
