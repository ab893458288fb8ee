//! A session's live queue: the hub puts packets in on its runtime, the session takes them out on its worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytestring::ByteString;
use switchboard_protocol::Seq;

use crate::ephemeral::{Notice, author};
use crate::metrics::Metrics;
use crate::packet::{Origin, Packet};
use crate::sabotage::sabotaged;

/// What a session forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The position in the mailbox.
    pub seq: Seq,
    /// Messages received and not read, after it.
    pub unread: i64,
    /// The text of the frame.
    pub frame: ByteString,
    /// How it came here.
    pub origin: Origin,
}

impl From<Packet> for Item {
    fn from(packet: Packet) -> Self {
        let Packet { seq, unread, frame, origin, .. } = packet;
        Self { seq, unread, frame, origin }
    }
}

/// The outlet no longer has everything since it was attached: the session goes back to paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged;

/// What was taken out of an outlet.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Entries, in order.
    Items(VecDeque<Item>),
    /// What is kept nowhere, in the order in which it came. Given only where there are no entries.
    Notices(VecDeque<Notice>),
}

/// Notices that wait for one session, each of another writer.
const NOTICES: usize = 64;
/// The part of its limit over which an outlet takes no notices.
const CALM: usize = 4;

/// A bounded queue from the hub to one session.
///
/// Notices wait beside the entries, at most 64 and only the newest of each writer; while a quarter of the limit is
/// taken by entries, there is no room for them, and what is dropped is lost. When it would hold more bytes than its limit, or the hub gave up on a gap, it lets go of all it has and says
/// [`Lagged`] from then on: the store has it all, and memory stays bounded whatever the peer does.
pub struct Outlet {
    limit: usize,
    /// Held for a push or a take, never across an await.
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    notices: VecDeque<Notice>,
    bytes: usize,
    lagged: bool,
    closed: bool,
    /// The session, if it waits.
    waiting: Option<Waker>,
}

/// What an item costs besides its text.
const ITEM_BYTES: usize = 96;

