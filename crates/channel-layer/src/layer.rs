//! The node's handle on its layer, whichever back end is behind it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::channel::{Channel, Publication};
use crate::counters::Counters;
use crate::memory;
use crate::redis;

/// A node's handle on the channel layer. Clones share the same layer; it ends with the stop token it was given (Redis) or
/// with its last clone (memory).
#[derive(Clone)]
pub struct ChannelLayer(Backend);

#[derive(Clone)]
enum Backend {
    Memory(Arc<memory::Node>),
    Redis(Arc<redis::Link>),
}

/// How the layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Both directions work.
    Up,
    /// Messages may be late until the sweep finds them. The layer is healing itself.
    Degraded {
        /// What does not work, for a health page.
        reason: &'static str,
    },
}

/// The back end does not answer, or there is no link to it. A channel whose subscription failed so is wanted all the same: it
/// will be subscribed with the rest when the link is back, before [`Event::Restored`](crate::Event::Restored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel layer is down")]
pub struct Down;

impl ChannelLayer {
    pub(crate) fn memory(node: memory::Node) -> Self {
        Self(Backend::Memory(Arc::new(node)))
    }

    pub(crate) fn redis(link: Arc<redis::Link>) -> Self {
        Self(Backend::Redis(link))
    }

    /// Queues for publishing and returns at once.
    ///
    /// The queue holds 65,536 publications or 64 MiB. What does not fit, and everything while the link is down or not yet
    /// made, is dropped and counted: the recipient's sweep finds it.
    pub fn publish(&self, batch: Vec<Publication>) {
        match &self.0 {
            Backend::Memory(node) => node.publish(batch),
            Backend::Redis(link) => link.publish(batch),
        }
    }

    /// Makes the channel wanted and waits until the back end has confirmed the subscription: what is published after that is
    /// heard. Many tasks may do so at once, for one channel or for several; they share round trips.
    ///
    /// # Errors
    /// [`Down`], at once, if the link is down, or as soon as it goes down (at most some seconds when the back end has
    /// stopped answering). The channel stays wanted. Also if the channel is unsubscribed before it was confirmed.
    ///
    /// # Cancel safety
    /// The channel is wanted from the first poll on, whether or not the future is dropped.
    pub async fn subscribe(&self, channel: &Channel) -> Result<(), Down> {
        match &self.0 {
            Backend::Memory(node) => {
                node.subscribe(channel);
                Ok(())
            }
            Backend::Redis(link) => link.subscribe(channel).await,
        }
    }

    /// Makes the channel unwanted and returns at once. Messages on the way may still arrive.
    pub fn unsubscribe(&self, channel: &Channel) {
        match &self.0 {
            Backend::Memory(node) => node.unsubscribe(channel),
            Backend::Redis(link) => link.unsubscribe(channel),
        }
    }

    /// Holds (`Some`, with a value), changes or lets go of (`None`) leases of this node, and returns at once. Of several words
    /// on one name the last counts. The back end is told soon, or when it can be reached again; what is held is held until
    /// it is let go or this node is gone, and then for 12 s more at most.
    ///
    /// A node holds up to 1,000,000 names, those that it is letting go included. Further ones are dropped and counted.
    pub fn hold(&self, changes: Vec<(i64, Option<u8>)>) {
        match &self.0 {
            Backend::Memory(node) => node.hold(changes),
            Backend::Redis(link) => link.hold(changes),
        }
    }

    /// Which of these names are held by any node, with the largest value of all nodes. A name that nobody holds is left out.
    /// Of other nodes it may be some moments old, and that a node holds its first name at all a second.
    ///
    /// 64 questions are under way at most; others wait for their turn.
    ///
    /// # Errors
    /// [`Down`], at once, if there is no link, or if there is no answer within a second. The first question waits so long for
    /// the link to be made.
    pub async fn held(&self, names: &[i64]) -> Result<HashMap<i64, u8>, Down> {
        match &self.0 {
            Backend::Memory(node) => Ok(node.held(names)),
            Backend::Redis(link) => link.held(names).await,
        }
    }

    /// How the layer is. Leases are no part of it. Without a lock that anyone holds for long: fit for a health page.
    pub fn status(&self) -> Status {
        match &self.0 {
            Backend::Memory(_) => Status::Up,
            Backend::Redis(link) => link.status(),
        }
    }

    /// What the layer has counted.
    pub fn counters(&self) -> Counters {
        match &self.0 {
            Backend::Memory(node) => node.counters(),
            Backend::Redis(link) => link.counters(),
        }
    }
}
