use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer};
use futures_util::{StreamExt, stream};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CONTINUATION: u8 = 0x0;
const PING: u8 = 0x9;
const FIN: u8 = 0x80;

/// A header that announces `length`, in the shortest form.
fn header(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => bytes.push(length | mask_bit),
        (_, Ok(length)) => {
            bytes.push(126 | mask_bit);
            bytes.extend(length.to_be_bytes());
        }
        _ => {
            bytes.push(127 | mask_bit);
            bytes.extend(length.to_be_bytes());
        }
    }
    if masked {
        bytes.extend([0xff, 0x00, 0x81, 0x7f]);
    }
    bytes
}

fn frame(first: u8, length: usize, masked: bool) -> Vec<u8> {
    let mut bytes = header(first, length as u64, masked);
    // Bytes that would read as headers of huge frames.
    bytes.extend((0..length).map(|n| if n % 2 == 0 { FIN | BINARY } else { 0x7f }));
    bytes
}

/// What comes out for these chunks, and whether there was an overflow.
fn run(chunks: Vec<Vec<u8>>, limit: usize) -> (Vec<u8>, bool) {
    let payload = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk))));
    let (guard, state) = FrameGuard::new(payload, limit);
    let passed = guard.map(|bytes| bytes.unwrap().to_vec()).concat().now_or_never().unwrap();
    (passed, state.has_overflowed())
}

/// Cuts the bytes in two everywhere, and into single bytes.
#[track_caller]
fn check(bytes: &[u8], limit: usize, expect_bytes: usize, expect_overflow: bool) {
    let mut cuts: Vec<Vec<Vec<u8>>> =
        (0..=bytes.len()).map(|at| vec![bytes[..at].to_vec(), bytes[at..].to_vec()]).collect();
    cuts.push(bytes.iter().map(|byte| vec![*byte]).collect());
    for chunks in cuts {
        let first = chunks[0].len();
        let (passed, has_overflowed) = run(chunks, limit);
        assert_eq!(has_overflowed, expect_overflow, "cut at {first}");
        assert_eq!(passed.len(), expect_bytes, "cut at {first}");
        assert_eq!(passed, bytes[..expect_bytes], "cut at {first}");
    }
}

#[test]
fn frames_within_the_limit_pass() {
    for masked in [true, false] {
        let bytes: Vec<u8> = [0, 1, 125, 126, 300]
            .iter()
            .flat_map(|length| [frame(FIN | TEXT, *length, masked), frame(FIN | PING, 5, masked)])
            .flatten()
            .collect();
        check(&bytes, 300, bytes.len(), false);
    }
    let long = frame(FIN | TEXT, 70_000, true);
    assert_eq!(run(vec![long.clone()], 70_000), (long, false));
}

#[test]
fn nothing_of_a_frame_over_the_limit_passes() {
    let good = frame(FIN | TEXT, 40, true);
    for masked in [true, false] {
        for length in [101, 126, 65_535, 65_536, 1 << 40, 1 << 63, u64::MAX] {
            for first in [FIN | TEXT, TEXT, FIN | BINARY, FIN | CONTINUATION, FIN | PING, 0xff] {
                let bytes = [good.clone(), header(first, length, masked), vec![0; 30]].concat();
                check(&bytes, 100, good.len(), true);
            }
        }
    }
}

#[test]
fn the_length_alone_is_enough() {
    let announced = header(FIN | TEXT, 1 << 40, true);
    assert_eq!(run(vec![announced[..10].to_vec()], 100), (Vec::new(), true));
    assert_eq!(run(vec![announced[..9].to_vec()], 100), (Vec::new(), false));
}

#[test]
fn a_longer_form_of_a_length_is_read() {
    let long_form = [&[FIN | TEXT, 127][..], &3_u64.to_be_bytes(), b"abc"].concat();
    check(&[long_form.clone(), frame(FIN | TEXT, 100, true)].concat(), 100, 13 + 106, false);
    check(&[long_form, header(FIN | TEXT, 101, true)].concat(), 100, 13, true);
}

#[test]
fn fragments_count_together() {
    let begin = [frame(TEXT, 40, true), frame(FIN | PING, 90, true), frame(CONTINUATION, 40, true)].concat();
    let whole = [begin.clone(), frame(FIN | CONTINUATION, 20, true)].concat();
    let twice = [whole.clone(), whole.clone(), frame(FIN | TEXT, 100, true)].concat();
    check(&twice, 100, twice.len(), false);
    check(&[begin.clone(), frame(FIN | CONTINUATION, 21, true)].concat(), 100, begin.len(), true);
    // That it is no continuation is an error for the codec, and no way around the limit.
    check(&[begin.clone(), frame(TEXT, 21, true)].concat(), 100, begin.len(), true);
    check(&[begin.clone(), header(FIN | CONTINUATION, u64::MAX, true)].concat(), 100, begin.len(), true);
}

#[test]
fn empty_fragments_are_counted() {
    let mut bytes = frame(TEXT, 0, true);
    for _ in 1..MAX_FRAGMENTS {
        bytes.extend(frame(FIN | PING, 0, true));
        bytes.extend(frame(CONTINUATION, 0, true));
    }
    let length = bytes.len();
    assert_eq!(run(vec![bytes.clone()], 100), (bytes.clone(), false));
    bytes.extend(frame(FIN | CONTINUATION, 0, true));
    let (passed, has_overflowed) = run(vec![bytes], 100);
    assert_eq!((passed.len(), has_overflowed), (length, true));
    let many = frame(FIN | TEXT, 0, true).repeat(5000);
    assert_eq!(run(vec![many.clone()], 100), (many, false));
}

