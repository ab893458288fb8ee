//! Who writes.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ask, group, leave, next_of, none_before_a_message, open, say};
use crate::harness::http::{EventStream, bearer, send_json};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE};

/// For a frame that goes to the other node, with nothing to wait for.
const SOON: Duration = Duration::from_secs(3);
/// What a session remembers a writer for.
const TERM: Duration = Duration::from_secs(6);

fn typing(to: &Value, is_typing: bool) -> Value {
    json!({"type": "typing", "conversation_id": to, "is_typing": is_typing})
}

fn told(to: &Value, user: i64, is_typing: bool) -> Value {
    json!({"type": "typing", "conversation_id": to, "user_id": user, "is_typing": is_typing})
}

pub(super) async fn typing_reaches_the_other_members(cluster: Cluster) -> anyhow::Result<()> {
    let book_club = group(&cluster, 1, &[2, 3, 4, 6]).await?;
    leave(&cluster, &book_club, 4).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    let mut elsewhere = open(&cluster, 1, 2).await?;
    let mut here = open(&cluster, 0, 3).await?;
    let mut stream = EventStream::open(cluster.address(1), "/api/v1/events/stream", &[bearer(6)]).await?;
    ensure!(stream.next().await?.1["type"] == "welcome");
    let mut others = Vec::new();
    for (node, user) in [(0, 4), (1, 4), (1, 5), (1, 1)] {
        others.push((user, open(&cluster, node, user).await?));
    }

    say(&mut ann, typing(&book_club, true)).await?;
    for socket in [&mut elsewhere, &mut here] {
        ensure!(next_of(socket, "typing", SOON).await? == told(&book_club, 1, true));
    }
    let (id, frame) = stream.next().await?;
    ensure!((id, frame) == (0, told(&book_club, 1, true)), "an event without an id");
    // What is said too soon again is passed over: the next that is told is the end, and that once.
    for is_typing in [true, true, false, false] {
        say(&mut ann, typing(&book_club, is_typing)).await?;
    }
    for socket in [&mut elsewhere, &mut here] {
        ensure!(next_of(socket, "typing", SOON).await? == told(&book_club, 1, false));
    }
    ensure!(stream.next().await?.1 == told(&book_club, 1, false));
    none_before_a_message(&cluster, &mut elsewhere, "typing", 2).await?;
    none_before_a_message(&cluster, &mut here, "typing", 3).await?;
    // Neither a former member nor a stranger nor the other device of who writes. Those of 4 are on both nodes.
    for (user, socket) in &mut others {
        none_before_a_message(&cluster, socket, "typing", *user).await?;
    }

    let refused = |frame: &Value, code: &str| frame["type"] == "error" && frame["code"] == code;
    let (_, former) = &mut others[1];
    say(former, typing(&book_club, true)).await?;
    let answer = next_of(former, "error", SOON).await?;
    ensure!(refused(&answer, "not_found"), "{answer}");
    let body = json!({"recipient_id": 9, "is_typing": true});
    let answer = send_json(cluster.address(0), "POST", "/api/v1/typing", &[bearer(1)], &body).await?;
    ensure!(answer.status == 404 && answer.json()?["code"] == "unknown_recipient", "{}", answer.body);
    drop((stream, others));
    cluster.finish().await
}

/// By itself, by a message, or because it is said.
pub(super) async fn typing_ends(cluster: Cluster) -> anyhow::Result<()> {
    let sent = ask(&cluster, 1, "POST", "messages", json!({"recipient_id": 2, "content": "hello"})).await?;
    let pair = sent["data"]["conversation_id"].clone();
    let mut ann = open(&cluster, 0, 1).await?;
    let mut bob = open(&cluster, 1, 2).await?;
    let mut stream = EventStream::open(cluster.address(0), "/api/v1/events/stream", &[bearer(2)]).await?;
    ensure!(stream.next().await?.1["type"] == "welcome");

    let begun = Instant::now();
    say(&mut ann, json!({"type": "typing", "recipient_id": 2, "is_typing": true})).await?;
    ensure!(next_of(&mut bob, "typing", SOON).await? == told(&pair, 1, true));
    ensure!(stream.next().await?.1 == told(&pair, 1, true));
    // It is renewed once, and lasts that much longer.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    say(&mut ann, json!({"type": "typing", "recipient_id": 2, "is_typing": true})).await?;
    ensure!(next_of(&mut bob, "typing", SOON).await? == told(&pair, 1, true));
    ensure!(stream.next().await?.1 == told(&pair, 1, true));
    ensure!(next_of(&mut bob, "typing", 3 * TERM).await? == told(&pair, 1, false));
    let lasted = begun.elapsed();
    ensure!(lasted >= Duration::from_millis(3_500) + TERM, "it ended after {lasted:?}");
    ensure!(stream.next().await?.1 == told(&pair, 1, false));

    say(&mut ann, typing(&pair, true)).await?;
    ensure!(next_of(&mut bob, "typing", SOON).await? == told(&pair, 1, true));
    say(&mut ann, json!({"type": "send_message", "recipient_id": 2, "content": "there"})).await?;
    ensure!(next_of(&mut bob, "new_message", DEADLINE).await?["data"]["content"] == "there");
    ensure!(next_of(&mut bob, "typing", SOON).await? == told(&pair, 1, false));
    // A poll has entries and nothing else.
    let path = "/api/v1/events?wait=2";
    let poll = async { crate::harness::http::get(cluster.address(1), path, &[bearer(2)]).await?.json() };
    let writes = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let body = json!({"conversation_id": pair, "is_typing": false});
        ask(&cluster, 1, "POST", "typing", body).await?;
        let body = json!({"conversation_id": pair, "is_typing": true});
        ask(&cluster, 1, "POST", "typing", body).await
    };
    let (polled, _) = tokio::try_join!(poll, writes)?;
    ensure!(polled["events"] == json!([]), "{polled}");
    drop(stream);
    cluster.finish().await
}

pub(super) async fn a_block_hides_who_writes(cluster: Cluster) -> anyhow::Result<()> {
    let book_club = group(&cluster, 3, &[1, 2]).await?;
    ask(&cluster, 1, "POST", "messages", json!({"recipient_id": 2, "content": "hello"})).await?;
    ask(&cluster, 2, "PUT", "blocks/1", Value::Null).await?;
    let mut ann = open(&cluster, 0, 1).await?;
    let mut bob = open(&cluster, 1, 2).await?;
    let mut carol = open(&cluster, 1, 3).await?;
    say(&mut ann, json!({"type": "typing", "recipient_id": 2, "is_typing": true, "request_id": 7})).await?;
    let answer = next_of(&mut ann, "error", SOON).await?;
    ensure!(answer["code"] == "unknown_recipient" && answer["request_id"] == 7, "{answer}");
    say(&mut ann, typing(&book_club, true)).await?;
    ensure!(next_of(&mut carol, "typing", SOON).await? == told(&book_club, 1, true));
    none_before_a_message(&cluster, &mut bob, "typing", 2).await?;
    // The other way it is as before.
    let mut elsewhere = Socket::open(&cluster, 1, 1, "").await?;
    say(&mut bob, typing(&book_club, true)).await?;
    for socket in [&mut ann, &mut elsewhere] {
        ensure!(next_of(socket, "typing", SOON).await? == told(&book_club, 2, true));
    }
    drop((ann, bob, carol, elsewhere));
    cluster.finish().await
}
