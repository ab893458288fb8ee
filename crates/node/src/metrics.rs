//! What a node counts, in one registry of its own: no globals, so that two nodes in a process stay apart.
//!
//! Names follow the Prometheus conventions. `deploy/METRICS.md` is their table, and a test holds it against what a node
//! serves. What is counted as it happens is a field of [`Metrics`]; what is looked up when somebody asks is in `sampled`.

mod labelled;
mod process;
mod sampled;

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use switchboard_protocol::{CloseCode, ErrorCode, Timestamp};

pub use self::labelled::Labelled;
use self::process::Process;
use self::sampled::Sampled;
use crate::hub::Item;
use crate::packet::{Way, frame_type};
use crate::state::Node;

/// Words for `transport`.
const TRANSPORTS: &[&str] = &["websocket", "event_stream"];
/// Words for the `type` of a frame from a client.
const FRAMES_IN: &[&str] = &[
    "send_message",
    "mark_as_read",
    "typing",
    "get_unread_count",
    "ping",
    "edit_message",
    "delete_message",
    "set_reaction",
    "create_group",
    "set_title",
    "add_members",
    "remove_member",
    "set_role",
    "set_conversation",
    "set_block",
    "set_receipts",
    "watch_presence",
    "set_presence",
    "invalid",
];
/// Words for the `type` of a frame to a client, the most frequent first.
const FRAMES_OUT: &[&str] = &[
    "new_message",
    "message_sent",
    "message_read",
    "read_receipt",
    "unread_count",
    "typing",
    "presence",
    "message_reaction",
    "message_edited",
    "message_deleted",
    "group_changed",
    "conversation_changed",
    "block_changed",
    "receipts_changed",
    "welcome",
    "error",
    "pong",
    "void",
    "reset",
    "reconnect",
    "other",
];
/// Words for the `reason` of a drop.
const DROPS: &[&str] =
    &["publish_down", "publish_full", "receive_full", "malformed", "session_full", "wide_gap", "ephemeral"];
/// Seconds, for what should take milliseconds and may take as long as a sweep.
const DELIVERY: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// The sweep delivers within seconds.
const LONGEST_WAY: Duration = Duration::from_secs(3_600);
/// Seconds: a long poll waits up to 30.
const ANSWER: [f64; 13] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 35.0];

/// What a node counts.
pub struct Metrics {
    registry: Registry,
    sampled: Sampled,
    process: Process,
    /// Sessions that are open, by transport.
    pub sessions: Labelled<Gauge>,
    /// Sessions that began, by transport.
    pub sessions_opened: Labelled<Counter>,
    /// WebSocket sessions that ended, by reason.
    pub sessions_closed: Labelled<Counter>,
    /// Handshakes and requests that were refused, by code.
    pub refused: Labelled<Counter>,
    /// Frames from clients, by type.
    pub frames_received: Labelled<Counter>,
    /// Frames to clients, by type.
    pub frames_sent: Labelled<Counter>,
    /// Errors to clients, by code.
    pub errors_sent: Labelled<Counter>,
    /// Messages that were stored.
    pub messages_accepted: Counter,
    /// Messages written to sessions, by where they came from.
    pub messages_delivered: Labelled<Counter>,
    /// From accepting a request to writing its entry to a session, by where it was accepted.
    pub delivery_seconds: Labelled<Histogram>,
    /// What became of commands, by outcome.
    pub commands: Labelled<Counter>,
    /// Commands that wait for the writer.
    pub writer_queue: Gauge,
    /// Commands in a commit.
    pub batch_size: Histogram,
    /// Seconds that a commit took.
    pub commit_seconds: Histogram,
    /// Commits that got no answer and were tried again.
    pub commit_retries: Counter,
    /// Mailboxes that the hub knows.
    pub hub_mailboxes: Gauge,
    /// Packets that came to the hub, by what became of them.
    pub hub_packets: Labelled<Counter>,
    /// Bytes that wait for slow sessions.
    pub hub_queue_bytes: Gauge,
    /// Gaps that did not close by themselves, by what showed them.
    pub hub_gaps: Labelled<Counter>,
    /// Packets that were read from the store to close a gap.
    pub hub_repaired: Counter,
    /// Mailboxes that were compared with the store.
    pub hub_swept: Counter,
    /// Seconds that reading a part of them took.
    pub hub_sweep_seconds: Histogram,
    /// What is kept nowhere: told to mailboxes, and written to sessions.
    pub ephemeral: Labelled<Counter>,
    /// What left the fast path, by reason.
    pub drops: Labelled<Counter>,
    /// Requests that have no answer yet.
    pub http_in_flight: Gauge,
    http_requests: Family<RequestLabels, Counter>,
    http_seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
}

/// A session that counts as open.
pub struct OpenSession(Gauge);

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

/// Registers under the name, and gives it back.
fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    register(registry, name, help, Counter::default())
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    register(registry, name, help, Gauge::default())
}

