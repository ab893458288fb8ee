//! Which channels are wanted, and which of them stand at Redis.
//!
//! The node's tasks change what is wanted; the subscriber alone changes what stands. It takes the difference in chunks and
//! settles each when Redis has confirmed it. A channel has at most one command under way; if it is wanted otherwise
//! meanwhile, it is queued again when that is settled.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::channel::Channel;
use crate::layer::Down;

/// Names in one command. A thousand in eight commands under way were measured at 700,000 a second, one by one at 13,000.
const CHUNK: usize = 1_000;

#[derive(Default)]
pub(super) struct Wanted {
    /// Held for short sections only, none of which awaits; the longest visits every channel when a link comes or goes.
    state: Mutex<State>,
    /// Wakes the subscriber, the only one that waits.
    queued: Notify,
}

#[derive(Default)]
struct State {
    phase: Phase,
    entries: HashMap<Channel, Entry>,
    n_wanted: usize,
    /// Channels that may have to change; looked at again when taken. Empty while the link is down.
    queue: VecDeque<Channel>,
}

/// How far the subscriber's link is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Down,
    /// Connected; the subscriptions are being made.
    Rising,
    Up,
}

#[derive(Default)]
struct Entry {
    is_wanted: bool,
    is_queued: bool,
    standing: Standing,
    /// Who waits for the confirmation. Dropped when the link goes.
    waiters: Vec<oneshot::Sender<()>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Absent,
    /// A command is under way.
    Changing,
    Subscribed,
}

/// What one round trip changes.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) subscribe: Vec<Channel>,
    pub(super) unsubscribe: Vec<Channel>,
}

/// What the node's tasks do.
impl Wanted {
    /// See [`ChannelLayer::subscribe`](crate::ChannelLayer::subscribe).
    pub(super) async fn subscribe(&self, channel: &Channel) -> Result<(), Down> {
        let confirmation = self.lock().want(channel);
        self.queued.notify_one();
        match confirmation {
            Confirmation::Given => Ok(()),
            Confirmation::Pending(confirmed) => confirmed.await.or(Err(Down)),
            Confirmation::Impossible => Err(Down),
        }
    }

    pub(super) fn unsubscribe(&self, channel: &Channel) {
        self.lock().unwant(channel);
        self.queued.notify_one();
    }

    /// How many channels are wanted.
    pub(super) fn len(&self) -> usize {
        self.lock().n_wanted
    }

    /// Whether the subscriptions stand, but for those under way.
    pub(super) fn is_up(&self) -> bool {
        self.lock().phase == Phase::Up
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the subscriber does.
impl Wanted {
    /// A link stands, without any subscription: everything wanted is queued.
    pub(super) fn rise(&self) {
        let mut state = self.lock();
        state.phase = Phase::Rising;
        let State { entries, queue, .. } = &mut *state;
        for (channel, entry) in entries {
            entry.is_queued = true;
            queue.push_back(channel.clone());
        }
    }

    /// What to change next, if anything.
    pub(super) fn next_chunk(&self) -> Option<Chunk> {
        let chunk = self.lock().next_chunk();
        (!chunk.subscribe.is_empty() || !chunk.unsubscribe.is_empty()).then_some(chunk)
    }

    /// Waits until there may be a next chunk.
    pub(super) async fn changed(&self) {
        self.queued.notified().await;
    }

    /// Redis has confirmed the chunk.
    pub(super) fn settle(&self, chunk: Chunk) {
        let mut state = self.lock();
        for channel in chunk.subscribe {
            state.settle(channel, Standing::Subscribed);
        }
        for channel in chunk.unsubscribe {
            state.settle(channel, Standing::Absent);
        }
    }

    /// With nothing under way: the link is up from now on, unless something was queued since. Says whether it is.
    pub(super) fn complete(&self) -> bool {
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.phase = Phase::Up;
        }
        state.phase == Phase::Up
    }

    /// The link is gone, and every subscription with it. Whoever waits for one is told.
    pub(super) fn fall(&self) {
        let mut state = self.lock();
        state.phase = Phase::Down;
        state.queue.clear();
        state.entries.retain(|_, entry| {
            entry.is_queued = false;
            entry.standing = Standing::Absent;
            entry.waiters.clear();
            entry.is_wanted
        });
    }
}

/// Whether a subscription stands.
enum Confirmation {
    Given,
    Pending(oneshot::Receiver<()>),
    Impossible,
}

impl State {
    fn want(&mut self, channel: &Channel) -> Confirmation {
        let entry = self.entries.entry(channel.clone()).or_default();
        self.n_wanted += usize::from(!entry.is_wanted);
        entry.is_wanted = true;
        let confirmation = match (self.phase, entry.standing) {
            (Phase::Up, Standing::Subscribed) => Confirmation::Given,
            (Phase::Up, Standing::Absent | Standing::Changing) => {
                let (waiter, confirmed) = oneshot::channel();
                entry.waiters.push(waiter);
                Confirmation::Pending(confirmed)
            }
            (Phase::Down | Phase::Rising, _) => Confirmation::Impossible,
        };
        self.queue(channel, Standing::Absent);
        confirmation
    }

