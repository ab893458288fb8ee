//! What may happen to the mailboxes of a few users who write to one another, as arbitrary scripts.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Users of a script.
pub(crate) const USERS: usize = 3;
/// Nodes on the store.
pub(crate) const NODES: usize = 2;

/// One of the users.
type User = usize;
/// One of the nodes.
type Node = usize;

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A node commits messages, by sender and recipient, in one batch; so many times the same.
    Commit {
        node: Node,
        messages: Vec<(User, User)>,
        times: usize,
        /// Whether it lives to tell its own hub.
        told: bool,
    },
    /// The layer brings a node packets of what was committed: any, in any order, any of them repeatedly.
    Bring { node: Node, packets: Vec<Packet> },
    /// The layer brings a node everything at once, in or against the order.
    BringAll { node: Node, backwards: bool },
    /// The layer brings what is no packet.
    Garbage { node: Node },
    /// The layer says that something may have been missed.
    Restored { node: Node },
    /// A feed is opened.
    Open { node: Node, user: User, cursor: Cursor },
    /// A feed is opened by somebody who leaves after so many turns of the runtime, whether or not they are in by then.
    Abandon { node: Node, user: User, turns: u8 },
    /// A feed is read from once, or for so many milliseconds in vain.
    Read { feed: Index, patience: u8 },
    /// A feed is dropped.
    Drop { feed: Index },
    /// So many milliseconds pass.
    Pause(u8),
}

/// Which packet.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Any(Index),
    /// So many before the newest.
    Recent(u8),
}

/// Where a feed begins.
#[derive(Clone, Debug)]
pub(crate) enum Cursor {
    /// At the present end.
    None,
    /// At the beginning.
    Zero,
    /// At some position that the mailbox has, the end included.
    Within(Index),
    /// So far after the end.
    Ahead(u8),
    /// Before there was anything.
    Below,
}

/// Scripts that begin with a feed, as there is little to see without.
pub(crate) fn script() -> impl Strategy<Value = Vec<Deed>> {
    (open(), vec(deed(), 5..40)).prop_map(|(first, mut deeds)| {
        deeds.insert(deeds.len() / 5, first);
        deeds
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    let (node, user) = (0..NODES, 0..USERS);
    let packet = prop_oneof![
        1 => any::<Index>().prop_map(Packet::Any),
        3 => (0..6_u8).prop_map(Packet::Recent),
    ];
    let bring = (node.clone(), vec(packet, 1..6)).prop_map(|(node, packets)| Deed::Bring { node, packets });
    prop_oneof![
        8 => commit(),
        8 => bring,
        1 => (node.clone(), any::<bool>()).prop_map(|(node, backwards)| Deed::BringAll { node, backwards }),
        1 => node.clone().prop_map(|node| Deed::Garbage { node }),
        1 => node.clone().prop_map(|node| Deed::Restored { node }),
        4 => open(),
        2 => (node, user, 0..12_u8).prop_map(|(node, user, turns)| Deed::Abandon { node, user, turns }),
        6 => any::<(Index, u8)>().prop_map(|(feed, patience)| Deed::Read { feed, patience: patience % 8 }),
        2 => any::<Index>().prop_map(|feed| Deed::Drop { feed }),
        2 => (1..100_u8).prop_map(Deed::Pause),
    ]
}

/// A few messages, often enough more than a page or than an outlet holds, at times more than a gap may lack.
fn commit() -> impl Strategy<Value = Deed> {
    let messages = |n| vec((0..USERS, 0..USERS), n);
    let messages = prop_oneof![
        80 => (messages(1..5), Just(1)),
        6 => (messages(1..2), 20..130_usize),
        1 => (messages(1..2), 520..600_usize),
    ];
    let told = proptest::bool::weighted(0.7);
    (0..NODES, messages, told).prop_map(|(node, (messages, times), told)| Deed::Commit {
        node,
        messages,
        times,
        told,
    })
}

fn open() -> impl Strategy<Value = Deed> {
    let cursor = prop_oneof![
        3 => Just(Cursor::None),
        2 => Just(Cursor::Zero),
        2 => any::<Index>().prop_map(Cursor::Within),
        1 => (0..200_u8).prop_map(Cursor::Ahead),
        1 => Just(Cursor::Below),
    ];
    (0..NODES, 0..USERS, cursor).prop_map(|(node, user, cursor)| Deed::Open { node, user, cursor })
}
