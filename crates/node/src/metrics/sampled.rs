//! What is looked up when somebody asks: it changes all the time, and lives elsewhere.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use switchboard_channel_layer::Status;

use super::{Labelled, counter, gauge, register};
use crate::logging::dropped_lines;
use crate::state::{Node, Readiness};

type Seconds = Gauge<f64, AtomicU64>;

pub(super) struct Sampled {
    readiness: Labelled<Gauge>,
    handshakes: Gauge,
    writer_bytes: Gauge,
    layer_up: Gauge,
    layer_subscriptions: Gauge,
    layer_published: Counter,
    layer_received: Counter,
    layer_reconnects: Counter,
    layer_probes_lost: Counter,
    layer_probe: Seconds,
    layer_leases: Gauge,
    layer_leases_dropped: Counter,
    layer_lease_flushes: Counter,
    layer_lease_commands: Counter,
    layer_lease_failures: Counter,
    presence_watched: Gauge,
    store_up: Gauge,
    pool: Labelled<Gauge>,
    pool_waiting: Gauge,
    revocations_age: Seconds,
    lines_dropped: Counter,
}

impl Sampled {
    pub(super) fn new(r: &mut Registry) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Labelled::<Gauge>::new(r, "build_info", "Which version runs", "version", &[version])
            .of(version)
            .set(1);
        let states = ["ready", "degraded", "store_down", "draining"];
        Self {
            readiness: Labelled::new(r, "readiness", "What /ready tells", "state", &states),
            handshakes: gauge(r, "handshakes_in_flight", "Handshakes that are being let in"),
            writer_bytes: gauge(r, "writer_queue_bytes", "Bytes of the commands that wait for the writer"),
            layer_up: gauge(r, "layer_up", "Whether the channel layer works"),
            layer_subscriptions: gauge(r, "layer_subscriptions", "Channels that are listened to"),
            layer_published: counter(r, "layer_published", "Publications that were taken"),
            layer_received: counter(r, "layer_received", "Messages that were heard"),
            layer_reconnects: counter(r, "layer_reconnects", "Links that were lost"),
            layer_probes_lost: counter(r, "layer_probes_lost", "Times the probe stayed away"),
            layer_probe: register(r, "layer_probe_seconds", "How long the last probe took", Gauge::default()),
            layer_leases: gauge(r, "layer_leases", "Names that are held"),
            layer_leases_dropped: counter(r, "layer_leases_dropped", "Names that were too many to be held"),
            layer_lease_flushes: counter(r, "layer_lease_flushes", "Changes of leases that were taken"),
            layer_lease_commands: counter(r, "layer_lease_commands", "Commands for leases"),
            layer_lease_failures: counter(r, "layer_lease_failures", "Links and questions that failed"),
            presence_watched: gauge(r, "presence_watched_users", "Users whose presence somebody watches"),
            store_up: gauge(r, "store_up", "Whether the store answers"),
            pool: Labelled::new(
                r,
                "store_pool_connections",
                "Connections for reading",
                "state",
                &["idle", "busy"],
            ),
            pool_waiting: gauge(r, "store_pool_waiting", "Readings that wait for a connection"),
            revocations_age: register(
                r,
                "revocations_age_seconds",
                "Since when nothing is known of log-outs",
                Gauge::default(),
            ),
            lines_dropped: counter(r, "log_lines_dropped", "Lines of the log that nobody read in time"),
        }
    }

    /// Looks everything up. What the layer dropped goes to `drops`.
    pub(super) fn sample(&self, node: &Node, drops: &Labelled<Counter>) {
        let (state, layer) = (node.readiness(), node.layer.counters());
        for (word, is_it) in [
            ("ready", state == Readiness::Ready),
            ("degraded", matches!(state, Readiness::Degraded(_))),
            ("store_down", state == Readiness::StoreDown),
            ("draining", state == Readiness::Draining),
        ] {
            self.readiness.of(word).set(i64::from(is_it));
        }
        self.layer_up.set(i64::from(node.layer.status() == Status::Up));
        self.layer_probe.set(layer.probe.as_secs_f64());
        set(&self.layer_subscriptions, layer.subscriptions);
        set(&self.layer_leases, layer.leases);
        set(&self.presence_watched, node.presence.n_watched() as u64);
        for (counter, value) in [
            (&self.layer_published, layer.published),
            (&self.layer_received, layer.received),
            (&self.layer_reconnects, layer.reconnects),
            (&self.layer_probes_lost, layer.probes_lost),
            (&self.layer_leases_dropped, layer.leases_dropped),
            (&self.layer_lease_flushes, layer.lease_flushes),
            (&self.layer_lease_commands, layer.lease_commands),
            (&self.layer_lease_failures, layer.lease_failures),
            (drops.of("publish_down"), layer.publish_down),
            (drops.of("publish_full"), layer.publish_full),
            (drops.of("receive_full"), layer.received_dropped),
        ] {
            counter.inner().store(value, Relaxed);
        }
        let pool = node.source.store.pool();
        set(self.pool.of("idle"), pool.idle as u64);
        set(self.pool.of("busy"), pool.busy as u64);
        set(&self.pool_waiting, pool.waiting as u64);
        self.store_up.set(i64::from(node.store_up.load(Relaxed)));
        set(&self.writer_bytes, node.writer.queued_bytes() as u64);
        set(&self.handshakes, node.limits.handshakes.in_flight() as u64);
        let age: Duration = node.revocations.age();
        self.revocations_age.set(age.as_secs_f64());
        self.lines_dropped.inner().store(dropped_lines() as u64, Relaxed);
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
