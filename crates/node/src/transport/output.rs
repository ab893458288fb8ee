//! Frames on their way out: headers of ours before shared payloads, as many in one write as fit.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncWrite, ReadBuf};

/// Bytes in one write. Frames are short, so that to copy them here costs less than to tell the kernel where each lies.
const CHUNK: usize = 16 * 1024;

/// What a frame carries (RFC 6455, section 5.2).
#[derive(Clone, Copy)]
pub(super) enum Opcode {
    Text = 0x1,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

/// Frames that wait to be written. Empty, it holds no memory.
#[derive(Default)]
pub(super) struct Output {
    frames: VecDeque<Frame>,
    /// Bytes of the first that are written.
    written: usize,
}

/// A frame of a server: whole, not masked.
struct Frame {
    header: [u8; 10],
    n_header: u8,
    payload: Bytes,
}

impl Frame {
    fn new(opcode: Opcode, payload: Bytes) -> Self {
        let mut header = [0; 10];
        header[0] = 0x80 | opcode as u8;
        let n_header = match payload.len() {
            n @ 0..=125 => {
                header[1] = n as u8;
                2
            }
            n @ 126..=0xFFFF => {
                header[1] = 126;
                header[2..4].copy_from_slice(&(n as u16).to_be_bytes());
                4
            }
            n => {
                header[1] = 127;
                header[2..].copy_from_slice(&(n as u64).to_be_bytes());
                10
            }
        };
        Self { header, n_header, payload }
    }

    fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.n_header)]
    }

    fn len(&self) -> usize {
        usize::from(self.n_header) + self.payload.len()
    }
}

impl Output {
    pub(super) fn push(&mut self, opcode: Opcode, payload: Bytes) {
        self.frames.push_back(Frame::new(opcode, payload));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Lets go of all but a frame that is partly written.
    pub(super) fn abandon(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
    }

    /// Writes once, if there is anything to write.
    pub(super) fn poll_write(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut space);
        let mut skip = self.written;
        for part in self.frames.iter().flat_map(|frame| [frame.header(), &frame.payload]) {
            let rest = &part[skip.min(part.len())..];
            skip -= part.len() - rest.len();
            let fits = rest.len().min(chunk.remaining());
            chunk.put_slice(&rest[..fits]);
            if fits < rest.len() {
                break;
            }
        }
        match ready!(Pin::new(io).poll_write(context, chunk.filled()))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => self.advance(n),
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, n: usize) {
        self.written += n;
        while let Some(first) = self.frames.front().map(Frame::len).filter(|first| *first <= self.written) {
            self.written -= first;
            self.frames.pop_front();
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most so many bytes of each write.
    struct Narrow(usize, Vec<u8>);

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.0);
            self.1.extend_from_slice(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write_all(output: &mut Output, width: usize) -> Vec<u8> {
        let mut io = Narrow(width, Vec::new());
        let mut context = Context::from_waker(std::task::Waker::noop());
        while !output.is_empty() {
            assert!(matches!(output.poll_write(&mut io, &mut context), Poll::Ready(Ok(()))));
        }
        io.1
    }

    #[test]
    fn what_is_written_in_pieces_is_the_same() {
        let payloads = [0, 1, 125, 126, 65_535, 65_536, 3].map(|n| Bytes::from(vec![b'x'; n]));
        let mut wire = Vec::new();
        for (payload, header) in payloads.iter().zip([
            &[0x81, 0][..],
            &[0x81, 1],
            &[0x81, 125],
            &[0x81, 126, 0, 126],
            &[0x81, 126, 0xFF, 0xFF],
            &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0],
            &[0x81, 3],
        ]) {
            wire.extend_from_slice(header);
            wire.extend_from_slice(payload);
        }
        for width in [1, 2, 3, 7, 1_000, usize::MAX] {
            let mut output = Output::default();
            payloads.iter().for_each(|payload| output.push(Opcode::Text, payload.clone()));
            assert_eq!(write_all(&mut output, width), wire, "{width} bytes at a time");
            assert_eq!(output.frames.capacity(), 0);
        }
    }

    #[test]
    fn a_frame_that_has_begun_is_not_abandoned() {
        let mut output = Output::default();
        output.push(Opcode::Text, Bytes::from_static(b"abc"));
        output.push(Opcode::Text, Bytes::from_static(b"def"));
        let mut io = Narrow(3, Vec::new());
        let mut context = Context::from_waker(std::task::Waker::noop());
        let _ready = output.poll_write(&mut io, &mut context);
        assert_eq!(io.1, b"\x81\x03a");
        output.abandon();
        output.push(Opcode::Close, Bytes::from_static(b"!!"));
        io.1.extend(write_all(&mut output, 100));
        assert_eq!(io.1, b"\x81\x03abc\x88\x02!!");
        output.push(Opcode::Ping, Bytes::new());
        output.abandon();
        assert!(output.is_empty());
    }
}