fn commit_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 15))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("switchboard");
        let r = &mut registry;
        let closed: Vec<_> = CloseCode::ALL.iter().map(|code| code.reason()).collect();
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        let outcomes = ["committed", "repeated", "refused", "unanswered"];
        let packets = ["forwarded", "duplicate", "early"];
        let delivery = || Histogram::new(DELIVERY);
        let seconds = Family::new_with_constructor((|| Histogram::new(ANSWER)) as fn() -> Histogram);
        Self {
            sampled: Sampled::new(r),
            process: Process::default(),
            sessions: Labelled::new(r, "sessions", "Sessions that are open", "transport", TRANSPORTS),
            sessions_opened: Labelled::new(
                r,
                "sessions_opened",
                "Sessions that began",
                "transport",
                TRANSPORTS,
            ),
            sessions_closed: Labelled::new(
                r,
                "sessions_closed",
                "WebSocket sessions that ended",
                "reason",
                &closed,
            ),
            refused: Labelled::new(r, "requests_refused", "Handshakes and requests refused", "code", &codes),
            frames_received: Labelled::new(r, "frames_received", "Frames from clients", "type", FRAMES_IN),
            frames_sent: Labelled::new(r, "frames_sent", "Frames to clients", "type", FRAMES_OUT),
            errors_sent: Labelled::new(r, "errors_sent", "Error frames to clients", "code", &codes),
            messages_accepted: counter(r, "messages_accepted", "Messages that were stored and acknowledged"),
            messages_delivered: Labelled::new(
                r,
                "messages_delivered",
                "Messages written to sessions",
                "from",
                &["live", "store"],
            ),
            delivery_seconds: Labelled::with(
                r,
                "delivery_seconds",
                "From accepting a request to writing its entry to a session",
                "origin",
                &["here", "elsewhere", "store"],
                delivery,
            ),
            commands: Labelled::new(r, "commands", "What became of commands", "outcome", &outcomes),
            writer_queue: gauge(r, "writer_queue_commands", "Commands that wait for the writer"),
            batch_size: register(
                r,
                "writer_batch_commands",
                "Commands in a commit",
                Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            ),
            commit_seconds: register(r, "writer_commit_seconds", "How long a commit took", commit_buckets()),
            commit_retries: counter(r, "writer_commit_retries", "Commits without an answer, tried again"),
            hub_mailboxes: gauge(r, "hub_mailboxes", "Mailboxes with a session, or that had one lately"),
            hub_packets: Labelled::new(r, "hub_packets", "Entries that came to the hub", "outcome", &packets),
            hub_queue_bytes: gauge(r, "hub_queue_bytes", "Bytes that wait for slow sessions"),
            hub_gaps: Labelled::new(
                r,
                "hub_gaps",
                "Gaps that were read from the store",
                "cause",
                &["later_entry", "sweep", "attach"],
            ),
            hub_repaired: counter(r, "hub_repaired", "Entries read to close gaps"),
            hub_swept: counter(r, "hub_swept", "Mailboxes compared with the store"),
            hub_sweep_seconds: register(
                r,
                "hub_sweep_seconds",
                "How long reading a part of the mailboxes took",
                commit_buckets(),
            ),
            ephemeral: Labelled::new(
                r,
                "ephemeral",
                "What is told and kept nowhere",
                "outcome",
                &["published", "delivered"],
            ),
            drops: Labelled::new(
                r,
                "drops",
                "What left the fast path, and is read from the store if it is kept",
                "reason",
                DROPS,
            ),
            http_in_flight: gauge(r, "http_requests_in_flight", "Requests without an answer yet"),
            http_requests: register(r, "http_requests", "Requests that were answered", Family::default()),
            http_seconds: register(r, "http_request_seconds", "How long an answer took", seconds),
            registry,
        }
    }
}

impl Metrics {
    /// Counts a session until what it gives is dropped, however it ends.
    #[must_use]
    pub fn session_opened(&self, transport: &str) -> OpenSession {
        self.sessions_opened.of(transport).inc();
        let open = self.sessions.of(transport);
        open.inc();
        OpenSession(open.clone())
    }

    /// Counts a frame that was written to a client.
    pub fn frame_sent(&self, frame: &str) {
        self.frames_sent.of(frame_type(frame)).inc();
    }

    /// Counts entries that were written to a session, and how long their way took.
    pub fn entries_sent(&self, items: &[Item]) {
        let now = Timestamp::now();
        let is_alike =
            |a: &Item, b: &Item| a.origin.way == b.origin.way && frame_type(&a.frame) == frame_type(&b.frame);
        // Each counter is every worker's: what is alike is counted at once.
        for alike in items.chunk_by(is_alike) {
            let (kind, way, n_alike) = (frame_type(&alike[0].frame), alike[0].origin.way, alike.len() as u64);
            self.frames_sent.of(kind).inc_by(n_alike);
            if kind == "new_message" {
                let from = if way == Way::Paged { "store" } else { "live" };
                self.messages_delivered.of(from).inc_by(n_alike);
            }
            let seconds = self.delivery_seconds.of(match way {
                Way::Here => "here",
                Way::Elsewhere => "elsewhere",
                Way::Repaired | Way::Paged => "store",
            });
            for accepted in alike.iter().filter_map(|item| item.origin.accepted) {
                // The clock of another node may be ahead of ours; one that is off by hours says nothing of the way.
                let took = Duration::from_micros(u64::try_from(now.0 - accepted.0).unwrap_or(0));
                if took < LONGEST_WAY {
                    seconds.observe(took.as_secs_f64());
                }
            }
        }
    }

    /// Counts a request that was answered after `elapsed`. `route` is a pattern, and `method` one of a few, so that the
    /// number of series is bounded.
    pub fn http_request(&self, method: &'static str, route: String, status: u16, elapsed: Duration) {
        self.http_seconds.get_or_create(&RouteLabel { route: route.clone() }).observe(elapsed.as_secs_f64());
        self.http_requests.get_or_create(&RequestLabels { method, route, status }).inc();
    }

    /// All of it in the `OpenMetrics` text format, with what is looked up now.
    ///
    /// # Errors
    /// If writing to the string fails, which it does not.
    pub fn encode(&self, node: &Node) -> Result<String, std::fmt::Error> {
        self.sampled.sample(node, &self.drops);
        self.process.sample();
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, self.process.registry())?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}
