//! What a session has to do with presence: what its user is by it, and whom it watches.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use switchboard_protocol::{ErrorCode, ErrorFrame, Presence as Status, RequestId, ServerFrame, UserId};
use switchboard_store::StoreError;
use tokio::time::Instant;

use crate::presence::{Seat, Watch};
use crate::state::Node;

/// How often it is looked whom the user still may watch.
const CHECK_PERIOD: Duration = Duration::from_secs(60);
/// At least this long lies between two looks, and after one that failed: changes of groups come in bursts, and a client may
/// ask as it likes.
const CHECK_PACE: Duration = Duration::from_secs(1);
/// How soon it is tried again to tell what could not be told.
const HOLD: Duration = Duration::from_millis(250);
/// Frames that are taken at a time, before the session looks at what else there is.
const TURN: usize = 64;

/// The presence of one session.
pub(super) struct Watching {
    node: Arc<Node>,
    user: UserId,
    seat: Seat,
    /// As soon as anybody is watched.
    watch: Option<Box<Watch>>,
    /// Whom the client asked for, where there was room for them.
    asked: Vec<UserId>,
    /// Whom it asks for in their place: the next look is for them.
    wanted: Option<Box<Wanted>>,
    /// The look at whom it may watch, if one is under way: one at a time.
    look: Option<Box<Look>>,
    /// When the last one began.
    looked_at: Option<Instant>,
    /// When the next one does, if there is anybody to watch.
    due: Option<Instant>,
    /// Until when nothing is told.
    held_until: Option<Instant>,
}

/// What a client asks for.
struct Wanted {
    users: Vec<UserId>,
    request_id: Option<RequestId>,
}

struct Look {
    /// What it is for, if not for those who are watched already.
    wanted: Option<Box<Wanted>>,
    allowed: BoxFuture<'static, Result<Vec<UserId>, StoreError>>,
}

/// What a session is to tell its client.
pub(super) enum Told {
    /// Nothing so far, but whom it may watch is known now.
    Nothing,
    /// Who is there: to be taken.
    Presence,
    /// That it may not watch as many.
    Refused(Box<ServerFrame>),
}

impl Watching {
    pub(super) fn new(node: Arc<Node>, user: UserId) -> Self {
        Self {
            seat: node.presence.enter(user),
            node,
            user,
            watch: None,
            asked: Vec::new(),
            wanted: None,
            look: None,
            looked_at: None,
            due: None,
            held_until: None,
        }
    }

    /// The client says whether somebody is there.
    pub(super) fn set(&mut self, status: Status) {
        self.seat.set(status);
    }

    /// The client asks for these, in place of those before, also of those whom it has asked for and not been told of. Gives
    /// the refusal, if the node has no room for them.
    pub(super) fn watch(&mut self, users: Vec<UserId>, request_id: Option<RequestId>) -> Option<ServerFrame> {
        if !self.node.presence.has_room(self.watch.as_ref().map_or(0, |watch| watch.n_users()), users.len()) {
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
        self.wanted = Some(Box::new(Wanted { users, request_id }));
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
        self.look = Some(Box::new(Look { wanted, allowed }));
    }

    /// Gives the refusal, if there is no room any more.
    fn apply(
        &mut self,
        wanted: Option<Box<Wanted>>,
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
            Some(wanted) => {
                let Wanted { users, request_id } = *wanted;
                let watch = self.watch.take();
                let mut watch = watch.unwrap_or_else(|| Box::new(self.node.presence.join()));
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

    /// When there is something to do that nothing but the time tells of, if there is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.look.is_none()).into_iter().chain(self.held_until).min()
    }

    /// Does it.
    pub(super) fn on_time(&mut self, now: Instant) {
        self.held_until = self.held_until.filter(|until| *until > now);
        if self.look.is_none() && self.due.is_some_and(|due| due <= now) {
            self.begin_look();
        }
    }

    /// Waits until there is something to tell.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) fn next(&mut self) -> impl Future<Output = Told> {
        poll_fn(|context| self.poll_next(context))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Told> {
        if let Some(look) = &mut self.look
            && let Poll::Ready(allowed) = look.allowed.poll_unpin(context)
        {
            let wanted = self.look.take().and_then(|look| look.wanted);
            let refusal = self.apply(wanted, allowed);
            return Poll::Ready(refusal.map_or(Told::Nothing, |refusal| Told::Refused(Box::new(refusal))));
        }
        match &self.watch {
            Some(watch) if self.held_until.is_none() => {
                watch.outbox().poll_filled(context).map(|()| Told::Presence)
            }
            _ => Poll::Pending,
        }
    }

    /// Takes what there is to tell of presence, as much as is told at a time.
    pub(super) fn take(&self) -> Vec<ByteString> {
        self.watch.as_ref().map(|watch| watch.outbox().take(TURN)).unwrap_or_default()
    }

    /// Leaves it for a moment: nothing is told while it is not known that the credentials count.
    pub(super) fn hold(&mut self) {
        self.held_until = Some(Instant::now() + HOLD);
    }
}

fn refusal(request_id: Option<RequestId>) -> ServerFrame {
    let sentence = "this node watches as many users as it can";
    ServerFrame::Error(ErrorFrame { request_id, ..ErrorFrame::new(ErrorCode::Overloaded, sentence) })
}
