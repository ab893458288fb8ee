//! What a user asks the writer for, whichever way it came: checked, then carried out.

use switchboard_protocol::client_frame::SendMessage;
use switchboard_protocol::{AttachmentId, ErrorCode, MessageId, UserId};
use switchboard_store::{Command, Entry, FileLabel, Outcome, Refusal, SendCommand, StoreError};

use crate::limits::RetryAfter;
use crate::problem::ApiError;
use crate::state::Node;
use crate::writer::WriterHandle;

/// The command that a message becomes.
///
/// # Errors
/// `rate_limited`, `store_unavailable`.
pub(crate) async fn send(node: &Node, sender: UserId, message: SendMessage) -> Result<Command, ApiError> {
    let SendMessage { recipient_id, subject, content, client_message_id, attachment_ids } = message;
    node.limits.check_message(sender).map_err(|wait| too_fast("too many messages", wait))?;
    let attachments = if attachment_ids.is_empty() {
        Vec::new()
    } else {
        let wanted = attachment_ids.clone();
        let found = node.with_store(|store| async move { store.find_uploads(sender, &wanted).await }).await?;
        attachment_ids.into_iter().map(|id| label(id, &found)).collect()
    };
    Ok(of_parts(sender, recipient_id, (subject, content), client_message_id, attachments))
}

/// What is known of a file. Of one that is not there only the id: the store refuses it, unless the message was sent
/// before and its files are gone with it.
fn label(id: AttachmentId, found: &[FileLabel]) -> FileLabel {
    let known = found.iter().find(|file| file.id == id).cloned();
    known.unwrap_or_else(|| FileLabel { id, filename: String::new(), size: 0, media_type: String::new() })
}

/// The same from what was checked before.
pub(crate) fn of_parts(
    sender: UserId,
    recipient: UserId,
    (subject, content): (String, String),
    client_message_id: Option<String>,
    attachments: Vec<FileLabel>,
) -> Command {
    Command::Send(SendCommand {
        sender,
        recipient,
        subject,
        content,
        client_message_id: client_message_id.unwrap_or_else(WriterHandle::generate_id),
        attachments,
    })
}

/// The command that reading a message becomes.
///
/// # Errors
/// `rate_limited`.
pub(crate) fn mark_read(node: &Node, reader: UserId, message: MessageId) -> Result<Command, ApiError> {
    node.limits.check_request(reader).map_err(|wait| too_fast("too many read marks", wait))?;
    Ok(Command::MarkRead { reader, messages: vec![message] })
}

/// The command that deleting a message becomes.
///
/// # Errors
/// `rate_limited`.
pub(crate) fn delete(node: &Node, actor: UserId, message: MessageId) -> Result<Command, ApiError> {
    node.limits.check_request(actor).map_err(|wait| too_fast("too many deletions", wait))?;
    Ok(Command::Delete { actor, message })
}

/// What came of a command that was not refused: the actor's entry.
pub(crate) enum Done {
    /// It was made now.
    Now(Entry),
    /// It was there before.
    Before(Entry),
}

impl Done {
    pub(crate) fn entry(&self) -> &Entry {
        let (Self::Now(entry) | Self::Before(entry)) = self;
        entry
    }
}

/// Has a command carried out, and waits for what comes of it. Goes on to its end if nobody waits any more.
///
/// # Errors
/// What it was refused for, and `store_unavailable` if the outcome is unknown.
pub(crate) async fn carry_out(node: &Node, command: Command) -> Result<Done, ApiError> {
    let answer = node.writer.submit(command).await;
    let answer = answer.map_err(|_stopping| draining())?;
    match answer.await {
        Ok(Ok(Outcome::Refused(refusal))) => Err(explain(refusal)),
        Ok(Ok(Outcome::Repeated(entry))) => Ok(Done::Before(entry)),
        Ok(Ok(Outcome::Committed(entries))) => entries.into_iter().next().map(Done::Now).ok_or_else(broken),
        // The writer has logged why.
        Ok(Err(_)) | Err(_) => Err(unknown_outcome()),
    }
}

/// What a client is told of a defect of ours.
pub(crate) fn broken() -> ApiError {
    ApiError::new(ErrorCode::Internal, "something broke here")
}

/// What a client is told by a node that stops.
pub(crate) fn draining() -> ApiError {
    ApiError::new(ErrorCode::Draining, "this node is going away")
}

/// What a client is told whose request may or may not have been done.
pub(crate) fn unknown_outcome() -> ApiError {
    let sentence = "the store did not answer: the outcome is unknown until the request is repeated";
    ApiError::new(ErrorCode::StoreUnavailable, sentence)
}

/// What a client is told of a refusal.
pub(crate) fn explain(refusal: Refusal) -> ApiError {
    let (code, sentence) = match refusal {
        Refusal::UnknownRecipient => (ErrorCode::UnknownRecipient, "there is no such recipient"),
        Refusal::NotFound => (ErrorCode::NotFound, "there is no such message"),
        Refusal::UnknownAttachment => {
            (ErrorCode::UnknownAttachment, "no file that you uploaded for a message has this id")
        }
        Refusal::ClientMessageIdReused => {
            (ErrorCode::ClientMessageIdReused, "this client message id names another message")
        }
        Refusal::Busy => (ErrorCode::StoreUnavailable, "the store could not do this now: repeat the request"),
        Refusal::Failed => (ErrorCode::Internal, "the store does not take this"),
    };
    ApiError::new(code, sentence)
}

pub(crate) fn too_fast(sentence: &str, wait: RetryAfter) -> ApiError {
    ApiError::new(ErrorCode::RateLimited, sentence).retry_after(wait)
}

/// The cause is in the log; the client is told that it may try again.
pub(crate) fn store_unavailable(error: &StoreError) -> ApiError {
    tracing::warn!("a request found the store out of reach: {error}");
    ApiError::new(ErrorCode::StoreUnavailable, "the store is out of reach")
}
