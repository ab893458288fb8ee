//! The requests, each as a frame and over HTTP, with what the owner, a member, a former member and a stranger are told.

use serde_json::{Value, json};

use super::people::{BLOCKED, FORMER, GUEST, OTHER, OWNER, Scene};

/// A request in both its ways.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) frame: Value,
    /// The type of the entry that answers it; empty where nothing does.
    pub(super) answer: &'static str,
    pub(super) http: Option<(&'static str, String, Value)>,
    pub(super) expected: [&'static str; 4],
}

impl Request {
    pub(super) fn frame(name: &'static str, answer: &'static str, fields: Value) -> Self {
        let mut frame = fields;
        frame["type"] = json!(name);
        Self { name, frame, answer, http: None, expected: ["ok"; 4] }
    }

    fn http(mut self, method: &'static str, path: String, body: Value) -> Self {
        self.http = Some((method, format!("/api/v1/{path}"), body));
        self
    }

    /// What the owner, a member, a former member and anybody else are told.
    fn expect(mut self, expected: [&'static str; 4]) -> Self {
        self.expected = expected;
        self
    }
}

const MEMBERS: [&str; 4] = ["ok", "ok", "not_found", "not_found"];
const OWNERS: [&str; 4] = ["ok", "not_owner", "not_found", "not_found"];
const NOBODY: [&str; 4] = ["not_found"; 4];

/// About the group and what was said in it.
pub(super) fn of_group(scene: &Scene) -> Vec<Request> {
    let Scene { group, of_owner, of_member, of_former, .. } = scene;
    let messages = [
        send(json!({"conversation_id": group, "content": "x"}), MEMBERS),
        send(json!({"conversation_id": group, "content": "x", "reply_to_id": of_owner}), MEMBERS),
        send(json!({"conversation_id": group, "content": "x", "mention_ids": [OTHER]}), MEMBERS),
        send(
            json!({"conversation_id": group, "content": "x", "mention_ids": [FORMER]}),
            ["unknown_mention", "unknown_mention", "not_found", "not_found"],
        ),
        // One cannot carry it into another conversation.
        send(json!({"recipient_id": OTHER, "content": "x", "reply_to_id": of_owner}), NOBODY),
        Request::frame("mark_as_read", "message_read", json!({"message_id": of_owner}))
            .http("POST", format!("messages/{of_owner}/read"), Value::Null)
            .expect(["not_found", "ok", "not_found", "not_found"]),
        Request::frame("mark_as_read", "message_read", json!({"conversation_id": group, "up_to": of_former}))
            .http("POST", format!("conversations/{group}/read"), json!({"up_to": of_former}))
            .expect(MEMBERS),
        edit(of_owner, ["ok", "not_found", "not_found", "not_found"]),
        edit(of_former, NOBODY),
        react(of_owner, MEMBERS),
        react(of_former, MEMBERS),
    ];
    let changes = [
        Request::frame(
            "set_title",
            "group_changed",
            json!({"conversation_id": group, "title": "the book club"}),
        )
        .http("PATCH", format!("conversations/{group}"), json!({"title": "the book club"}))
        .expect(OWNERS),
        Request::frame(
            "set_role",
            "group_changed",
            json!({"conversation_id": group, "user_id": OTHER, "role": "member"}),
        )
        .http("PUT", format!("conversations/{group}/members/{OTHER}"), json!({"role": "member"}))
        .expect(OWNERS),
        Request::frame(
            "add_members",
            "group_changed",
            json!({"conversation_id": group, "user_ids": [GUEST]}),
        )
        .http("POST", format!("conversations/{group}/members"), json!({"user_ids": [GUEST]}))
        .expect(OWNERS),
        Request::frame("remove_member", "group_changed", json!({"conversation_id": group, "user_id": GUEST}))
            .http("DELETE", format!("conversations/{group}/members/{GUEST}"), Value::Null)
            .expect(OWNERS),
        Request::frame(
            "set_conversation",
            "conversation_changed",
            json!({"conversation_id": group, "is_muted": true, "draft": "d"}),
        )
        .http("PUT", format!("conversations/{group}/settings"), json!({"is_muted": true, "draft": "d"}))
        .expect(MEMBERS),
        Request::frame("typing", "", json!({"conversation_id": group, "is_typing": true}))
            .http("POST", "typing".to_owned(), json!({"conversation_id": group, "is_typing": true}))
            .expect(MEMBERS),
        // Last: what is deleted is not there for what would come after.
        delete(of_member, MEMBERS),
        delete(of_former, MEMBERS),
    ];
    messages.into_iter().chain(changes).collect()
}

/// Of the one whom the owner blocked, about the two. What they may do stays: to take back, to read, to put away.
pub(super) fn of_blocked(scene: &Scene) -> Vec<Request> {
    let Scene { pair, to_blocked, of_blocked, group_of_blocked, .. } = scene;
    let refused = ["unknown_recipient"; 4];
    let allowed = ["ok"; 4];
    vec![
        send(json!({"recipient_id": OWNER, "content": "x"}), refused),
        send(json!({"conversation_id": pair, "content": "x"}), refused),
        edit(of_blocked, refused),
        react(to_blocked, refused),
        Request::frame("typing", "", json!({"recipient_id": OWNER, "is_typing": true}))
            .http("POST", "typing".to_owned(), json!({"recipient_id": OWNER, "is_typing": true}))
            .expect(refused),
        Request::frame("create_group", "group_changed", json!({"title": "t", "member_ids": [OWNER]}))
            .http("POST", "conversations".to_owned(), json!({"title": "t", "member_ids": [OWNER]}))
            .expect(refused),
        Request::frame(
            "add_members",
            "group_changed",
            json!({"conversation_id": group_of_blocked, "user_ids": [OWNER]}),
        )
        .http("POST", format!("conversations/{group_of_blocked}/members"), json!({"user_ids": [OWNER]}))
        .expect(refused),
        Request::frame("mark_as_read", "message_read", json!({"message_id": to_blocked}))
            .http("POST", format!("messages/{to_blocked}/read"), Value::Null)
            .expect(allowed),
        Request::frame(
            "set_conversation",
            "conversation_changed",
            json!({"conversation_id": pair, "is_archived": true}),
        )
        .http("PUT", format!("conversations/{pair}/settings"), json!({"is_archived": true}))
        .expect(allowed),
        Request::frame("set_block", "block_changed", json!({"user_id": OWNER, "is_blocked": false}))
            .http("DELETE", format!("blocks/{OWNER}"), Value::Null)
            .expect(allowed),
        Request::frame("set_block", "block_changed", json!({"user_id": BLOCKED, "is_blocked": true}))
            .http("PUT", format!("blocks/{BLOCKED}"), Value::Null)
            .expect(refused),
        Request::frame("set_receipts", "receipts_changed", json!({"send_receipts": true}))
            .http("PUT", "settings".to_owned(), json!({"send_receipts": true}))
            .expect(allowed),
        delete(of_blocked, allowed),
    ]
}

/// What is looked up about the group.
pub(super) fn lookups(scene: &Scene) -> Vec<String> {
    let Scene { group, of_owner, file, .. } = scene;
    [
        format!("conversations/{group}"),
        format!("conversations/{group}/messages"),
        format!("messages/{of_owner}/versions"),
        format!("attachments/{file}"),
    ]
    .map(|path| format!("/api/v1/{path}"))
    .into()
}

fn send(body: Value, expected: [&'static str; 4]) -> Request {
    Request::frame("send_message", "message_sent", body.clone())
        .http("POST", "messages".to_owned(), body)
        .expect(expected)
}

fn edit(message: &Value, expected: [&'static str; 4]) -> Request {
    Request::frame(
        "edit_message",
        "message_edited",
        json!({"message_id": message, "content": "changed canary"}),
    )
    .http("PATCH", format!("messages/{message}"), json!({"content": "changed canary"}))
    .expect(expected)
}

fn react(message: &Value, expected: [&'static str; 4]) -> Request {
    Request::frame(
        "set_reaction",
        "message_reaction",
        json!({"message_id": message, "reaction": "x", "is_set": true}),
    )
    .http("PUT", format!("messages/{message}/reactions/x"), Value::Null)
    .expect(expected)
}

fn delete(message: &Value, expected: [&'static str; 4]) -> Request {
    Request::frame("delete_message", "message_deleted", json!({"message_id": message}))
        .http("DELETE", format!("messages/{message}"), Value::Null)
        .expect(expected)
}
