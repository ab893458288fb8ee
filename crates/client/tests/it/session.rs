//! Connections come and go; the entries stay in order, each once.

use std::time::Duration;

use serde_json::json;
use switchboard_client::{Client, Event};
use switchboard_protocol::{MessageId, Seq, ServerFrame, Status, UserId};

use crate::check;
use crate::fake_node::FakeNode;

#[tokio::test]
async fn resumes_after_a_gap_and_drops_duplicates() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(5).await;
    assert_eq!(peer.uri, "/ws/messages/");
    for seq in [6, 6, 8] {
        peer.entry(seq).await;
    }
    check(&mut events, &["connected", "entry 6", "disconnected None"]).await;
    let mut peer = node.welcome(6).await;
    assert_eq!(peer.uri, "/ws/messages/?cursor=6&epoch=e1");
    for seq in [7, 8] {
        peer.entry(seq).await;
    }
    check(&mut events, &["connected", "entry 7", "entry 8"]).await;
    assert_eq!((client.duplicates(), client.gaps()), (1, 1));
}

#[tokio::test]
async fn keeps_its_cursor_unless_it_is_reset() {
    let node = FakeNode::start().await;
    let mut config = node.config();
    (config.cursor, config.epoch) = (Some(Seq(40)), Some("e0".to_owned()));
    let (_client, mut events) = Client::start(config);
    let mut peer = node.welcome(3).await;
    assert_eq!(peer.uri, "/ws/messages/?cursor=40&epoch=e0");
    peer.say(json!({"type": "reset", "cursor": 3, "epoch": "e1"})).await;
    peer.entry(4).await;
    check(&mut events, &["connected", "reset 3 e1", "entry 4"]).await;
    peer.close(1012).await;
    let peer = node.welcome(4).await;
    assert_eq!(peer.uri, "/ws/messages/?cursor=4&epoch=e1");
    check(&mut events, &["disconnected Some(1012)", "connected"]).await;
}

#[tokio::test]
async fn statuses_and_close_codes_decide_whether_it_returns() {
    let node = FakeNode::start().await;
    let (_client, mut events) = Client::start(node.config());
    node.refuse(503).await;
    node.refuse(429).await;
    node.welcome(0).await.close(1001).await;
    node.welcome(0).await.close(4401).await;
    check(&mut events, &["disconnected Some(503)", "disconnected Some(429)"]).await;
    check(&mut events, &["connected", "disconnected Some(1001)"]).await;
    check(&mut events, &["connected", "disconnected Some(4401)", "refused Refresh", "end"]).await;

    let (client, mut events) = Client::start(node.config());
    node.refuse(401).await;
    check(&mut events, &["disconnected Some(401)", "refused Refresh", "end"]).await;
    client.unread_count().await.unwrap_err();

    let (_client, mut events) = Client::start(node.config());
    node.welcome(0).await.close(4403).await;
    check(&mut events, &["connected", "disconnected Some(4403)", "refused Stop", "end"]).await;
}

