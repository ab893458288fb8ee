//! What an operator is told about Redis, and that it holds no secret.

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use switchboard_channel_layer::{Channel, ConfigError, RedisReport, inspect_redis};

use crate::kit::{Node, trial};
use crate::servers::Redis;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("redis::inspection", inspection),
        trial("redis::inspection_of_what_does_not_answer", no_answer),
        trial("redis::unsupported_url", unsupported_url),
    ]
}

async fn inspection() -> anyhow::Result<()> {
    let redis = Redis::start()?;
    let RedisReport { version, output_buffer_limit, memory, round_trip, clock, is_replica, .. } =
        inspect_redis(&redis.url(), &channel()).await?;
    ensure!(
        !is_replica && round_trip.is_some() && memory.is_some_and(|memory| memory.policy == "noeviction")
    );
    // It has this machine's clock.
    ensure!(clock.is_some_and(|clock| clock.ahead_us.abs() < 1_000_000), "{clock:?}");
    ensure!(version.split('.').count() == 3, "{version}");
    let limit = output_buffer_limit.context("CONFIG GET is permitted")?;
    ensure!(limit.hard_bytes > 0 && limit.soft_bytes > 0 && limit.soft_seconds > 0, "{limit:?}");

    redis.command(&["ACL", "SETUSER", "default", "-config"])?;
    redis.command(&["ACL", "SETUSER", "default", "resetchannels", "-time"])?;
    let report = inspect_redis(&redis.url(), &channel()).await?;
    ensure!(report.output_buffer_limit.is_none() && report.clock.is_none(), "{report:?}");
    ensure!(report.round_trip.is_none(), "it may not subscribe");
    Ok(())
}

fn channel() -> Channel {
    Channel::new("a channel of nobody else")
}

async fn no_answer() -> anyhow::Result<()> {
    let mut redis = Redis::start()?;
    redis.command(&["CONFIG", "SET", "requirepass", "right"])?;
    let url = redis.url().replace("redis://", "redis://:hunter2@");
    expect_error(&url, "cannot use Redis: could not connect: ").await?;
    redis.freeze()?;
    expect_error(&url, "cannot use Redis: could not connect in time").await?;
    redis.thaw()?;
    redis.kill()?;
    expect_error(&url, "Connection refused").await
}

async fn expect_error(url: &str, expected: &str) -> anyhow::Result<()> {
    let error = inspect_redis(url, &channel()).await.err().context("it is not usable")?;
    let sentence = error.to_string();
    ensure!(sentence.contains(expected), "{sentence}");
    ensure!(!format!("{sentence} {error:?}").contains("hunter2"), "{sentence}");
    Ok(())
}

async fn unsupported_url() -> anyhow::Result<()> {
    let error = Node::join("redis-sentinel://:hunter2@a,b/main").err().context("not supported")?;
    let error = error.downcast::<ConfigError>()?;
    let sentence = "a Redis URL of `redis-sentinel://` is not supported: use `redis://` or `rediss://`";
    ensure!(error.to_string() == sentence, "{error}");
    Ok(())
}
