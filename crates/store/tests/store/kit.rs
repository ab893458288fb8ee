//! What the tests of accounts, attachments and lists do by the way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use switchboard_protocol::{MessageId, Timestamp, UserId};
use switchboard_store::{Account, Command, Event, FileLabel, Outcome, SendCommand, Store};
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
    Command::Send(SendCommand {
        sender: UserId(sender),
        recipient: UserId(recipient),
        subject: String::new(),
        content: content.to_owned(),
        client_message_id: format!("{content}-{recipient}"),
        attachments,
    })
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
    match commit(store, vec![sending(sender, recipient, content, attachments)]).await?.remove(0) {
        Outcome::Committed(entries) => match &entries[0].event {
            Event::Sent(message) => Ok(message.id),
            other => bail!("not sent: {other:?}"),
        },
        other => bail!("not committed: {other:?}"),
    }
}

pub(crate) async fn read(store: &Store, reader: i64, messages: &[MessageId]) -> anyhow::Result<()> {
    let read = Command::MarkRead { reader: UserId(reader), messages: messages.to_vec() };
    committed(commit(store, vec![read]).await?)
}

pub(crate) async fn delete(store: &Store, actor: i64, message: MessageId) -> anyhow::Result<()> {
    committed(commit(store, vec![Command::Delete { actor: UserId(actor), message }]).await?)
}

fn committed(outcomes: Vec<Outcome>) -> anyhow::Result<()> {
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
