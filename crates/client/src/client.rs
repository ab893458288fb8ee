//! The handle of a client, and what a request may come to.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use switchboard_protocol::client_frame::{ClientFrame, ReadMark};
use switchboard_protocol::{ErrorFrame, MessageId, Seq, ServerFrame, Target};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::draft::random_name;
use crate::outbox::{Awaiting, Reply, Request};
use crate::session::Session;
use crate::{Config, Draft, Event};

/// Requests on their way to the task; the outbox behind it holds the rest.
const REQUESTS: usize = 16;

/// One session of one user. Clones share it; dropping the last one ends it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its other end is with the session's task.
    requests: mpsc::Sender<Request>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    /// Cancels `stop` when the last handle goes.
    _guard: Arc<DropGuard>,
}

impl Client {
    /// Starts the session's task, which connects at once. Call it inside a tokio runtime.
    ///
    /// Events come on the receiver, which holds [`Config::events`]. While it is full the socket is not read. If
    /// that lasts and requests wait for their answers, the consumer may be the one who waits, so the session
    /// reads on for the answers alone, and resumes from its cursor once there is room. Nothing is lost by
    /// either. Dropping the receiver means that nobody wants events.
    #[must_use]
    pub fn start(config: Config) -> (Self, mpsc::Receiver<Event>) {
        let (requests, incoming) = mpsc::channel(REQUESTS);
        let (events, receiver) = mpsc::channel(config.events.max(1));
        let stop = CancellationToken::new();
        let counters = Arc::new(Counters::default());
        let session = Session::new(config, incoming, events, stop.clone(), Arc::clone(&counters));
        tokio::spawn(session.run());
        let guard = Arc::new(stop.clone().drop_guard());
        (Self { requests, counters, stop, _guard: guard }, receiver)
    }

    /// Sends a message and resolves once it is durable. Without a `client_message_id` it gets a random one.
    ///
    /// # Errors
    /// If the node refused the message for good, or the client ended.
    ///
    /// # Cancel safety
    /// Once polled the message may be sent even if nobody waits any longer.
    pub async fn send(
        &self,
        to: impl Into<Target>,
        subject: &str,
        content: &str,
        client_message_id: Option<String>,
    ) -> Result<Acknowledged, RequestError> {
        self.post(to, subject, content, client_message_id).await?.await
    }

    /// Hands a message to the outbox, waiting only for room. Messages are written in the order of these calls,
    /// so one after the other they may be sent without awaiting each acknowledgement.
    ///
    /// # Errors
    /// If the client ended.
    pub async fn post(
        &self,
        to: impl Into<Target>,
        subject: &str,
        content: &str,
        client_message_id: Option<String>,
    ) -> Result<Answer<Acknowledged>, RequestError> {
        let (subject, content) = (subject.to_owned(), content.to_owned());
        self.post_draft(Draft { subject, client_message_id, ..Draft::new(to, content) }).await
    }

    /// As [`Self::send`], with all that a message may have.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// # Cancel safety
    /// As [`Self::send`].
    pub async fn send_draft(&self, draft: Draft) -> Result<Acknowledged, RequestError> {
        self.post_draft(draft).await?.await
    }

    /// As [`Self::post`], with all that a message may have.
    ///
    /// # Errors
    /// If the client ended.
    pub async fn post_draft(&self, draft: Draft) -> Result<Answer<Acknowledged>, RequestError> {
        let (message, client_message_id) = draft.into_frame();
        let frame = ClientFrame::SendMessage(message);
        self.push(frame, |reply| Awaiting::Sent { client_message_id, reply }).await
    }

    /// Marks a received message as read.
    ///
    /// # Errors
    /// If the node refused it for good, or the client ended.
    pub async fn mark_read(&self, message_id: MessageId) -> Result<(), RequestError> {
        let frame = ClientFrame::MarkAsRead(ReadMark::Message { message_id });
        self.push(frame, |reply| Awaiting::Read { message_id, reply }).await?.await
    }

