//! Two nodes in one process that keep everything in memory, and go wrong as told. The token of a user is their id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
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
    /// Its entry is in the recipient's mailbox, and their sessions do not hear of it.
    Skip,
    /// Its entry is handed over twice.
    Repeat,
    /// Its sender's connections end before its acknowledgement.
    Cut,
}

pub(crate) struct FakeFleet {
    fault: Fault,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mailboxes: HashMap<i64, Mailbox>,
    n_messages: u64,
    /// Their members, the first group first.
    groups: Vec<Vec<i64>>,
    delayed: Option<(i64, Value)>,
    /// Who watches whom.
    watched: Vec<(i64, i64)>,
    /// The acknowledgements of a user's messages, by their names.
    sent: HashMap<(i64, String), Value>,
}

#[derive(Default)]
struct Mailbox {
    /// The first has the `seq` 1.
    entries: Vec<Value>,
    sessions: Vec<Sender<Value>>,
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
        let (mut user, mut cursor) = (0, None);
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let header = request.headers()["authorization"].to_str().unwrap();
            user = header.strip_prefix("Bearer ").unwrap().parse().unwrap();
            let mut query = request.uri().query().unwrap_or_default().split('&');
            cursor = query.find_map(|field| field.strip_prefix("cursor=")).map(|seq| seq.parse().unwrap());
            Ok(response)
        };
        let mut socket = accept_hdr_async(stream, callback).await.unwrap();
        let mut frames = self.state.lock().unwrap().attach(user, cursor);
        loop {
            tokio::select! {
                frame = frames.recv() => match frame {
                    Some(frame) if socket.send(Message::text(frame.to_string())).await.is_ok() => {}
                    _ => return,
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let request: Value = serde_json::from_str(&text).unwrap();
                        if let Some(answer) = self.take(user, &request) {
                            socket.send(Message::text(answer.to_string())).await.unwrap();
                        }
                    }
                    Some(Ok(_)) => {}
                    _ => return,
                },
            }
        }
    }

    /// The result is an answer that is no entry.
    fn take(&self, user: i64, request: &Value) -> Option<Value> {
        let state = &mut *self.state.lock().unwrap();
        match request["type"].as_str().unwrap() {
            "create_group" => state.make_group(user, request),
            "watch_presence" => state.watch(user, request),
            "set_presence" if self.fault == Fault::Lose => {}
            "set_presence" => state.tell(user, &request["status"]),
            "ping" => return Some(json!({"type": "pong", "request_id": request["request_id"]})),
            _ => return self.send(state, user, request),
        }
        None
    }

    fn send(&self, state: &mut State, user: i64, request: &Value) -> Option<Value> {
        let name = (user, request["client_message_id"].as_str().unwrap().to_owned());
        if let Some(acknowledgement) = state.sent.get(&name) {
            let mut repeat = acknowledgement.clone();
            (repeat["seq"], repeat["repeat"]) = (json!(1), json!(true));
            return Some(repeat);
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
            return Some(json!({
                "type": "error", "code": "rate_limited", "error": "slowly", "retry_after_ms": 50,
                "request_id": request["request_id"], "client_message_id": request["client_message_id"],
            }));
        }
        if fault == Fault::Cut {
            state.mailboxes.get_mut(&user).unwrap().sessions.clear();
        }
        let acknowledgement = json!({
            "type": "message_sent", "message_id": id, "status": "success",
            "client_message_id": request["client_message_id"], "data": &data,
        });
        state.sent.insert(name, acknowledgement.clone());
        state.append(user, acknowledgement, 1);
        let message = json!({"type": "new_message", "data": data});
        for other in others {
            state.append(*other, message.clone(), 1);
        }
        match fault {
            Fault::Delay => state.delayed = Some((recipient, message)),
            Fault::Lose => {}
            Fault::Double => {
                state.append(recipient, message.clone(), 1);
                state.append(recipient, message, 1);
            }
            Fault::Skip => state.append(recipient, message, 0),
            Fault::Repeat => state.append(recipient, message, 2),
            _ => {
                state.append(recipient, message, 1);
                if let Some((_, delayed)) = state.delayed.take_if(|(who, _)| *who == recipient) {
                    state.append(recipient, delayed, 1);
                }
            }
        }
        None
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
        self.append(owner, joined, 1);
    }

    /// All are online.
    fn watch(&mut self, user: i64, request: &Value) {
        for other in request["user_ids"].as_array().unwrap() {
            self.watched.push((user, other.as_i64().unwrap()));
            let presence = json!({"type": "presence", "user_id": other, "status": "online"});
            self.mailboxes[&user].sessions[0].try_send(presence).unwrap();
        }
    }

    fn tell(&self, user: i64, status: &Value) {
        for (watcher, _) in self.watched.iter().filter(|(_, other)| *other == user) {
            let presence = json!({"type": "presence", "user_id": user, "status": status});
            self.mailboxes[watcher].sessions[0].try_send(presence).unwrap();
        }
    }

    /// A session of the user, from a position or the end of their mailbox.
    fn attach(&mut self, user: i64, cursor: Option<usize>) -> Receiver<Value> {
        let mailbox = self.mailboxes.entry(user).or_default();
        let cursor = cursor.unwrap_or(mailbox.entries.len());
        let (session, frames) = channel(10_000);
        session.try_send(welcome(user, cursor)).unwrap();
        mailbox.entries[cursor..].iter().for_each(|entry| session.try_send(entry.clone()).unwrap());
        mailbox.sessions.push(session);
        frames
    }

    /// Each session hears of the entry so many times.
    fn append(&mut self, user: i64, mut entry: Value, times: usize) {
        let mailbox = self.mailboxes.entry(user).or_default();
        entry["seq"] = json!(mailbox.entries.len() + 1);
        mailbox.entries.push(entry.clone());
        for _ in 0..times {
            // Those that ended are forgotten.
            mailbox.sessions.retain(|session| session.try_send(entry.clone()).is_ok());
        }
    }
}

fn welcome(user: i64, cursor: usize) -> Value {
    json!({
        "type": "welcome", "user": {"id": user, "username": "ada", "full_name": ""}, "connection_id": "c",
        "epoch": "e1", "cursor": cursor, "unread_count": 0, "server_time": "2026-01-01T00:00:00Z",
        "heartbeat_interval_ms": 25_000,
        "limits": {
            "frame_bytes": 1, "content_bytes": 1, "subject_chars": 1, "attachments": 1, "attachment_bytes": 1,
            "messages_per_second": 1,
        },
    })
}
