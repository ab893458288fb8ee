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
/// At least this long lies between two looks, and after one that failed: changes of groups come in bursts, and a client may
/// ask as it likes.
const CHECK_PACE: Duration = Duration::from_secs(1);
/// Frames that are taken at a time, before the session looks at what else there is.
const TURN: usize = 64;

/// The presence of one session.
pub(super) struct Watching<'a> {
    node: &'a Node,
    user: UserId,
    seat: Seat,
    /// As soon as anybody is watched.
    watch: Option<Watch>,
    /// Whom the client asked for, where there was room for them.
    asked: Vec<UserId>,
    /// Whom it asks for in their place: the next look is for them.
    wanted: Option<Wanted>,
    /// The look at whom it may watch, if one is under way: one at a time.
    look: Option<Look>,
    /// When the last one began.
    looked_at: Option<Instant>,
    /// When the next one does, if there is anybody to watch.
    due: Option<Instant>,
}

/// What a client asks for.
struct Wanted {
    users: Vec<UserId>,
    request_id: Option<RequestId>,
}

struct Look {
    /// What it is for, if not for those who are watched already.
    wanted: Option<Wanted>,
    allowed: BoxFuture<'static, Result<Vec<UserId>, StoreError>>,
}

/// What a session is to tell its client.
pub(super) enum Told {
    /// Who is there.
    Presence(Vec<ByteString>),
    /// That it may not watch as many.
    Refused(Box<ServerFrame>),
}

impl<'a> Watching<'a> {
    pub(super) fn new(node: &'a Node, user: UserId) -> Self {
        Self {
            node,
            user,
            seat: node.presence.enter(user),
            watch: None,
            asked: Vec::new(),
            wanted: None,
            look: None,
            looked_at: None,
            due: None,
        }
    }

    /// The client says whether somebody is there.
    pub(super) fn set(&mut self, status: Status) {
        self.seat.set(status);
    }

    /// The client asks for these, in place of those before, also of those whom it has asked for and not been told of. Gives
    /// the refusal, if the node has no room for them.
    pub(super) fn watch(&mut self, users: Vec<UserId>, request_id: Option<RequestId>) -> Option<ServerFrame> {
        if !self.node.presence.has_room(self.watch.as_ref().map_or(0, Watch::n_users), users.len()) {
            return Some(refusal(request_id));
        }
        if users.is_empty() {
            (self.watch, self.wanted, self.due) = (None, None, None);
            self.asked = users;
            if let Some(look) = &mut self.look {
                // It goes on to its end, so that there is no other beside it, and is for nobody.
                look.wanted = None;
            }
            return None;
        }
        self.wanted = Some(Wanted { users, request_id });
        self.look_soon();
        None
    }

    /// Something changed that decides whom the user may watch.
    pub(super) fn check_soon(&mut self) {
        if self.due.is_some() {
            self.look_soon();
        }
    }

    fn look_soon(&mut self) {
        let now = Instant::now();
        let next = self.looked_at.map_or(now, |at| at + CHECK_PACE);
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
    }

    fn begin_look(&mut self) {
        let wanted = self.wanted.take();
        let asked = wanted.as_ref().map_or(&self.asked, |wanted| &wanted.users).clone();
        let (source, user) = (self.node.source.clone(), self.user);
        let now = Instant::now();
        self.looked_at = Some(now);
        self.due = Some(now + CHECK_PERIOD);
        let allowed = Box::pin(async move {
            let store = source.store.clone();
            source.on_backend(async move { store.acquaintances(user, &asked).await }).await
        });
        self.look = Some(Look { wanted, allowed });
    }

    /// Gives the refusal, if there is no room any more.
    fn apply(
        &mut self,
        wanted: Option<Wanted>,
        allowed: Result<Vec<UserId>, StoreError>,
    ) -> Option<ServerFrame> {
        let allowed = match allowed {
            Ok(allowed) => allowed,
            Err(error) => {
                tracing::debug!("whom a session may watch is looked up later: {error}");
                // Of two requests the later counts.
                self.wanted = self.wanted.take().or(wanted);
                self.due = self.due.map(|_| Instant::now() + CHECK_PACE);
                return None;
            }
        };
        match wanted {
            Some(Wanted { users, request_id }) => {
                let watch = self.watch.take();
                let mut watch = watch.unwrap_or_else(|| self.node.presence.join());
                let has_room = watch.begin(allowed, &users);
                if has_room {
                    self.asked = users;
                }
                if self.asked.is_empty() {
                    self.due = self.due.filter(|_| self.wanted.is_some());
                } else {
                    self.watch = Some(watch);
                }
                (!has_room).then(|| refusal(request_id))
            }
            None => {
                if let Some(watch) = &mut self.watch {
                    watch.keep(allowed, &self.asked);
                }
                None
            }
        }
    }

    /// Waits until there is something to tell, and the credentials are known to count: then it is not taken if they do not.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self, lease: &Lease) -> Told {
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
            let looked = async {
                match (&mut self.look, self.due) {
                    (Some(look), _) => Some((&mut look.allowed).await),
                    (None, Some(due)) => {
                        sleep_until(due).await;
                        None
                    }
                    (None, None) => future::pending().await,
                }
            };
            tokio::select! {
                frames = filled => return Told::Presence(frames),
                looked = looked => match looked {
                    Some(allowed) => {
                        let wanted = self.look.take().and_then(|look| look.wanted);
                        if let Some(refusal) = self.apply(wanted, allowed) {
                            return Told::Refused(Box::new(refusal));
                        }
                    }
                    None => self.begin_look(),
                },
            }
        }
    }
}

fn refusal(request_id: Option<RequestId>) -> ServerFrame {
    let sentence = "this node watches as many users as it can";
    ServerFrame::Error(ErrorFrame { request_id, ..ErrorFrame::new(ErrorCode::Overloaded, sentence) })
}
