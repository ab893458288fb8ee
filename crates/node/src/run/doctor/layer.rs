//! The channel layer: Redis, its limits, and whether what is published comes back.
//!
//! Sends go on without it, so nothing here keeps a node from serving.

use secrecy::ExposeSecret;
use switchboard_channel_layer::{Channel, OutputBufferLimit, RedisReport, inspect_redis};
use switchboard_store::Store;

use super::clock;
use super::report::Report;
use crate::config::Config;

/// Redis cuts a subscriber that lags by this much; below it, a burst is enough.
const OUTPUT_BUFFER: u64 = 64 * 1024 * 1024;
/// The least major version that this was tried with is 7; before 6 nobody repairs it any more.
const LEAST_MAJOR: u32 = 6;
/// From one node to Redis and back; above this, a message is late by what people notice.
const SLOW_MS: u128 = 100;

pub(super) async fn examine(config: &Config, store: Option<&Store>) -> Report {
    let mut report = Report::default();
    let Some(url) = config.redis_url() else {
        report.ok("the channel layer is within the process: right for a single node");
        return report;
    };
    let deployment = super::deployment(store).await.unwrap_or_else(|| "switchboard".to_owned());
    let channel = Channel::new(format!("{deployment}:doctor:{:016x}", rand::random::<u64>()));
    match inspect_redis(url.expose_secret(), &channel).await {
        Ok(redis) => judge(&mut report, &redis),
        Err(error) => report.warning(format_args!(
            "{error}, so messages to other nodes are up to 2 s late: check `channel_layer.redis_url`"
        )),
    }
    report
}

fn judge(report: &mut Report, redis: &RedisReport) {
    let version = &redis.version;
    report.ok(format_args!("the channel layer answers: Redis {version}"));
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < LEAST_MAJOR) {
        report.warning(format_args!("Redis {version} is no longer repaired: use {LEAST_MAJOR} or later"));
    }
    if redis.is_replica {
        report.warning(
            "this Redis is a replica, and what is published there does not reach those who listen at the primary: \
             name the primary in `channel_layer.redis_url`",
        );
    }
    match redis.round_trip.map(|took| took.as_millis()) {
        Some(took) if took <= SLOW_MS => {
            report.ok(format_args!("what is published comes back to a subscriber in {took} ms"));
        }
        Some(took) => report.warning(format_args!(
            "what is published comes back to a subscriber only after {took} ms: look at the load of Redis and the way there"
        )),
        None => report.warning(
            "what is published does not come back to a subscriber, so messages to other nodes are up to 2 s late: \
             look at the rights of the user (`ACL LIST`), which needs SUBSCRIBE and PUBLISH on every channel",
        ),
    }
    judge_output_buffer(report, redis.output_buffer_limit);
    if let Some(memory) = &redis.memory {
        let limit = if memory.bytes == 0 { "no limit".to_owned() } else { format!("{} bytes", memory.bytes) };
        report.ok(format_args!(
            "`maxmemory` is {limit} and `maxmemory-policy` is `{}`, either of which is right: nothing of ours is kept in Redis",
            memory.policy
        ));
    }
    match redis.clock {
        Some(offset) => clock::judge_loosely(report, "the clock of Redis", offset),
        None => report.ok(
            "nothing is known of the clock of Redis, which does not let us ask (`TIME`): nothing of ours goes by it",
        ),
    }
}

fn judge_output_buffer(report: &mut Report, limit: Option<OutputBufferLimit>) {
    let advice = "set `client-output-buffer-limit pubsub 256mb 128mb 60`";
    match limit {
        Some(limit) if (1..OUTPUT_BUFFER).contains(&limit.hard_bytes) => report.warning(format_args!(
            "Redis cuts a subscriber that lags by {} bytes, which a burst is enough for: {advice}",
            limit.hard_bytes
        )),
        Some(limit) => {
            let bytes = if limit.hard_bytes == 0 { "never".to_owned() } else { format!("at {} bytes", limit.hard_bytes) };
            report.ok(format_args!("Redis cuts a subscriber that lags {bytes}"));
        }
        None => report.warning(format_args!(
            "Redis does not say when it cuts a subscriber that lags; its default, 32 MiB, is too little: {advice}"
        )),
    }
}
