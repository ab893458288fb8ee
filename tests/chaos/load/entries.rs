//! A frame as a line of the history.

use switchboard_checker::history::{Entry, Kind, PageMessage};
use switchboard_protocol::{MessageData, MessageId, ServerFrame};

use super::words::body;

/// An entry of a mailbox, as a device applied it.
pub(super) fn entry(device: &str, seq: i64, frame: &ServerFrame) -> Entry {
    let entry = Entry { device: device.to_owned(), seq, ..Entry::default() };
    let ids = |one: &MessageId, several: &[MessageId]| {
        if several.is_empty() { vec![one.0] } else { several.iter().map(|id| id.0).collect() }
    };
    match frame {
        ServerFrame::NewMessage { data, .. } => {
            Entry { kind: Kind::Received, is_read: Some(data.is_read), ..with(entry, data) }
        }
        ServerFrame::MessageSent { data, client_message_id, .. } => {
            Entry { kind: Kind::Sent, client_message_id: client_message_id.clone(), ..with(entry, data) }
        }
        ServerFrame::MessageRead { message_id, message_ids, .. } => {
            Entry { kind: Kind::Read, messages: ids(message_id, message_ids), ..entry }
        }
        ServerFrame::ReadReceipt { message_id, message_ids, reader_id, .. } => {
            let messages = ids(message_id, message_ids);
            Entry { kind: Kind::Receipt, messages, actor: Some(reader_id.0), ..entry }
        }
        ServerFrame::MessageDeleted { message_id, .. } => {
            Entry { kind: Kind::Deleted, messages: vec![message_id.0], ..entry }
        }
        ServerFrame::Void { .. } => Entry { kind: Kind::Void, ..entry },
        _ => entry,
    }
}

fn with(entry: Entry, data: &MessageData) -> Entry {
    Entry {
        messages: vec![data.message_id.0],
        conversation: Some(data.conversation_id.0),
        actor: Some(data.sender_id.0),
        recipient: data.recipient_id.map(|recipient| recipient.0),
        body: Some(body(&data.content)),
        ..entry
    }
}

/// An item of a page.
pub(super) fn page_message(data: &MessageData) -> PageMessage {
    PageMessage {
        message: data.message_id.0,
        sender: data.sender_id.0,
        body: body(&data.content),
        is_read: data.is_read,
    }
}
