//! Entries as bytes: the frame that clients get, and the payload that crosses the channel layer.
//!
//! A packet is serialised once. Its frame is a slice of its payload, so that all sessions of a mailbox and the
//! publish share one allocation.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::Serialize;
use serde_json::value::RawValue;
use switchboard_protocol::{
    Attachment, MailboxId, MessageData, MessageId, RequestId, Seq, ServerFrame, Status, Timestamp,
};
use switchboard_store::{BlockChange, Entry, Event, FileLabel, Message, ReceiptsChange};

use crate::trace::{TRACE_BYTES, TraceContext};

/// The version of the payload. A node drops what has another: the sweep delivers it.
const VERSION: u8 = 2;
/// What every head has: version, its own length in bytes, mailbox, position, unread, when it was accepted; integers in big
/// endian. A trace may follow. A reader passes over what a later version of the head adds.
const HEAD_BYTES: usize = 2 + 4 * 8;

/// How an entry came to this node, for those who measure its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// From where.
    pub way: Way,
    /// When the request that made it was accepted, by the clock of that node. Unknown of most that is read back.
    pub accepted: Option<Timestamp>,
    /// The trace that it belongs to, if that is recorded.
    pub trace: Option<Box<TraceContext>>,
}

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From this node's writer.
    Here,
    /// Over the channel layer.
    Elsewhere,
    /// From the store, where the channel layer did not bring it.
    Repaired,
    /// From the store, for a client that was away.
    Paged,
}

impl Origin {
    /// Of what is accepted now, on this node, within the trace that `trace` is of.
    #[must_use]
    pub fn here(trace: Option<TraceContext>) -> Self {
        Self { way: Way::Here, accepted: Some(Timestamp::now()), trace: trace.map(Box::new) }
    }
}

/// One entry, ready to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whose.
    pub mailbox: MailboxId,
    /// Where in the mailbox.
    pub seq: Seq,
    /// Messages received and not read, after it.
    pub unread: i64,
    /// What the client gets.
    pub frame: ByteString,
    /// What crosses the channel layer.
    pub payload: Bytes,
    /// How it came here.
    pub origin: Origin,
}

impl Packet {
    /// The packets of the entries that one command made, each made when it is asked for.
    ///
    /// # Errors
    /// If a part cannot be written as JSON, which none of ours fails at.
    pub fn of_change(
        entries: &[Entry],
        origin: &Origin,
    ) -> serde_json::Result<impl Iterator<Item = serde_json::Result<Self>>> {
        let data = entries.iter().find_map(|entry| message(entry)).map(raw_data).transpose()?;
        Ok(entries.iter().map(move |entry| Self::new(entry, data.as_deref(), origin.clone())))
    }

    /// The packet of an entry that was read back.
    ///
    /// # Errors
    /// As [`Packet::of_change`].
    pub fn of_entry(entry: &Entry, way: Way) -> serde_json::Result<Self> {
        let message = message(entry);
        let data = message.map(raw_data).transpose()?;
        // What was late has its way measured, by the store's clock; what a client missed while it was away has not.
        let accepted = message.filter(|_| way == Way::Repaired).map(|message| message.created_at);
        Self::new(entry, data.as_deref(), Origin { way, accepted, trace: None })
    }

    fn new(entry: &Entry, data: Option<&RawValue>, origin: Origin) -> serde_json::Result<Self> {
        let head = HEAD_BYTES + origin.trace.as_ref().map_or(0, |_| TRACE_BYTES);
        let mut payload = BytesMut::with_capacity(head + 256 + data.map_or(0, |data| data.get().len()));
        payload.put_u8(VERSION);
        payload.put_u8(u8::try_from(head).unwrap_or_default());
        payload.put_i64(entry.mailbox.0);
        payload.put_i64(entry.seq.0);
        payload.put_i64(entry.unread);
        payload.put_i64(origin.accepted.map_or(0, |accepted| accepted.0));
        if let Some(trace) = &origin.trace {
            payload.put_slice(&trace.to_bytes());
        }
        let mut writer = payload.writer();
        serde_json::to_writer(&mut writer, &frame(entry, data, None))?;
        let payload = writer.into_inner().freeze();
        // Serialised text is UTF-8: this cannot fail, and costs little beside the commit.
        let frame = ByteString::try_from(payload.slice(head..)).unwrap_or_default();
        Ok(Self { mailbox: entry.mailbox, seq: entry.seq, unread: entry.unread, frame, payload, origin })
    }

    /// Reads what came over the channel layer, which may be anything.
    #[must_use]
    pub fn decode(payload: Bytes) -> Option<Self> {
        let (&[VERSION, head], _) = payload.split_first_chunk::<2>()? else {
            return None;
        };
        let head = usize::from(head);
        if head < HEAD_BYTES || head > payload.len() {
            return None;
        }
        let integer = |from: usize| {
            payload.get(from..from + 8).and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes)
        };
        let (mailbox, seq, unread) = (integer(2)?, integer(10)?, integer(18)?);
        let accepted = integer(26).filter(|micros| *micros > 0).map(Timestamp);
        let trace = payload[HEAD_BYTES..head].first_chunk().map(TraceContext::from_bytes).map(Box::new);
        let frame = ByteString::try_from(payload.slice(head..)).ok()?;
        let plausible = mailbox > 0 && seq > 0 && unread >= 0 && frame.starts_with('{');
        let origin = Origin { way: Way::Elsewhere, accepted, trace };
        let packet = Self { mailbox: MailboxId(mailbox), seq: Seq(seq), unread, frame, payload, origin };
        plausible.then_some(packet)
    }
}