impl Outlet {
    pub(crate) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, state: Mutex::default(), metrics }
    }

    /// Adds items. Whether the outlet takes more.
    pub(super) fn push(&self, items: &[Item]) -> bool {
        let mut state = self.lock();
        if state.lagged || state.closed {
            return false;
        }
        if !state.notices.is_empty() {
            // They come after these, and would say that an author writes on.
            for author in items.iter().filter_map(|item| author(&item.frame)) {
                state.notices.retain(|notice| notice.writer() != Some(author));
            }
        }
        let bytes: usize = items.iter().map(|item| item.frame.len() + ITEM_BYTES).sum();
        state.bytes += bytes;
        self.metrics.hub_queue_bytes.inc_by(bytes as i64);
        state.items.extend(items.iter().cloned());
        if state.bytes > self.limit && !sabotaged!("unbounded_queue") {
            self.metrics.drops.of("session_full").inc();
            self.let_go(&mut state);
        }
        let takes_more = !state.lagged;
        if !sabotaged!("swap_two") {
            wake(state);
        }
        takes_more
    }

    /// Adds what is kept nowhere, if there is room for it.
    pub(super) fn tell(&self, notice: &Notice) {
        let mut state = self.lock();
        if state.lagged || state.closed {
            return;
        }
        let writer = notice.writer();
        state.notices.retain(|waiting| waiting.writer() != writer);
        if state.bytes > self.limit / CALM || state.notices.len() >= NOTICES {
            self.metrics.drops.of("ephemeral").inc();
            return;
        }
        state.notices.push_back(notice.clone());
        wake(state);
    }

    /// Sends the session back to paging.
    pub(super) fn lag(&self) {
        let mut state = self.lock();
        self.let_go(&mut state);
        wake(state);
    }

    /// The session has left.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        self.let_go(&mut state);
        state.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn let_go(&self, state: &mut State) {
        self.take_all(state);
        state.notices = VecDeque::new();
        state.lagged = true;
    }

    fn take_all(&self, state: &mut State) -> VecDeque<Item> {
        self.metrics.hub_queue_bytes.dec_by(std::mem::take(&mut state.bytes) as i64);
        std::mem::take(&mut state.items)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for items or notices, and takes all there are of one or the other. One session takes, so there is one waker.
    ///
    /// # Errors
    /// [`Lagged`], then and ever after.
    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<Result<Taken, Lagged>> {
        let mut state = self.lock();
        if state.lagged {
            return Poll::Ready(Err(Lagged));
        }
        if !state.items.is_empty() {
            return Poll::Ready(Ok(Taken::Items(self.take_all(&mut state))));
        }
        if !state.notices.is_empty() {
            return Poll::Ready(Ok(Taken::Notices(std::mem::take(&mut state.notices))));
        }
        match &mut state.waiting {
            Some(waker) => waker.clone_from(context.waker()),
            None => state.waiting = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// Wakes the session if it waits, with the lock let go of first.
fn wake(mut state: MutexGuard<'_, State>) {
    let waiting = state.waiting.take();
    drop(state);
    if let Some(waker) = waiting {
        waker.wake();
    }
}

#[cfg(test)]
impl Outlet {
    pub(super) async fn take(&self) -> Result<Taken, Lagged> {
        std::future::poll_fn(|context| self.poll_take(context)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ephemeral::{Word, notice};

    fn item(seq: i64) -> Item {
        Item {
            seq: Seq(seq),
            unread: 0,
            frame: ByteString::from("x".repeat(100)),
            origin: Origin::here(None),
        }
    }

    #[tokio::test]
    async fn an_overflow_lets_go_and_says_so() {
        let metrics = Arc::new(Metrics::default());
        let outlet = Outlet::new(1200, Arc::clone(&metrics));
        assert!((1..=6).all(|seq| outlet.push(&[item(seq)])));
        assert_eq!(metrics.hub_queue_bytes.get(), 6 * 196);
        let Taken::Items(items) = outlet.take().await.unwrap() else { panic!("there are entries") };
        assert_eq!(items.len(), 6);
        assert_eq!((7..=20).filter(|seq| outlet.push(&[item(*seq)])).count(), 6);
        assert_eq!(outlet.take().await, Err(Lagged));
        assert_eq!((metrics.hub_queue_bytes.get(), metrics.drops.of("session_full").get()), (0, 1));
        assert_eq!(outlet.state.lock().unwrap().items.capacity(), 0);
    }
    async fn notices(outlet: &Outlet) -> Vec<(i64, bool)> {
        match outlet.take().await.unwrap() {
            Taken::Notices(notices) => {
                let writing = |notice: &Notice| match &notice.word {
                    Word::Writing(writing, _) => (writing.user.0, writing.is_typing),
                    Word::Rights => panic!("{notice:?}"),
                };
                notices.iter().map(writing).collect()
            }
            Taken::Items(items) => panic!("{items:?}"),
        }
    }

    #[tokio::test]
    async fn of_notices_the_newest_of_each_writer_waits_behind_the_entries() {
        let metrics = Arc::new(Metrics::default());
        let outlet = Outlet::new(100_000, Arc::clone(&metrics));
        for user in 1..=NOTICES as i64 + 1 {
            outlet.tell(&notice(1, user, true));
        }
        assert_eq!(metrics.drops.of("ephemeral").get(), 1, "one writer too many");
        outlet.tell(&notice(1, 1, false));
        outlet.push(&[item(1)]);
        assert!(matches!(outlet.take().await, Ok(Taken::Items(_))));
        let waiting = notices(&outlet).await;
        assert_eq!((waiting.len(), waiting[0], waiting[NOTICES - 1]), (NOTICES, (2, true), (1, false)));
    }

    #[tokio::test]
    async fn a_message_ends_the_notice_of_its_author() {
        let outlet = Outlet::new(100_000, Arc::default());
        let text = r#"{"type":"new_message","seq":1,"data":{"conversation_id":1,"sender_id":2}}"#;
        let message = Item { frame: text.into(), ..item(1) };
        for (conversation, user) in [(1, 2), (1, 3), (2, 2)] {
            outlet.tell(&notice(conversation, user, true));
        }
        outlet.push(&[message]);
        assert!(matches!(outlet.take().await, Ok(Taken::Items(_))));
        assert_eq!(notices(&outlet).await, [(3, true), (2, true)]);
    }

    #[tokio::test]
    async fn notices_are_the_first_to_be_dropped() {
        let metrics = Arc::new(Metrics::default());
        let outlet = Outlet::new(4_000, Arc::clone(&metrics));
        for seq in 1..=5 {
            outlet.push(&[item(seq)]);
        }
        outlet.tell(&notice(1, 2, true));
        outlet.push(&[item(6)]);
        outlet.tell(&notice(1, 3, true));
        assert_eq!(metrics.drops.of("ephemeral").get(), 1);
        assert!(matches!(outlet.take().await, Ok(Taken::Items(items)) if items.len() == 6));
        assert_eq!(notices(&outlet).await, [(2, true)]);
    }
}