    /// Asks how many messages were received and not read.
    ///
    /// # Errors
    /// If the node refused it for good, or the client ended.
    pub async fn unread_count(&self) -> Result<i64, RequestError> {
        self.push(ClientFrame::GetUnreadCount, |reply| Awaiting::Unread { reply }).await?.await
    }

    /// Asks for anything, and resolves with the frame that says that it is done: of a change the entry, or its repeat if there
    /// was nothing to be changed. It stays in the outbox until then, and is safe to be written again: a message and a group
    /// get a random name if they have none.
    ///
    /// Entries name no request: one that says the same counts as the answer. A mark up to a message is answered by the first
    /// that may be of it, and a client that still catches up may take an old one. A frame that the node does not answer
    /// (`typing`, `watch_presence`, `set_presence`) is for [`Self::ask`].
    ///
    /// # Errors
    /// If the node refused it for good, or the client ended.
    ///
    /// # Cancel safety
    /// As [`Self::send`].
    pub async fn request(&self, frame: ClientFrame) -> Result<ServerFrame, RequestError> {
        let frame = named(frame);
        let asked = Box::new(frame.clone());
        self.push(frame, |reply| Awaiting::Done { frame: asked, reply }).await?.await
    }

    /// Says something without waiting for what comes of it: it is written once, after the requests before it, and is lost with
    /// the connection. If the node refuses it, that comes as an [`Event::Frame`].
    ///
    /// # Errors
    /// If the client ended.
    pub async fn ask(&self, frame: ClientFrame) -> Result<(), RequestError> {
        let request = Request { frame, awaiting: Awaiting::Nothing };
        self.requests.send(request).await.map_err(|_task_has_ended| RequestError::Ended)
    }

    /// Ends the session for all its handles and says goodbye to the node. Requests without an answer get
    /// [`RequestError::Ended`]; their outcome is unknown.
    pub async fn close(self) {
        self.stop.cancel();
        self.requests.closed().await;
    }

    /// Entries that came a second time and were dropped.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.counters.duplicates.load(Ordering::Relaxed)
    }

    /// Entries that came too early, so that the client went back to its cursor.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.counters.gaps.load(Ordering::Relaxed)
    }

    /// Refusals for the moment, after which the request was sent again.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.counters.retries.load(Ordering::Relaxed)
    }

    async fn push<T>(
        &self,
        frame: ClientFrame,
        awaiting: impl FnOnce(Reply<T>) -> Awaiting,
    ) -> Result<Answer<T>, RequestError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { frame, awaiting: awaiting(reply) };
        self.requests.send(request).await.map_err(|_task_has_ended| RequestError::Ended)?;
        Ok(Answer(answer))
    }
}

/// What would be made twice if it was written twice, with a name that keeps it from that.
fn named(mut frame: ClientFrame) -> ClientFrame {
    let name = match &mut frame {
        ClientFrame::SendMessage(message) => &mut message.client_message_id,
        ClientFrame::CreateGroup(group) => &mut group.client_conversation_id,
        _ => return frame,
    };
    name.get_or_insert_with(random_name);
    frame
}

/// The answer to a request in the outbox, as a future. Dropping it does not take the request back.
#[derive(Debug)]
pub struct Answer<T>(oneshot::Receiver<Result<T, RequestError>>);

impl<T> Future for Answer<T> {
    type Output = Result<T, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(RequestError::Ended)))
    }
}

/// The acknowledgement of a message: it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The message.
    pub message_id: MessageId,
    /// Its position in the sender's mailbox.
    pub seq: Seq,
    /// Whether it was stored before, under the same client message id.
    pub repeat: bool,
    /// How often the node refused it for the moment before it took it.
    pub refusals: u32,
}

/// Why a request has no good answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The node refused it for good.
    #[error("refused with `{}`: {}", .0.code, .0.error)]
    Refused(ErrorFrame),
    /// The client ended first: the outcome is unknown.
    #[error("the client has ended")]
    Ended,
}

/// What went wrong on the wire without harm. Written by the task, read by the handles.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) duplicates: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) retries: AtomicU64,
}
