//! The layer inside one process: a bus that nodes connect to. For a single node, and for tests of several.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::channel::{Channel, Publication};
use crate::counters::{Counters, Tally};
use crate::event::{Event, Outlet};
use crate::layer::ChannelLayer;
use crate::leases::MOST;

/// A bus shared by the nodes of one process. Clones are the same bus.
#[derive(Clone, Default)]
pub struct MemoryBus {
    /// Held for short sections only, none of which awaits.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next_id: NodeId,
    nodes: HashMap<NodeId, Seat>,
    /// Who is subscribed. A channel without subscribers is not kept.
    channels: HashMap<Channel, Vec<NodeId>>,
}

type NodeId = u64;

/// What the bus holds of a node.
struct Seat {
    outlet: Outlet,
    channels: HashSet<Channel>,
    leases: HashMap<i64, u8>,
}

/// A node's side of the bus. It leaves the bus when dropped.
pub(crate) struct Node {
    id: NodeId,
    bus: MemoryBus,
    tally: Arc<Tally>,
}

impl MemoryBus {
    /// Connects one more node. Its receiver ends when the last clone of its handle is dropped.
    pub fn connect(&self) -> (ChannelLayer, mpsc::Receiver<Event>) {
        let tally = Arc::new(Tally::default());
        let (mut outlet, events) = Outlet::new(Arc::clone(&tally));
        outlet.restored();

        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let seat = Seat { outlet, channels: HashSet::new(), leases: HashMap::new() };
        state.nodes.insert(id, seat);
        drop(state);

        let bus = self.clone();
        (ChannelLayer::memory(Node { id, bus, tally }), events)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Delivers to every subscribed node, this one included. All under the lock, so that all nodes see one order.
    pub(crate) fn publish(&self, batch: Vec<Publication>) {
        self.tally.published.add(batch.len());
        let mut state = self.bus.lock();
        let mut deliveries: HashMap<NodeId, Vec<Bytes>> = HashMap::new();
        for publication in batch {
            for id in state.channels.get(&publication.channel).into_iter().flatten() {
                let messages = deliveries.entry(*id).or_default();
                messages.push(publication.payload.clone());
            }
        }
        for (id, messages) in deliveries {
            if let Some(seat) = state.nodes.get_mut(&id) {
                seat.outlet.messages(messages);
            }
        }
    }

    pub(crate) fn subscribe(&self, channel: &Channel) {
        let mut state = self.bus.lock();
        let Some(seat) = state.nodes.get_mut(&self.id) else {
            return;
        };
        if seat.channels.insert(channel.clone()) {
            let subscribers = state.channels.entry(channel.clone()).or_default();
            subscribers.push(self.id);
        }
    }

    pub(crate) fn unsubscribe(&self, channel: &Channel) {
        let mut state = self.bus.lock();
        let Some(seat) = state.nodes.get_mut(&self.id) else {
            return;
        };
        if seat.channels.remove(channel) {
            state.leave(self.id, channel);
        }
    }

    pub(crate) fn hold(&self, changes: Vec<(i64, Option<u8>)>) {
        let mut state = self.bus.lock();
        let Some(Seat { leases, .. }) = state.nodes.get_mut(&self.id) else {
            return;
        };
        for (name, value) in changes {
            match value {
                None => drop(leases.remove(&name)),
                Some(_) if leases.len() >= MOST && !leases.contains_key(&name) => {
                    self.tally.leases_dropped.add(1)
                }
                Some(value) => drop(leases.insert(name, value)),
            }
        }
        self.tally.leases.store(leases.len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn held(&self, names: &[i64]) -> HashMap<i64, u8> {
        let state = self.bus.lock();
        let largest = |name| state.nodes.values().filter_map(|seat| seat.leases.get(name)).max();
        names.iter().filter_map(|name| Some((*name, *largest(name)?))).collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        let state = self.bus.lock();
        let seat = state.nodes.get(&self.id);
        self.tally.snapshot(seat.map_or(0, |seat| seat.channels.len()))
    }
}

impl State {
    fn leave(&mut self, id: NodeId, channel: &Channel) {
        if let Some(subscribers) = self.channels.get_mut(channel) {
            subscribers.retain(|subscriber| *subscriber != id);
            if subscribers.is_empty() {
                self.channels.remove(channel);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut state = self.bus.lock();
        if let Some(seat) = state.nodes.remove(&self.id) {
            for channel in &seat.channels {
                state.leave(self.id, channel);
            }
        }
    }
}