    fn unwant(&mut self, channel: &Channel) {
        let Some(entry) = self.entries.get_mut(channel) else {
            return;
        };
        self.n_wanted -= usize::from(entry.is_wanted);
        entry.is_wanted = false;
        if entry.standing == Standing::Absent && !entry.is_queued {
            self.entries.remove(channel);
        } else {
            self.queue(channel, Standing::Subscribed);
        }
    }

    /// Queues the channel if it stands like this, which is not as wanted. While the link is down, nothing is queued: all
    /// will be when it is back.
    fn queue(&mut self, channel: &Channel, standing: Standing) {
        if let Some(entry) = self.entries.get_mut(channel)
            && entry.standing == standing
            && !entry.is_queued
            && self.phase != Phase::Down
        {
            entry.is_queued = true;
            self.queue.push_back(channel.clone());
        }
    }

    fn next_chunk(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        while chunk.subscribe.len() < CHUNK && chunk.unsubscribe.len() < CHUNK {
            let Some(channel) = self.queue.pop_front() else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&channel) else {
                continue;
            };
            entry.is_queued = false;
            match (entry.is_wanted, entry.standing) {
                (true, Standing::Absent) => {
                    entry.standing = Standing::Changing;
                    chunk.subscribe.push(channel);
                }
                (false, Standing::Subscribed) => {
                    entry.standing = Standing::Changing;
                    chunk.unsubscribe.push(channel);
                }
                (false, Standing::Absent) => {
                    self.entries.remove(&channel);
                }
                (true, Standing::Subscribed) | (_, Standing::Changing) => {}
            }
        }
        chunk
    }

    fn settle(&mut self, channel: Channel, standing: Standing) {
        let Some(entry) = self.entries.get_mut(&channel) else {
            return;
        };
        entry.standing = standing;
        if standing == Standing::Subscribed {
            for waiter in entry.waiters.drain(..) {
                // Whoever stopped waiting need not be told.
                let _ = waiter.send(());
            }
        }
        match (entry.is_wanted, standing) {
            (false, Standing::Absent) => {
                self.entries.remove(&channel);
            }
            (true, Standing::Absent) | (false, Standing::Subscribed) => {
                self.queue(&channel, standing);
            }
            (true, Standing::Subscribed) | (_, Standing::Changing) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(channels: &[Channel]) -> Vec<&str> {
        channels.iter().map(Channel::as_str).collect()
    }

    #[tokio::test]
    async fn one_command_a_channel_is_under_way_and_the_last_wish_holds() {
        let wanted = Wanted::default();
        let a = Channel::new("a");
        wanted.rise();
        assert!(wanted.complete());

        let waiting = wanted.subscribe(&a);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let subscribe = wanted.next_chunk().unwrap();
        assert_eq!(names(&subscribe.subscribe), ["a"]);
        wanted.unsubscribe(&a);
        assert!(wanted.next_chunk().is_none(), "under way");
        wanted.settle(subscribe);
        assert_eq!(waiting.await, Ok(()), "it stood for a moment");

        let unsubscribe = wanted.next_chunk().unwrap();
        assert_eq!(names(&unsubscribe.unsubscribe), ["a"]);
        let waiting = wanted.subscribe(&a);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        wanted.settle(unsubscribe);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        wanted.settle(wanted.next_chunk().unwrap());
        assert_eq!(waiting.await, Ok(()));
        assert_eq!(wanted.len(), 1);
    }

    #[tokio::test]
    async fn a_link_that_falls_fails_who_waits_and_keeps_what_is_wanted() {
        let wanted = Wanted::default();
        let (a, b) = (Channel::new("a"), Channel::new("b"));
        assert_eq!(wanted.subscribe(&a).await, Err(Down));
        wanted.rise();
        wanted.settle(wanted.next_chunk().unwrap());
        assert_eq!(wanted.subscribe(&b).await, Err(Down), "not yet up");
        assert!(!wanted.complete(), "b has come since");
        wanted.settle(wanted.next_chunk().unwrap());
        assert!(wanted.complete());

        let c = Channel::new("c");
        let waiting = wanted.subscribe(&c);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        wanted.fall();
        assert_eq!(waiting.await, Err(Down));
        wanted.unsubscribe(&b);
        wanted.rise();
        let mut chunk = wanted.next_chunk().unwrap();
        chunk.subscribe.sort();
        assert_eq!(names(&chunk.subscribe), ["a", "c"]);
        assert!(chunk.unsubscribe.is_empty());
    }

    #[tokio::test]
    async fn chunks_are_bounded_and_nothing_is_left_behind() {
        let wanted = Wanted::default();
        let channels: Vec<_> = (0..2_500).map(|i| Channel::new(format!("{i}"))).collect();
        for channel in &channels {
            assert_eq!(wanted.subscribe(channel).await, Err(Down));
        }
        wanted.rise();
        let mut sizes = Vec::new();
        while let Some(chunk) = wanted.next_chunk() {
            sizes.push(chunk.subscribe.len());
            wanted.settle(chunk);
        }
        assert_eq!(sizes, [1_000, 1_000, 500]);
        for channel in &channels {
            wanted.unsubscribe(channel);
        }
        while let Some(chunk) = wanted.next_chunk() {
            wanted.settle(chunk);
        }
        assert_eq!(wanted.len(), 0);
        assert!(wanted.lock().entries.is_empty());
    }
}