/// The type of a frame of ours, by how it begins.
#[must_use]
pub fn frame_type(frame: &str) -> &str {
    frame.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

fn message(entry: &Entry) -> Option<&Message> {
    match &entry.event {
        Event::Sent(message) | Event::Received(message) => Some(message),
        _ => None,
    }
}

/// The frame of an entry, as its mailbox has it.
///
/// # Errors
/// As [`Packet::of_change`].
pub fn entry(entry: &Entry) -> serde_json::Result<ByteString> {
    let data = message(entry).map(raw_data).transpose()?;
    text(&frame(entry, data.as_deref(), None))
}

/// The frame that answers a request that had been done before: the entry of then, to this socket alone.
///
/// # Errors
/// As [`Packet::of_change`].
pub fn repeat(entry: &Entry, request_id: Option<RequestId>) -> serde_json::Result<ByteString> {
    let data = message(entry).map(raw_data).transpose()?;
    text(&frame(entry, data.as_deref(), Some(request_id)))
}

/// A frame as text.
///
/// # Errors
/// As [`Packet::of_change`].
pub fn text<D: Serialize>(frame: &ServerFrame<D>) -> serde_json::Result<ByteString> {
    serde_json::to_string(frame).map(ByteString::from)
}

/// `repeat` holds the request's id where the frame answers a request that had been done before.
fn frame<'a>(
    entry: &'a Entry,
    data: Option<&'a RawValue>,
    repeat: Option<Option<RequestId>>,
) -> ServerFrame<Option<&'a RawValue>> {
    let seq = entry.seq;
    let (repeat, request_id) = (repeat.is_some(), repeat.flatten());
    match &entry.event {
        Event::Received(_) => ServerFrame::NewMessage { seq, data },
        Event::Sent(message) => ServerFrame::MessageSent {
            seq,
            message_id: message.id,
            status: Status::Success,
            client_message_id: message.client_message_id.clone(),
            repeat,
            request_id,
            data,
        },
        Event::Read { messages } => ServerFrame::MessageRead {
            seq,
            message_id: newest(messages),
            message_ids: several(messages),
            status: Status::Success,
            unread_count: entry.unread,
            repeat,
            request_id,
        },
        Event::Receipt { messages, reader, read_at, counts } => ServerFrame::ReadReceipt {
            seq,
            message_id: newest(messages),
            message_ids: several(messages),
            reader_id: *reader,
            read_at: *read_at,
            read_counts: counts.clone(),
        },
        Event::Deleted { message } => ServerFrame::MessageDeleted {
            seq,
            message_id: *message,
            unread_count: entry.unread,
            repeat,
            request_id,
        },
        Event::Edited { message, conversation, subject, content, edited_at } => ServerFrame::MessageEdited {
            seq,
            message_id: *message,
            conversation_id: *conversation,
            subject: shown_subject(subject).to_owned(),
            content: content.to_string(),
            edited_at: *edited_at,
            repeat,
            request_id,
        },
        Event::Reacted { message, conversation, user, reaction } => ServerFrame::MessageReaction {
            seq,
            message_id: *message,
            conversation_id: *conversation,
            user_id: *user,
            reaction: reaction.reaction.clone(),
            is_set: reaction.is_set,
            count: reaction.count,
            repeat,
            request_id,
        },
        event => own_frame(entry, event, repeat, request_id),
    }
}

/// The frame of an entry that is about no message.
fn own_frame<'a>(
    entry: &Entry,
    event: &Event,
    repeat: bool,
    request_id: Option<RequestId>,
) -> ServerFrame<Option<&'a RawValue>> {
    let seq = entry.seq;
    match event {
        Event::Group { group, actor, change } => ServerFrame::GroupChanged {
            seq,
            conversation_id: *group,
            actor_id: *actor,
            change: change.clone(),
            unread_count: entry.unread,
            repeat,
            request_id,
        },
        Event::Conversation { conversation, settings } => ServerFrame::ConversationChanged {
            seq,
            conversation_id: *conversation,
            settings: settings.clone(),
            repeat,
            request_id,
        },
        Event::Block(BlockChange { user_id, is_blocked }) => {
            ServerFrame::BlockChanged { seq, user_id: *user_id, is_blocked: *is_blocked, repeat, request_id }
        }
        Event::Receipts(ReceiptsChange { send_receipts }) => {
            ServerFrame::ReceiptsChanged { seq, send_receipts: *send_receipts, repeat, request_id }
        }
        _ => ServerFrame::Void { seq },
    }
}

fn newest(messages: &[MessageId]) -> MessageId {
    messages.last().copied().unwrap_or_default()
}

