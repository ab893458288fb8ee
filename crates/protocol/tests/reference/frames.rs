//! The frames: their names and fields, and what an example of one must be.

use switchboard_protocol::{Envelope, Incoming};

use crate::page::{Example, fields};

/// Names the variants of an enum of frames and their fields. It has no `..` and no `_`, so that a new variant or
/// field fails to compile until it stands here; then the tests ask for it in the README.
macro_rules! frames {
    ($module:ident uses $($import:ident)::+ in $frame:ident {
        $($name:literal $variant:ident $({ $($field:ident),* })? $(($inner:ident { $($of_inner:ident),* }))?;)*
    }) => {
        pub(crate) mod $module {
            use switchboard_protocol::$($import)::+::*;

            pub(crate) const FRAMES: &[(&str, &[&str])] = &[
                $(($name, &[$($(stringify!($field)),*)? $($(stringify!($of_inner)),*)?])),*
            ];

            pub(crate) fn name_of(frame: &$frame) -> &'static str {
                match frame {
                    $($frame::$variant $({ $($field: _),* })? $(($inner { $($of_inner: _),* }))? => $name,)*
                }
            }
        }
    };
}

frames!(client uses client_frame in ClientFrame {
    "send_message" SendMessage(SendMessage { recipient_id, subject, content, client_message_id, attachment_ids });
    "mark_as_read" MarkAsRead { message_id };
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
    "read_receipt" ReadReceipt { seq, message_id, message_ids, reader_id, read_at };
    "message_deleted" MessageDeleted { seq, message_id, unread_count };
    "void" Void { seq };
    "unread_count" UnreadCount { unread_count, request_id };
    "reset" Reset { cursor, epoch };
    "reconnect" Reconnect { after_ms };
    "pong" Pong { request_id };
    "error" Error(ErrorFrame { code, error, request_id, client_message_id, retry_after_ms });
    "" Unknown;
});

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
