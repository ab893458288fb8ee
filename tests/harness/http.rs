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
    /// The body as it came, where it need not be text.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }

    /// The value of a header, if it is there; names in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn read(raw: &[u8]) -> anyhow::Result<Self> {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n").context("no end of the head")?;
        let head = String::from_utf8(raw[..end].to_vec())?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let mut answer = Self { status, head, body: String::new(), bytes: raw[end + 4..].to_vec() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.bytes = unchunked(&answer.bytes)?;
        }
        answer.body = String::from_utf8_lossy(&answer.bytes).into_owned();
        Ok(answer)
    }
}

fn unchunked(mut raw: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let end = raw.windows(2).position(|window| window == b"\r\n").context("no end of a chunk's head")?;
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end])?.trim(), 16)?;
        if size == 0 {
            return Ok(bytes);
        }
        bytes.extend(raw.get(end + 2..end + 2 + size).context("a chunk is cut off")?);
        raw = raw.get(end + 4 + size..).context("no end of a chunk")?;
    }
}

/// Gets a path, with further header lines.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[String]) -> anyhow::Result<Answer> {
    send(address, "GET", path, headers, &[]).await
}

/// Sends a request with a body of JSON.
pub(crate) async fn send_json(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[String],
    body: &Value,
) -> anyhow::Result<Answer> {
    let mut headers = headers.to_vec();
    headers.push("Content-Type: application/json".to_owned());
    send(address, method, path, &headers, body.to_string().as_bytes()).await
}

/// Sends a request, and reads its answer to the end.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[String],
    body: &[u8],
) -> anyhow::Result<Answer> {
    let answer = async {
        let length = format!("Connection: close\r\nContent-Length: {}\r\n", body.len());
        let mut stream = request(address, method, path, headers, &length).await?;
        let (mut answers, mut requests) = stream.split();
        let mut raw = Vec::new();
        // A refusal may come, and the connection end, before the whole body is taken.
        let sending = async {
            let _refused = requests.write_all(body).await;
            anyhow::Ok(())
        };
        let (sent, read) = tokio::join!(sending, answers.read_to_end(&mut raw));
        sent?;
        if raw.is_empty() {
            read?;
        }
        Answer::read(&raw)
    };
    timeout(DEADLINE * 2, answer).await.with_context(|| format!("no answer to {path}"))?
}

/// A form of texts and files as a browser posts it: the type of the body, and the body.
pub(crate) fn multipart(texts: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "----a-boundary-of-a-test";
    let mut body = Vec::new();
    for (name, text) in texts {
        let part =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend(part.as_bytes());
    }
    for (name, filename, bytes) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\
             Content-Type: text/plain\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("Content-Type: multipart/form-data; boundary={BOUNDARY}"), body)
}

/// The password of every user of the harness.
pub(crate) const PASSWORD: &str = "correct horse 8";

/// Logs a user in by the form of the former system, and gives the header line of the session's cookie.
pub(crate) async fn log_in(address: SocketAddr, user: i64) -> anyhow::Result<String> {
    let form = format!("usn=user{user}&password={}", PASSWORD.replace(' ', "+"));
    let headers = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
    let answer = send(address, "POST", "/login/", &headers, form.as_bytes()).await?;
    anyhow::ensure!(answer.status == 302, "{} {}", answer.status, answer.body);
    let cookie = answer.header("set-cookie").context("no cookie")?;
    Ok(format!("Cookie: {}", cookie.split(';').next().context("no value")?))
}

/// The header line by which a page of ours shows itself.
pub(crate) fn origin(address: SocketAddr) -> String {
    format!("Origin: http://{address}")
}

/// The header line that names a user.
pub(crate) fn bearer(user: i64) -> String {
    format!("Authorization: Bearer {}", super::token(user))
}

/// The request that opens a session, for those who do not go on as a client would.
pub(crate) fn upgrade(address: SocketAddr, bearer: &str) -> String {
    format!(
        "GET /ws/messages/ HTTP/1.1\r\nHost: {address}\r\n{bearer}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[String],
    more: &str,
) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}{more}\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// A stream of server-sent events.
pub(crate) struct EventStream(BufReader<TcpStream>);

impl EventStream {
    pub(crate) async fn open(address: SocketAddr, path: &str, headers: &[String]) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(request(address, "GET", path, headers, "").await?)))
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
