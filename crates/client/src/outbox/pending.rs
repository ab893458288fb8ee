//! A request, by what its answer is known, and who waits for it.

use switchboard_protocol::client_frame::ClientFrame;
use switchboard_protocol::{ErrorFrame, MessageId, RequestId, ServerFrame, UserId};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::matching::{is_done_by, request_id};
use crate::{Acknowledged, RequestError};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, RequestError>>;

/// What a handle asks of the task.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) frame: ClientFrame,
    pub(crate) awaiting: Awaiting,
}

/// By what the answer is known, and who waits for it.
#[derive(Debug)]
pub(crate) enum Awaiting {
    Sent {
        client_message_id: String,
        reply: Reply<Acknowledged>,
    },
    Read {
        message_id: MessageId,
        reply: Reply<()>,
    },
    Unread {
        reply: Reply<i64>,
    },
    /// Whatever the frame asks for.
    Done {
        frame: Box<ClientFrame>,
        reply: Reply<ServerFrame>,
    },
    /// Nobody waits: it is forgotten once it is written.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Pending {
    /// Its place in the order of requests, and its `request_id`.
    pub(super) number: i64,
    pub(super) text: Utf8Bytes,
    pub(super) awaiting: Awaiting,
    pub(super) refusals: u32,
}

impl Pending {
    pub(super) fn is_named_by(&self, error: &ErrorFrame) -> bool {
        match (&error.request_id, &self.awaiting) {
            (Some(id), _) => *id == RequestId::Number(self.number),
            (None, Awaiting::Sent { client_message_id, .. }) => {
                error.client_message_id.as_ref() == Some(client_message_id)
            }
            (None, _) => false,
        }
    }

    /// Whether it was asked for as a frame, and this says that it is done.
    pub(super) fn is_done_by(&self, frame: &ServerFrame, user: UserId) -> bool {
        let Awaiting::Done { frame: asked, .. } = &self.awaiting else {
            return false;
        };
        match request_id(frame) {
            Some(id) => *id == RequestId::Number(self.number),
            None => is_done_by(asked, frame, user),
        }
    }

    pub(super) fn answer(self, frame: &ServerFrame) {
        // A failed `send` on a reply means that nobody waits any longer, here and below.
        match (self.awaiting, frame) {
            (Awaiting::Sent { reply, .. }, ServerFrame::MessageSent { seq, message_id, repeat, .. }) => {
                let (seq, message_id, repeat, refusals) = (*seq, *message_id, *repeat, self.refusals);
                let _ = reply.send(Ok(Acknowledged { message_id, seq, repeat, refusals }));
            }
            (Awaiting::Read { reply, .. }, ServerFrame::MessageRead { .. }) => {
                let _ = reply.send(Ok(()));
            }
            (Awaiting::Unread { reply }, ServerFrame::UnreadCount { unread_count, .. }) => {
                let _ = reply.send(Ok(*unread_count));
            }
            (awaiting, ServerFrame::Error(error)) => awaiting.refuse(error.clone()),
            (Awaiting::Done { reply, .. }, frame) => {
                let _ = reply.send(Ok(frame.clone()));
            }
            // Dropping the reply says that the outcome is unknown. No node mixes up its own request ids.
            _ => {}
        }
    }
}

impl Awaiting {
    pub(super) fn refuse(self, error: ErrorFrame) {
        let error = RequestError::Refused(error);
        let _nobody_waits = match self {
            Self::Sent { reply, .. } => reply.send(Err(error)).is_err(),
            Self::Read { reply, .. } => reply.send(Err(error)).is_err(),
            Self::Unread { reply } => reply.send(Err(error)).is_err(),
            Self::Done { reply, .. } => reply.send(Err(error)).is_err(),
            Self::Nothing => true,
        };
    }
}
