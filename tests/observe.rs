//! What a node tells those who run it, while it runs: lines about requests and sessions, and traces.

mod collector;
mod lines;
mod traces;

use std::net::SocketAddr;

use anyhow::Context;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::harness::socket::Socket;
use crate::harness::talker::Talker;
use crate::harness::{Cluster, DEADLINE, token};
use crate::{PROCESSES, Test, test};

use lines::{a_request_has_one_line, a_session_has_one_line, addresses_are_told_only_if_asked};
use traces::{
    a_collector_that_is_not_there_disturbs_nothing, a_message_is_one_trace,
    a_request_joins_its_clients_trace, without_a_collector_nothing_is_sent,
};

pub(crate) const TESTS: &[Test] = &[
    test!(a_request_has_one_line, PROCESSES),
    test!(a_session_has_one_line, PROCESSES),
    test!(addresses_are_told_only_if_asked, PROCESSES),
    test!(a_message_is_one_trace, PROCESSES),
    test!(a_request_joins_its_clients_trace, PROCESSES),
    test!(without_a_collector_nothing_is_sent, PROCESSES),
    test!(a_collector_that_is_not_there_disturbs_nothing, PROCESSES),
];

/// A node with a log of its own, of JSON.
fn talker(cluster: &Cluster, settings: &[(&str, &str)]) -> anyhow::Result<Talker> {
    let json = ("SWITCHBOARD_LOG__FORMAT", "json");
    let settings: Vec<_> = [json].into_iter().chain(settings.iter().copied()).collect();
    tokio::task::block_in_place(|| Talker::start(cluster, &settings))
}

/// Stops it, and gives its log.
fn end(talker: Talker) -> anyhow::Result<String> {
    tokio::task::block_in_place(|| talker.end())
}

/// Opens a session of `user`, and gives it with its id.
async fn open(address: SocketAddr, user: i64, forwarded: &str) -> anyhow::Result<(Socket, String)> {
    let mut request = format!("ws://{address}/ws/messages/").into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("Authorization", format!("Bearer {}", token(user)).parse()?);
    headers.insert("X-Forwarded-For", forwarded.parse()?);
    let (stream, _response) = timeout(DEADLINE, connect_async(request)).await??;
    let mut socket = Socket(stream);
    let welcome = socket.next().await?;
    let id = welcome["connection_id"].as_str().with_context(|| welcome.to_string())?.to_owned();
    Ok((socket, id))
}
