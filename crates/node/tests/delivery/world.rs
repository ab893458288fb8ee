//! Two nodes on one store, of which each hears from the channel layer what a test hands it, and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use switchboard_channel_layer::{Event, MemoryBus};
use switchboard_node::feed::Source;
use switchboard_node::hub::{HubHandle, Surroundings};
use switchboard_node::metrics::Metrics;
use switchboard_protocol::UserId;
use switchboard_store::{Account, Command, Committer, Import, Outcome, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::script::{NODES, USERS};

/// Bytes that may wait for a feed: little on one node, so that feeds fall back to paging, much on the other.
const OUTLET_BYTES: [usize; NODES] = [8 * 1024, 1024 * 1024];
/// Commands that wait for a writer; whoever has more waits for room.
const QUEUE: usize = 1_024;
/// Users made at a time.
const IMPORT: usize = 100 * USERS;
/// How soon the store is asked again when it did not answer.
const RETRY_WAIT: Duration = Duration::from_millis(50);
/// Of one batch.
const COMMIT_DEADLINE: Duration = Duration::from_secs(5);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) nodes: [Node; NODES],
    /// Users who are in no script.
    unused: tokio::sync::Mutex<Vec<UserId>>,
    n_users: AtomicUsize,
    /// Since when the store has been there. Held for a moment.
    back: Mutex<Instant>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

/// One node.
pub(crate) struct Node {
    pub(crate) source: Arc<Source>,
    /// What the layer brings it.
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) metrics: Arc<Metrics>,
    jobs: mpsc::Sender<Job>,
}

/// Commands that are to be committed together.
struct Job {
    commands: Vec<Command>,
    reply: oneshot::Sender<Vec<Outcome>>,
}

impl World {
    /// Starts two nodes on a store, and brings the store up to date.
    pub(crate) async fn start(store: Store) -> anyhow::Result<Self> {
        store.migrate().await?;
        let deployment = Arc::from(store.deployment().await?);
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let nodes = OUTLET_BYTES.map(|outlet_bytes| {
            // Its subscriptions stand, and bring nothing.
            let (layer, _silence) = MemoryBus::default().connect();
            let metrics = Arc::<Metrics>::default();
            let surroundings = Surroundings {
                store: store.clone(),
                layer,
                deployment: Arc::clone(&deployment),
                metrics: Arc::clone(&metrics),
                outlet_bytes,
            };
            let (events, heard) = mpsc::channel(QUEUE);
            let hub = HubHandle::start(surroundings, heard, &tracker, stop.clone());
            let source = Arc::new(Source { hub, store: store.clone(), backend: Handle::current() });
            let (jobs, waiting) = mpsc::channel(QUEUE);
            tracker.spawn(write(store.committer(), waiting));
            Node { source, events, metrics, jobs }
        });
        let (unused, n_users) = Default::default();
        Ok(Self { store, nodes, unused, n_users, back: Mutex::new(Instant::now()), stop, tracker })
    }

    /// Users for one script.
    pub(crate) async fn users(&self) -> anyhow::Result<[Account; USERS]> {
        let ids: Vec<_> = {
            let mut unused = self.unused.lock().await;
            if unused.len() < USERS {
                let n_users = self.n_users.fetch_add(IMPORT, Ordering::Relaxed);
                let import = |n| Import {
                    username: format!("user{n}"),
                    full_name: String::new(),
                    password_hash: None,
                };
                let imports: Vec<_> = (n_users..n_users + IMPORT).map(import).collect();
                *unused = answered(async || self.store.import_users(imports.clone()).await).await?;
            }
            unused.drain(..USERS).collect()
        };
        let accounts = futures_util::future::try_join_all(ids.into_iter().map(|id| self.account(id))).await?;
        accounts.try_into().ok().context("as many accounts as users")
    }

    /// Says since when the store has been there, or when it will be: nobody is late before the time that they have then.
    pub(crate) fn set_back(&self, since: Instant) {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Since when the store has been there.
    pub(crate) fn back_since(&self) -> Instant {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn account(&self, id: UserId) -> anyhow::Result<Account> {
        answered(async || self.store.find_account(id).await).await?.context("no such user")
    }

    /// Ends the nodes. All feeds must be gone.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        for node in &self.nodes {
            let left = node.metrics.hub_queue_bytes.get();
            anyhow::ensure!(left == 0, "{left} bytes wait for nobody");
        }
        self.stop.cancel();
        self.tracker.close();
        drop(self.nodes);
        self.tracker.wait().await;
        Ok(())
    }
}

impl Node {
    /// Commits commands through the node's writer, in one batch and in order, however often it takes. Gives an outcome
    /// for each.
    pub(crate) async fn commit(&self, commands: Vec<Command>) -> anyhow::Result<Vec<Outcome>> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { commands, reply }).await.ok().context("the writer has ended")?;
        Ok(answer.await?)
    }

    /// Has the layer bring something.
    pub(crate) async fn hear(&self, event: Event) -> anyhow::Result<()> {
        self.events.send(event).await.ok().context("the hub has ended")
    }
}

/// Asks the store until it answers.
pub(crate) async fn answered<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_) | StoreError::Interrupted(_)) => sleep(RETRY_WAIT).await,
            answer => return answer,
        }
    }
}

/// Commits what has come meanwhile, as a node's writer does, but leaves the telling to others.
async fn write(mut committer: Committer, mut jobs: mpsc::Receiver<Job>) {
    let mut taken = Vec::new();
    while jobs.recv_many(&mut taken, 64).await > 0 {
        let batch: Arc<[Command]> = taken.iter().flat_map(|job| job.commands.clone()).collect();
        let mut outcomes = loop {
            match committer.commit(Arc::clone(&batch), Instant::now() + COMMIT_DEADLINE).await {
                Ok(outcomes) => break outcomes,
                // What became of it is unknown: the same again is safe.
                Err(_unavailable) => sleep(RETRY_WAIT).await,
            }
        };
        for Job { commands, reply } in taken.drain(..) {
            let _gone = reply.send(outcomes.drain(..commands.len()).collect());
        }
    }
}
