//! What a session asks for, on its way to the writer and back.

use bytestring::ByteString;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use switchboard_protocol::client_frame::SendMessage;
use switchboard_protocol::{
    ClientFrame, Envelope, ErrorCode, ErrorFrame, MailboxId, RequestId, ServerFrame, UserId,
};
use switchboard_store::{Command, Head, Outcome, Refusal, SendCommand, StoreError};

use crate::hub::stopping;
use crate::limits::RetryAfter;
use crate::metrics::Kind;
use crate::packet::repeat;
use crate::state::Node;
use crate::writer::WriterHandle;

/// Requests of one session under way. Its next frame is read when there is room again.
const UNDER_WAY: usize = 64;

/// What a request is known by.
#[derive(Clone, Default)]
struct Origin {
    request_id: Option<RequestId>,
    client_message_id: Option<String>,
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

/// The requests of one session.
pub(super) struct Requests<'a> {
    node: &'a Node,
    user: UserId,
    mailbox: MailboxId,
    /// What comes of those under way.
    pub(super) answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// The count that was asked for, from then until it is answered.
    count: Option<Count>,
}

/// A count on its way. It sees what stands before it, and nothing that stands behind it.
enum Count {
    /// The writes before it have no outcome yet.
    Waits(Origin),
    /// It is being read.
    Reads,
}

impl<'a> Requests<'a> {
    pub(super) fn new(node: &'a Node, user: UserId, mailbox: MailboxId) -> Self {
        Self { node, user, mailbox, answers: FuturesUnordered::new(), count: None }
    }

    /// Whether there is room for another. Nothing is taken behind a count until it is answered.
    pub(super) fn take_more(&self) -> bool {
        self.count.is_none() && self.answers.len() < UNDER_WAY
    }

    pub(super) fn tally(&self, kind: &'static str) {
        self.node.metrics.frames_received.get_or_create(&Kind { kind }).inc();
    }

    /// Takes a frame. Gives the answer if there is one at once.
    pub(super) async fn take(&mut self, text: &str) -> Option<ServerFrame> {
        let Envelope { request_id, frame } = match Envelope::parse(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.tally("invalid");
                return Some(ServerFrame::Error(error.into()));
            }
        };
        match frame {
            ClientFrame::SendMessage(message) => {
                self.tally("send_message");
                self.send(message, request_id).await
            }
            ClientFrame::MarkAsRead { message_id } => {
                self.tally("mark_as_read");
                let origin = Origin { request_id, client_message_id: None };
                if let Err(wait) = self.node.limits.check_request(self.user) {
                    return Some(too_fast(origin, "too many read marks", wait));
                }
                self.submit(Command::MarkRead { reader: self.user, message: message_id }, origin).await
            }
            ClientFrame::GetUnreadCount => {
                self.tally("get_unread_count");
                let origin = Origin { request_id, client_message_id: None };
                if let Err(wait) = self.node.limits.check_request(self.user) {
                    return Some(too_fast(origin, "too many questions", wait));
                }
                self.count = Some(Count::Waits(origin));
                self.count_if_settled();
                None
            }
            ClientFrame::Ping => {
                self.tally("ping");
                Some(ServerFrame::Pong { request_id })
            }
        }
    }

    async fn send(&mut self, message: SendMessage, request_id: Option<RequestId>) -> Option<ServerFrame> {
        let SendMessage { recipient_id, subject, content, client_message_id } = message;
        let origin = Origin { request_id, client_message_id: client_message_id.clone() };
        if let Err(wait) = self.node.limits.check_message(self.user) {
            return Some(too_fast(origin, "too many messages", wait));
        }
        let command = Command::Send(SendCommand {
            sender: self.user,
            recipient: recipient_id,
            subject,
            content,
            client_message_id: client_message_id.unwrap_or_else(WriterHandle::generate_id),
        });
        self.submit(command, origin).await
    }

    async fn submit(&mut self, command: Command, origin: Origin) -> Option<ServerFrame> {
        match self.node.stop.run_until_cancelled(self.node.writer.submit(command)).await {
            Some(Ok(answer)) => {
                self.answers.push(Box::pin(async move {
                    let result = answer.await.map_err(|_closed| stopping()).and_then(|result| result);
                    Answer { origin, result: result.map(Done::Wrote) }
                }));
                None
            }
            Some(Err(_)) | None => {
                Some(ServerFrame::Error(refusal(origin, ErrorCode::Draining, "this node is going away")))
            }
        }
    }

    /// Reads the count when all earlier writes of the session have their outcome.
    fn count_if_settled(&mut self) {
        if self.answers.is_empty()
            && let Some(Count::Waits(origin)) = self.count.take_if(|count| matches!(count, Count::Waits(_)))
        {
            self.count = Some(Count::Reads);
            let (hub, mailbox) = (self.node.source.hub.clone(), self.mailbox);
            self.answers.push(Box::pin(async move {
                Answer { origin, result: hub.head(mailbox).await.map(Done::Counted) }
            }));
        }
    }

    /// What the session says of an answer. Nothing for a new entry: that comes through the mailbox.
    pub(super) fn settle(&mut self, Answer { origin, result }: Answer) -> Option<Reply> {
        if matches!(self.count, Some(Count::Reads)) {
            self.count = None;
        }
        self.count_if_settled();
        let (code, sentence) = match result {
            Ok(Done::Wrote(Outcome::Committed(_))) => return None,
            Ok(Done::Counted(head)) => {
                return Some(Reply::Count(head, origin.request_id));
            }
            Ok(Done::Wrote(Outcome::Repeated(entry))) => match repeat(&entry, origin.request_id.clone()) {
                Ok(text) => return Some(Reply::Text(text)),
                Err(_not_json) => (ErrorCode::Internal, "something broke here"),
            },
            Ok(Done::Wrote(Outcome::Refused(refusal))) => explain(refusal),
            Err(_logged_by_the_writer) => (
                ErrorCode::StoreUnavailable,
                "the store did not answer: the outcome is unknown until the request is repeated",
            ),
        };
        Some(Reply::Frame(Box::new(ServerFrame::Error(refusal(origin, code, sentence)))))
    }
}

/// What a client is told of a refusal.
fn explain(refusal: Refusal) -> (ErrorCode, &'static str) {
    match refusal {
        Refusal::UnknownRecipient => (ErrorCode::UnknownRecipient, "there is no such recipient"),
        Refusal::NotFound => (ErrorCode::NotFound, "no message that you received has this id"),
        Refusal::ClientMessageIdReused => {
            (ErrorCode::ClientMessageIdReused, "this client message id names another message")
        }
        Refusal::Busy => (ErrorCode::StoreUnavailable, "the store could not do this now: repeat the request"),
        Refusal::Failed => (ErrorCode::Internal, "the store does not take this"),
    }
}

fn refusal(origin: Origin, code: ErrorCode, sentence: &str) -> ErrorFrame {
    let Origin { request_id, client_message_id } = origin;
    ErrorFrame { request_id, client_message_id, ..ErrorFrame::new(code, sentence) }
}

fn too_fast(origin: Origin, sentence: &str, wait: RetryAfter) -> ServerFrame {
    let retry_after_ms = Some(wait.ms);
    ServerFrame::Error(ErrorFrame { retry_after_ms, ..refusal(origin, ErrorCode::RateLimited, sentence) })
}
