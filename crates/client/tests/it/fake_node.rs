//! A node that does what a test tells it to, over real sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use switchboard_client::{Backoff, Config};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

pub(crate) struct FakeNode {
    listener: TcpListener,
}

impl FakeNode {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// A client of this node that reconnects quickly.
    pub(crate) fn config(&self) -> Config {
        let url = format!("http://{}/", self.listener.local_addr().unwrap());
        let backoff = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(20) };
        Config { backoff, ..Config::new([url], "hush") }
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut request = None;
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let callback = |got: &Request, response: Response| -> Result<Response, ErrorResponse> {
            request =
                Some((got.uri().to_string(), got.headers()["authorization"].to_str().unwrap().to_owned()));
            Ok(response)
        };
        let socket = accept_hdr_async(stream, callback).await.unwrap();
        let (uri, authorization) = request.unwrap();
        assert_eq!(authorization, "Bearer hush");
        Peer { socket, uri }
    }

    pub(crate) async fn refuse(&self, status: u16) {
        self.refuse_with(status, None).await;
    }

    pub(crate) async fn refuse_with(&self, status: u16, problem: Option<Value>) {
        let (stream, _) = self.listener.accept().await.unwrap();
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let callback = |_: &Request, _: Response| -> Result<Response, ErrorResponse> {
            let mut response = ErrorResponse::new(problem.as_ref().map(Value::to_string));
            *response.status_mut() = status.try_into().unwrap();
            Err(response)
        };
        accept_hdr_async(stream, callback).await.unwrap_err();
    }

    pub(crate) async fn hang_up(&self) {
        self.listener.accept().await.unwrap();
    }

    /// Accepts, and greets with the mailbox at this position.
    pub(crate) async fn welcome(&self, cursor: i64) -> Peer {
        let mut peer = self.accept().await;
        peer.welcome(cursor, 25_000).await;
        peer
    }
}

pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    pub(crate) uri: String,
}

impl Peer {
    pub(crate) async fn welcome(&mut self, cursor: i64, heartbeat_interval_ms: u64) {
        self.say(json!({
            "type": "welcome", "user": {"id": 1, "username": "ada", "full_name": ""},
            "connection_id": "c", "epoch": "e1", "cursor": cursor, "unread_count": 0,
            "server_time": "2026-01-01T00:00:00Z", "heartbeat_interval_ms": heartbeat_interval_ms,
            "limits": {
                "frame_bytes": 1, "content_bytes": 1, "subject_chars": 1, "attachments": 1, "attachment_bytes": 1,
                "messages_per_second": 1,
            },
        }))
        .await;
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// An entry that says nothing but its position.
    pub(crate) async fn entry(&mut self, seq: i64) {
        self.say(json!({"type": "void", "seq": seq})).await;
    }

    pub(crate) async fn acknowledge(&mut self, seq: i64, request: &Value, repeat: bool) {
        self.say(json!({
            "type": "message_sent", "seq": seq, "message_id": 100 + seq, "status": "success",
            "client_message_id": request["client_message_id"], "repeat": repeat,
            "data": {
                "type": "new_message", "message_id": 100 + seq, "conversation_id": 1, "sender": "ada", "sender_id": 1,
                "recipient_id": request["recipient_id"], "subject": "", "content": request["content"],
                "created_at": "2026-01-01T00:00:00Z", "is_read": false, "attachments": [],
            },
        }))
        .await;
    }

    /// The next text frame, or `null` at the end.
    pub(crate) async fn hear(&mut self) -> Value {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
        Value::Null
    }

    /// The code of the client's close frame.
    pub(crate) async fn hear_close(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
