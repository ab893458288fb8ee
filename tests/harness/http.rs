//! HTTP as it comes: one request a connection.

use std::net::SocketAddr;

use anyhow::Context;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::DEADLINE;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// Gets a path, with further header lines.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[String]) -> anyhow::Result<Answer> {
    let answer = async {
        let mut stream = request(address, path, headers, "Connection: close\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        anyhow::Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    };
    timeout(DEADLINE * 2, answer).await.with_context(|| format!("no answer to {path}"))?
}

/// The header line that names a user.
pub(crate) fn bearer(user: i64) -> String {
    format!("Authorization: Bearer {}", super::token(user))
}

async fn request(
    address: SocketAddr,
    path: &str,
    headers: &[String],
    more: &str,
) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}{more}\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// A stream of server-sent events.
pub(crate) struct EventStream(BufReader<TcpStream>);

impl EventStream {
    pub(crate) async fn open(address: SocketAddr, path: &str, headers: &[String]) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(request(address, path, headers, "").await?)))
    }

    /// The id and the frame of the next event; the seams of chunked encoding never fall into a line of ours.
    pub(crate) async fn next(&mut self) -> anyhow::Result<(i64, Value)> {
        let mut id = 0;
        loop {
            let mut line = String::new();
            let n = timeout(DEADLINE, self.0.read_line(&mut line)).await.context("no event")??;
            // The last chunk has no bytes; the connection may stay for another request.
            anyhow::ensure!(n > 0 && line != "0\r\n", "the stream ended");
            if let Some(text) = line.strip_prefix("id: ") {
                let (seq, _epoch) =
                    text.trim().split_once('-').context("an id is a position and an epoch")?;
                id = seq.parse()?;
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Ok((id, serde_json::from_str(text)?));
            }
        }
    }
}

/// One counter or gauge of a node, summed over its labels.
pub(crate) async fn metric(address: SocketAddr, name: &str) -> anyhow::Result<f64> {
    let answer = get(address, "/metrics", &[]).await?;
    let lines = answer
        .body
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
