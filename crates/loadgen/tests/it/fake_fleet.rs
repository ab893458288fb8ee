//! Two nodes in one process that keep everything in memory, and go wrong as told. The token of a user is their id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Sender, channel};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// What happens to the thirtieth message of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// And nobody hears who turns away.
    Lose,
    Double,
    /// It comes after the one that follows it.
    Delay,
    /// It is refused for the moment.
    Refuse,
}

pub(crate) struct FakeFleet {
    fault: Fault,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<i64, (i64, Sender<Value>)>,
    n_messages: u64,
    /// Their members, the first group first.
    groups: Vec<Vec<i64>>,
    delayed: Option<(i64, Value)>,
    /// Who watches whom.
    watched: Vec<(i64, i64)>,
}

impl FakeFleet {
    /// Starts it; the result are its base URLs.
    pub(crate) async fn start(fault: Fault) -> [String; 2] {
        let fleet = Arc::new(Self { fault, state: Mutex::default() });
        let (first, second) = (Arc::clone(&fleet), fleet);
        [first.listen().await, second.listen().await]
    }

    async fn listen(self: Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&self).serve(stream));
            }
        });
        url
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut user = 0;
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let header = request.headers()["authorization"].to_str().unwrap();
            user = header.strip_prefix("Bearer ").unwrap().parse().unwrap();
            Ok(response)
        };
        let mut socket = accept_hdr_async(stream, callback).await.unwrap();
        let (sender, mut frames) = channel(10_000);
        sender.try_send(welcome(user)).unwrap();
        self.state.lock().unwrap().users.insert(user, (0, sender));
        loop {
            tokio::select! {
                Some(frame) = frames.recv() => {
                    socket.send(Message::text(frame.to_string())).await.unwrap();
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.take(user, &serde_json::from_str(&text).unwrap()),
                    Some(Ok(_)) => {}
                    _ => return,
                },
            }
        }
    }

    fn take(&self, user: i64, request: &Value) {
        let state = &mut *self.state.lock().unwrap();
        match request["type"].as_str().unwrap() {
            "create_group" => return state.make_group(user, request),
            "watch_presence" => return state.watch(user, request),
            "set_presence" if self.fault == Fault::Lose => return,
            "set_presence" => return state.tell(user, &request["status"]),
            _ => {}
        }
        state.n_messages += 1;
        let id = state.n_messages;
        let fault = if id == 30 { self.fault } else { Fault::None };
        let group = request["conversation_id"].as_u64();
        let recipients = match group {
            Some(group) => state.groups[usize::try_from(group).unwrap()].clone(),
            None => vec![user, request["recipient_id"].as_i64().unwrap()],
        };
        // Faults are those of the first.
        let (recipient, others) = (recipients[1], &recipients[2..]);
        let data = json!({
            "type": "new_message", "message_id": id, "conversation_id": group.unwrap_or(1), "sender": "ada",
            "sender_id": user, "recipient_id": request["recipient_id"], "subject": "", "content": request["content"],
            "created_at": "2026-01-01T00:00:00Z", "is_read": false, "attachments": [],
        });
        if fault == Fault::Refuse {
            let error = json!({
                "type": "error", "code": "rate_limited", "error": "slowly", "retry_after_ms": 50,
                "request_id": request["request_id"],
            });
            return state.users[&user].1.try_send(error).unwrap();
        }
        let acknowledgement = json!({
            "type": "message_sent", "message_id": id, "status": "success",
            "client_message_id": request["client_message_id"], "data": &data,
        });
        state.append(user, acknowledgement);
        let message = json!({"type": "new_message", "data": data});
        for other in others {
            state.append(*other, message.clone());
        }
        if fault == Fault::Delay {
            state.delayed = Some((recipient, message));
            return;
        }
        if fault != Fault::Lose {
            state.append(recipient, message.clone());
        }
        if fault == Fault::Double {
            state.append(recipient, message);
        }
        if let Some((_, delayed)) = state.delayed.take_if(|(delayed_for, _)| *delayed_for == recipient) {
            state.append(recipient, delayed);
        }
    }
}

impl State {
    /// Only its owner is told.
    fn make_group(&mut self, owner: i64, request: &Value) {
        let others = request["member_ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap());
        self.groups.push(std::iter::once(owner).chain(others).collect());
        let joined = json!({
            "type": "group_changed", "conversation_id": self.groups.len() - 1, "actor_id": owner, "change": "joined",
            "title": request["title"], "members": [], "client_conversation_id": request["client_conversation_id"],
            "unread_count": 0,
        });
        self.append(owner, joined);
    }

    /// All are online.
    fn watch(&mut self, user: i64, request: &Value) {
        for other in request["user_ids"].as_array().unwrap() {
            self.watched.push((user, other.as_i64().unwrap()));
            let presence = json!({"type": "presence", "user_id": other, "status": "online"});
            self.users[&user].1.try_send(presence).unwrap();
        }
    }

    fn tell(&self, user: i64, status: &Value) {
        for (watcher, _) in self.watched.iter().filter(|(_, other)| *other == user) {
            let presence = json!({"type": "presence", "user_id": user, "status": status});
            self.users[watcher].1.try_send(presence).unwrap();
        }
    }

    fn append(&mut self, user: i64, mut entry: Value) {
        let (last_seq, sender) = self.users.get_mut(&user).unwrap();
        *last_seq += 1;
        entry["seq"] = json!(*last_seq);
        sender.try_send(entry).unwrap();
    }
}

fn welcome(user: i64) -> Value {
    json!({
        "type": "welcome", "user": {"id": user, "username": "ada", "full_name": ""}, "connection_id": "c",
        "epoch": "e1", "cursor": 0, "unread_count": 0, "server_time": "2026-01-01T00:00:00Z",
        "heartbeat_interval_ms": 25_000,
        "limits": {
            "frame_bytes": 1, "content_bytes": 1, "subject_chars": 1, "attachments": 1, "attachment_bytes": 1,
            "messages_per_second": 1,
        },
    })
}
