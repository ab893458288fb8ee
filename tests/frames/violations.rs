//! Bytes that are no WebSocket, or too many of them: the session ends with its code, the others do not notice.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{check_alive, finish_with, open};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, resident};

/// Of a frame and of a message, in bytes.
const LIMIT: usize = 256 * 1024;
const MIB: usize = 1024 * 1024;

/// A frame as it stands on the wire, with a mask of zeros, which leaves the payload as it is.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    let mut frame = if length < 126 { vec![first, 0x80 | length] } else { vec![first, 0xfe, 0, length] };
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// What a client does that breaks the protocol, byte by byte, and the code that it is closed with.
fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = br#"{"type":"ping"}"#;
    let mut unmasked = vec![0x81, 15];
    unmasked.extend(text);
    vec![
        ("an unmasked frame", unmasked, 1002),
        ("a reserved opcode", masked(0x83, text), 1002),
        ("a reserved control opcode", masked(0x8b, b""), 1002),
        ("the first reserved bit", masked(0xc1, text), 1002),
        ("the last reserved bit", masked(0x91, text), 1002),
        ("nothing to continue", masked(0x80, text), 1002),
        ("a text within a text", [masked(0x01, b"{"), masked(0x81, text)].concat(), 1002),
        ("a ping in fragments", masked(0x09, b""), 1002),
        ("a ping that is too long", masked(0x89, &[b'x'; 126]), 1002),
        ("a close of one byte", masked(0x88, b"x"), 1002),
        ("a close with a reserved code", masked(0x88, &1005_u16.to_be_bytes()), 1002),
        ("a text that is not UTF-8", masked(0x81, b"\"\xff\""), 1007),
        ("fragments that are not UTF-8", [masked(0x01, b"\"\xc3"), masked(0x80, b"\xc3\"")].concat(), 1007),
    ]
}

pub(super) async fn broken_protocol_ends_its_own_session_only(cluster: Cluster) -> anyhow::Result<()> {
    let mut bystander = open(&cluster, 1).await?;
    let mut wrong = Vec::new();
    for (what, bytes, expect) in violations() {
        let mut socket = open(&cluster, 1).await?;
        socket.0.get_mut().write_all(&bytes).await?;
        let code = socket.close_code().await.with_context(|| what.to_owned())?;
        if code != expect {
            wrong.push(format!("{what}: {code} instead of {expect}"));
        }
        check_alive(&mut bystander).await?;
    }
    // A character may be cut anywhere.
    let mut socket = open(&cluster, 1).await?;
    let halves = [masked(0x01, b"{\"type\":\"ping\",\"request_id\":\"\xc3"), masked(0x80, b"\xa4\"}")];
    socket.0.get_mut().write_all(&halves.concat()).await?;
    ensure!(socket.next().await?["request_id"] == "ä");
    ensure!(wrong.is_empty(), "{wrong:?}");
    finish_with(cluster, 0).await
}

pub(super) async fn a_frame_over_the_limit_ends_the_session(cluster: Cluster) -> anyhow::Result<()> {
    let mut bystander = open(&cluster, 1).await?;
    let padded = |bytes: usize| {
        let frame = r#"{"type":"ping","request_id":1}"#;
        format!("{frame}{}", " ".repeat(bytes - frame.len()))
    };
    let mut socket = open(&cluster, 2).await?;
    let pong = super::ask(&mut socket, padded(LIMIT)).await?;
    ensure!(pong["type"] == "pong", "the limit itself is allowed: {pong}");
    // It may close while the rest of the frame is still on its way.
    let _ = socket.send(padded(LIMIT + 1)).await;
    check_too_large(&mut socket).await.context("one frame")?;
    check_alive(&mut bystander).await?;
    for kind in [Data::Text, Data::Binary] {
        let mut socket = open(&cluster, 2).await?;
        for n in 0..3 {
            let opcode = if n == 0 { kind } else { Data::Continue };
            let fragment = Frame::message(vec![b' '; LIMIT / 2], OpCode::Data(opcode), n == 2);
            let _ = timeout(DEADLINE, socket.0.send(Message::Frame(fragment))).await?;
        }
        check_too_large(&mut socket).await.with_context(|| format!("fragments of {kind:?}"))?;
        check_alive(&mut bystander).await?;
    }
    finish_with(cluster, 0).await
}

/// The client is told why before the end.
async fn check_too_large(socket: &mut Socket) -> anyhow::Result<()> {
    let error = socket.next().await?;
    ensure!(error["type"] == "error" && error["code"] == "frame_too_large", "{error}");
    let code = socket.close_code().await?;
    ensure!(code == 1009, "closed with {code}");
    Ok(())
}

/// A codec that waits for the whole frame would keep all that comes.
pub(super) async fn an_announced_terabyte_costs_nothing(cluster: Cluster) -> anyhow::Result<()> {
    let mut bystander = open(&cluster, 1).await?;
    let mut socket = open(&cluster, 2).await?;
    let before = resident(cluster.pid(0))?;
    let stream = socket.0.get_mut();
    let mut header = vec![0x82, 0xff];
    header.extend((1_u64 << 40).to_be_bytes());
    header.extend([0; 4]);
    stream.write_all(&header).await?;
    let chunk = vec![b'x'; MIB];
    let mut most = before;
    for _ in 0..64 {
        // It may be cut off before all of it is taken.
        let written = timeout(DEADLINE, stream.write_all(&chunk)).await;
        most = most.max(resident(cluster.pid(0))?);
        if written.context("the connection stays open and takes nothing")?.is_err() {
            break;
        }
    }
    let grown = most.saturating_sub(before);
    ensure!(grown < 16 * MIB as u64, "the node has grown by {grown} bytes");
    check_too_large(&mut socket).await?;
    while let Some(Ok(_)) = timeout(DEADLINE, socket.0.next()).await.context("the connection stays open")? {}
    check_alive(&mut bystander).await?;
    check_freed(&cluster).await?;
    finish_with(cluster, 0).await
}

/// The session that misbehaved is gone.
async fn check_freed(cluster: &Cluster) -> anyhow::Result<()> {
    let one = async || {
        let open = crate::harness::http::metric(cluster.address(0), "switchboard_sessions").await?;
        Ok((open == 1.0).then_some(()))
    };
    crate::harness::eventually("one session is left", Duration::from_secs(10), one).await
}
