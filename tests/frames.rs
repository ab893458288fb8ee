//! What a client may do that is wrong, and what it is told: each refusal has its code, and harms nobody else.

mod handshake;
mod operator;
mod pace;
mod refusals;
mod violations;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::Cluster;
use crate::harness::socket::Socket;
use crate::{BOTH, PROCESSES, Test, test};

use handshake::{
    a_session_ends_with_its_token, a_stream_ends_with_its_token, connections_of_a_user_are_counted,
    credentials_that_do_not_count, failures_of_an_address_are_counted,
};
use operator::{a_request_that_is_no_handshake, paths_and_methods, what_happened_is_counted};
use pace::{
    a_burst_is_slowed_and_nothing_is_lost, a_count_sees_what_stands_before_it,
    order_on_a_socket_is_order_in_the_store, what_writes_much_is_charged_much,
};
use refusals::{
    a_client_id_names_one_message, bad_frames_are_refused_by_code, content_up_to_its_limit,
    foreign_and_missing_are_alike, ids_are_numbers_or_digits, requests_are_answered_by_their_id,
};
use violations::{
    a_frame_over_the_limit_ends_the_session, an_announced_terabyte_costs_nothing,
    broken_protocol_ends_its_own_session_only,
};

pub(crate) const TESTS: &[Test] = &[
    test!(bad_frames_are_refused_by_code, BOTH),
    test!(ids_are_numbers_or_digits, BOTH),
    test!(content_up_to_its_limit, BOTH),
    test!(foreign_and_missing_are_alike, BOTH),
    test!(a_client_id_names_one_message, BOTH),
    test!(requests_are_answered_by_their_id, BOTH),
    test!(a_frame_over_the_limit_ends_the_session, BOTH),
    test!(an_announced_terabyte_costs_nothing, PROCESSES),
    test!(broken_protocol_ends_its_own_session_only, BOTH),
    test!(credentials_that_do_not_count, BOTH, handshake::MANY_FAILURES),
    test!(connections_of_a_user_are_counted, BOTH),
    test!(failures_of_an_address_are_counted, BOTH, handshake::FEW_FAILURES),
    test!(a_session_ends_with_its_token, BOTH, handshake::NO_LEEWAY),
    test!(a_stream_ends_with_its_token, BOTH, handshake::NO_LEEWAY),
    test!(a_burst_is_slowed_and_nothing_is_lost, BOTH, pace::SLOW),
    test!(what_writes_much_is_charged_much, BOTH, pace::SLOW),
    test!(order_on_a_socket_is_order_in_the_store, BOTH),
    test!(a_count_sees_what_stands_before_it, BOTH),
    test!(paths_and_methods, BOTH),
    test!(a_request_that_is_no_handshake, BOTH),
    test!(what_happened_is_counted, BOTH),
];

/// A session of `user` on the first node, past its welcome.
async fn open(cluster: &Cluster, user: i64) -> anyhow::Result<Socket> {
    let mut socket = Socket::open(cluster, 0, user, "").await?;
    let welcome = socket.next().await?;
    ensure!(welcome["type"] == "welcome", "{welcome}");
    Ok(socket)
}

/// Sends a frame and gives the answer.
async fn ask(socket: &mut Socket, frame: impl Into<Message>) -> anyhow::Result<Value> {
    socket.send(frame).await?;
    socket.next().await
}

/// The session still answers.
async fn check_alive(socket: &mut Socket) -> anyhow::Result<()> {
    let pong = ask(socket, r#"{"type":"ping","request_id":"alive"}"#).await?;
    ensure!(pong == json!({"type": "pong", "request_id": "alive"}), "{pong}");
    Ok(())
}

/// A frame is refused with this code, and the session lives on. Gives the refusal.
async fn check_refused(socket: &mut Socket, frame: impl Into<Message>, code: &str) -> anyhow::Result<Value> {
    let frame = frame.into();
    let shown: String = frame.to_text().unwrap_or("binary").chars().take(100).collect();
    let error = ask(socket, frame).await?;
    ensure!(error["type"] == "error" && error["code"] == code, "`{shown}` should be {code}: {error}");
    ensure!(error["error"].as_str().is_some_and(|sentence| !sentence.is_empty()), "`{shown}`: {error}");
    check_alive(socket).await?;
    Ok(error)
}

/// Sends a message and gives its entry.
async fn check_sent(socket: &mut Socket, frame: &Value) -> anyhow::Result<Value> {
    let sent = ask(socket, frame.to_string()).await?;
    ensure!(sent["type"] == "message_sent" && sent["status"] == "success", "{sent}");
    Ok(sent)
}

/// Ends the cluster after a look at how many messages it has.
async fn finish_with(cluster: Cluster, n_messages: i64) -> anyhow::Result<()> {
    let stored = cluster.store.count_messages().await?;
    ensure!(stored == n_messages, "{stored} messages are stored instead of {n_messages}");
    cluster.finish().await
}
