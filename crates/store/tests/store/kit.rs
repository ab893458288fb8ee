//! What the tests of accounts, attachments and lists do by the way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use switchboard_protocol::{ConversationId, MessageId, Target, Timestamp, UserId};
use switchboard_store::{
    Account, Command, Edit, Event, FileLabel, GroupAct, Outcome, OwnAct, SendCommand, Store,
};
use tokio::time::Instant;

pub(crate) async fn account(store: &Store, user: i64) -> anyhow::Result<Account> {
    store.find_account(UserId(user)).await?.context("no such user")
}

/// A point in time so many seconds from now.
pub(crate) fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp(Timestamp::now().0 + seconds * 1_000_000)
}

pub(crate) async fn commit(store: &Store, commands: Vec<Command>) -> anyhow::Result<Vec<Outcome>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    Ok(store.committer().commit(Arc::from(commands), deadline).await?)
}

pub(crate) fn sending(sender: i64, recipient: i64, content: &str, attachments: Vec<FileLabel>) -> Command {
    Command::Send(message(sender, UserId(recipient).into(), content, attachments))
}

/// A message that answers nothing and names nobody.
pub(crate) fn message(sender: i64, to: Target, content: &str, attachments: Vec<FileLabel>) -> SendCommand {
    let (Target::User(UserId(id)) | Target::Conversation(ConversationId(id))) = to;
    SendCommand {
        sender: UserId(sender),
        to,
        subject: String::new(),
        content: content.to_owned(),
        client_message_id: format!("{content}-{id}"),
        attachments,
        reply_to: None,
        mentions: Vec::new(),
        only_in_groups: false,
    }
}

/// Another text, from within a minute, the one before kept.
pub(crate) fn edit(actor: i64, message: MessageId, content: &str) -> Edit {
    Edit {
        actor: UserId(actor),
        message,
        subject: None,
        content: content.to_owned(),
        within: 60_000_000,
        keep: true,
        only_in_groups: false,
    }
}

pub(crate) fn editing(actor: i64, message: MessageId, content: &str) -> Command {
    Command::Edit(edit(actor, message, content))
}

pub(crate) fn reacting(actor: i64, message: MessageId, reaction: &str, is_set: bool) -> Command {
    let (actor, reaction) = (UserId(actor), reaction.to_owned());
    Command::React { actor, message, reaction, is_set, only_in_groups: false }
}

pub(crate) async fn send(
    store: &Store,
    sender: i64,
    recipient: i64,
    content: &str,
) -> anyhow::Result<MessageId> {
    send_files(store, sender, recipient, content, Vec::new()).await
}

pub(crate) async fn send_files(
    store: &Store,
    sender: i64,
    recipient: i64,
    content: &str,
    attachments: Vec<FileLabel>,
) -> anyhow::Result<MessageId> {
    sent(store, message(sender, UserId(recipient).into(), content, attachments)).await
}

pub(crate) async fn send_to_group(
    store: &Store,
    sender: i64,
    group: ConversationId,
    content: &str,
) -> anyhow::Result<MessageId> {
    sent(store, message(sender, group.into(), content, Vec::new())).await
}

/// Sends a message and answers with its id.
pub(crate) async fn sent(store: &Store, send: SendCommand) -> anyhow::Result<MessageId> {
    match commit(store, vec![Command::Send(send)]).await?.remove(0) {
        Outcome::Committed(entries) => match &entries[0].event {
            Event::Sent(message) => Ok(message.id),
            other => bail!("not sent: {other:?}"),
        },
        other => bail!("not committed: {other:?}"),
    }
}

/// Makes a group of its owner and others, by their ids, under a title that no other group of the owner has.
pub(crate) async fn make_group(
    store: &Store,
    owner: i64,
    title: &str,
    others: &[i64],
) -> anyhow::Result<ConversationId> {
    let act = GroupAct::Create {
        title: title.to_owned(),
        members: others.iter().copied().map(UserId).collect(),
        client_conversation_id: title.to_owned(),
    };
    let create = Command::Group { actor: UserId(owner), act, only_in_groups: false };
    match commit(store, vec![create]).await?.remove(0) {
        Outcome::Committed(entries) => match entries[0].event {
            Event::Group { group, .. } => Ok(group),
            ref other => bail!("no group: {other:?}"),
        },
        other => bail!("not committed: {other:?}"),
    }
}

/// Changes a group.
pub(crate) async fn change_group(store: &Store, actor: i64, act: GroupAct) -> anyhow::Result<()> {
    let change = Command::Group { actor: UserId(actor), act, only_in_groups: false };
    committed(commit(store, vec![change]).await?)
}

pub(crate) async fn leave(store: &Store, user: i64, group: ConversationId) -> anyhow::Result<()> {
    change_group(store, user, GroupAct::Remove { group, user: UserId(user) }).await
}

/// Changes what is a user's own.
pub(crate) async fn set_own(store: &Store, user: i64, act: OwnAct) -> anyhow::Result<()> {
    committed(commit(store, vec![Command::Own { user: UserId(user), act }]).await?)
}

pub(crate) async fn read(store: &Store, reader: i64, messages: &[MessageId]) -> anyhow::Result<()> {
    let read = Command::MarkRead { reader: UserId(reader), messages: messages.to_vec() };
    committed(commit(store, vec![read]).await?)
}

pub(crate) async fn delete(store: &Store, actor: i64, message: MessageId) -> anyhow::Result<()> {
    committed(commit(store, vec![Command::Delete { actor: UserId(actor), message }]).await?)
}

pub(crate) fn committed(outcomes: Vec<Outcome>) -> anyhow::Result<()> {
    match &outcomes[0] {
        Outcome::Committed(_) => Ok(()),
        other => bail!("not committed: {other:?}"),
    }
}

/// A file of that name that the user has uploaded.
pub(crate) async fn upload(store: &Store, uploader: i64, filename: &str) -> anyhow::Result<FileLabel> {
    let key = format!("key-of-{filename}");
    let id = store.register_upload(UserId(uploader), filename, &key, 100).await?.context("there is room")?;
    store.finish_upload(id, 5, "image/png", "abc").await?.context("the upload was given up")
}
