//! What a session asks for, on its way to the writer and back.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{
    ClientFrame, Envelope, ErrorCode, ErrorFrame, Presence, RequestId, ServerFrame, UserId,
};
use switchboard_store::{Command, Head, Outcome, StoreError};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use crate::commands::{self, Actor, Asked};
use crate::ephemeral;
use crate::hub::stopping;
use crate::packet::repeat;
use crate::problem::ApiError;
use crate::state::Node;
use crate::writer;

/// Requests of one session under way. Its next frame is read when there is room again.
const UNDER_WAY: usize = 64;

/// What a request is known by.
#[derive(Clone, Default)]
struct Origin {
    request_id: Option<RequestId>,
    client_message_id: Option<String>,
}

/// A request that was taken.
struct UnderWay {
    origin: Origin,
    waits_for: WaitsFor,
}

enum WaitsFor {
    Outcome {
        answer: writer::Answer,
        /// Ends when it is there.
        _span: Span,
    },
    Head(BoxFuture<'static, Result<Head, StoreError>>),
}

/// What came of a request.
pub(super) struct Answer {
    origin: Origin,
    result: Result<Done, StoreError>,
}

enum Done {
    Wrote(Outcome),
    Counted(Head),
}

/// What goes to this socket alone.
pub(super) enum Reply {
    Frame(Box<ServerFrame>),
    Count(Head, Option<RequestId>),
    Text(ByteString),
}

/// What became of a frame.
pub(super) enum Taken {
    /// It is under way, or done; it costs what was asked for.
    Accepted,
    /// This is the answer.
    Answered(Box<ServerFrame>),
    /// It is for the session itself.
    Presence(PresenceRequest, Option<RequestId>),
}

impl Taken {
    fn answered(frame: ServerFrame) -> Self {
        Self::Answered(Box::new(frame))
    }
}

/// What a session is asked that has to do with who is there.
pub(super) enum PresenceRequest {
    /// To tell of these from now on.
    Watch(Vec<UserId>),
    /// To count as this.
    Set(Presence),
}

/// The requests of one session.
pub(super) struct Requests {
    node: Arc<Node>,
    who: Actor,
    /// Those under way. The writer answers in the order in which they came, so only the first is waited for.
    under_way: VecDeque<UnderWay>,
    /// The count that was asked for, from then until it is answered.
    count: Option<Count>,
}

/// A count on its way. It sees what stands before it, and nothing that stands behind it.
enum Count {
    /// The writes before it have no outcome yet.
    Waits(Box<Origin>),
    /// It is being read.
    Reads,
}

impl Requests {
    pub(super) fn new(node: Arc<Node>, who: Actor) -> Self {
        Self { node, who, under_way: VecDeque::new(), count: None }
    }

    /// Whose they are.
    pub(super) fn user(&self) -> UserId {
        self.who.user
    }

    /// Whether there is room for another. Nothing is taken behind a count until it is answered.
    pub(super) fn take_more(&self) -> bool {
        self.count.is_none() && self.under_way.len() < UNDER_WAY
    }

    pub(super) fn tally(&self, kind: &'static str) {
        self.node.metrics.frames_received.of(kind).inc();
    }

