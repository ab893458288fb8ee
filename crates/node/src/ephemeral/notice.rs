//! A notice as bytes: the frame that clients get, and the payload that crosses the channel layer.
//!
//! Its payload has a version of its own: a node that knows none drops it as it does what is no packet, and nothing is amiss.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::Deserialize;
use serde::de::IgnoredAny;
use switchboard_protocol::{ConversationId, MailboxId, ServerFrame, UserId};

use crate::packet::frame_type;

/// The version of the payload; no version of a packet.
const VERSION: u8 = 0xe1;
/// The kind of a notice that somebody writes.
const TYPING: u8 = 1;
/// The kind of one that whom the owner may watch has changed. Of others nothing is known here.
const RIGHTS: u8 = 2;
/// What every head has: version, its own length in bytes, kind, the node that it comes from, mailbox; integers in big endian.
/// A reader passes over what a later version of the head adds.
const HEAD_BYTES: usize = 3 + 2 * 8;
/// A frame has fewer bytes: what is larger is none of ours.
const FRAME_BYTES: usize = 512;

/// Something that is told to the sessions of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose.
    pub mailbox: MailboxId,
    /// What it says.
    pub word: Word,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// That somebody writes, or stopped; with what the client gets.
    Writing(Writing, ByteString),
    /// That it may have changed whom the owner may watch. The sessions look, and no client gets it.
    Rights,
}

impl Notice {
    /// Of whom it says that they write, and where. Of two with the same answer the later one says it all.
    #[must_use]
    pub fn writer(&self) -> Option<(ConversationId, UserId)> {
        match &self.word {
            Word::Writing(writing, _) => Some(writing.writer()),
            Word::Rights => None,
        }
    }
}

/// Somebody writes, or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// Whether they do.
    pub is_typing: bool,
}

impl Writing {
    /// Where and who: of one writer only the last word counts.
    #[must_use]
    pub fn writer(&self) -> (ConversationId, UserId) {
        (self.conversation, self.user)
    }
}

/// What crosses the channel layer, from this node.
pub(crate) fn encode(notice: &Notice, node: u64) -> Bytes {
    let (kind, frame) = match &notice.word {
        Word::Writing(_, frame) => (TYPING, &frame.as_bytes()[..]),
        Word::Rights => (RIGHTS, &[][..]),
    };
    let mut payload = BytesMut::with_capacity(HEAD_BYTES + frame.len());
    payload.put_u8(VERSION);
    payload.put_u8(HEAD_BYTES as u8);
    payload.put_u8(kind);
    payload.put_u64(node);
    payload.put_i64(notice.mailbox.0);
    payload.put_slice(frame);
    payload.freeze()
}

impl Notice {
    /// Whether a payload is a notice and no packet.
    #[must_use]
    pub fn is_one(payload: &[u8]) -> bool {
        payload.first() == Some(&VERSION)
    }

    /// Reads what came over the channel layer, which may be anything. With it comes the node that it is from.
    #[must_use]
    pub fn decode(payload: &Bytes) -> Option<(u64, Self)> {
        let (&[VERSION, head, kind], _) = payload.split_first_chunk::<3>()? else {
            return None;
        };
        let head = usize::from(head);
        if head < HEAD_BYTES || head > payload.len() || payload.len() - head > FRAME_BYTES {
            return None;
        }
        let integer = |from: usize| Some(u64::from_be_bytes(*payload.get(from..)?.first_chunk()?));
        let (node, mailbox) = (integer(3)?, integer(11)?.cast_signed());
        let word = match kind {
            TYPING => Word::written(ByteString::try_from(payload.slice(head..)).ok()?)?,
            RIGHTS => Word::Rights,
            _ => return None,
        };
        (mailbox > 0).then_some((node, Self { mailbox: MailboxId(mailbox), word }))
    }
}

impl Word {
    fn written(frame: ByteString) -> Option<Self> {
        let ServerFrame::Typing { conversation_id, user_id, is_typing } =
            serde_json::from_str::<ServerFrame<IgnoredAny>>(&frame).ok()?
        else {
            return None;
        };
        Some(Self::Writing(Writing { conversation: conversation_id, user: user_id, is_typing }, frame))
    }
}

/// Where a message was sent and by whom, if the frame is one that was received: its sender has stopped writing.
pub(crate) fn author(frame: &str) -> Option<(ConversationId, UserId)> {
    #[derive(Deserialize)]
    struct Received {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        conversation_id: ConversationId,
        sender_id: UserId,
    }
    if frame_type(frame) != "new_message" {
        return None;
    }
    let Received { data } = serde_json::from_str(frame).ok()?;
    Some((data.conversation_id, data.sender_id))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::packet::{Packet, text};

    /// That a user of this number writes in a conversation of this number.
    pub(crate) fn notice(conversation: i64, user: i64, is_typing: bool) -> Notice {
        let (conversation, user) = (ConversationId(conversation), UserId(user));
        let frame = ServerFrame::<()>::Typing { conversation_id: conversation, user_id: user, is_typing };
        let writing = Writing { conversation, user, is_typing };
        Notice { mailbox: MailboxId(5), word: Word::Writing(writing, text(&frame).unwrap()) }
    }

    #[test]
    fn a_notice_crosses_the_layer_and_is_no_packet() {
        let notice = notice(3, 4, true);
        let payload = encode(&notice, 7);
        assert!(Notice::is_one(&payload));
        assert_eq!(Notice::decode(&payload), Some((7, notice.clone())));
        assert_eq!(Packet::decode(payload.clone()), None);
        let mut longer = payload.to_vec();
        longer.splice(HEAD_BYTES..HEAD_BYTES, [9; 40]);
        longer[1] += 40;
        assert_eq!(Notice::decode(&longer.into()), Some((7, notice)));
        let rights = Notice { mailbox: MailboxId(5), word: Word::Rights };
        assert_eq!(Notice::decode(&encode(&rights, 7)), Some((7, rights)));
    }

    #[test]
    fn what_is_no_notice_is_dropped() {
        let good = encode(&notice(3, 4, true), 7);
        for length in 0..good.len() {
            assert_eq!(Notice::decode(&good.slice(..length)), None);
        }
        for (at, byte) in
            [(0, 2), (1, 0), (1, 18), (1, 0xff), (2, 0), (2, 3), (11, 0xff), (19, b'['), (22, 0xff)]
        {
            let mut bad = good.to_vec();
            bad[at] = byte;
            assert_eq!(Notice::decode(&bad.into()), None, "byte {at}");
        }
        let mut large = good.to_vec();
        large.extend([b' '; FRAME_BYTES]);
        assert_eq!(Notice::decode(&large.into()), None);
    }

    #[test]
    fn a_message_that_is_received_has_an_author() {
        let message =
            r#"{"type":"new_message","seq":1,"data":{"conversation_id":3,"sender_id":4,"content":"x"}}"#;
        assert_eq!(author(message), Some((ConversationId(3), UserId(4))));
        assert_eq!(author(&message.replace("new_message", "message_sent")), None);
        assert_eq!(author(&message.replace("conversation_id", "other")), None);
    }
}
