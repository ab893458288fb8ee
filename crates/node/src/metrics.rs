//! What a node counts, in one registry of its own: no globals, so that two nodes in a process stay apart.
//!
//! Names follow the Prometheus conventions; each counter's help text says what it counts.

use std::fmt::Write;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use switchboard_channel_layer::{Counters, Status};

/// A label that tells one kind of the same thing from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// A word from a closed set, so that the number of series is bounded.
    pub kind: &'static str,
}

/// What a node counts.
pub struct Metrics {
    registry: Registry,
    /// Sessions that are open, by transport.
    pub sessions: Family<Kind, Gauge>,
    /// Sessions that ended, by reason.
    pub sessions_closed: Family<Kind, Counter>,
    /// Handshakes and requests that were refused, by code.
    pub refused: Family<Kind, Counter>,
    /// Frames from clients, by type; `invalid` for what is none.
    pub frames_received: Family<Kind, Counter>,
    /// Frames to clients.
    pub frames_sent: Counter,
    /// Errors to clients, by code.
    pub errors_sent: Family<Kind, Counter>,
    /// What became of commands, by outcome.
    pub commands: Family<Kind, Counter>,
    /// Commands that wait for the writer.
    pub writer_queue: Gauge<i64, AtomicI64>,
    /// Commands in a batch.
    pub batch_size: Histogram,
    /// Seconds that a commit took.
    pub commit_seconds: Histogram,
    /// Commits that got no answer and were tried again.
    pub commit_retries: Counter,
    /// Packets that went to sessions, in order.
    pub hub_forwarded: Counter,
    /// Packets that had gone already.
    pub hub_duplicates: Counter,
    /// Packets that came before one that they follow.
    pub hub_early: Counter,
    /// Packets that were read from the store to close a gap.
    pub hub_repaired: Counter,
    /// Gaps that did not close by themselves.
    pub gaps_repaired: Counter,
    /// Mailboxes that were compared with the store.
    pub swept: Counter,
    /// Sessions that went back to paging, their queue being full or a gap too wide.
    pub sessions_lagged: Counter,
    /// Payloads of the channel layer that are none of ours.
    pub payloads_malformed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            registry: Registry::with_prefix("switchboard"),
            sessions: Family::default(),
            sessions_closed: Family::default(),
            refused: Family::default(),
            frames_received: Family::default(),
            frames_sent: Counter::default(),
            errors_sent: Family::default(),
            commands: Family::default(),
            writer_queue: Gauge::default(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 15)),
            commit_retries: Counter::default(),
            hub_forwarded: Counter::default(),
            hub_duplicates: Counter::default(),
            hub_early: Counter::default(),
            hub_repaired: Counter::default(),
            gaps_repaired: Counter::default(),
            swept: Counter::default(),
            sessions_lagged: Counter::default(),
            payloads_malformed: Counter::default(),
        }
        .registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("sessions", "Sessions that are open", self.sessions.clone());
        r.register("sessions_closed", "Sessions that ended, by reason", self.sessions_closed.clone());
        r.register("refused", "Handshakes and requests that were refused, by code", self.refused.clone());
        r.register("frames_received", "Frames from clients, by type", self.frames_received.clone());
        r.register("frames_sent", "Frames to clients", self.frames_sent.clone());
        r.register("errors_sent", "Errors to clients, by code", self.errors_sent.clone());
        r.register("commands", "What became of commands", self.commands.clone());
        r.register("writer_queue", "Commands that wait for the writer", self.writer_queue.clone());
        r.register("batch_size", "Commands in a batch", self.batch_size.clone());
        r.register_with_unit("commit", "Time that a commit took", Unit::Seconds, self.commit_seconds.clone());
        r.register(
            "commit_retries",
            "Commits without an answer that were tried again",
            self.commit_retries.clone(),
        );
        r.register("hub_forwarded", "Packets that went to sessions, in order", self.hub_forwarded.clone());
        r.register(
            "hub_duplicates",
            "Packets that had gone to sessions already",
            self.hub_duplicates.clone(),
        );
        r.register("hub_early", "Packets that came before one that they follow", self.hub_early.clone());
        r.register("hub_repaired", "Packets read from the store to close a gap", self.hub_repaired.clone());
        r.register("gaps_repaired", "Gaps that did not close by themselves", self.gaps_repaired.clone());
        r.register("swept", "Mailboxes compared with the store", self.swept.clone());
        r.register("sessions_lagged", "Sessions that went back to paging", self.sessions_lagged.clone());
        r.register(
            "payloads_malformed",
            "Payloads of the layer that are none of ours",
            self.payloads_malformed.clone(),
        );
        self
    }

    /// All of it in the Prometheus text format, with what the channel layer has counted.
    ///
    /// # Errors
    /// If writing to the string fails, which it does not.
    pub fn encode(&self, layer: &Counters, status: Status) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        let up = u64::from(status == Status::Up);
        for (name, kind, help, value) in [
            ("up", "gauge", "Whether the layer works", up),
            ("subscriptions", "gauge", "Channels that are wanted", layer.subscriptions),
            ("published_total", "counter", "Publications that were taken", layer.published),
            ("publish_dropped_total", "counter", "Publications that were dropped", layer.publish_dropped),
            ("received_total", "counter", "Messages that were heard", layer.received),
            (
                "received_dropped_total",
                "counter",
                "Messages dropped for want of room",
                layer.received_dropped,
            ),
            ("reconnects_total", "counter", "Links that were lost", layer.reconnects),
            ("probes_lost_total", "counter", "Times the probe stayed away", layer.probes_lost),
        ] {
            let family = name.trim_end_matches("_total");
            writeln!(text, "# HELP switchboard_layer_{family} {help}.")?;
            writeln!(text, "# TYPE switchboard_layer_{family} {kind}")?;
            writeln!(text, "switchboard_layer_{name} {value}")?;
        }
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}
