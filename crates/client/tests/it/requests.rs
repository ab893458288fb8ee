//! Anything may be asked for, and is known to be done by its entry, its repeat or its refusal.

use serde_json::{Value, json};
use switchboard_client::{Client, Event, RequestError};
use switchboard_protocol::client_frame::{CreateGroup, SetReaction};
use switchboard_protocol::{ClientFrame, ConversationId, ErrorCode, MessageId, ServerFrame, UserId};
use tokio::task::JoinHandle;

use crate::check;
use crate::fake_node::FakeNode;

type Done = Result<ServerFrame, RequestError>;

fn request(client: &Client, frame: ClientFrame) -> JoinHandle<Done> {
    let client = client.clone();
    tokio::spawn(async move { client.request(frame).await })
}

fn reaction(is_set: bool) -> ClientFrame {
    ClientFrame::SetReaction(SetReaction { message_id: MessageId(7), reaction: "👍".to_owned(), is_set })
}

/// What the node tells of a reaction, to the client, who is user 1.
fn reacted(seq: i64, user: i64) -> Value {
    json!({
        "type": "message_reaction", "seq": seq, "message_id": 7, "conversation_id": 12, "user_id": user,
        "reaction": "👍", "is_set": true, "count": 1,
    })
}

#[tokio::test]
async fn ones_own_entry_answers() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let done = request(&client, reaction(true));
    assert_eq!(peer.hear().await["type"], "set_reaction");
    // Another member sets the same.
    peer.say(reacted(1, 2)).await;
    check(&mut events, &["connected", "entry 1"]).await;
    assert!(!done.is_finished());
    peer.say(reacted(2, 1)).await;
    assert!(matches!(done.await.unwrap(), Ok(ServerFrame::MessageReaction { user_id: UserId(1), .. })));
    check(&mut events, &["entry 2"]).await;
}

#[tokio::test]
async fn a_repeat_and_a_refusal_answer_their_request_alone() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(5).await;
    let title = ClientFrame::SetTitle { conversation_id: ConversationId(12), title: " Lunch ".to_owned() };
    let (first, second) = (request(&client, title.clone()), request(&client, title));
    let asked = [peer.hear().await, peer.hear().await];
    let repeat = json!({
        "type": "group_changed", "seq": 5, "conversation_id": 12, "actor_id": 1, "change": "titled", "title": "Lunch",
        "unread_count": 0, "repeat": true, "request_id": asked[1]["request_id"],
    });
    peer.say(repeat).await;
    assert!(matches!(second.await.unwrap(), Ok(ServerFrame::GroupChanged { repeat: true, .. })));
    assert!(!first.is_finished());
    let refusal =
        json!({"type": "error", "code": "not_owner", "error": "no", "request_id": asked[0]["request_id"]});
    peer.say(refusal).await;
    let Err(RequestError::Refused(error)) = first.await.unwrap() else { panic!("not refused") };
    assert_eq!(error.code, ErrorCode::NotOwner);
    peer.entry(6).await;
    check(&mut events, &["connected", "entry 6"]).await;
}

#[tokio::test]
async fn a_group_is_made_once() {
    let node = FakeNode::start().await;
    let (client, _events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let title = "Lunch".to_owned();
    let group = CreateGroup { title, member_ids: vec![UserId(2)], client_conversation_id: None };
    let made = request(&client, ClientFrame::CreateGroup(group));
    let first = peer.hear().await;
    drop(peer);
    let mut peer = node.welcome(0).await;
    let again = peer.hear().await;
    assert!(again == first && again["client_conversation_id"].is_string(), "{again}");
    let joined = json!({
        "type": "group_changed", "seq": 1, "conversation_id": 12, "actor_id": 1, "change": "joined", "title": "Lunch",
        "members": [{"user_id": 1, "role": "owner"}, {"user_id": 2, "role": "member"}],
        "client_conversation_id": again["client_conversation_id"], "unread_count": 0,
    });
    peer.say(joined).await;
    assert!(made.await.unwrap().is_ok());
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_once() {
    let node = FakeNode::start().await;
    let (client, mut events) = Client::start(node.config());
    let mut peer = node.welcome(0).await;
    let typing = ClientFrame::Typing { to: UserId(2).into(), is_typing: true };
    client.ask(typing).await.unwrap();
    assert_eq!(peer.hear().await["type"], "typing");
    check(&mut events, &["connected"]).await;
    peer.say(json!({"type": "error", "code": "unknown_recipient", "error": "no", "request_id": 1})).await;
    let event = events.recv().await.unwrap();
    assert!(matches!(event, Event::Frame(ServerFrame::Error(_))), "{event:?}");
    drop(peer);
    let mut peer = node.welcome(0).await;
    let count = request(&client, ClientFrame::GetUnreadCount);
    let asked = peer.hear().await;
    assert_eq!(asked["type"], "get_unread_count", "the other frame does not come again");
    peer.say(json!({"type": "unread_count", "unread_count": 3, "request_id": asked["request_id"]})).await;
    assert!(matches!(count.await.unwrap(), Ok(ServerFrame::UnreadCount { unread_count: 3, .. })));
}
