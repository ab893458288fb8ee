//! A WebSocket as it comes, for what a well-behaved client would never send.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, http};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Cluster, DEADLINE, token};

/// A raw session.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens a session of `user` on a node; `query` is what follows the question mark.
    pub(crate) async fn open(cluster: &Cluster, node: usize, user: i64, query: &str) -> anyhow::Result<Self> {
        match Self::handshake(cluster, node, Some(&format!("Bearer {}", token(user))), query).await? {
            Ok(socket) => Ok(socket),
            Err(response) => bail!("refused: {response:?}"),
        }
    }

    /// Tries a handshake: a session, or the status and body of the refusal.
    pub(crate) async fn handshake(
        cluster: &Cluster,
        node: usize,
        authorization: Option<&str>,
        query: &str,
    ) -> anyhow::Result<Result<Self, (u16, Value)>> {
        let headers: Vec<_> = authorization.iter().map(|value| format!("Authorization: {value}")).collect();
        Self::handshake_with(cluster, node, &headers, query).await
    }

    /// The same with any header lines.
    pub(crate) async fn handshake_with(
        cluster: &Cluster,
        node: usize,
        headers: &[String],
        query: &str,
    ) -> anyhow::Result<Result<Self, (u16, Value)>> {
        Self::connect(cluster.address(node), headers, query).await
    }

    /// The same at an address, which may be that of a node that is being stopped.
    pub(crate) async fn connect(
        address: SocketAddr,
        headers: &[String],
        query: &str,
    ) -> anyhow::Result<Result<Self, (u16, Value)>> {
        let mut request = format!("ws://{address}/ws/messages/?{query}").into_client_request()?;
        for line in headers {
            let (name, value) = line.split_once(": ").context("a header line")?;
            request.headers_mut().append(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
        }
        match timeout(DEADLINE, connect_async(request)).await? {
            Ok((stream, _response)) => Ok(Ok(Self(stream))),
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Ok(Err((response.status().as_u16(), serde_json::from_slice(body).unwrap_or_default())))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn send(&mut self, frame: impl Into<Message>) -> anyhow::Result<()> {
        Ok(timeout(DEADLINE, self.0.send(frame.into())).await??)
    }

    /// The next frame, past counts that nobody asked for.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Value> {
        loop {
            match self.next_message().await? {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    if frame["type"] != "unread_count" || !frame["request_id"].is_null() {
                        return Ok(frame);
                    }
                }
                Message::Close(close) => bail!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// The code with which the server closes, past whatever else comes.
    pub(crate) async fn close_code(&mut self) -> anyhow::Result<u16> {
        loop {
            if let Message::Close(close) = self.next_message().await? {
                return Ok(close.context("a close without a code")?.code.into());
            }
        }
    }

    /// Whatever comes next.
    pub(crate) async fn next_message(&mut self) -> anyhow::Result<Message> {
        let next = timeout(DEADLINE, self.0.next()).await.context("nothing came")?;
        Ok(next.context("the connection ended")??)
    }
}
