//! Reads the headers of WebSocket frames (RFC 6455, section 5.2) in a run of bytes cut anywhere.
//!
//! Only what bounds memory is judged here. All else that can be wrong with a frame is for the codec.

/// Fragments of one message at most. Each costs the codec an entry, even an empty one; no client that means
/// well sends a message of at most 256 KiB in more.
pub const MAX_FRAGMENTS: u32 = 1024;

/// Two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;

/// Where in the frames the reading is, and what the message under way has come to.
#[derive(Debug)]
pub(super) struct Frames {
    limit: u64,
    header: [u8; MAX_HEADER_BYTES],
    /// Bytes of `header` that are there; 0 within a payload.
    n_header: usize,
    /// Bytes of the payload that are still to come.
    n_payload: u64,
    /// Bytes of the message under way, in all its fragments so far.
    message_bytes: u64,
    /// How many those are.
    n_fragments: u32,
}

/// How much of a run of bytes may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// As much as this; the rest is the beginning of a header, and kept.
    Until(usize),
    /// As much as this; then comes a frame that goes over the limit.
    UntilOverflow(usize),
}

impl Frames {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            header: [0; MAX_HEADER_BYTES],
            n_header: 0,
            n_payload: 0,
            message_bytes: 0,
            n_fragments: 0,
        }
    }

    /// The header that has begun, as far as it is there.
    pub(super) fn begun_header(&self) -> &[u8] {
        &self.header[..self.n_header]
    }

    /// Reads on. Not to be called again after an overflow.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Passed {
        let mut at = 0;
        // The end of what is known to be within the limit: a header begun earlier is not.
        let mut end = 0;
        while at < bytes.len() {
            if self.n_payload > 0 {
                let n = usize::try_from(self.n_payload).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.n_payload -= n as u64;
                at += n;
                end = at;
                continue;
            }
            self.header[self.n_header] = bytes[at];
            self.n_header += 1;
            at += 1;
            let Some(length) = self.announced_length() else { continue };
            if !self.fits(length) {
                return Passed::UntilOverflow(end);
            }
            if self.n_header == self.header_length() {
                self.begin_payload(length);
                end = at;
            }
        }
        Passed::Until(end)
    }

    /// The length in the header, once it is all there. A mask may still be missing.
    fn announced_length(&self) -> Option<u64> {
        let header = self.begun_header();
        match header.get(1)? & 0x7f {
            126 => header.get(2..4)?.try_into().ok().map(u16::from_be_bytes).map(u64::from),
            127 => header.get(2..10)?.try_into().ok().map(u64::from_be_bytes),
            length => Some(length.into()),
        }
    }

    /// The length of the header itself, by its second byte.
    fn header_length(&self) -> usize {
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    /// Control frames may stand between the fragments of a message and are no part of it.
    fn is_control(&self) -> bool {
        self.header[0] & 0x08 != 0
    }

    fn fits(&self, length: u64) -> bool {
        if self.is_control() {
            return length <= self.limit;
        }
        self.message_bytes.saturating_add(length) <= self.limit && self.n_fragments < MAX_FRAGMENTS
    }

    fn begin_payload(&mut self, length: u64) {
        let is_final = self.header[0] & 0x80 != 0;
        if !self.is_control() {
            // Whether a fragment may begin, go on or end a message here is the codec's to judge.
            let so_far = if is_final { (0, 0) } else { (self.message_bytes + length, self.n_fragments + 1) };
            (self.message_bytes, self.n_fragments) = so_far;
        }
        self.n_payload = length;
        self.n_header = 0;
    }
}
