//! Bytes as they come in, made into messages: guarded, decoded, fragments put together.

use actix_http::ws::{Codec, Frame, Item};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use switchboard_protocol::CloseCode;
use switchboard_protocol::limits::FRAME_BYTES;
use tokio_util::codec::Decoder;

use super::close_code;
use crate::guard::Gate;

/// What a client has sent so far and nobody has taken. Between messages it holds no memory.
pub(super) struct Input {
    gate: Gate,
    codec: Codec,
    /// Bytes that the gate has let through, and that are no whole frame yet.
    bytes: BytesMut,
    /// The fragments of the message under way.
    fragments: Option<Box<Fragments>>,
}

struct Fragments {
    is_text: bool,
    bytes: BytesMut,
}

/// A message, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(ByteString),
    Binary,
    Ping(Bytes),
    Pong,
    Close,
    /// Part of a message.
    Fragment,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            gate: Gate::new(FRAME_BYTES),
            codec: Codec::new().max_size(FRAME_BYTES),
            bytes: BytesMut::new(),
            fragments: None,
        }
    }

    /// Takes what was read. After an overflow it takes nothing more.
    pub(super) fn put(&mut self, chunk: &[u8]) {
        self.gate.pass(chunk, &mut self.bytes);
    }

    /// The next message, if it is all there.
    ///
    /// # Errors
    /// Why the client is to be let go.
    pub(super) fn next(&mut self) -> Result<Option<Message>, CloseCode> {
        if self.bytes.is_empty() {
            return self.nothing();
        }
        let frame = match self.codec.decode(&mut self.bytes) {
            Ok(frame) => frame,
            Err(_) if self.gate.has_overflowed() => return Err(CloseCode::FrameTooLarge),
            Err(error) => return Err(close_code(&error)),
        };
        if self.bytes.is_empty() {
            // Its block may be a large one, and is held by whoever has a message of it.
            self.bytes = BytesMut::new();
        }
        match frame {
            Some(frame) => self.message(frame).map(Some),
            None => self.nothing(),
        }
    }

    fn nothing(&self) -> Result<Option<Message>, CloseCode> {
        if self.gate.has_overflowed() { Err(CloseCode::FrameTooLarge) } else { Ok(None) }
    }

    fn message(&mut self, frame: Frame) -> Result<Message, CloseCode> {
        Ok(match frame {
            Frame::Text(bytes) => Message::Text(text(bytes)?),
            Frame::Binary(_) => Message::Binary,
            Frame::Ping(payload) => Message::Ping(payload),
            Frame::Pong(_) => Message::Pong,
            Frame::Close(_) => Message::Close,
            Frame::Continuation(item) => return self.fragment(item),
        })
    }

    /// The codec has seen to it that they come in order, the gate that they are not too many or too long.
    fn fragment(&mut self, item: Item) -> Result<Message, CloseCode> {
        let is_last = matches!(item, Item::Last(_));
        let is_text = matches!(item, Item::FirstText(_));
        let (Item::FirstText(bytes) | Item::FirstBinary(bytes) | Item::Continue(bytes) | Item::Last(bytes)) =
            item;
        let fragments =
            self.fragments.get_or_insert_with(|| Box::new(Fragments { is_text, bytes: BytesMut::new() }));
        fragments.bytes.extend_from_slice(&bytes);
        match self.fragments.take_if(|_| is_last).map(|fragments| *fragments) {
            Some(Fragments { is_text: true, bytes }) => Ok(Message::Text(text(bytes.freeze())?)),
            Some(_) => Ok(Message::Binary),
            None => Ok(Message::Fragment),
        }
    }
}

fn text(bytes: Bytes) -> Result<ByteString, CloseCode> {
    ByteString::try_from(bytes).map_err(|_not_utf8| CloseCode::InvalidUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a client, with a mask of zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    fn read(input: &mut Input) -> Vec<Result<Message, CloseCode>> {
        let mut read = Vec::new();
        loop {
            match input.next() {
                Ok(None) => return read,
                Ok(Some(message)) => read.push(Ok(message)),
                Err(code) => {
                    read.push(Err(code));
                    return read;
                }
            }
        }
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut() {
        let wire = [
            frame(0x81, "grüße".as_bytes()),
            frame(0x01, b"a"),
            frame(0x89, b"!"),
            frame(0x00, b"b"),
            frame(0x80, b"c"),
            frame(0x82, &[1, 2]),
            frame(0x8a, b""),
            frame(0x02, b""),
            frame(0x80, b"x"),
            frame(0x88, b""),
        ];
        let wire = wire.concat();
        for width in [1, 2, 5, 7, 13, wire.len()] {
            let mut input = Input::new();
            let mut messages = Vec::new();
            for chunk in wire.chunks(width) {
                input.put(chunk);
                messages.extend(read(&mut input).into_iter().map(Result::unwrap));
            }
            messages.retain(|message| *message != Message::Fragment);
            let expected = [
                Message::Text("grüße".into()),
                Message::Ping(Bytes::from_static(b"!")),
                Message::Text("abc".into()),
                Message::Binary,
                Message::Pong,
                Message::Binary,
                Message::Close,
            ];
            assert_eq!(messages, expected, "{width} bytes at a time");
            assert_eq!(input.bytes.capacity(), 0, "{width} bytes at a time");
        }
    }

    #[test]
    fn what_stands_before_a_frame_that_is_too_large_is_read() {
        for width in [1, 3, 100] {
            let wire =
                [frame(0x81, b"a"), vec![0x81, 0xff, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0, 0, b'x']].concat();
            let mut input = Input::new();
            wire.chunks(width).for_each(|chunk| input.put(chunk));
            assert_eq!(read(&mut input), [Ok(Message::Text("a".into())), Err(CloseCode::FrameTooLarge)]);
        }
    }

    #[test]
    fn text_is_utf8_also_in_fragments() {
        for (wire, read_as) in [
            (frame(0x81, b"\xff"), Err(CloseCode::InvalidUtf8)),
            ([frame(0x01, b"\xc3"), frame(0x80, b"\xa4")].concat(), Ok(Message::Text("ä".into()))),
            ([frame(0x01, b"\xc3"), frame(0x80, b"\xc3")].concat(), Err(CloseCode::InvalidUtf8)),
            (frame(0xc1, b"x"), Err(CloseCode::ProtocolError)),
        ] {
            let mut input = Input::new();
            input.put(&wire);
            assert_eq!(read(&mut input).pop(), Some(read_as));
        }
    }
}
