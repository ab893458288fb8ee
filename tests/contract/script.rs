//! The former system's script, or any other that a user of it wrote: a session's cookie, raw requests, a raw socket.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::pattern::check;
use crate::harness::http::{self, Answer, multipart, origin};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE};

/// A script of a user who is logged in on a node.
pub(super) struct Script {
    pub(super) node: usize,
    pub(super) address: SocketAddr,
    /// The header line.
    pub(super) cookie: String,
}

impl Script {
    pub(super) async fn log_in(cluster: &Cluster, node: usize, user: i64) -> anyhow::Result<Self> {
        let address = cluster.address(node);
        Ok(Self { node, address, cookie: http::log_in(address, user).await? })
    }

    /// The same session on the other node: behind a balancer no script knows which it asks.
    pub(super) fn on_other_node(&self, cluster: &Cluster) -> Self {
        let node = 1 - self.node;
        Self { node, address: cluster.address(node), cookie: self.cookie.clone() }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        http::get(self.address, path, std::slice::from_ref(&self.cookie)).await
    }

    /// What is answered with 200 and JSON.
    pub(super) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.get(path).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        ensure!(answer.header("content-type") == Some("application/json"), "{path}: {}", answer.head);
        answer.json()
    }

    /// Posts as the former page does: its origin, its token, and a script that waits for the answer.
    pub(super) async fn post(&self, path: &str, headers: &[String], body: &[u8]) -> anyhow::Result<Answer> {
        let mut all = vec![
            self.cookie.clone(),
            origin(self.address),
            "X-Requested-With: XMLHttpRequest".to_owned(),
            "X-CSRFToken: the value of a hidden field".to_owned(),
        ];
        all.extend_from_slice(headers);
        http::send(self.address, "POST", path, &all, body).await
    }

    /// Sends the form of the dialog.
    pub(super) async fn post_form(
        &self,
        texts: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> anyhow::Result<Answer> {
        let texts = [&[("csrfmiddlewaretoken", "the value of a hidden field")], texts].concat();
        let (content_type, body) = multipart(&texts, files);
        self.post("/messages/send/", &[content_type], &body).await
    }

    /// The same, and it was sent: gives the answer's body.
    pub(super) async fn send_form(
        &self,
        texts: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> anyhow::Result<Value> {
        let answer = self.post_form(texts, files).await?;
        ensure!(answer.status == 200, "{texts:?}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// Sends a message without files and gives its id.
    pub(super) async fn send(&self, to: i64, subject: &str, content: &str) -> anyhow::Result<Value> {
        let to = to.to_string();
        let fields = [("recipient", to.as_str()), ("subject", subject), ("content", content)];
        Ok(self.send_form(&fields, &[]).await?["message_id"].take())
    }

    pub(super) async fn delete(&self, message: &Value) -> anyhow::Result<Answer> {
        self.post(&format!("/messages/delete/{message}/"), &[], &[]).await
    }

    pub(super) async fn unread(&self) -> anyhow::Result<i64> {
        let body = self.json("/messages/unread/").await?;
        check("HTTP: /messages/unread/", &body, &json!({"unread_count": "<number>"}))?;
        body["unread_count"].as_i64().context("a number")
    }

    /// Opens the page's socket: the cookie, the origin, and no cursor. It is past its `welcome`.
    pub(super) async fn socket(&self, cluster: &Cluster) -> anyhow::Result<Socket> {
        let headers = [self.cookie.clone(), origin(self.address)];
        let socket = Socket::handshake_with(cluster, self.node, &headers, "").await?;
        let Ok(mut socket) = socket else { bail!("the handshake is refused") };
        let welcome = socket.next().await?;
        ensure!(welcome["type"] == "welcome", "{welcome}");
        Ok(socket)
    }
}

/// Sends a frame and gives the next one.
pub(super) async fn ask(socket: &mut Socket, frame: &str) -> anyhow::Result<Value> {
    socket.send(frame).await?;
    socket.next().await
}

/// Asks for the count as the former script did, without naming the request. Nothing else may come first.
pub(super) async fn count(socket: &mut Socket) -> anyhow::Result<i64> {
    socket.send(r#"{"type": "get_unread_count"}"#).await?;
    socket.send(r#"{"type": "ping"}"#).await?;
    // What nobody asked for may stand before the answer, and never behind it.
    let mut last = None;
    loop {
        let message = timeout(DEADLINE, socket.0.next()).await.context("no count came")?;
        let Message::Text(text) = message.context("the connection ended")?? else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        if frame["type"] == "pong" {
            return last.context("no count came");
        }
        let pattern = json!({"type": "unread_count", "unread_count": "<number>"});
        check("WebSocket: unread_count", &frame, &pattern)?;
        last = frame["unread_count"].as_i64();
    }
}

/// Nothing is on its way to a socket: the next frame is the answer to what is asked last.
pub(super) async fn check_quiet(row: &str, socket: &mut Socket) -> anyhow::Result<()> {
    let pong = ask(socket, r#"{"type": "ping"}"#).await?;
    ensure!(pong == json!({"type": "pong"}), "{row}: {pong}");
    Ok(())
}