#[test]
fn chunks_are_not_copied() {
    let chunk = Bytes::from(frame(FIN | TEXT, 300, true));
    let payload = stream::iter([Ok(chunk.clone())]);
    let (mut guard, _) = FrameGuard::new(payload, 300);
    let passed = guard.next().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(passed.as_ptr(), chunk.as_ptr());
}

#[test]
fn errors_pass_and_the_last_byte_is_timed() {
    let payload = stream::iter([Err(PayloadError::Overflow), Ok(Bytes::from_static(&[FIN]))]);
    let (mut guard, state) = FrameGuard::new(payload, 300);
    let made_at = state.last_byte_at();
    assert!(guard.next().now_or_never().unwrap().unwrap().is_err());
    assert_eq!(state.last_byte_at(), made_at);
    std::thread::sleep(Duration::from_millis(2));
    assert!(guard.next().now_or_never().unwrap().is_none(), "the beginning of a header is held");
    assert!(state.last_byte_at() > made_at);
}

/// One frame of a random conversation, with what it should come to.
fn random_frame(rng: &mut SmallRng, limit: usize, message: &mut (usize, u32)) -> (Vec<u8>, bool) {
    let masked = rng.random_bool(0.8);
    if rng.random_bool(0.2) {
        return (frame(FIN | PING, rng.random_range(0..=limit), masked), true);
    }
    let is_final = rng.random_bool(0.6);
    let length = rng.random_range(0..=limit / 2);
    let fits = message.0 + length <= limit;
    *message = if is_final { (0, 0) } else { (message.0 + length, message.1 + 1) };
    (frame(if is_final { FIN | TEXT } else { CONTINUATION }, length, masked), fits)
}

#[test]
fn random_conversations_in_random_cuts() {
    let mut rng = SmallRng::seed_from_u64(0x5eed);
    for round in 0..2000 {
        let limit = rng.random_range(1..400);
        let (mut bytes, mut message, mut expect) = (Vec::new(), (0, 0), None);
        for _ in 0..rng.random_range(1..20) {
            let (frame, fits) = random_frame(&mut rng, limit, &mut message);
            if !fits && expect.is_none() {
                expect = Some(bytes.len());
            }
            bytes.extend(frame);
        }
        let mut chunks = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(rng.random_range(0..=rest.len().min(50)));
            chunks.push(chunk.to_vec());
            rest = after;
        }
        let (passed, has_overflowed) = run(chunks, limit);
        assert_eq!(has_overflowed, expect.is_some(), "round {round}");
        assert_eq!(passed, bytes[..expect.unwrap_or(bytes.len())], "round {round}");
    }
}

const LIMIT: usize = 64 * 1024;

/// Answers each text with its length; closes with 1009 on an overflow.
async fn lengths(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (body, state) = guarded(&request, body, LIMIT);
    let (response, mut session, messages) = actix_ws::handle(&request, body)?;
    let mut messages = messages.max_frame_size(LIMIT).aggregate_continuations();
    actix_web::rt::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if let actix_ws::AggregatedMessage::Text(text) = message {
                session.text(text.len().to_string()).await.unwrap();
            }
        }
        let code =
            if state.has_overflowed() { actix_ws::CloseCode::Size } else { actix_ws::CloseCode::Normal };
        let _gone = session.close(Some(code.into())).await;
    });
    Ok(response)
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    socket
}

/// A frame from the server, none of which is long.
fn read_frame(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    socket.read_exact(&mut head).unwrap();
    let mut payload = vec![0; head[1].into()];
    socket.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

/// Text whose payload is valid UTF-8: all bytes are 'a' under a mask of zeroes.
fn text(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = header(first, length as u64, true);
    let n_header = bytes.len();
    bytes[n_header - 4..].fill(0);
    bytes.resize(n_header + length, b'a');
    bytes
}

#[test]
fn a_real_client_is_told_1009() {
    let (send_address, address) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(|| App::new().route("/", web::get().to(lengths)))
                .workers(1)
                .disable_signals()
                .bind("127.0.0.1:0")
                .unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            send_address.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = address.recv().unwrap();

    let mut socket = connect(address);
    socket.write_all(&text(FIN | TEXT, LIMIT)).unwrap();
    assert_eq!(read_frame(&mut socket), (FIN | TEXT, b"65536".to_vec()));
    socket.write_all(&[text(TEXT, 10), text(FIN | CONTINUATION, 20)].concat()).unwrap();
    assert_eq!(read_frame(&mut socket), (FIN | TEXT, b"30".to_vec()));
    // More than the kernel buffers: what is not read must not reset the connection before the close is seen.
    socket.write_all(&text(FIN | TEXT, 1024 * 1024)).unwrap();
    assert_eq!(read_frame(&mut socket), (FIN | 0x8, 1009_u16.to_be_bytes().to_vec()));

    let mut socket = connect(address);
    socket.write_all(&header(FIN | BINARY, 1 << 40, true)).unwrap();
    assert_eq!(read_frame(&mut socket), (FIN | 0x8, 1009_u16.to_be_bytes().to_vec()));

    // The future only waits for the end, which joining the thread does too.
    drop(handle.stop(false));
    server.join().unwrap();
}
