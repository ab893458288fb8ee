//! The frames: their names and fields, and what an example of one must be.

use switchboard_protocol::client_frame::ReadMark;
use switchboard_protocol::server_frame::{ReactionCount, User};
use switchboard_protocol::{
    Attachment, ConversationSettings, Envelope, GroupChange, Incoming, Member, MessageData, Target,
};

use crate::page::{Example, fields, wire};

/// Anything, where something stands for it.
macro_rules! any {
    ($flat:literal) => {
        _
    };
}

/// Names the variants of an enum of frames and their fields. It has no `..` and no `_`, so that a new variant or
/// field fails to compile until it stands here; then the tests ask for it in the README.
macro_rules! frames {
    ($module:ident uses $($import:ident)::+ in $frame:ident {
        $($name:literal $variant:ident
            $({ $($field:ident $(= $wire:literal)?),* })?
            $(($inner:ident { $($of_inner:ident $(= $inner_wire:literal)?),* }))?
            $([$flat:literal])?;)*
    }) => {
        pub(crate) mod $module {
            use switchboard_protocol::$($import)::+::*;

            use crate::page::wire;

            pub(crate) const FRAMES: &[(&str, &[&str])] = &[$(($name, &[
                $($(wire!($field $($wire)?)),*)? $($(wire!($of_inner $($inner_wire)?)),*)? $($flat)?
            ])),*];

            pub(crate) fn name_of(frame: &$frame) -> &'static str {
                match frame {
                    $($frame::$variant
                        $({ $($field: _),* })? $(($inner { $($of_inner: _),* }))? $((any!($flat)))? => $name,)*
                }
            }
        }
    };
}

frames!(client uses client_frame in ClientFrame {
    "send_message" SendMessage(SendMessage {
        to = "recipient_id conversation_id", subject, content, client_message_id, attachment_ids, reply_to_id,
        mention_ids
    });
    "mark_as_read" MarkAsRead["message_id conversation_id up_to"];
    "edit_message" EditMessage(EditMessage { message_id, content, subject });
    "delete_message" DeleteMessage { message_id };
    "set_reaction" SetReaction(SetReaction { message_id, reaction, is_set });
    "create_group" CreateGroup(CreateGroup { title, member_ids, client_conversation_id });
    "set_title" SetTitle { conversation_id, title };
    "add_members" AddMembers { conversation_id, user_ids };
    "remove_member" RemoveMember { conversation_id, user_id };
    "set_role" SetRole { conversation_id, user_id, role };
    "set_conversation" SetConversation(SetConversation { conversation_id, is_muted, is_archived, draft });
    "set_block" SetBlock { user_id, is_blocked };
    "set_receipts" SetReceipts { send_receipts };
    "typing" Typing { to = "recipient_id conversation_id", is_typing };
    "watch_presence" WatchPresence { user_ids };
    "set_presence" SetPresence { status };
    "get_unread_count" GetUnreadCount;
    "ping" Ping;
});

frames!(server uses server_frame in ServerFrame {
    "welcome" Welcome(Welcome {
        user, connection_id, epoch, cursor, unread_count, server_time, heartbeat_interval_ms, limits
    });
    "new_message" NewMessage { seq, data };
    "message_sent" MessageSent { seq, message_id, status, client_message_id, repeat, request_id, data };
    "message_read" MessageRead { seq, message_id, message_ids, status, unread_count, repeat, request_id };
    "read_receipt" ReadReceipt { seq, message_id, message_ids, reader_id, read_at, read_counts };
    "message_edited" MessageEdited {
        seq, message_id, conversation_id, subject, content, edited_at, repeat, request_id
    };
    "message_reaction" MessageReaction {
        seq, message_id, conversation_id, user_id, reaction, is_set, count, repeat, request_id
    };
    "group_changed" GroupChanged {
        seq, conversation_id, actor_id,
        change = "change title members client_conversation_id user_ids user_id role",
        unread_count, repeat, request_id
    };
    "conversation_changed" ConversationChanged {
        seq, conversation_id, settings = "is_muted is_archived draft", repeat, request_id
    };
    "block_changed" BlockChanged { seq, user_id, is_blocked, repeat, request_id };
    "receipts_changed" ReceiptsChanged { seq, send_receipts, repeat, request_id };
    "typing" Typing { conversation_id, user_id, is_typing };
    "presence" Presence { user_id, status, last_seen };
    "message_deleted" MessageDeleted { seq, message_id, unread_count, repeat, request_id };
    "void" Void { seq };
    "unread_count" UnreadCount { unread_count, request_id };
    "reset" Reset { cursor, epoch };
    "reconnect" Reconnect { after_ms };
    "pong" Pong { request_id };
    "error" Error(ErrorFrame { code, error, request_id, client_message_id, retry_after_ms });
    "" Unknown;
});

