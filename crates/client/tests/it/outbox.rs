//! Requests are kept until they are answered.

use std::sync::Arc;

use serde_json::{Value, json};
use switchboard_client::{Acknowledged, Client, Draft, RequestError};
use switchboard_protocol::{AttachmentId, ErrorCode, MessageId, Seq, UserId};
use tokio::task::JoinHandle;

use crate::check;
use crate::fake_node::FakeNode;

type Sent = Result<Acknowledged, RequestError>;

fn send(client: &Client, content: &str) -> JoinHandle<Sent> {
    let (client, content) = (client.clone(), content.to_owned());
    tokio::spawn(async move { client.send(UserId(2), "", &content, Some(content.clone())).await })
}

fn acknowledged(seq: i64, repeat: bool, refusals: u32) -> Sent {
    Ok(Acknowledged { message_id: MessageId(100 + seq), seq: Seq(seq), repeat, refusals })
}

fn refused(result: Sent) -> ErrorCode {
    match result.unwrap_err() {
        RequestError::Refused(error) => error.code,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn what_has_no_answer_is_written_again_in_order() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let mut sends = Vec::new();
    for content in ["a", "b", "c"] {
        sends.push(send(&client, content));
        assert_eq!(peer.hear().await["client_message_id"], content);
    }
    drop(peer);
    let mut peer = node.welcome(0).await;
    let requests: [Value; 3] = [peer.hear().await, peer.hear().await, peer.hear().await];
    assert_eq!(requests.each_ref().map(|request| request["content"].as_str().unwrap()), ["a", "b", "c"]);
    // The first was stored before, and its entry comes as well: the repeat is not applied.
    peer.acknowledge(1, &requests[0], false).await;
    peer.acknowledge(1, &requests[0], true).await;
    peer.acknowledge(2, &requests[1], false).await;
    peer.acknowledge(7, &requests[2], true).await;
    let answers = [acknowledged(1, false, 0), acknowledged(2, false, 0), acknowledged(7, true, 0)];
    for (send, answer) in sends.into_iter().zip(answers) {
        assert_eq!(send.await.unwrap(), answer);
    }
    check(&mut events, &["connected", "disconnected None", "connected", "entry 1", "entry 2"]).await;
    assert_eq!((client.duplicates(), client.gaps()), (0, 0));
}

#[tokio::test]
async fn momentary_refusals_are_tried_again_and_others_are_answers() {
    let node = FakeNode::start().await;
    let (client, _events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let (first, second) = (send(&client, "a"), send(&client, "b"));
    for _ in 0..2 {
        let request = peer.hear().await;
        let is_first = request["content"] == "a";
        let code = if is_first { "store_unavailable" } else { "unknown_recipient" };
        peer.say(json!({
            "type": "error", "code": code, "error": "no", "request_id": request["request_id"],
            "client_message_id": request["client_message_id"], "retry_after_ms": is_first.then_some(5),
        }))
        .await;
    }
    let request = peer.hear().await;
    assert_eq!(request["content"], "a");
    peer.acknowledge(1, &request, false).await;
    assert_eq!(first.await.unwrap(), acknowledged(1, false, 1));
    assert_eq!(refused(second.await.unwrap()), ErrorCode::UnknownRecipient);
    assert_eq!(client.retries(), 1);

    let huge = "x".repeat(300_000);
    assert_eq!(refused(send(&client, &huge).await.unwrap()), ErrorCode::FrameTooLarge);
}

#[tokio::test]
async fn reads_and_counts_are_requests_too() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let client = Arc::new(client);
    let reader = Arc::clone(&client);
    let read = tokio::spawn(async move { reader.mark_read(MessageId(9)).await });
    assert_eq!(peer.hear().await, json!({"type": "mark_as_read", "message_id": 9, "request_id": 1}));
    drop(peer);
    let mut peer = node.welcome(0).await;
    assert_eq!(peer.hear().await["message_id"], 9);
    peer.say(
        json!({"type": "message_read", "seq": 1, "message_id": 9, "status": "success", "unread_count": 4}),
    )
    .await;
    read.await.unwrap().unwrap();

    let counter = Arc::clone(&client);
    let count = tokio::spawn(async move { counter.unread_count().await });
    let request = peer.hear().await;
    assert_eq!(request, json!({"type": "get_unread_count", "request_id": 2}));
    peer.say(json!({"type": "unread_count", "unread_count": 8})).await;
    peer.say(json!({"type": "unread_count", "unread_count": 4, "request_id": 2})).await;
    assert_eq!(count.await.unwrap(), Ok(4));
    check(&mut events, &["connected", "disconnected None", "connected", "entry 1", "frame"]).await;
}

#[tokio::test]
async fn reading_several_settles_each_of_them() {
    let node = FakeNode::start().await;
    let (client, _events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let reads: Vec<_> = [8, 9, 10]
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move { client.mark_read(MessageId(id)).await })
        })
        .into();
    for _ in &reads {
        peer.hear().await;
    }
    peer.say(json!({
        "type": "message_read", "seq": 1, "message_id": 10, "message_ids": [8, 9, 10], "status": "success",
        "unread_count": 0,
    }))
    .await;
    for read in reads {
        read.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_draft_is_written_with_its_files() {
    let node = FakeNode::start().await;
    let (client, _events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let attachment_ids = vec![AttachmentId(31), AttachmentId(30)];
    let draft = Draft { attachment_ids, subject: "Plan".to_owned(), ..Draft::new(UserId(2), "") };
    let sent = tokio::spawn(async move { client.send_draft(draft).await });
    let mut request = peer.hear().await;
    peer.acknowledge(1, &request, false).await;
    assert_eq!(sent.await.unwrap(), acknowledged(1, false, 0));
    assert!(request["client_message_id"].take().is_string(), "it got one");
    assert_eq!(
        request,
        json!({
            "type": "send_message", "recipient_id": 2, "subject": "Plan", "content": "", "request_id": 1,
            "client_message_id": null, "attachment_ids": [31, 30],
        })
    );
}

#[tokio::test]
async fn a_full_outbox_makes_senders_wait() {
    let node = FakeNode::start().await;
    let mut config = node.config();
    config.outbox = 2;
    let (client, _events) = Client::start(config);
    let mut peer = node.welcome(0).await;
    let sends: Vec<_> = (0..40).map(|number| send(&client, &number.to_string())).collect();
    for seq in 1..=40 {
        let request = peer.hear().await;
        peer.acknowledge(seq, &request, false).await;
    }
    for send in sends {
        send.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_consumer_with_a_full_channel_may_await_its_own_request() {
    let node = FakeNode::start().await;
    let mut config = node.config();
    config.events = 1;
    let (client, mut events) = Client::start(config);
    let mut peer = node.welcome(0).await;
    for seq in 1..=50 {
        peer.entry(seq).await;
    }
    let sent = send(&client, "a");
    let request = peer.hear().await;
    peer.acknowledge(51, &request, false).await;
    assert_eq!(sent.await.unwrap(), acknowledged(51, false, 0));

    // What was read only for the answer comes again.
    check(&mut events, &["connected", "entry 1", "disconnected None"]).await;
    drop(peer);
    let mut peer = node.welcome(1).await;
    assert_eq!(peer.uri, "/ws/messages/?cursor=1&epoch=e1");
    for seq in 2..=51 {
        peer.entry(seq).await;
    }
    check(&mut events, &["connected"]).await;
    for seq in 2..=51 {
        check(&mut events, &[&format!("entry {seq}")]).await;
    }
}