/// What stands beside the newest: nothing where it is the only one.
fn several(messages: &[MessageId]) -> Vec<MessageId> {
    if messages.len() > 1 { messages.to_vec() } else { Vec::new() }
}

fn raw_data(message: &Message) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&data(message))
}

/// The message as the wire has it.
#[must_use]
pub fn data(message: &Message) -> MessageData {
    MessageData {
        kind: "new_message".to_owned(),
        message_id: message.id,
        conversation_id: message.conversation,
        sender: message.sender_name.clone(),
        sender_id: message.sender,
        recipient_id: message.recipient,
        recipient: None,
        subject: shown_subject(&message.subject).to_owned(),
        content: message.content.clone(),
        created_at: message.created_at,
        is_read: message.is_read,
        attachments: message.attachments.iter().map(attachment).collect(),
        reply_to_id: message.reply_to,
        mention_ids: message.mentions.clone(),
        edited_at: message.edited_at,
        read_count: message.read_count,
        reactions: message.reactions.clone(),
    }
}

/// What stands for a subject that is empty.
#[must_use]
pub fn shown_subject(subject: &str) -> &str {
    if subject.is_empty() { "No Subject" } else { subject }
}

/// A file as the wire has it.
#[must_use]
pub fn attachment(file: &FileLabel) -> Attachment {
    Attachment {
        id: file.id,
        filename: file.filename.clone(),
        file_size: file.size,
        media_type: file.media_type.clone(),
        url: Attachment::url_of(file.id),
        download_url: Attachment::url_of(file.id),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use switchboard_protocol::{ConversationId, Incoming, Timestamp, UserId};

    use super::*;

    fn entries() -> Vec<Entry> {
        let message = Arc::new(Message {
            id: MessageId(7),
            conversation: ConversationId(3),
            sender: UserId(1),
            sender_name: "Ann".to_owned(),
            recipient: Some(UserId(2)),
            subject: String::new(),
            content: "\"quoted\" \u{1F642}".to_owned(),
            created_at: Timestamp(1_767_225_600_000_000),
            is_read: false,
            client_message_id: Some("c1".to_owned()),
            attachments: Vec::new(),
            reply_to: None,
            mentions: Vec::new(),
            edited_at: None,
            read_count: None,
            reactions: Vec::new(),
        });
        vec![
            Entry {
                mailbox: MailboxId(11),
                seq: Seq(5),
                unread: 0,
                event: Event::Sent(Arc::clone(&message)),
            },
            Entry { mailbox: MailboxId(12), seq: Seq(9), unread: 4, event: Event::Received(message) },
        ]
    }

    #[test]
    fn a_packet_crosses_the_layer_and_shares_its_bytes() {
        let trace = TraceContext { trace: [7; 16], span: [8; 8], flags: 1 };
        for trace in [None, Some(Box::new(trace))] {
            let origin = Origin { way: Way::Here, accepted: Some(Timestamp(1)), trace };
            for packet in Packet::of_change(&entries(), &origin).unwrap().map(Result::unwrap) {
                let arrived = Packet::decode(packet.payload.clone()).unwrap();
                let elsewhere = Origin { way: Way::Elsewhere, ..origin.clone() };
                assert_eq!(arrived, Packet { origin: elsewhere, ..packet.clone() });
                let head = packet.payload.len() - packet.frame.len();
                assert_eq!(arrived.frame.as_bytes().as_ptr(), packet.payload[head..].as_ptr());
                let incoming = Incoming::parse(&arrived.frame).unwrap();
                assert_eq!(incoming.seq, Some(packet.seq));
                assert!(["message_sent", "new_message"].contains(&frame_type(&arrived.frame)));
            }
        }
    }

    #[test]
    fn what_a_later_head_adds_is_passed_over() {
        let known = Packet::new(&entries()[0], None, Origin::here(None)).unwrap();
        let mut longer = known.payload.to_vec();
        longer.splice(HEAD_BYTES..HEAD_BYTES, [9; 40]);
        longer[1] += 40;
        let arrived = Packet::decode(longer.into()).unwrap();
        assert_eq!((arrived.seq, arrived.frame), (known.seq, known.frame));
    }

    #[test]
    fn a_repeat_is_no_entry() {
        let text = repeat(&entries()[0], Some(RequestId::Number(1))).unwrap();
        let incoming = Incoming::parse(&text).unwrap();
        assert_eq!(incoming.seq, None);
        assert!(matches!(incoming.frame, ServerFrame::MessageSent { repeat: true, seq: Seq(5), .. }));
    }

    #[test]
    fn what_is_no_packet_is_dropped() {
        let good = Packet::new(&entries()[0], None, Origin::here(None)).unwrap().payload;
        for length in 0..HEAD_BYTES {
            assert_eq!(Packet::decode(good.slice(..length)), None);
        }
        let bad =
            [(0, 1), (0, 3), (1, 0), (1, 33), (2, 0xff), (10, 0xff), (18, 0xff), (34, 0xff), (34, b'[')];
        for (at, byte) in bad {
            let mut bad = good.to_vec();
            bad[at] = byte;
            assert_eq!(Packet::decode(Bytes::from(bad)), None, "byte {at}");
        }
    }
}
