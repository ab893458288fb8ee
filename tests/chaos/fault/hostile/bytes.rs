//! What hostile peers send, and how what the node says to it is read.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Hostile, Manner};
use crate::harness::http;
use crate::token::token;

const KIB: usize = 1024;
/// What goes out at once of what goes out as fast as it can.
const CHUNK: usize = 64 * KIB;

/// First bytes of a client's frames: a whole text, the beginning of one, more of it, its end, bytes, a ping.
const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const MORE: u8 = 0x00;
const LAST: u8 = 0x80;
const BYTES: u8 = 0x82;
const PING: u8 = 0x89;
/// The opcode of a close.
const CLOSE: u8 = 0x08;

/// How it is done.
pub(super) fn manner(hostile: Hostile, node: SocketAddr, user: i64) -> Manner {
    use Hostile::{EndlessForm, EndlessUpload, HugeHead, SlowBody, SlowHead};
    let in_a_session = !matches!(hostile, SlowHead | SlowBody | HugeHead | EndlessUpload | EndlessForm);
    let (once, again, pause) = if in_a_session { frames(hostile) } else { request(hostile, node, user) };
    let reads = hostile != Hostile::NeverReads;
    Manner { in_a_session, once, again, pause: Duration::from_millis(pause), reads }
}

/// Frames once, frames again and again, milliseconds between them.
fn frames(hostile: Hostile) -> (Vec<u8>, Vec<u8>, u64) {
    let nothing = Vec::new;
    match hostile {
        Hostile::HugeFrame => (head(BYTES, 1 << 40), vec![b'x'; CHUNK], 0),
        Hostile::EndlessMessage => (frame(TEXT_BEGINS, b"["), frame(MORE, &vec![b' '; CHUNK]), 0),
        Hostile::EmptyFragments => (frame(TEXT_BEGINS, b"["), frame(MORE, b"").repeat(1_000), 1),
        Hostile::TinyFragments => {
            let ping = br#"{"type":"ping"}"#;
            let last = ping.len() - 1;
            let mut fragments = frame(TEXT_BEGINS, &ping[..1]);
            ping[1..last].iter().for_each(|byte| fragments.extend(frame(MORE, &[*byte])));
            fragments.extend(frame(LAST, &ping[last..]));
            (nothing(), fragments.repeat(100), 1)
        }
        Hostile::TinyFrames => (nothing(), frame(TEXT, b"{}").repeat(1_000), 1),
        Hostile::PingFlood => (nothing(), frame(PING, &[b'x'; 125]).repeat(500), 1),
        Hostile::NeverReads => {
            let ping = format!(r#"{{"type":"ping","request_id":"{}"}}"#, "x".repeat(128));
            (nothing(), frame(TEXT, ping.as_bytes()).repeat(100), 1)
        }
        Hostile::DeepJson => (nothing(), frame(TEXT, &vec![b'['; 100_000]), 1),
        Hostile::InvalidUtf8 => (frame(TEXT, b"\"\xff\""), nothing(), 100),
        Hostile::ReservedBit => (frame(TEXT | 0x40, b"{}"), nothing(), 100),
        _ => (nothing(), nothing(), 100),
    }
}

/// A request once, more of it again and again, milliseconds between them.
fn request(hostile: Hostile, node: SocketAddr, user: i64) -> (Vec<u8>, Vec<u8>, u64) {
    let begun = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nHost: {node}\r\nAuthorization: Bearer {}\r\n{more}", token(user))
            .into_bytes()
    };
    let form = "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let part = "--x\r\nContent-Disposition: form-data; name=";
    match hostile {
        Hostile::SlowHead => (begun("GET /ws/messages/", ""), b"X-More: x\r\n".to_vec(), 500),
        Hostile::SlowBody => {
            let more = "Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{";
            (begun("POST /api/v1/messages", more), b" ".to_vec(), 200)
        }
        Hostile::HugeHead => {
            let line = format!("X-More: {}\r\n", "x".repeat(KIB));
            (begun("GET /api/v1/me", ""), line.repeat(16).into_bytes(), 0)
        }
        Hostile::EndlessUpload => {
            let file = format!("{part}\"file\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\n");
            let mut once = begun("POST /api/v1/attachments", form);
            once.extend(chunk(file.as_bytes()));
            (once, chunk(&vec![b'x'; CHUNK]), 0)
        }
        _ => {
            let text = format!("{part}\"x\"\r\n\r\nx\r\n");
            (begun("POST /api/v1/attachments", form), chunk(text.repeat(500).as_bytes()), 1)
        }
    }
}

/// The request that opens a session.
pub(super) fn upgrade(node: SocketAddr, user: i64) -> String {
    http::upgrade(node, &format!("Authorization: Bearer {}", token(user)))
}

/// A client's frame, with a mask of zeros, which leaves the payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64);
    frame.extend(payload);
    frame
}

fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => head.push(0x80 | length),
        (_, Ok(length)) => {
            head.push(0x80 | 126);
            head.extend(length.to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}

/// A piece of a body in chunks.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The status of an answer, once it is there.
pub(super) fn status(said: &[u8]) -> Option<u16> {
    std::str::from_utf8(said.get(9..12)?).ok()?.parse().ok()
}

/// The code of a close among the node's frames; what comes before it is taken away.
pub(super) fn close_code(said: &mut Vec<u8>) -> Option<u16> {
    let mut at = 0;
    let code = loop {
        let Some((head, length)) = frame_at(&said[at..]) else {
            break None;
        };
        let Some(payload) = said.get(at + head..at + head + length) else {
            break None;
        };
        if said[at] & 0x0f == CLOSE {
            // A close without a code means 1005 to whoever gets it.
            break Some(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)));
        }
        at += head + length;
    };
    said.drain(..at);
    code
}

/// Bytes of the head and of the payload of the frame that begins here, once its head is there.
fn frame_at(said: &[u8]) -> Option<(usize, usize)> {
    match *said.get(1)? & 0x7f {
        126 => Some((4, usize::from(u16::from_be_bytes(*said.get(2..)?.first_chunk()?)))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(*said.get(2..)?.first_chunk()?)).ok()?)),
        length => Some((2, usize::from(length))),
    }
}
