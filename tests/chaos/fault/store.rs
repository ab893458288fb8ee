//! What happens to Postgres, and to the disks under it and under the attachments.

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

use super::{Fault, Kind, Part, disk};
use crate::stack::Stack;

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trouble {
    /// All its processes are killed; it is started again at the end.
    Killed,
    /// All its processes stand still.
    Frozen,
    /// Somebody holds a lock on all messages.
    MessagesLocked,
    /// Every connection of the nodes is ended, again and again.
    BackendsTerminated { times: u64, every_ms: u64 },
    /// Idle connections of somebody else take what Postgres has.
    ConnectionsExhausted,
    /// Its disk is full.
    DiskFull,
    /// The disk of attachments is full.
    AttachmentsFull,
}

/// One of each.
pub(super) fn all() -> Vec<Fault> {
    let fault = |trouble, lasts_ms| Fault { kind: Kind::Store(trouble), lasts_ms };
    vec![
        fault(Trouble::Killed, 2_000),
        fault(Trouble::Frozen, 3_000),
        fault(Trouble::MessagesLocked, 4_000),
        fault(Trouble::BackendsTerminated { times: 4, every_ms: 400 }, 2_000),
        fault(Trouble::ConnectionsExhausted, 4_000),
        fault(Trouble::DiskFull, 4_000),
        fault(Trouble::AttachmentsFull, 4_000),
    ]
}

/// By which Postgres knows connections of ours; those of nodes say `switchboard`.
const OURS: &str = "fault";
const TERMINATE: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'switchboard'";

impl Trouble {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Killed => "postgres_killed",
            Self::Frozen => "postgres_frozen",
            Self::MessagesLocked => "postgres_messages_locked",
            Self::BackendsTerminated { .. } => "postgres_backends_terminated",
            Self::ConnectionsExhausted => "postgres_connections_exhausted",
            Self::DiskFull => "postgres_disk_full",
            Self::AttachmentsFull => "attachments_disk_full",
        }
    }

    pub(super) fn part(&self) -> Part {
        match self {
            Self::AttachmentsFull => Part::Attachments,
            _ => Part::Postgres,
        }
    }

    pub(super) fn obstacle(&self) -> Option<&'static str> {
        match self {
            Self::DiskFull | Self::AttachmentsFull => disk::obstacle(),
            _ => None,
        }
    }

    pub(super) async fn begin(&self, stack: &Stack, key: &str) -> anyhow::Result<()> {
        match self {
            Self::Killed => stack.kill_postgres().await,
            Self::Frozen => stack.freeze_postgres().await,
            Self::MessagesLocked => {
                let client = connect(stack).await?;
                client.batch_execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE").await?;
                stack.held().hold(key, client);
                Ok(())
            }
            Self::BackendsTerminated { times, every_ms } => {
                let client = connect(stack).await?;
                for _ in 0..*times {
                    client.batch_execute(TERMINATE).await?;
                    sleep(Duration::from_millis(*every_ms)).await;
                }
                Ok(())
            }
            Self::ConnectionsExhausted => exhaust_connections(stack, key).await,
            Self::DiskFull => stack.store_disk().context("Postgres has no disk of its own")?.fill(),
            Self::AttachmentsFull => {
                stack.attachments_disk().context("attachments have no disk of their own")?.fill()
            }
        }
    }

    pub(super) async fn end(&self, stack: &Stack) -> anyhow::Result<()> {
        match self {
            Self::Killed => revive(stack).await,
            Self::Frozen => stack.thaw_postgres().await,
            Self::MessagesLocked | Self::BackendsTerminated { .. } | Self::ConnectionsExhausted => Ok(()),
            Self::DiskFull => {
                stack.store_disk().map_or(Ok(()), super::Disk::free)?;
                // It ends by itself where it cannot write what it must.
                revive(stack).await
            }
            Self::AttachmentsFull => stack.attachments_disk().map_or(Ok(()), super::Disk::free),
        }
    }
}

async fn revive(stack: &Stack) -> anyhow::Result<()> {
    if connect(stack).await.is_err() { stack.restart_postgres().await } else { Ok(()) }
}

/// A connection past the proxy, which ends with the client.
async fn connect(stack: &Stack) -> anyhow::Result<Client> {
    let url = format!("{}?application_name={OURS}", stack.database_url());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    // Whoever asks learns from the answer that it has ended.
    tokio::spawn(async { drop(connection.await) });
    Ok(client)
}

/// Takes all that is free, then what the nodes have: as much of it as we are quicker than they.
async fn exhaust_connections(stack: &Stack, key: &str) -> anyhow::Result<()> {
    let first = connect(stack).await?;
    for _ in 0..2 {
        while let Ok(client) = connect(stack).await {
            stack.held().hold(key, client);
        }
        first.batch_execute(TERMINATE).await?;
    }
    stack.held().hold(key, first);
    Ok(())
}
