//! The bodies and queries of HTTP: their names and fields, and what an example of one must be.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use switchboard_protocol::{ClientFrame, api, events, former, history, problem};

use crate::page::{Example, fields, wire};

/// Names the bodies and their fields. It has no `..`, so that a new field fails to compile until it stands here; then the
/// tests ask for it in the README.
macro_rules! bodies {
    ($($name:literal $module:ident::$body:ident $(<$of:ty>)? { $($field:ident $(= $wire:literal)?),* })*) => {
        pub(crate) const BODIES: &[(&str, &[&str])] = &[$(($name, &[$(wire!($field $($wire)?)),*])),*];
        pub(crate) const BODY_TYPES: &[&str] =
            &[$(concat!(stringify!($module), "::", stringify!($body))),*];

        impl Example {
            /// Reads the example as the body of this name and writes it again.
            fn check_fields(&self, name: &str) {
                match name {
                    $($name => {
                        let body: $module::$body $(<$of>)? = self.read(&self.text);
                        let written = self.write(&body);
                        let $module::$body { $($field: _),* } = body;
                        self.assert_same(written, &self.read(&self.text));
                    })*
                    _ => self.fail("names no body that this test knows"),
                }
            }
        }
    };
}

bodies! {
    "problem" problem::Problem { status, title, code, retry_after_ms }
    "events" events::Events<Value> { events, cursor, epoch }
    "history" history::HistoryPage { messages, before, after }
    "register" api::Register { username, password, full_name }
    "login" api::Login { username, password }
    "ticket" api::Ticket { ticket, expires_at }
    "me" api::Me { user = "id username full_name", role, epoch, cursor, unread_count, has_password }
    "new_profile" api::NewProfile { full_name }
    "new_password" api::NewPassword { current_password, new_password }
    "users" api::UsersPage { users, after }
    "conversations" api::ConversationsPage { conversations, before }
    "conversation" api::ConversationDetail {
        conversation = "id kind user title member_count last_message unread_count is_muted is_archived draft", members
    }
    "versions" api::Versions { versions }
    "search" api::SearchPage { messages, before }
    "presence" api::PresenceList { presence }
    "blocks" api::Blocks { users }
    "settings" api::Settings { send_receipts }
    "new_message" api::NewMessage {
        recipient_id, conversation_id, content, subject, client_message_id, attachment_ids, reply_to_id, mention_ids
    }
    "new_text" api::NewText { content, subject }
    "new_group" api::NewGroup { title, member_ids, client_conversation_id }
    "new_title" api::NewTitle { title }
    "new_members" api::NewMembers { user_ids }
    "new_role" api::NewRole { role }
    "read_up_to" api::ReadUpTo { up_to }
    "new_conversation_settings" api::NewConversationSettings { is_muted, is_archived, draft }
    "typing" api::Typing { recipient_id, conversation_id, is_typing }
    "sent" api::Sent { seq, message_id, status, client_message_id, data }
    "read" api::Read { seq, message_id, status, unread_count }
    "uploaded" api::Uploaded { attachments }
    "refusal" former::Refusal { error, code, retry_after_ms }
    "former_users" former::Users { users }
    "lists" former::Lists { received, sent, archive, unread_count }
    "unread_count" former::UnreadCount { unread_count }
    "former_sent" former::Sent { status, message_id, message_ids, message }
    "deleted" former::Deleted { status, message }
    "notifications" former::Notifications {
        unread_messages, pending_tasks, total_unread, has_notifications, latest_notifications
    }
}

/// Names the queries and their fields, in the same way, by the endpoints that take them.
macro_rules! queries {
    ($($heading:literal $module:ident::$query:ident { $($field:ident $(= $wire:literal)?),* })*) => {
        pub(crate) const QUERIES: &[(&str, &[&str])] = &[$(($heading, &[$(wire!($field $($wire)?)),*])),*];
        pub(crate) const QUERY_TYPES: &[&str] =
            &[$(concat!(stringify!($module), "::", stringify!($query))),*];

        $(const _: fn($module::$query) = |$module::$query { $($field: _),* }| {};)*
    };
}

