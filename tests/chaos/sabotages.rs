//! What the checker must catch: ways to break a node on purpose, each with the promise that it breaks. One that no run finds
//! would say that the checker does not look.
//!
//! The points are those of `crates/node/src/sabotage.rs`. Where a fault is mended by a second mechanism, that is off too.

/// A way to break every node of a stack.
#[derive(Debug)]
pub(crate) struct Sabotage {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What `FAILPOINTS` is.
    pub(crate) points: &'static str,
    /// Names of faults that there are meanwhile, one after the other.
    pub(crate) faults: &'static [&'static str],
    /// The promises of which one at least must be found broken. Empty: nothing may be.
    pub(crate) breaks: &'static [&'static str],
    /// More for the environment of each node.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// What a run has to look at besides.
    pub(crate) look: Look,
}

/// What a run looks at that clients do not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing.
    Nowhere,
    /// A peer of a node reads nothing while some megabytes come for it: the bytes that wait for slow sessions
    /// (`switchboard_hub_queue_bytes`) never exceed what [`QUEUE_BYTES`] allows the one.
    AtTheQueueOfAStalledPeer,
    /// Once all have left, no node holds anything for them, and no channel of a mailbox has a subscriber.
    AtWhatIsLeft,
}

/// What may wait for one session, in bytes. Less than by default, so that less has to be sent.
pub(crate) const QUEUE_BYTES: &str = "262144";

/// Nothing but the points.
const fn points(name: &'static str, points: &'static str, breaks: &'static [&'static str]) -> Sabotage {
    Sabotage { name, points, faults: &[], breaks, environment: &[], look: Look::Nowhere }
}

/// The same with faults meanwhile.
const fn during(faults: &'static [&'static str], sabotage: Sabotage) -> Sabotage {
    Sabotage { faults, ..sabotage }
}

/// All of them.
pub(crate) const ALL: &[Sabotage] = &[
    // One of five hundred, the first of them soon.
    points(
        "drop_publishes",
        "drop_publishes=50*off->1*return->0.2%return;skip_sweep=return;skip_repair=return",
        &["D1", "D3"],
    ),
    // A later entry still shows what is missing, so only the last of all stay away.
    points("skip_last", "drop_publishes=50%return;skip_sweep=return", &["D1", "D7", "D8"]),
    points("deliver_twice", "deliver_twice=1%return", &["D2"]),
    points("swap_two", "swap_two=20%return", &["D3"]),
    // Some node always has answered what it has not committed.
    during(&["all_nodes_killed"; 3], points("acknowledge_early", "acknowledge_early=return", &["S1"])),
    during(&["postgres_killed", "postgres_killed"], points("lazy_commit", "lazy_commit=return", &["S1"])),
    // What a crash takes from a sequence are positions that nobody has.
    during(&["postgres_killed"; 2], points("sequence_cursor", "sequence_cursor=return", &["S4", "S5"])),
    points(
        "read_before_subscribe",
        "read_before_subscribe=return;skip_sweep=return;skip_repair=return",
        &["D1", "D3"],
    ),
    points("ignore_client_id", "ignore_client_id=return", &["S1", "S3"]),
    points("broadcast_to_all", "broadcast_to_all=return", &["C1"]),
    points("skip_member_check", "skip_member_check=return", &["C1"]),
    points("cache_revocation", "cache_revocation=return", &["C2"]),
    points("double_decrement", "double_decrement=return", &["U1"]),
    Sabotage {
        environment: &[("SWITCHBOARD_LIMITS__OUTBOUND_QUEUE_BYTES", QUEUE_BYTES)],
        look: Look::AtTheQueueOfAStalledPeer,
        ..points("unbounded_queue", "unbounded_queue=return", &["R1"])
    },
    Sabotage { look: Look::AtWhatIsLeft, ..points("never_unsubscribe", "never_unsubscribe=return", &["R5"]) },
    // What may happen at any time, and breaks nothing.
    points("layer_loses", "layer_loses=20%return", &[]),
    points("layer_repeats", "layer_repeats=20%return", &[]),
    points("layer_reorders", "layer_reorders=20%return", &[]),
    points(
        "layer_does_all_of_it",
        "layer_loses=10%return;layer_repeats=10%return;layer_reorders=10%return",
        &[],
    ),
];
