//! The keys of leases at Redis, and what is asked of them.

use redis::Pipeline;

use super::book::{CHUNK, Chunk};
use crate::leases::{LeaseConfig, TERM};

/// How long a key that another has replaced is still there. Longer than a reader goes without looking which keys there are.
const HANDOVER_MS: u64 = 2_000;

/// Renews one key by the clock of the server, lists it if it holds anything, and takes from the list who has not renewed.
/// Answers how many names the key holds. A script, so that it is one command and no key is ever without an expiry.
const RENEW: &str = "
local n_names = redis.call('HLEN', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if n_names > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
else
    redis.call('ZREM', KEYS[2], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return n_names";

/// The keys of one installation.
pub(super) struct Keys {
    prefix: String,
    /// A sorted set: the ids of the keys below, by when they expire, in milliseconds of the server's clock. Expires with the
    /// last of them.
    ids: String,
}

impl Keys {
    pub(super) fn new(config: LeaseConfig) -> Self {
        let ids = format!("{}:nodes", config.key_prefix);
        Self { prefix: config.key_prefix, ids }
    }

    /// A hash: what one node holds, each name with its value, both in decimal. Written by that node alone, over one link;
    /// expires a term after its last renewal.
    fn names(&self, id: &str) -> String {
        format!("{}:node:{id}", self.prefix)
    }

    /// Writes a chunk and renews, all or nothing. Answers as [`Keys::renew`].
    pub(super) fn flush(&self, id: &str, chunk: &Chunk) -> Pipeline {
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        let held: Vec<_> = chunk.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        if !held.is_empty() {
            pipeline.cmd("HSET").arg(self.names(id)).arg(held).ignore();
        }
        let let_go: Vec<_> =
            chunk.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        if !let_go.is_empty() {
            pipeline.cmd("HDEL").arg(self.names(id)).arg(let_go).ignore();
        }
        self.add_renewal(&mut pipeline, id);
        pipeline
    }

    /// Renews everything that the key holds. Answers a list of one: how many names that is.
    pub(super) fn renew(&self, id: &str) -> Pipeline {
        let mut pipeline = Pipeline::new();
        self.add_renewal(&mut pipeline, id);
        pipeline
    }

    fn add_renewal(&self, pipeline: &mut Pipeline, id: &str) {
        let term_ms = TERM.as_millis() as u64;
        pipeline.cmd("EVAL").arg(RENEW).arg(2).arg(self.names(id)).arg(&self.ids).arg(id).arg(term_ms);
    }

    /// Lets a key go that another has replaced, not before every reader knows the other one. Answers nothing.
    pub(super) fn retire(&self, id: &str) -> Pipeline {
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        pipeline.cmd("PEXPIRE").arg(self.names(id)).arg(HANDOVER_MS).ignore();
        pipeline.cmd("ZREM").arg(&self.ids).arg(id).ignore();
        pipeline
    }

    /// Removes a key at once. Answers nothing.
    pub(super) fn remove(&self, id: &str) -> Pipeline {
        let mut pipeline = Pipeline::new();
        pipeline.atomic();
        pipeline.cmd("UNLINK").arg(self.names(id)).ignore();
        pipeline.cmd("ZREM").arg(&self.ids).arg(id).ignore();
        pipeline
    }

    /// Which keys there are; some may have expired. Answers a list of one: the list of ids.
    pub(super) fn list(&self) -> Pipeline {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("ZRANGE").arg(&self.ids).arg(0).arg(-1);
        pipeline
    }

    /// Looks these names up in each of these keys. Answers the values, or nothing, a list for each chunk of the names; all
    /// chunks of the first key come first.
    pub(super) fn look_up<'i>(&self, ids: impl Iterator<Item = &'i str>, names: &[i64]) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for id in ids {
            for chunk in names.chunks(CHUNK) {
                pipeline.cmd("HMGET").arg(self.names(id)).arg(chunk);
            }
        }
        pipeline
    }
}
