//! Leases over Redis. [`Leases`] is what the node's handle talks to; the [`Keeper`] is the task behind it, with a link of
//! its own, made when it is first needed.
//!
//! Each link of a node writes a key of its own, which nobody renews once the link is gone. So nothing that was let go comes
//! back, neither by a server that has forgotten its last writes nor by a command that was long on its way.

mod book;
mod commands;
mod keeper;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Pipeline, RedisResult};
use tokio::sync::{self, Notify, Semaphore, watch};
use tokio::time::{self, Instant};

use self::book::{Book, CHUNK, Chunk};
use self::commands::Keys;
pub(super) use self::keeper::Keeper;
use crate::counters::Tally;
use crate::layer::Down;
use crate::leases::LeaseConfig;

/// For one question, with the wait for its turn and for the first link.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);

/// Questions under way. More would wait at Redis instead of here.
const QUESTIONS: usize = 64;

/// How long it is taken as known which keys there are.
const IDS_KNOWN: Duration = Duration::from_secs(1);

/// What the handle and the keeper share.
pub(super) struct Leases {
    /// Held for short sections only, none of which awaits; the longest visits every name when a link comes or goes.
    book: Mutex<Book>,
    /// Wakes the keeper, the only one that waits, when there may be something to flush.
    changed: Notify,
    /// Wakes the keeper when a question was not answered.
    suspected: Notify,
    /// Changed to `Wanted` by whoever needs the link first, else by the keeper.
    phase: watch::Sender<Phase>,
    turns: Semaphore,
    /// The ids of the keys of all nodes, and when they were read. One asks, and the others wait for it.
    ids: sync::Mutex<Option<(Instant, Arc<[String]>)>>,
    /// What this node's ids begin with. Random, made at the start.
    own: String,
    keys: Keys,
    tally: Arc<Tally>,
}

/// How far the keeper's link is.
#[derive(Clone)]
enum Phase {
    /// Nothing was ever held or asked.
    Unused,
    /// The first link is being made.
    Wanted,
    Up(MultiplexedConnection),
    Down,
}

impl Leases {
    pub(super) fn new(config: LeaseConfig, tally: Arc<Tally>) -> Self {
        Self {
            book: Mutex::default(),
            changed: Notify::new(),
            suspected: Notify::new(),
            phase: watch::Sender::new(Phase::Unused),
            turns: Semaphore::new(QUESTIONS),
            ids: sync::Mutex::default(),
            own: format!("{:016x}.", rand::random::<u64>()),
            keys: Keys::new(config),
            tally,
        }
    }

    /// See [`ChannelLayer::hold`](crate::ChannelLayer::hold).
    pub(super) fn hold(&self, changes: Vec<(i64, Option<u8>)>) {
        let mut book = self.lock();
        let n_changes = changes.len();
        let n_taken = changes.into_iter().filter(|(name, value)| book.hold(*name, *value)).count();
        let n_held = book.n_held();
        self.tally.leases.store(n_held as u64, Ordering::Relaxed);
        drop(book);
        self.tally.leases_dropped.add(n_changes - n_taken);
        if n_held > 0 {
            self.want_link();
        }
        self.changed.notify_one();
    }

    /// See [`ChannelLayer::held`](crate::ChannelLayer::held).
    pub(super) async fn held(&self, names: &[i64]) -> Result<HashMap<i64, u8>, Down> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        self.want_link();
        let answer = match time::timeout(ANSWER_DEADLINE, self.ask(names)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.suspected.notify_one();
                Err(Down)
            }
        };
        answer.inspect_err(|Down| self.tally.lease_failures.add(1))
    }

    async fn ask(&self, names: &[i64]) -> Result<HashMap<i64, u8>, Down> {
        let _turn = self.turns.acquire().await.or(Err(Down))?;
        let connection = self.connection().await?;
        let answer = self.ask_over(connection, names).await;
        answer.map_err(|error| {
            // Unless it is the server's own answer, the link may be dead.
            if error.code().is_none() {
                self.suspected.notify_one();
            }
            Down
        })
    }

    async fn ask_over(
        &self,
        mut connection: MultiplexedConnection,
        names: &[i64],
    ) -> RedisResult<HashMap<i64, u8>> {
        let ids = self.ids(&mut connection).await?;
        let others = ids.iter().map(String::as_str).filter(|id| !id.starts_with(&self.own));
        let look_up = self.keys.look_up(others, names);
        let answers: Vec<Vec<Option<u8>>> =
            if look_up.is_empty() { Vec::new() } else { self.query(&mut connection, &look_up).await? };

        let mut held = self.held_here(names);
        for (values, chunk) in answers.iter().zip(names.chunks(CHUNK).cycle()) {
            for (value, name) in values.iter().zip(chunk) {
                if let Some(value) = *value {
                    let largest = held.entry(*name).or_insert(value);
                    *largest = value.max(*largest);
                }
            }
        }
        Ok(held)
    }

    /// The link, as soon as it has been tried once.
    async fn connection(&self) -> Result<MultiplexedConnection, Down> {
        let mut phases = self.phase.subscribe();
        let is_tried = |phase: &Phase| matches!(phase, Phase::Up(_) | Phase::Down);
        match phases.wait_for(is_tried).await.as_deref() {
            Ok(Phase::Up(connection)) => Ok(connection.clone()),
            _ => Err(Down),
        }
    }

    async fn ids(&self, connection: &mut MultiplexedConnection) -> RedisResult<Arc<[String]>> {
        let mut known = self.ids.lock().await;
        if let Some((read_at, ids)) = &*known
            && read_at.elapsed() < IDS_KNOWN
        {
            return Ok(Arc::clone(ids));
        }
        let read_at = Instant::now();
        let (ids,): (Vec<String>,) = self.query(connection, &self.keys.list()).await?;
        let ids = Arc::from(ids);
        *known = Some((read_at, Arc::clone(&ids)));
        Ok(ids)
    }

    /// What this node holds needs no question.
    fn held_here(&self, names: &[i64]) -> HashMap<i64, u8> {
        let book = self.lock();
        names.iter().filter_map(|name| Some((*name, book.value(*name)?))).collect()
    }

    fn want_link(&self) {
        self.phase.send_if_modified(|phase| {
            let is_first = matches!(phase, Phase::Unused);
            if is_first {
                *phase = Phase::Wanted;
            }
            is_first
        });
    }

    /// Sends commands in one go and waits for what they answer.
    async fn query<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        pipeline: &Pipeline,
    ) -> RedisResult<T> {
        self.tally.lease_commands.add(pipeline.len());
        pipeline.query_async(connection).await
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the keeper waits for.
impl Leases {
    /// Waits until somebody needs a link.
    async fn wanted(&self) {
        // It cannot fail: the sender is in `self`.
        let _ = self.phase.subscribe().wait_for(|phase| !matches!(phase, Phase::Unused)).await;
    }

    /// Waits until there is something to flush, and takes what fits one flush.
    ///
    /// # Cancel safety
    /// Nothing is taken unless this returns.
    async fn take(&self) -> Chunk {
        loop {
            let chunk = self.lock().take();
            if !chunk.is_empty() {
                return chunk;
            }
            self.changed.notified().await;
        }
    }
}
