//! A cursor on a mailbox: what every transport is.
//!
//! It pages the store from its cursor up to where the hub took over, then takes what the hub brings; if its
//! queue overflows it attaches anew and pages again. What comes out is each entry after the cursor, once, in order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fail::fail_point;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use switchboard_protocol::{MailboxId, Seq};
use switchboard_store::{Entry, Head, StoreError};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::ephemeral::Notice;
use crate::hub::{Attachment, HubHandle, Item, Lagged, Taken};
use crate::packet::{Packet, Way};
use crate::sabotage::{self, sabotaged};

/// Entries in a page.
pub const PAGE: i64 = 100;
/// Bytes of frames in a page, unless a single one is larger: what was read beyond is left for the next.
const PAGE_BYTES: usize = 1024 * 1024;
/// How soon the store is asked again when it did not answer.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// What a feed works with.
#[derive(Clone)]
pub struct Source {
    /// Where live entries come from.
    pub hub: HubHandle,
    /// Where the others are.
    pub store: switchboard_store::Store,
    /// The runtime that the store's connections belong to.
    pub backend: Handle,
}

/// A cursor on a mailbox.
pub struct Feed {
    source: Arc<Source>,
    mailbox: MailboxId,
    cursor: Seq,
    attachment: Attachment,
    /// What is under way; kept here, so that dropping the future of [`Feed::next`] starts nothing anew.
    work: Option<Work>,
}

enum Work {
    Page(BoxFuture<'static, Result<VecDeque<Item>, StoreError>>),
    Attach(BoxFuture<'static, Result<Attachment, StoreError>>),
    Wait(BoxFuture<'static, ()>),
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Entries in order, the first right after the cursor.
    Items(VecDeque<Item>),
    /// What is kept nowhere: it leaves the cursor where it is.
    Ephemeral(VecDeque<Notice>),
    /// The store knows nothing of the cursor: it is now this.
    Reset(Seq),
    /// The next entry is none that this version can read, as while a fleet is upgraded. A node of a later one may: the
    /// client must find it, with its cursor where it is.
    Unreadable,
}

impl Source {
    /// Runs work of the store on its own runtime.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn on_backend<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.backend.spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    /// Opens a feed after `cursor`, or at the present end without one. Gives it with where the mailbox stood.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn open(
        self: &Arc<Self>,
        mailbox: MailboxId,
        cursor: Option<Seq>,
    ) -> Result<(Feed, Head), StoreError> {
        let attachment = self.hub.attach(mailbox).await?;
        let head = attachment.head;
        let cursor = cursor.unwrap_or(head.last_seq);
        Ok((Feed { source: Arc::clone(self), mailbox, cursor, attachment, work: None }, head))
    }

    /// Up to `limit` entries after a position, read once, as they would come from a feed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], and [`StoreError::Unreadable`] if the first entry is none that can be read.
    pub async fn page(
        &self,
        mailbox: MailboxId,
        after: Seq,
        limit: i64,
    ) -> Result<VecDeque<Item>, StoreError> {
        let store = self.store.clone();
        items(self.on_backend(async move { store.page(mailbox, after, limit).await }).await?)
    }
}

impl Feed {
    /// The position before the first entry that will be given out; once it is open, for a client to adopt.
    #[must_use]
    pub fn begin(&self) -> Seq {
        self.cursor.min(self.attachment.head.last_seq)
    }

    /// The last position that was given out.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Waits for what comes next. Rides out a store that does not answer.
    ///
    /// # Cancel safety
    /// Nothing is lost, and nothing begun is begun again.
    pub async fn next(&mut self) -> Step {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            let step = match &mut self.work {
                Some(Work::Wait(wait)) => {
                    ready!(wait.poll_unpin(context));
                    self.work = None;
                    None
                }
                Some(Work::Page(page)) => {
                    let result = ready!(page.poll_unpin(context));
                    self.work = None;
                    self.turn_page(result)
                }
                Some(Work::Attach(attach)) => {
                    let result = ready!(attach.poll_unpin(context));
                    self.work = None;
                    match result {
                        Ok(attachment) => self.attachment = attachment,
                        Err(error) => self.wait(&error),
                    }
                    None
                }
                None => ready!(self.poll_on(context)),
            };
            if let Some(step) = step {
                return Poll::Ready(step);
            }
        }
    }

    /// With nothing under way: pages if the hub took over later than the cursor, else takes what it brings.
    fn poll_on(&mut self, context: &mut Context<'_>) -> Poll<Option<Step>> {
        let Head { floor, last_seq: at, .. } = self.attachment.head;
        if self.cursor > at || self.cursor < floor {
            return Poll::Ready(Some(self.reset(at)));
        }
        if self.cursor < at {
            let (source, mailbox, cursor) = (self.source.clone(), self.mailbox, self.cursor);
            let limit = PAGE.min(at.0 - cursor.0);
            self.work = Some(Work::Page(Box::pin(async move { source.page(mailbox, cursor, limit).await })));
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.attachment.outlet().poll_take(context)) {
            Ok(Taken::Items(items)) => self.go_on(items),
            Ok(Taken::Notices(notices)) => Some(Step::Ephemeral(notices)),
            Err(Lagged) => {
                self.attach_again(Duration::ZERO);
                None
            }
        })
    }