    /// Takes a frame.
    pub(super) async fn take(&mut self, text: &str) -> Taken {
        let Envelope { request_id, frame } = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.tally("invalid");
                return Taken::answered(ServerFrame::Error(error.into()));
            }
        };
        let kind = frame.name();
        self.tally(kind);
        match frame {
            ClientFrame::GetUnreadCount => {
                let origin = Origin { request_id, client_message_id: None };
                if let Err(wait) = self.node.limits.check_request(self.who.user) {
                    return Taken::answered(refusal(origin, &commands::too_fast("too many questions", wait)));
                }
                self.count = Some(Count::Waits(Box::new(origin)));
                self.count_if_settled();
                Taken::Accepted
            }
            ClientFrame::Ping => Taken::answered(ServerFrame::Pong { request_id }),
            ClientFrame::WatchPresence { user_ids } => {
                self.admit(PresenceRequest::Watch(user_ids), request_id)
            }
            ClientFrame::SetPresence { status } => self.admit(PresenceRequest::Set(status), request_id),
            frame => match self.ask(frame, request_id).instrument(taken(kind)).await {
                Some(answer) => Taken::answered(answer),
                None => Taken::Accepted,
            },
        }
    }

    /// What changes nothing in a mailbox is not for the writer.
    fn admit(&self, request: PresenceRequest, request_id: Option<RequestId>) -> Taken {
        match self.node.limits.check_request(self.who.user) {
            Ok(()) => Taken::Presence(request, request_id),
            Err(wait) => {
                let origin = Origin { request_id, client_message_id: None };
                Taken::answered(refusal(origin, &commands::too_fast("too many requests", wait)))
            }
        }
    }

    /// Order on the socket is kept while something is looked up: no other frame is read meanwhile.
    async fn ask(&mut self, frame: ClientFrame, request_id: Option<RequestId>) -> Option<ServerFrame> {
        let client_message_id = match &frame {
            ClientFrame::SendMessage(message) => message.client_message_id.clone(),
            _ => None,
        };
        let origin = Origin { request_id, client_message_id };
        match commands::prepare(&self.node, self.who, frame).await {
            Ok(Asked::Commands(commands)) => {
                for command in commands {
                    let refused = self.submit(command, origin.clone()).await;
                    if refused.is_some() {
                        return refused;
                    }
                }
                None
            }
            Ok(Asked::Done(entry)) => {
                let (reply, answer) = oneshot::channel();
                let _is_there = reply.send(Ok(Outcome::Repeated(entry)));
                self.wait_for(origin, WaitsFor::Outcome { answer, _span: Span::none() });
                None
            }
            Ok(Asked::Other(ClientFrame::Typing { to, is_typing })) => {
                let told = ephemeral::typing(&self.node, self.who, to, is_typing).await;
                told.err().map(|error| refusal(origin, &error))
            }
            // Whoever takes a frame has dealt with them.
            Ok(Asked::Other(_)) => None,
            Err(error) => Some(refusal(origin, &error)),
        }
    }

    async fn submit(&mut self, command: Command, origin: Origin) -> Option<ServerFrame> {
        match self.node.stop.run_until_cancelled(self.node.writer.submit(command)).await {
            Some(Ok(answer)) => {
                self.wait_for(origin, WaitsFor::Outcome { answer, _span: Span::current() });
                None
            }
            Some(Err(_)) | None => Some(refusal(origin, &commands::draining())),
        }
    }

    /// Reads the count when all earlier writes of the session have their outcome.
    fn count_if_settled(&mut self) {
        if self.under_way.is_empty()
            && let Some(Count::Waits(origin)) = self.count.take_if(|count| matches!(count, Count::Waits(_)))
        {
            self.count = Some(Count::Reads);
            let (hub, mailbox) = (self.node.source.hub.clone(), self.who.mailbox);
            self.wait_for(*origin, WaitsFor::Head(Box::pin(async move { hub.head(mailbox).await })));
        }
    }

    /// Waits for the first of those under way; for ever if there is none.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) fn answer(&mut self) -> impl Future<Output = Answer> {
        poll_fn(|context| self.poll_answer(context))
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        let Some(UnderWay { origin, waits_for }) = self.under_way.front_mut() else {
            return Poll::Pending;
        };
        let result = match waits_for {
            WaitsFor::Outcome { answer, .. } => {
                let answered = ready!(answer.poll_unpin(context));
                answered.map_err(|_closed| stopping()).flatten().map(Done::Wrote)
            }
            WaitsFor::Head(head) => ready!(head.poll_unpin(context)).map(Done::Counted),
        };
        let answer = Answer { origin: std::mem::take(origin), result };
        self.under_way.pop_front();
        if self.under_way.is_empty() {
            // A session at rest keeps no memory for those.
            self.under_way = VecDeque::new();
        }
        Poll::Ready(answer)
    }

    fn wait_for(&mut self, origin: Origin, waits_for: WaitsFor) {
        self.under_way.push_back(UnderWay { origin, waits_for });
    }

    /// What the session says of an answer. Nothing for a new entry: that comes through the mailbox.
    pub(super) fn settle(&mut self, Answer { origin, result }: Answer) -> Option<Reply> {
        if matches!(self.count, Some(Count::Reads)) {
            self.count = None;
        }
        self.count_if_settled();
        let error = match result {
            Ok(Done::Wrote(Outcome::Committed(_))) => return None,
            Ok(Done::Counted(head)) => {
                return Some(Reply::Count(head, origin.request_id));
            }
            Ok(Done::Wrote(Outcome::Repeated(entry))) => match repeat(&entry, origin.request_id.clone()) {
                Ok(text) => return Some(Reply::Text(text)),
                Err(_not_json) => ApiError::new(ErrorCode::Internal, "something broke here"),
            },
            Ok(Done::Wrote(Outcome::Refused(refusal))) => commands::explain(refusal),
            Err(_logged_by_the_writer) => commands::unknown_outcome(),
        };
        Some(Reply::Frame(Box::new(refusal(origin, &error))))
    }
}

/// From taking a frame until its outcome is there: where a trace begins.
fn taken(frame: &'static str) -> Span {
    tracing::debug_span!(target: "switchboard_node::session", parent: None, "session", otel.kind = "server", frame)
}

fn refusal(origin: Origin, error: &ApiError) -> ServerFrame {
    let Origin { request_id, client_message_id } = origin;
    let Problem { code, title, retry_after_ms, .. } = error.problem();
    let retry_after_ms = *retry_after_ms;
    ServerFrame::Error(ErrorFrame {
        request_id,
        client_message_id,
        retry_after_ms,
        ..ErrorFrame::new(*code, title)
    })
}
