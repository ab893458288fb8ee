//! What a user asks the writer for, whichever way it came: checked, then carried out.

use switchboard_protocol::client_frame::{
    CreateGroup, EditMessage, ReadMark, SendMessage, SetConversation, SetReaction,
};
use switchboard_protocol::{AttachmentId, ClientFrame, ErrorCode, MailboxId, UserId};
use switchboard_store::{
    Command, Edit, Entry, Event, FileLabel, GroupAct, Outcome, OwnAct, Refusal, SendCommand, StoreError,
};

use crate::limits::RetryAfter;
use crate::problem::ApiError;
use crate::state::Node;
use crate::writer::WriterHandle;

/// The command that a message becomes.
///
/// # Errors
/// `rate_limited`, `store_unavailable`.
pub(crate) async fn send(node: &Node, sender: UserId, message: SendMessage) -> Result<Command, ApiError> {
    node.limits.check_message(sender).map_err(|wait| too_fast("too many messages", wait))?;
    let wanted = &message.attachment_ids;
    let attachments = if wanted.is_empty() {
        Vec::new()
    } else {
        let asked = wanted.clone();
        let found = node.with_store(|store| async move { store.find_uploads(sender, &asked).await }).await?;
        wanted.iter().map(|id| label(*id, &found)).collect()
    };
    Ok(of_parts(node, sender, message, attachments))
}

/// The same, with what is known of its files.
pub(crate) fn of_parts(
    node: &Node,
    sender: UserId,
    message: SendMessage,
    attachments: Vec<FileLabel>,
) -> Command {
    let SendMessage { to, subject, content, client_message_id, reply_to_id, mention_ids, .. } = message;
    Command::Send(SendCommand {
        sender,
        to,
        subject,
        content,
        client_message_id: client_message_id.unwrap_or_else(WriterHandle::generate_id),
        attachments,
        reply_to: reply_to_id,
        mentions: mention_ids,
        only_in_groups: node.settings.only_in_groups,
    })
}

/// What is known of a file. Of one that is not there only the id: the store refuses it, unless the message was sent
/// before and its files are gone with it.
fn label(id: AttachmentId, found: &[FileLabel]) -> FileLabel {
    let known = found.iter().find(|file| file.id == id).cloned();
    known.unwrap_or_else(|| FileLabel { id, filename: String::new(), size: 0, media_type: String::new() })
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    /// The user.
    pub(crate) user: UserId,
    /// Their mailbox.
    pub(crate) mailbox: MailboxId,
}

/// What a frame asks the writer for.
pub(crate) enum Asked {
    /// These, in order; the last answers.
    Commands(Vec<Command>),
    /// Nothing: it is so already. As an entry that was there before.
    Done(Entry),
    /// It is nothing for the writer.
    Other(ClientFrame),
}

/// What a frame becomes. Whether the user may do it is for the store to say.
///
/// # Errors
/// `rate_limited`, `not_found`, `store_unavailable`.
pub(crate) async fn prepare(node: &Node, who: Actor, frame: ClientFrame) -> Result<Asked, ApiError> {
    let actor = who.user;
    match frame {
        ClientFrame::SendMessage(message) => Ok(Asked::Commands(vec![send(node, actor, message).await?])),
        ClientFrame::MarkAsRead(mark) => {
            node.limits.check_request(actor).map_err(|wait| too_fast("too many requests", wait))?;
            mark_read(node, who, mark).await
        }
        frame => {
            let asked = change(node, actor, frame);
            if let Asked::Commands(commands) = &asked {
                commands.iter().try_for_each(|command| charge(node, command))?;
            }
            Ok(asked)
        }
    }
}

/// Takes from the buckets of who asks what a command costs.
fn charge(node: &Node, command: &Command) -> Result<(), ApiError> {
    let (actor, limits) = (command.actor(), &node.limits);
    match command {
        // Either writes a text, and an entry for each who has the message.
        Command::Send(_) | Command::Edit(_) => {
            limits.check_message(actor).map_err(|wait| too_fast("too many messages", wait))
        }
        Command::Group { .. } | Command::Own { .. } => {
            limits.check_change(actor).map_err(|wait| too_fast("too many requests", wait))
        }
        Command::MarkRead { .. } | Command::Delete { .. } | Command::React { .. } => {
            limits.check_request(actor).map_err(|wait| too_fast("too many requests", wait))
        }
    }
}

