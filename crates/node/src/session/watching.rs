//! What a session has to do with presence: what its user is by it, and whom it watches.

use std::time::Duration;

use bytestring::ByteString;
use futures_util::future::{self, BoxFuture};
use switchboard_protocol::{ErrorCode, ErrorFrame, Presence as Status, RequestId, ServerFrame, UserId};
use switchboard_store::StoreError;
use tokio::time::{Instant, sleep_until};

use crate::presence::{Seat, Watch};
use crate::revocations::Lease;
use crate::state::Node;

/// How often it is looked whom the user still may watch.
const CHECK_PERIOD: Duration = Duration::from_secs(60);
/// At least this long lies between two looks, and after one that failed: changes of groups come in bursts.
const CHECK_PACE: Duration = Duration::from_secs(1);
/// Frames that are taken at a time, before the session looks at what else there is.
const TURN: usize = 64;

/// The presence of one session.
pub(super) struct Watching<'a> {
    node: &'a Node,
    user: UserId,
    seat: Seat,
    /// From the first request on.
    watch: Option<Watch>,
    /// Whom the client asked for.
    asked: Vec<UserId>,
    /// Whether nothing was told since it asked.
    is_new: bool,
    /// The look at whom it may watch, if one is under way.
    check: Option<BoxFuture<'static, Result<Vec<UserId>, StoreError>>>,
    /// When the last one began.
    checked_at: Instant,
    /// When the next one does, if there is anybody to watch.
    due: Option<Instant>,
}

impl<'a> Watching<'a> {
    pub(super) fn new(node: &'a Node, user: UserId) -> Self {
        Self {
            node,
            user,
            seat: node.presence.enter(user),
            watch: None,
            asked: Vec::new(),
            is_new: false,
            check: None,
            checked_at: Instant::now(),
            due: None,
        }
    }

    /// The client says whether somebody is there.
    pub(super) fn set(&mut self, status: Status) {
        self.seat.set(status);
    }

    /// The client asks for these, in place of those before. Gives the refusal, if the node has no room for them.
    pub(super) fn watch(&mut self, users: Vec<UserId>, request_id: Option<RequestId>) -> Option<ServerFrame> {
        let presence = &self.node.presence;
        if !presence.has_room(self.watch.as_ref().map_or(0, Watch::n_users), users.len()) {
            let sentence = "this node watches as many users as it can";
            let error = ErrorFrame { request_id, ..ErrorFrame::new(ErrorCode::Overloaded, sentence) };
            return Some(ServerFrame::Error(error));
        }
        self.asked = users;
        // Its answer would be for those before.
        self.check = None;
        self.due = None;
        if self.asked.is_empty() {
            self.watch = None;
            return None;
        }
        self.watch.get_or_insert_with(|| presence.join());
        self.is_new = true;
        self.begin_check();
        None
    }

    /// Something changed that decides whom the user may watch.
    pub(super) fn check_soon(&mut self) {
        if let Some(due) = &mut self.due {
            *due = (*due).min(self.checked_at + CHECK_PACE);
        }
    }

    fn begin_check(&mut self) {
        let (source, user, asked) = (self.node.source.clone(), self.user, self.asked.clone());
        self.checked_at = Instant::now();
        self.due = Some(self.checked_at + CHECK_PERIOD);
        self.check = Some(Box::pin(async move {
            let store = source.store.clone();
            source.on_backend(async move { store.acquaintances(user, &asked).await }).await
        }));
    }

    fn apply(&mut self, allowed: Result<Vec<UserId>, StoreError>) {
        let (allowed, watch) = match (allowed, &mut self.watch) {
            (Ok(allowed), Some(watch)) => (allowed, watch),
            (Err(error), _) => {
                tracing::debug!("whom a session may watch is looked up later: {error}");
                self.due = Some(Instant::now() + CHECK_PACE);
                return;
            }
            (Ok(_), None) => return,
        };
        if std::mem::take(&mut self.is_new) {
            watch.begin(allowed, &self.asked);
        } else {
            watch.keep(allowed, &self.asked);
        }
    }

    /// Waits until there is something to tell, and the credentials are known to count: then it is not taken if they do not.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self, lease: &Lease) -> Vec<ByteString> {
        loop {
            let filled = async {
                let Some(watch) = &self.watch else { return future::pending().await };
                watch.outbox().filled().await;
                if lease.confirmed().await.is_err() {
                    // The session ends.
                    return future::pending().await;
                }
                watch.outbox().take(TURN)
            };
            let check = async {
                match &mut self.check {
                    Some(check) => Some(check.await),
                    None => match self.due {
                        Some(due) => {
                            sleep_until(due).await;
                            None
                        }
                        None => future::pending().await,
                    },
                }
            };
            tokio::select! {
                frames = filled => return frames,
                checked = check => match checked {
                    Some(allowed) => {
                        self.check = None;
                        self.apply(allowed);
                    }
                    None => self.begin_check(),
                },
            }
        }
    }
}
