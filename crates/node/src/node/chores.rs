//! What a node does by itself, for as long as it serves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::state::Node;
use crate::{collector, presence};

/// How often the store is asked whether it is there, for `/ready`.
const STORE_CHECK: Duration = Duration::from_secs(1);
/// How often the limits forget users and addresses that have been quiet.
const PRUNE: Duration = Duration::from_secs(60);

/// Starts each as a task of the back end that ends when the node stops.
pub(super) fn start(node: &Arc<Node>, backend: &TaskTracker) {
    for chore in [
        watch_store(Arc::clone(node)).boxed(),
        prune_limits(Arc::clone(node)).boxed(),
        follow_revocations(Arc::clone(node)).boxed(),
        refresh_keys(Arc::clone(node)).boxed(),
        collector::run(Arc::clone(node)).boxed(),
        presence::watch(Arc::clone(node)).boxed(),
    ] {
        backend.spawn(node.stop.clone().run_until_cancelled_owned(chore));
    }
    // It ends by itself, after its last words.
    backend.spawn(presence::attend(Arc::clone(node)));
}

async fn watch_store(node: Arc<Node>) {
    let mut tick = interval(STORE_CHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let is_up = node.source.store.ping().await.is_ok();
        if node.store_up.swap(is_up, Ordering::Relaxed) != is_up {
            if is_up {
                tracing::info!("the store answers again");
            } else {
                tracing::error!("the store does not answer");
            }
        }
    }
}

async fn follow_revocations(node: Arc<Node>) {
    node.revocations.follow(&node.source.store).await;
}

async fn refresh_keys(node: Arc<Node>) {
    node.tokens.keep_fresh().await;
}

async fn prune_limits(node: Arc<Node>) {
    let mut tick = interval(PRUNE);
    loop {
        tick.tick().await;
        node.limits.prune();
        node.typing.prune();
    }
}