/// What any other frame becomes.
fn change(node: &Node, actor: UserId, frame: ClientFrame) -> Asked {
    let only_in_groups = node.settings.only_in_groups;
    let group = |act| Command::Group { actor, act, only_in_groups };
    let own = |act| Command::Own { user: actor, act };
    let command = match frame {
        ClientFrame::EditMessage(EditMessage { message_id, content, subject }) => Command::Edit(Edit {
            actor,
            message: message_id,
            subject,
            content,
            within: node.settings.edit_within,
            keep: node.settings.keep_versions,
            only_in_groups,
        }),
        ClientFrame::DeleteMessage { message_id } => Command::Delete { actor, message: message_id },
        ClientFrame::SetReaction(SetReaction { message_id, reaction, is_set }) => {
            Command::React { actor, message: message_id, reaction, is_set, only_in_groups }
        }
        ClientFrame::CreateGroup(CreateGroup { title, mut member_ids, client_conversation_id }) => {
            member_ids.retain(|member| *member != actor);
            let client_conversation_id = client_conversation_id.unwrap_or_else(WriterHandle::generate_id);
            group(GroupAct::Create { title, members: member_ids, client_conversation_id })
        }
        ClientFrame::SetTitle { conversation_id, title } => {
            group(GroupAct::Title { group: conversation_id, title })
        }
        ClientFrame::AddMembers { conversation_id, user_ids } => {
            group(GroupAct::Add { group: conversation_id, users: user_ids })
        }
        ClientFrame::RemoveMember { conversation_id, user_id } => {
            group(GroupAct::Remove { group: conversation_id, user: user_id })
        }
        ClientFrame::SetRole { conversation_id, user_id, role } => {
            group(GroupAct::Role { group: conversation_id, user: user_id, role })
        }
        ClientFrame::SetConversation(SetConversation { conversation_id, is_muted, is_archived, draft }) => {
            own(OwnAct::Conversation { conversation: conversation_id, is_muted, is_archived, draft })
        }
        ClientFrame::SetBlock { user_id, is_blocked } => {
            own(OwnAct::Block { user: user_id, is_blocked, only_in_groups })
        }
        ClientFrame::SetReceipts { send_receipts } => own(OwnAct::Receipts { send: send_receipts }),
        // By name, so that a new frame is thought of here.
        frame @ (ClientFrame::SendMessage(_)
        | ClientFrame::MarkAsRead(_)
        | ClientFrame::Typing { .. }
        | ClientFrame::WatchPresence { .. }
        | ClientFrame::SetPresence { .. }
        | ClientFrame::GetUnreadCount
        | ClientFrame::Ping) => return Asked::Other(frame),
    };
    Asked::Commands(vec![command])
}

/// Messages that one mark may take at most; a client that has more marks again.
const MOST_MARKED: i64 = 10_000;

/// Of a conversation, those are marked that are there when this is asked for. What comes later has a higher id than what
/// the reader has seen.
async fn mark_read(node: &Node, who: Actor, mark: ReadMark) -> Result<Asked, ApiError> {
    let Actor { user: reader, mailbox } = who;
    let (conversation, up_to) = match mark {
        ReadMark::Message { message_id } => {
            return Ok(Asked::Commands(vec![Command::MarkRead { reader, messages: vec![message_id] }]));
        }
        ReadMark::UpTo { conversation_id, up_to } => (conversation_id, up_to),
    };
    let unread = node
        .with_store(|store| async move {
            store.unread_up_to(reader, mailbox, conversation, up_to, MOST_MARKED).await
        })
        .await?
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no such conversation"))?;
    if unread.is_empty() {
        let head = node.source.hub.head(mailbox).await.map_err(|error| store_unavailable(&error))?;
        let event = Event::Read { messages: vec![up_to] };
        return Ok(Asked::Done(Entry { mailbox, seq: head.last_seq, unread: head.unread, event }));
    }
    let of_some = |messages: &[_]| Command::MarkRead { reader, messages: messages.to_vec() };
    Ok(Asked::Commands(unread.chunks(Command::MOST_READ).map(of_some).collect()))
}

/// Has a frame carried out that changes something, and waits for what comes of it.
///
/// # Errors
/// What it was refused for.
pub(crate) async fn act(node: &Node, who: Actor, frame: ClientFrame) -> Result<Done, ApiError> {
    let commands = match prepare(node, who, frame).await? {
        Asked::Commands(commands) => commands,
        Asked::Done(entry) => return Ok(Done::Before(entry)),
        Asked::Other(_) => return Err(broken()),
    };
    let mut done = None;
    for command in commands {
        done = Some(carry_out(node, command).await?);
    }
    done.ok_or_else(broken)
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
        Refusal::NotFound => (ErrorCode::NotFound, "there is no such message or conversation"),
        Refusal::NotOwner => (ErrorCode::NotOwner, "only an owner of the group may do this"),
        Refusal::GroupFull => (ErrorCode::GroupFull, "a group may have 100 members"),
        Refusal::TooManyGroups => {
            (ErrorCode::TooManyGroups, "somebody would be a member of more than 1000 groups")
        }
        Refusal::TooManyBlocks => (ErrorCode::TooManyBlocks, "a user may block 1000 others"),
        Refusal::TooLate => (ErrorCode::EditTooLate, "the message is too old to be changed"),
        Refusal::Empty => (ErrorCode::EmptyMessage, "a message needs content or an attachment"),
        Refusal::TooManyReactions => {
            (ErrorCode::TooManyReactions, "there are too many of your reactions on it")
        }
        Refusal::UnknownMention => (ErrorCode::UnknownMention, "somebody is mentioned who is no member"),
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