#[tokio::test]
async fn an_entry_of_any_kind_moves_the_cursor() {
    let node = FakeNode::start().await;
    let (_client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(3).await;
    check(&mut events, &["connected"]).await;
    let (message_id, unread_count) = (MessageId(7), 2);
    let kinds = [
        (
            json!({"type": "message_deleted", "seq": 4, "message_id": 7, "unread_count": 2}),
            ServerFrame::MessageDeleted {
                seq: Seq(4),
                message_id,
                unread_count,
                repeat: false,
                request_id: None,
            },
        ),
        (json!({"type": "void", "seq": 5}), ServerFrame::Void { seq: Seq(5) }),
        (
            json!({
                "type": "message_read", "seq": 6, "message_id": 7, "message_ids": [6, 7], "status": "success",
                "unread_count": 2,
            }),
            ServerFrame::MessageRead {
                seq: Seq(6),
                message_id,
                message_ids: vec![MessageId(6), message_id],
                status: Status::Success,
                unread_count,
                repeat: false,
                request_id: None,
            },
        ),
        (json!({"type": "of_a_later_version", "seq": 7}), ServerFrame::Unknown),
        (json!({"type": "message_deleted", "seq": 8, "message_id": {}}), ServerFrame::Unknown),
    ];
    for (seq, (text, frame)) in (4..).map(Seq).zip(kinds) {
        peer.say(text).await;
        assert_eq!(events.recv().await, Some(Event::Entry { seq, frame }));
    }
    drop(peer);
    assert_eq!(node.welcome(8).await.uri, "/ws/messages/?cursor=8&epoch=e1");
}

#[tokio::test]
async fn a_silent_node_is_left() {
    let node = FakeNode::start().await;
    let (_client, mut events) = Client::start(node.config());
    let mut peer = node.accept().await;
    peer.welcome(0, 20).await;
    check(&mut events, &["connected", "disconnected None"]).await;
    node.welcome(0).await;
    check(&mut events, &["connected"]).await;
}

#[tokio::test]
async fn a_node_that_goes_away_is_left_when_it_says() {
    let node = FakeNode::start().await;
    let (_client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    peer.say(json!({"type": "reconnect", "after_ms": 30})).await;
    peer.entry(1).await;
    assert_eq!(peer.hear_close().await, Some(1000));
    drop(peer);
    let peer = node.welcome(1).await;
    assert_eq!(peer.uri, "/ws/messages/?cursor=1&epoch=e1");
    check(&mut events, &["connected", "entry 1", "disconnected None", "connected"]).await;
}

/// Its time to leave is over when the node says so by closing; what had no answer there is sent again elsewhere.
#[tokio::test]
async fn a_node_that_closes_early_is_left_at_once() {
    let (first, second) = (FakeNode::start().await, FakeNode::start().await);
    let mut config = first.config();
    config.urls.extend(second.config().urls);
    config.backoff.min = Duration::from_secs(3600);
    config.backoff.max = config.backoff.min;
    let (client, mut events) = Client::start(config);
    let mut peer = first.welcome(0).await;
    peer.say(json!({"type": "reconnect", "after_ms": 3_600_000})).await;
    check(&mut events, &["connected"]).await;
    // It is served as before until then.
    let answer = client.post(UserId(2), "", "a", None).await.unwrap();
    let request = peer.hear().await;
    peer.acknowledge(1, &request, false).await;
    answer.await.unwrap();
    let answer = client.post(UserId(2), "", "b", None).await.unwrap();
    let unanswered = peer.hear().await;
    peer.close(1012).await;
    let mut peer = second.welcome(1).await;
    assert_eq!(peer.uri, "/ws/messages/?cursor=1&epoch=e1");
    assert_eq!(peer.hear().await, unanswered);
    peer.acknowledge(2, &unanswered, false).await;
    answer.await.unwrap();
}

/// Whom the next node refuses because it goes away too, does not wait for that node.
#[tokio::test]
async fn a_node_that_goes_away_does_not_say_when_to_ask_the_next() {
    let (first, second) = (FakeNode::start().await, FakeNode::start().await);
    let mut config = first.config();
    config.urls.extend(second.config().urls);
    let (_client, mut events) = Client::start(config);
    let problem = json!({"status": 503, "title": "this node is going away", "code": "draining", "retry_after_ms": 3_600_000});
    first.refuse_with(503, Some(problem)).await;
    second.welcome(0).await;
    check(&mut events, &["disconnected Some(503)", "connected"]).await;
}

#[tokio::test]
async fn takes_the_next_url_each_time() {
    let (first, second) = (FakeNode::start().await, FakeNode::start().await);
    let mut config = first.config();
    config.urls.extend(second.config().urls);
    let (_client, _events) = Client::start(config);
    for node in [&first, &second, &first] {
        node.welcome(0).await.close(1012).await;
    }
}

#[tokio::test]
async fn says_goodbye_when_closed_and_when_dropped() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    check(&mut events, &["connected"]).await;
    let closing = tokio::spawn(client.close());
    assert_eq!(peer.hear_close().await, Some(1000));
    drop(peer);
    closing.await.unwrap();

    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    check(&mut events, &["connected"]).await;
    drop((client.clone(), client));
    assert_eq!(peer.hear_close().await, Some(1000));
}

#[tokio::test]
async fn a_slow_consumer_stops_the_reading_and_loses_nothing() {
    let node = FakeNode::start().await;
    let mut config = node.config();
    config.events = 2;
    let (client, mut events) = Client::start(config);
    let mut peer = node.welcome(0).await;
    for seq in 1..=2000 {
        peer.entry(seq).await;
    }
    check(&mut events, &["connected"]).await;
    for seq in 1..=2000 {
        check(&mut events, &[&format!("entry {seq}")]).await;
    }
    assert_eq!((client.duplicates(), client.gaps()), (0, 0));
}

#[tokio::test]
async fn a_broken_tls_handshake_is_a_failed_attempt() {
    let node = FakeNode::start().await;
    let mut config = node.config();
    config.urls = config.urls.iter().map(|url| url.replace("http", "https")).collect();
    let (_client, mut events) = Client::start(config);
    node.hang_up().await;
    check(&mut events, &["disconnected None"]).await;
}
