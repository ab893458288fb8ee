//! Opaque bytes over named channels, across nodes.
//!
//! The layer is an accelerator. It may lose, repeat or reorder what is published, it never makes its caller wait, and it
//! heals itself without end. What must not be lost is in the store; the node reads it there when the layer says
//! [`Event::Restored`], when it sees a gap, and at its regular sweep.
//!
//! - A node holds one [`ChannelLayer`], a clonable handle, and one receiver of [`Event`]s. Whatever is published to a
//!   channel that the node has subscribed comes out of that receiver, the node's own publications included.
//! - [`MemoryBus`] joins nodes of one process; [`connect_redis`] joins nodes that share a Redis. Both give the same handle.
//! - The first event is [`Event::Restored`]: from then on subscriptions stand. After it, [`Event::Lost`] and
//!   [`Event::Restored`] mark each outage; an overflow of the receiver shows as one more [`Event::Restored`].
//! - No order is promised between channels or publishers. One publisher's publications to one channel usually arrive in order.
//!
//! - Beside its channels a node may hold leases, names with a small value, and ask which are held by any node. They end
//!   with the node.
//!
//! The way through the Redis back end: `redis/wanted.rs` keeps which channels are wanted and which stand,
//! `redis/subscriber.rs` makes one follow the other and hands over what arrives, `redis/outbox.rs` holds what waits to be
//! published, `redis/publisher.rs` sends it, `redis/leases/` keeps what is held. The probe, a
//! publication of the node to itself, ties the two links of pub/sub together.

mod channel;
mod counters;
mod event;
mod layer;
mod leases;
mod memory;
mod redis;

pub use channel::{Channel, Publication};
pub use counters::Counters;
pub use event::Event;
pub use layer::{ChannelLayer, Down, Status};
pub use leases::LeaseConfig;
pub use memory::MemoryBus;

pub use self::redis::{
    ClockOffset, ConfigError, InspectError, MemoryLimit, OutputBufferLimit, RedisConfig, RedisReport,
    connect_redis, inspect_redis,
};
