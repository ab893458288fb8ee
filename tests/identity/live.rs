//! What stays open: a socket, an event stream, a long poll. Opened by any way in, and ended or not.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{on_behalf, page_of, ticket};
use crate::harness::http::{Answer, EventStream, bearer, get, send_json};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE};

/// Within which credentials that have ended are cut off, tripled.
pub(super) const CUT_OFF: Duration = Duration::from_secs(3 * 2);

/// A way in: header lines, or a ticket that is asked for with them.
pub(super) struct Way {
    pub(super) what: &'static str,
    pub(super) headers: Vec<String>,
    pub(super) by_ticket: bool,
}

impl Way {
    fn both(what: [&'static str; 2], headers: Vec<String>) -> [Self; 2] {
        let way = |what, by_ticket| Self { what, headers: headers.clone(), by_ticket };
        [way(what[0], false), way(what[1], true)]
    }

    /// By a cookie of a new session.
    pub(super) async fn by_cookie(cluster: &Cluster, user: i64) -> anyhow::Result<[Self; 2]> {
        Ok(Self::both(["a cookie", "a ticket of a session"], page_of(cluster.address(0), user).await?))
    }

    /// By a token that counts for an hour.
    pub(super) fn by_token(user: i64) -> [Self; 2] {
        Self::both(["a token", "a ticket of a token"], vec![bearer(user)])
    }

    /// By an API key.
    pub(super) fn by_key(key: &str, user: i64) -> [Self; 2] {
        Self::both(["a key", "a ticket of a key"], on_behalf(key, user))
    }
}

/// One open connection.
pub(super) struct Live {
    what: String,
    open: Open,
}

enum Open {
    Socket(Box<Socket>),
    Stream(EventStream),
    Poll(JoinHandle<anyhow::Result<Answer>>),
}

impl Live {
    /// Opens all that can be opened this way, on both nodes. A ticket is used on the other node than it is from.
    pub(super) async fn open_all(cluster: &Cluster, ways: &[Way], user: i64) -> anyhow::Result<Vec<Self>> {
        let mut open = Vec::new();
        for way in ways {
            for node in [0, 1] {
                open.extend(Self::open_on(cluster, node, way, user).await.with_context(|| way.what)?);
            }
        }
        Ok(open)
    }

    async fn open_on(cluster: &Cluster, node: usize, way: &Way, user: i64) -> anyhow::Result<Vec<Self>> {
        let live = |kind, open| Self { what: format!("{kind} on node {node} by {}", way.what), open };
        let mut all = Vec::new();
        let headers = if way.by_ticket { Vec::new() } else { way.headers.clone() };
        let query = async || match way.by_ticket {
            true => anyhow::Ok(format!("ticket={}", ticket(cluster.address(1 - node), &way.headers).await?)),
            false => Ok(String::new()),
        };
        if !way.by_ticket {
            let (address, headers) = (cluster.address(node), headers.clone());
            let poll = async move { get(address, "/api/v1/events?wait=30", &headers).await };
            all.push(live("a poll", Open::Poll(tokio::spawn(poll))));
        }
        let socket = Socket::handshake_with(cluster, node, &headers, &query().await?).await?;
        let mut socket = socket.map_err(|refused| anyhow::anyhow!("a socket is refused: {refused:?}"))?;
        check_welcome(&socket.next().await?, user)?;
        all.push(live("a socket", Open::Socket(Box::new(socket))));
        let path = format!("/api/v1/events/stream?{}", query().await?);
        let mut stream = EventStream::open(cluster.address(node), &path, &headers).await?;
        check_welcome(&stream.next().await?.1, user)?;
        all.push(live("a stream", Open::Stream(stream)));
        Ok(all)
    }

    /// The server ends it, and has shown nothing before.
    pub(super) async fn check_ended(self) -> anyhow::Result<()> {
        let Self { what, open } = self;
        let ended = async {
            match open {
                Open::Socket(mut socket) => {
                    let error = socket.next().await.err().context("a frame came")?.to_string();
                    ensure!(error.contains("4403") || error.contains("Library(4403)"), "{error}");
                }
                Open::Stream(mut stream) => {
                    let error = stream.next().await.err().context("an event came")?.to_string();
                    ensure!(error == "the stream ended", "{error}");
                }
                Open::Poll(poll) => {
                    let answer = poll.await??;
                    ensure!(answer.status == 401, "{} {}", answer.status, answer.body);
                }
            }
            Ok(())
        };
        timeout(CUT_OFF, ended)
            .await
            .map_err(|_elapsed| anyhow::anyhow!("it stays open"))
            .flatten()
            .context(what)
    }

    /// The next thing that it shows is this message.
    pub(super) async fn check_shows(&mut self, content: &str) -> anyhow::Result<()> {
        let what = self.what.clone();
        let shown = async {
            let frame = match &mut self.open {
                Open::Socket(socket) => socket.next().await?,
                Open::Stream(stream) => stream.next().await?.1,
                Open::Poll(poll) => {
                    let answer = timeout(DEADLINE, poll).await???;
                    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
                    answer.json()?["events"][0].clone()
                }
            };
            ensure!(frame["data"]["content"] == content, "{frame}");
            Ok(())
        };
        shown.await.context(what)
    }
}

fn check_welcome(frame: &Value, user: i64) -> anyhow::Result<()> {
    ensure!(frame["type"] == "welcome" && frame["user"]["id"] == user, "{frame}");
    Ok(())
}

/// User 2 sends one message, which is acknowledged.
pub(super) async fn send_to(cluster: &Cluster, node: usize, user: i64, content: &str) -> anyhow::Result<()> {
    let body = json!({"recipient_id": user, "content": content});
    let answer = send_json(cluster.address(node), "POST", "/api/v1/messages", &[bearer(2)], &body).await?;
    ensure!(answer.status == 201, "{} {}", answer.status, answer.body);
    Ok(())
}