// What is flattened above, field by field: what is new here belongs there.
const _: fn(Target) = |target| match target {
    Target::User(_recipient_id) => {}
    Target::Conversation(_conversation_id) => {}
};
const _: fn(ReadMark) = |mark| match mark {
    ReadMark::Message { message_id: _ } => {}
    ReadMark::UpTo { conversation_id: _, up_to: _ } => {}
};
const _: fn(&GroupChange) = |change| match change {
    GroupChange::Joined { title: _, members: _, client_conversation_id: _ } => {}
    GroupChange::Added { user_ids: _ } => {}
    GroupChange::Removed { user_id: _ } => {}
    GroupChange::Titled { title: _ } => {}
    GroupChange::Role { user_id: _, role: _ } => {}
};
const _: fn(&ConversationSettings) = |ConversationSettings { is_muted: _, is_archived: _, draft: _ }| {};

/// Names the fields of what stands inside of frames and bodies, by the heading of its section.
macro_rules! objects {
    ($($heading:literal $object:ident { $($field:ident $(= $wire:literal)?),* })*) => {
        pub(crate) const OBJECTS: &[(&str, &[&str])] = &[$(($heading, &[$(wire!($field $($wire)?)),*])),*];

        $(const _: fn(&$object) = |$object { $($field: _),* }| {};)*
    };
}

objects! {
    "A message" MessageData {
        kind = "type", message_id, conversation_id, sender, sender_id, recipient_id, recipient, subject, content, created_at,
        is_read, attachments, reply_to_id, mention_ids, edited_at, read_count, reactions
    }
    "An attachment" Attachment { id, filename, file_size, media_type, url, download_url }
    "A user" User { id, username, full_name }
    "A member" Member { user_id, role }
    "A reaction" ReactionCount { reaction, count, is_own }
}

impl Example {
    pub(crate) fn check_client_frame(&self) -> &'static str {
        let envelope =
            Envelope::parse(&self.text).unwrap_or_else(|error| self.fail(format!("is refused: {error}")));
        let known = fields(&self.write(&envelope));
        let unknown: Vec<_> = fields(&self.read(&self.text)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "README.md:{}: no node reads {unknown:?}", self.line);
        client::name_of(&envelope.frame)
    }

    pub(crate) fn check_refusal(&self, code: &str) {
        match Envelope::parse(&self.text) {
            Ok(_) => self.fail("is not refused"),
            Err(error) => assert_eq!(error.code.as_str(), code, "README.md:{}: left is the code", self.line),
        }
    }

    pub(crate) fn check_server_frame(&self, text: &str) -> (&'static str, Incoming) {
        let incoming =
            Incoming::parse(text).unwrap_or_else(|error| self.fail(format!("is no frame: {error}")));
        let name = server::name_of(&incoming.frame);
        if name.is_empty() {
            self.fail("lacks a field, or has a type that no node sends");
        }
        self.assert_same(&incoming.frame, &self.read(text));
        (name, incoming)
    }

    /// Events are set apart by empty lines; what begins with a colon is a comment.
    pub(crate) fn check_stream(&self) {
        for (index, event) in self.text.split("\n\n").filter(|event| !event.starts_with(':')).enumerate() {
            let parts = event.split_once('\n').and_then(|(id, data)| {
                let (seq, _epoch) = id.strip_prefix("id: ")?.split_once('-')?;
                Some((seq.parse::<i64>().ok()?, data.strip_prefix("data: ")?))
            });
            let Some((id, data)) = parts else {
                self.fail(format!("has an event without id and data: {event}"))
            };
            let (name, incoming) = self.check_server_frame(data);
            assert_eq!(name == "welcome", index == 0, "README.md:{}: welcome is the first", self.line);
            if incoming.seq.is_some_and(|seq| seq.0 != id) {
                self.fail(format!("has an entry whose id is not its seq: {event}"));
            }
        }
    }
}