    /// With what the hub has brought.
    fn go_on(&mut self, mut items: VecDeque<Item>) -> Option<Step> {
        // The first ones may have been paged.
        while items.front().is_some_and(|item| item.seq <= self.cursor) {
            items.pop_front();
        }
        let last = items.back()?.seq;
        let is_next = items.front().is_some_and(|first| first.seq == self.cursor.next());
        if !is_next && !sabotaged!("skip_repair") {
            tracing::error!("mailbox {} skipped from {} to {last}", self.mailbox, self.cursor);
            self.attach_again(RETRY_WAIT);
            return None;
        }
        self.cursor = last;
        self.attachment.head.last_seq = last;
        sabotage::disorder(&mut items);
        Some(Step::Items(items))
    }

    fn turn_page(&mut self, result: Result<VecDeque<Item>, StoreError>) -> Option<Step> {
        match result {
            Ok(mut items) => match (items.front(), items.back()) {
                (Some(first), Some(last)) if first.seq == self.cursor.next() => {
                    self.cursor = last.seq;
                    fail_point!("crash_in_resume");
                    sabotage::disorder(&mut items);
                    Some(Step::Items(items))
                }
                // The store no longer has what it had when we attached: where it stands now decides.
                _ => {
                    self.attach_again(RETRY_WAIT);
                    None
                }
            },
            Err(error @ StoreError::Unreadable(_)) => {
                tracing::error!("{error}: its owner is sent to another node");
                Some(Step::Unreadable)
            }
            Err(error) => {
                self.wait(&error);
                None
            }
        }
    }

    fn reset(&mut self, at: Seq) -> Step {
        self.cursor = at;
        Step::Reset(at)
    }

    fn attach_again(&mut self, after: Duration) {
        let (hub, mailbox) = (self.source.hub.clone(), self.mailbox);
        self.work = Some(Work::Attach(Box::pin(async move {
            sleep(after).await;
            hub.attach(mailbox).await
        })));
    }

    fn wait(&mut self, error: &StoreError) {
        match error {
            StoreError::Rejected(_) => tracing::error!("mailbox {} cannot be read: {error}", self.mailbox),
            _ => tracing::debug!("mailbox {} waits for the store: {error}", self.mailbox),
        }
        self.work = Some(Work::Wait(Box::pin(sleep(RETRY_WAIT))));
    }
}

fn items(entries: Vec<Entry>) -> Result<VecDeque<Item>, StoreError> {
    let mut items = VecDeque::with_capacity(entries.len());
    let mut bytes = 0;
    for entry in entries {
        let packet =
            Packet::of_entry(&entry, Way::Paged).map_err(|error| StoreError::Rejected(error.to_string()))?;
        bytes += packet.frame.len();
        if bytes > PAGE_BYTES && !items.is_empty() {
            break;
        }
        items.push_back(packet.into());
    }
    Ok(items)
}
