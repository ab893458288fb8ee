//! What happens to Redis.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Fault, Kind};
use crate::harness::{DEADLINE, eventually};
use crate::stack::Stack;

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trouble {
    /// It is killed, and started again at the end, empty.
    Killed,
    /// It stands still.
    Frozen,
    /// It answers nobody for a while (`CLIENT PAUSE`).
    Paused,
    /// It cuts every subscriber, again and again.
    SubscribersCut { times: u64, every_ms: u64 },
    /// It cuts whoever has more than this waiting, and there is a burst.
    BufferSmall { bytes: u64 },
    /// It cuts every subscriber and lets nobody subscribe; what is published goes to no one.
    SubscribeDenied,
    /// The same, and nobody may publish.
    ChannelsDenied,
    /// It has no memory for anything, clients included.
    OutOfMemory,
    /// It refuses every command, as it does while it loads (here for a script that does not end).
    Busy,
}

/// One of each.
pub(super) fn all() -> Vec<Fault> {
    let fault = |trouble, lasts_ms| Fault { kind: Kind::Layer(trouble), lasts_ms };
    vec![
        fault(Trouble::Killed, 2_000),
        fault(Trouble::Frozen, 3_000),
        fault(Trouble::Paused, 3_000),
        fault(Trouble::SubscribersCut { times: 5, every_ms: 300 }, 2_000),
        fault(Trouble::BufferSmall { bytes: 4_096 }, 3_000),
        fault(Trouble::SubscribeDenied, 4_000),
        fault(Trouble::ChannelsDenied, 4_000),
        fault(Trouble::OutOfMemory, 3_000),
        fault(Trouble::Busy, 3_000),
    ]
}

/// Connections that say nothing, some kilobytes each at Redis, where 128 KiB are the least that clients may have.
const IDLE: usize = 20;
/// As Redis has it by default, for subscribers.
const BUFFER: &str = "pubsub 33554432 8388608 60";
/// After how many milliseconds of a script Redis refuses everything else.
const BUSY: &str = "busy-reply-threshold";
/// How long everybody waits, so that what they sent in the meantime comes in one burst.
const BURST: &str = "700";

impl Trouble {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Killed => "redis_killed",
            Self::Frozen => "redis_frozen",
            Self::Paused => "redis_paused",
            Self::SubscribersCut { .. } => "redis_subscribers_cut",
            Self::BufferSmall { .. } => "redis_buffer_small",
            Self::SubscribeDenied => "redis_subscribe_denied",
            Self::ChannelsDenied => "redis_channels_denied",
            Self::OutOfMemory => "redis_out_of_memory",
            Self::Busy => "redis_busy",
        }
    }

    pub(super) async fn begin(&self, stack: &Stack, lasts: Duration, key: &str) -> anyhow::Result<()> {
        match self {
            Self::Killed => stack.kill_redis().await,
            Self::Frozen => stack.freeze_redis().await,
            Self::Paused => tell(stack, &["CLIENT", "PAUSE", &lasts.as_millis().to_string(), "ALL"]).await,
            Self::SubscribersCut { times, every_ms } => {
                for _ in 0..*times {
                    cut_subscribers(stack).await?;
                    sleep(Duration::from_millis(*every_ms)).await;
                }
                Ok(())
            }
            Self::BufferSmall { bytes } => {
                let limit = format!("pubsub {bytes} 0 0");
                tell(stack, &["CONFIG", "SET", "client-output-buffer-limit", &limit]).await?;
                tell(stack, &["CLIENT", "PAUSE", BURST, "ALL"]).await
            }
            Self::SubscribeDenied => {
                tell(stack, &["ACL", "SETUSER", "default", "-subscribe"]).await?;
                cut_subscribers(stack).await
            }
            Self::ChannelsDenied => {
                tell(stack, &["ACL", "SETUSER", "default", "resetchannels"]).await?;
                cut_subscribers(stack).await
            }
            Self::OutOfMemory => {
                // Idle ones of ours take what it has left for clients; it cuts the largest, and those are the nodes'.
                for _ in 0..IDLE {
                    stack.held().hold(key, connect(stack).await?);
                }
                tell(stack, &["CONFIG", "SET", "maxmemory", "1", "maxmemory-clients", "1"]).await
            }
            Self::Busy => {
                tell(stack, &["CONFIG", "SET", BUSY, "50"]).await?;
                let mut stream = connect(stack).await?;
                stream.write_all(b"EVAL \"while true do end\" 0\r\n").await?;
                stack.held().hold(key, stream);
                Ok(())
            }
        }
    }

    pub(super) async fn end(&self, stack: &Stack) -> anyhow::Result<()> {
        match self {
            Self::Killed if !answers(stack).await => stack.restart_redis().await?,
            Self::Frozen => stack.thaw_redis().await?,
            // The pause ends by itself: while it lasts, not even its end is heard.
            Self::Killed | Self::Paused | Self::SubscribersCut { .. } => {}
            Self::BufferSmall { .. } => {
                tell(stack, &["CONFIG", "SET", "client-output-buffer-limit", BUFFER]).await?;
            }
            Self::SubscribeDenied => tell(stack, &["ACL", "SETUSER", "default", "+subscribe"]).await?,
            Self::ChannelsDenied => tell(stack, &["ACL", "SETUSER", "default", "allchannels"]).await?,
            Self::OutOfMemory => {
                tell(stack, &["CONFIG", "SET", "maxmemory", "0", "maxmemory-clients", "0"]).await?;
            }
            Self::Busy => {
                // It says so if there is no script.
                stack.redis_command(&["SCRIPT", "KILL"]).await?;
            }
        }
        let is_back = async || Ok(answers(stack).await.then_some(()));
        eventually("Redis answers", DEADLINE, is_back).await?;
        if *self == Self::Busy {
            tell(stack, &["CONFIG", "SET", BUSY, "5000"]).await?;
        }
        Ok(())
    }
}

async fn answers(stack: &Stack) -> bool {
    stack.redis_command(&["PING"]).await.is_ok_and(|answer| answer == "+PONG")
}

/// One command that must be carried out.
async fn tell(stack: &Stack, words: &[&str]) -> anyhow::Result<()> {
    let answer = stack.redis_command(words).await?;
    ensure!(answer == "+OK", "{words:?}: {answer}");
    Ok(())
}

async fn cut_subscribers(stack: &Stack) -> anyhow::Result<()> {
    let answer = stack.redis_command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?;
    ensure!(answer.starts_with(':'), "subscribers are not cut: {answer}");
    Ok(())
}

async fn connect(stack: &Stack) -> anyhow::Result<TcpStream> {
    let url = stack.redis_url();
    let address = url.strip_prefix("redis://").context("not a URL of Redis")?;
    Ok(TcpStream::connect(address.trim_end_matches('/')).await?)
}
