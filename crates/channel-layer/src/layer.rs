//! The node's handle on its layer, whichever back end is behind it.

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

/// The channel is wanted, but its subscription does not stand: the link is down. It will be made with the rest when the link
/// is back, before [`Event::Restored`](crate::Event::Restored).
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

    /// How the layer is. Without a lock that anyone holds for long: fit for a health page.
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
