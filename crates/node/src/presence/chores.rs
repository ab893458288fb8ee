//! The tasks of presence: one tells the layer and the store who is here, the other asks for those who are watched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_channel_layer::Down;
use switchboard_protocol::{Presence as Status, Timestamp, UserId};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::board::Change;
use super::questions::Questions;
use crate::state::Node;

/// How often the layer is told of what is due.
const TELL_PERIOD: Duration = Duration::from_millis(250);
/// Rounds of that between two notes of who was seen.
const NOTE_ROUNDS: u64 = 20;
/// Users in one statement of the store.
const CHUNK: usize = 1_000;
/// For the last note of a node that stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Tells the layer who is here, and notes who was seen, until the node stops.
pub(crate) async fn attend(node: Arc<Node>) {
    let mut tick = interval(TELL_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tell = async {
        for round in 1_u64.. {
            tick.tick().await;
            let changes = node.presence.attendance().take_due(Instant::now());
            if !changes.is_empty() {
                node.layer.hold(changes);
            }
            if round % NOTE_ROUNDS == 0 {
                note_seen(&node).await;
            }
        }
    };
    node.stop.run_until_cancelled(tell).await;
    // The sessions have ended. The leases end with the layer.
    let _late = timeout(FAREWELL, note_seen(&node)).await;
}

async fn note_seen(node: &Node) {
    let seen = node.presence.attendance().take_seen();
    for (index, users) in seen.chunks(CHUNK).enumerate() {
        if let Err(error) = node.source.store.note_seen(users).await {
            tracing::debug!("who was seen is noted later: {error}");
            node.presence.attendance().note_seen(seen[index * CHUNK..].iter().copied());
            return;
        }
    }
}

/// Asks for those who are watched, for as long as it is polled.
pub(crate) async fn watch(node: Arc<Node>) {
    let mut questions = Questions::new();
    let mut reconnects = node.layer.counters().reconnects;
    loop {
        let names = questions.next(&node.presence).await;
        // A layer that went and came back between two questions may have forgotten everybody.
        let before = std::mem::replace(&mut reconnects, node.layer.counters().reconnects);
        if before != reconnects {
            node.presence.board().unanswered();
        }
        if ask(&node, &names).await.is_err() {
            node.presence.board().unanswered();
            questions.give_up();
        }
    }
}

async fn ask(node: &Node, names: &[i64]) -> Result<(), Down> {
    let held = node.layer.held(names).await?;
    let changes = node.presence.board().learn(names, &held, Instant::now());
    let last_seen = last_seen(node, &changes).await;
    node.presence.board().tell(&changes, &last_seen);
    Ok(())
}

/// When those who are not there were last. Nothing of some is better than to keep all waiting.
async fn last_seen(node: &Node, changes: &[Change]) -> HashMap<UserId, Timestamp> {
    let gone: Vec<_> = changes.iter().filter(|change| change.status != Status::Online).collect();
    let mut last_seen = HashMap::with_capacity(gone.len());
    for chunk in gone.chunks(CHUNK) {
        let users: Vec<_> = chunk.iter().map(|change| change.user).collect();
        match node.source.store.last_seen(&users).await {
            Ok(more) => last_seen.extend(more),
            Err(error) => {
                tracing::debug!("when users were last seen is not known: {error}");
                break;
            }
        }
    }
    last_seen
}
