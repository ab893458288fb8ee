//! Points where a node goes wrong on purpose, for tests alone: a checker that no fault ever turned red checks nothing.
//!
//! They are there with the feature `sabotage`, in the binary `switchboard-sabotaged`, and off until `FAILPOINTS` says
//! otherwise: `FAILPOINTS="drop_publishes=0.2%return;skip_sweep=return"`. A point that is `return` is on, each time or with
//! that chance; a crash point is `panic`, which ends the process where it stands. Without the feature each is a `false` that
//! the compiler removes, and not even its name is in the binary.
//!
//! What delivery may break:
//!
//! | point | effect | where |
//! | --- | --- | --- |
//! | `drop_publishes` | an entry reaches neither this node's sessions nor the channel layer; not so a `message_sent`, for which somebody waits | [`spoil`] |
//! | `skip_sweep` | where a mailbox stands in the store shows no gap, be it read by the sweep or for one who attaches | `hub/shard/repair.rs` |
//! | `skip_repair` | what is missing is not read: after the usual wait what comes later goes out without it | `hub/shard/repair.rs`, `feed.rs` |
//! | `deliver_twice` | the first of the entries that go out goes out twice | [`disorder`] |
//! | `swap_two` | an entry waits for the next one; the first two that go out change places | `hub/outlet.rs`, [`disorder`] |
//! | `read_before_subscribe` | the subscription is made some time after the store was asked where the mailbox stands | `hub/shard.rs` |
//! | `unbounded_queue` | a session's queue has no limit, and a peer that takes nothing is not let go | `hub/outlet.rs`, `transport.rs` |
//! | `never_unsubscribe` | a channel stays subscribed when its last session has left | `hub/shard.rs` |
//! | `cache_revocation` | what has ended is not looked at again: sessions stay, and count as confirmed | `revocations.rs` |
//!
//! What the store may break, on Postgres; all in the `sabotage.rs` of its crate. They take no chance, since most are looked
//! at once a process or a connection.
//!
//! | point | effect |
//! | --- | --- |
//! | `acknowledge_early` | a batch is answered and published 100 ms before its `COMMIT` |
//! | `lazy_commit` | the writer's connection has `synchronous_commit = off` |
//! | `sequence_cursor` | positions are drawn from a sequence a mailbox, without the mailbox's lock |
//! | `ignore_client_id` | nothing is looked up by its client message id, and the store takes one twice |
//! | `broadcast_to_all` | a message is received by every mailbox |
//! | `double_decrement` | a message that is read takes two off the count |
//! | `skip_member_check` | anybody may read the history of a conversation |
//!
//! What must break nothing, since the channel layer may do so at any time:
//!
//! | point | effect | where |
//! | --- | --- | --- |
//! | `layer_loses` | a publication is lost | [`distort`] |
//! | `layer_repeats` | a publication is made twice | [`distort`] |
//! | `layer_reorders` | a publication comes after those of the next batch, if there is one | [`distort`] |
//!
//! Where a node may die; nothing may break by that either:
//!
//! | point | moment | where |
//! | --- | --- | --- |
//! | `crash_before_commit` | a batch was taken, and the store has not seen it | `writer.rs` |
//! | `crash_after_commit` | a batch is stored, and nobody knows | `writer.rs` |
//! | `crash_after_publish` | it is published, and nobody has an answer | `writer.rs` |
//! | `crash_in_upload` | a piece of a file has come | `attachments/upload.rs` |
//! | `crash_in_resume` | a page was read for a client that comes back, and not sent | `feed.rs` |

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchboard_channel_layer::Publication;
use tokio::time::sleep;

use crate::hub::Item;
use crate::packet::{Packet, frame_type};

/// Whether a point is on at this moment.
macro_rules! sabotaged {
    ($point:literal) => {{
        fn is_on() -> bool {
            fail::fail_point!($point, |_| true);
            false
        }
        is_on()
    }};
}
pub(crate) use sabotaged;

/// Between the head of a mailbox and its subscription, where they are made in the wrong order.
const TOO_LATE: Duration = Duration::from_secs(3);

/// What comes behind the publications of the next batch. Held for a push or a take.
static KEPT_BACK: Mutex<Vec<Publication>> = Mutex::new(Vec::new());

/// Before entries go to this node's sessions and to the layer.
pub(crate) fn spoil(packets: &mut Vec<Packet>) {
    if cfg!(feature = "sabotage") {
        packets.retain(|packet| frame_type(&packet.frame) == "message_sent" || !sabotaged!("drop_publishes"));
    }
}

/// Before they go to the layer.
pub(crate) fn distort(publications: &mut Vec<Publication>) {
    if !cfg!(feature = "sabotage") {
        return;
    }
    let mut kept_back = KEPT_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    let late = std::mem::take(&mut *kept_back);
    for publication in std::mem::take(publications) {
        if sabotaged!("layer_reorders") {
            kept_back.push(publication);
        } else if !sabotaged!("layer_loses") {
            if sabotaged!("layer_repeats") {
                publications.push(publication.clone());
            }
            publications.push(publication);
        }
    }
    publications.extend(late);
}

/// Before entries go out to a client.
pub(crate) fn disorder(items: &mut VecDeque<Item>) {
    if items.len() > 1 && sabotaged!("swap_two") {
        items.swap(0, 1);
    }
    if sabotaged!("deliver_twice")
        && let Some(first) = items.front().cloned()
    {
        items.push_front(first);
    }
}

/// Before a subscription. Whether the store is asked meanwhile.
pub(crate) async fn dawdle(is_late: bool) {
    if cfg!(feature = "sabotage") && is_late {
        sleep(TOO_LATE).await;
    }
}
