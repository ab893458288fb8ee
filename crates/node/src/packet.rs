//! Entries as bytes: the frame that clients get, and the payload that crosses the channel layer.
//!
//! A packet is serialised once. Its frame is a slice of its payload, so that all sessions of a mailbox and the
//! publish share one allocation.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::Serialize;
use serde_json::value::RawValue;
use switchboard_protocol::{
    Attachment, MailboxId, MessageData, MessageId, RequestId, Seq, ServerFrame, Status,
};
use switchboard_store::{Entry, Event, FileLabel, Message};

/// The version of the payload. A node drops what has another: the sweep delivers it.
const VERSION: u8 = 1;
/// Version, mailbox, position, unread; integers in big endian.
const HEAD_BYTES: usize = 1 + 3 * 8;

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
}

impl Packet {
    /// The packets of the entries that one command made.
    ///
    /// # Errors
    /// If a part cannot be written as JSON, which none of ours fails at.
    pub fn of_change(entries: &[Entry]) -> serde_json::Result<Vec<Self>> {
        let message = entries.iter().find_map(|entry| match &entry.event {
            Event::Sent(message) | Event::Received(message) => Some(message),
            _ => None,
        });
        let data = message.map(|message| raw_data(message)).transpose()?;
        entries.iter().map(|entry| Self::new(entry, data.as_deref())).collect()
    }

    /// The packet of an entry that was read back.
    ///
    /// # Errors
    /// As [`Packet::of_change`].
    pub fn of_entry(entry: &Entry) -> serde_json::Result<Self> {
        Ok(Self::of_change(std::slice::from_ref(entry))?.remove(0))
    }

    fn new(entry: &Entry, data: Option<&RawValue>) -> serde_json::Result<Self> {
        let mut payload = BytesMut::with_capacity(HEAD_BYTES + 256 + data.map_or(0, |data| data.get().len()));
        payload.put_u8(VERSION);
        payload.put_i64(entry.mailbox.0);
        payload.put_i64(entry.seq.0);
        payload.put_i64(entry.unread);
        let mut writer = payload.writer();
        serde_json::to_writer(&mut writer, &frame(entry, data, None))?;
        let payload = writer.into_inner().freeze();
        // Serialised text is UTF-8: this cannot fail, and costs little beside the commit.
        let frame = ByteString::try_from(payload.slice(HEAD_BYTES..)).unwrap_or_default();
        Ok(Self { mailbox: entry.mailbox, seq: entry.seq, unread: entry.unread, frame, payload })
    }

    /// Reads what came over the channel layer, which may be anything.
    #[must_use]
    pub fn decode(payload: Bytes) -> Option<Self> {
        let integer = |from: usize| {
            payload.get(from..from + 8).and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes)
        };
        if payload.first() != Some(&VERSION) {
            return None;
        }
        let (mailbox, seq, unread) = (integer(1)?, integer(9)?, integer(17)?);
        let frame = ByteString::try_from(payload.slice(HEAD_BYTES..)).ok()?;
        let plausible = mailbox > 0 && seq > 0 && unread >= 0 && frame.starts_with('{');
        plausible.then_some(Self { mailbox: MailboxId(mailbox), seq: Seq(seq), unread, frame, payload })
    }
}

/// The frame that answers a request that had been done before: the entry of then, to this socket alone.
///
/// # Errors
/// As [`Packet::of_change`].
pub fn repeat(entry: &Entry, request_id: Option<RequestId>) -> serde_json::Result<ByteString> {
    let data = match &entry.event {
        Event::Sent(message) | Event::Received(message) => Some(raw_data(message)?),
        _ => None,
    };
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
        Event::Receipt { messages, reader, read_at } => ServerFrame::ReadReceipt {
            seq,
            message_id: newest(messages),
            message_ids: several(messages),
            reader_id: *reader,
            read_at: *read_at,
        },
        Event::Deleted { message } => {
            ServerFrame::MessageDeleted { seq, message_id: *message, unread_count: entry.unread }
        }
        Event::Void => ServerFrame::Void { seq },
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
        subject: shown_subject(&message.subject).to_owned(),
        content: message.content.clone(),
        created_at: message.created_at,
        is_read: message.is_read,
        attachments: message.attachments.iter().map(attachment).collect(),
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
            recipient: UserId(2),
            subject: String::new(),
            content: "\"quoted\" \u{1F642}".to_owned(),
            created_at: Timestamp(1_767_225_600_000_000),
            is_read: false,
            client_message_id: Some("c1".to_owned()),
            attachments: Vec::new(),
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
        for packet in Packet::of_change(&entries()).unwrap() {
            let arrived = Packet::decode(packet.payload.clone()).unwrap();
            assert_eq!(arrived, packet);
            assert_eq!(arrived.frame.as_bytes().as_ptr(), packet.payload[HEAD_BYTES..].as_ptr());
            let incoming = Incoming::parse(&arrived.frame).unwrap();
            assert_eq!(incoming.seq, Some(packet.seq));
        }
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
        let good = Packet::of_change(&entries()).unwrap().remove(0).payload;
        for length in 0..HEAD_BYTES {
            assert_eq!(Packet::decode(good.slice(..length)), None);
        }
        for (at, byte) in [(0, 2), (1, 0xff), (9, 0xff), (17, 0xff), (HEAD_BYTES, 0xff), (HEAD_BYTES, b'[')] {
            let mut bad = good.to_vec();
            bad[at] = byte;
            assert_eq!(Packet::decode(Bytes::from(bad)), None, "byte {at}");
        }
    }
}
