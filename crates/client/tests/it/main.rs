//! The client against a node that misbehaves as told.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

mod fake_node;
mod outbox;
mod requests;
mod session;

use std::time::Duration;

use switchboard_client::Event;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// The next event in short: enough to compare.
async fn next(events: &mut Receiver<Event>) -> String {
    let event = timeout(Duration::from_secs(5), events.recv()).await.expect("an event comes in time");
    match event {
        None => "end".to_owned(),
        Some(Event::Connected(_)) => "connected".to_owned(),
        Some(Event::Entry { seq, .. }) => format!("entry {seq}"),
        Some(Event::Reset { cursor, epoch }) => format!("reset {cursor} {epoch}"),
        Some(Event::Frame(_)) => "frame".to_owned(),
        Some(Event::Disconnected { code, .. }) => format!("disconnected {code:?}"),
        Some(Event::Refused { reaction, .. }) => format!("refused {reaction:?}"),
    }
}

#[track_caller]
fn check_texts(got: &[String], expect: &[&str]) {
    assert_eq!(got, expect);
}

async fn check(events: &mut Receiver<Event>, expect: &[&str]) {
    let mut got = Vec::new();
    for _ in expect {
        got.push(next(events).await);
    }
    check_texts(&got, expect);
}