queries! {
    "`GET /api/v1/events`" events::EventsQuery { cursor, epoch, wait }
    "`GET /api/v1/conversations/{id}/messages`" history::HistoryQuery { before, after, limit }
    "`GET /api/v1/users`" api::UsersQuery { query, after, limit }
    "`GET /api/v1/conversations`" api::ConversationsQuery { before, archived, limit }
    "`GET /api/v1/messages`" api::MailQuery { direction = "box", query, before, limit }
    "`GET /api/v1/search`" api::SearchQuery { query, before, limit }
    "`GET /api/v1/presence`" api::PresenceQuery { user_ids }
    "`GET /messages/get/`" former::ListsQuery { limit, before }
}

/// What stands only inside of bodies.
pub(crate) const INNER_TYPES: &[&str] = &[
    "api::Change",
    "api::Conversation",
    "api::ConversationMember",
    "api::MessageVersion",
    "api::UserPresence",
    "former::ListedUser",
    "former::ListedMessage",
    "former::Notification",
];

/// Bodies that have the fields of a frame: which, and those that stand in the path.
const OF_FRAMES: &[(&str, &str, &[&str])] = &[
    ("new_message", "send_message", &[]),
    ("new_text", "edit_message", &["message_id"]),
    ("new_group", "create_group", &[]),
    ("new_title", "set_title", &["conversation_id"]),
    ("new_members", "add_members", &["conversation_id"]),
    ("new_role", "set_role", &["conversation_id", "user_id"]),
    ("read_up_to", "mark_as_read", &["conversation_id"]),
    ("new_conversation_settings", "set_conversation", &["conversation_id"]),
    ("typing", "typing", &[]),
    ("settings", "set_receipts", &[]),
];

/// The fields of forms, which are no types of the crate.
pub(crate) const FORMS: &[(&str, &[&str])] = &[
    ("`POST /login/`", &["usn", "username", "password"]),
    ("`POST /messages/send/`", &["recipients", "recipient", "subject", "content", "attachments"]),
];

impl Example {
    pub(crate) fn check_body(&self, kind: &str) {
        match kind {
            "health" => return self.check_health(),
            "change" => return self.check_change(),
            _ => self.check_fields(kind),
        }
        if let Some((_, frame, path)) = OF_FRAMES.iter().find(|(body, ..)| *body == kind) {
            self.check_frame_body(frame, path);
        }
        match kind {
            "problem" => {
                let problem: problem::Problem = self.read(&self.text);
                assert_eq!(problem.status, problem.code.http_status(), "README.md:{}", self.line);
            }
            "events" => {
                let events: events::Events<Value> = self.read(&self.text);
                for event in &events.events {
                    self.check_server_frame(&event.to_string());
                }
            }
            _ => {}
        }
    }

    /// A node reads it as the frame, and reads each of its fields.
    fn check_frame_body(&self, frame: &str, path: &[&str]) {
        let path: Vec<_> = path.iter().map(|field| (*field, "12")).collect();
        let frame = ClientFrame::parse_body(frame, &self.text, &path);
        let frame = frame.unwrap_or_else(|error| self.fail(format!("is refused by a node: {error}")));
        let unknown: Vec<_> =
            fields(&self.read(&self.text)).difference(&fields(&self.write(frame))).cloned().collect();
        assert!(unknown.is_empty(), "README.md:{}: no node reads {unknown:?}", self.line);
    }

    /// An entry, or a repeat.
    fn check_change(&self) {
        self.check_server_frame(&self.text);
        let api::Change { kind: _, seq: _, repeat: _, fields: _ } = self.read(&self.text);
    }

    fn check_health(&self) {
        let Health { status, reason } = self.read(&self.text);
        let fits = match status.as_str() {
            "live" | "ready" | "draining" => reason.is_none(),
            "degraded" | "unavailable" => reason.is_some(),
            _ => false,
        };
        if !fits {
            self.fail("has an unknown status, or a reason where there is none");
        }
    }

    /// The claims are those that the sections of tokens list.
    pub(crate) fn check_token(&self, listed: &BTreeSet<String>) {
        let example: Value = self.read(&self.text);
        let Token { iss, sub, exp, iat } = self.read(&self.text);
        let is_id = sub.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(iss == "switchboard", is_id, "README.md:{}", self.line);
        assert!(iat < exp && fields(&example).is_subset(listed), "README.md:{}", self.line);
    }
}

/// The body of `/live` and `/ready`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Health {
    status: String,
    reason: Option<String>,
}

/// The claims that each token of the page shows.
#[derive(Deserialize)]
struct Token {
    iss: String,
    sub: String,
    exp: u64,
    iat: u64,
}
