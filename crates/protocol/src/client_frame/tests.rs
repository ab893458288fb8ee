//! What is taken, and what is refused.

use super::*;
use crate::limits::{ATTACHMENTS, CONTENT_BYTES, GROUP_MEMBERS, REACTION_BYTES, TITLE_CHARS, WATCHED};

#[track_caller]
fn check(text: &str, expect: Result<ClientFrame, ErrorCode>) {
    let got = Envelope::parse(text).map(|envelope| envelope.frame);
    assert_eq!(got.map_err(|error| error.code), expect, "{text}");
}

fn message(recipient: i64, content: &str) -> ClientFrame {
    ClientFrame::SendMessage(SendMessage {
        to: UserId(recipient).into(),
        subject: String::new(),
        content: content.to_owned(),
        client_message_id: None,
        attachment_ids: Vec::new(),
        reply_to_id: None,
        mention_ids: Vec::new(),
    })
}

#[test]
fn what_is_no_frame() {
    check("", Err(ErrorCode::InvalidJson));
    check("{", Err(ErrorCode::InvalidJson));
    check("{\"type\":\"ping\"} x", Err(ErrorCode::InvalidJson));
    for text in ["[]", "5", "\"x\"", "null", " [\"ping\"]"] {
        check(text, Err(ErrorCode::InvalidFrame));
    }
    check("{}", Err(ErrorCode::UnknownType));
    check(r#"{"type":"pong"}"#, Err(ErrorCode::UnknownType));
    check(r#"{"type":7}"#, Err(ErrorCode::InvalidField));
    check(r#"{"type":"ping","type":"ping"}"#, Err(ErrorCode::InvalidField));
    let deep = format!("{{\"type\":\"ping\",\"x\":{}1{}}}", "[".repeat(4000), "]".repeat(4000));
    assert!(Envelope::parse(&deep).is_ok(), "an ignored field costs no recursion");
}

#[test]
fn ids_are_numbers_or_digits() {
    for id in ["2", "\"2\"", "\"02\"", r#""\u0032""#] {
        check(
            &format!(r#"{{"type":"send_message","recipient_id":{id},"content":"x"}}"#),
            Ok(message(2, "x")),
        );
    }
    for id in ["2.0", "true", "\" 2\"", "\"\"", "-1", "[2]", "9007199254740992", "\"²\""] {
        let text = format!(r#"{{"type":"mark_as_read","message_id":{id}}}"#);
        check(&text, Err(ErrorCode::InvalidField));
    }
    check(r#"{"type":"mark_as_read"}"#, Err(ErrorCode::MissingField));
    check(r#"{"type":"mark_as_read","message_id":null}"#, Err(ErrorCode::MissingField));
}

#[test]
fn messages_are_checked() {
    let send = |fields: &str| format!(r#"{{"type": "send_message", "recipient_id": 2, {fields}}}"#);
    check(&send(r#""content": "a", "x": {"y": 1}, "subject": null"#), Ok(message(2, "a")));
    check(&send(r#""content": null"#), Err(ErrorCode::EmptyMessage));
    check(&send(r#""content": 5"#), Err(ErrorCode::InvalidField));
    check(&send(r#""content": "\u0000""#), Err(ErrorCode::InvalidField));
    check(&send(r#""content": " ""#), Err(ErrorCode::EmptyMessage));
    check(&send(r#""subject": "x""#), Err(ErrorCode::EmptyMessage));
    check(
        &send(&format!(r#""content": "x", "subject": "{}""#, "ä".repeat(256))),
        Err(ErrorCode::SubjectTooLong),
    );
    check(
        &send(&format!(r#""content": "{}""#, "x".repeat(CONTENT_BYTES + 1))),
        Err(ErrorCode::ContentTooLarge),
    );
    check(&send(r#""content": "x", "client_message_id": "a b""#), Err(ErrorCode::InvalidField));
}

#[test]
fn attachments_are_a_few_ids_none_of_them_twice() {
    let send = |ids: &str| {
        format!(r#"{{"type": "send_message", "recipient_id": 2, "content": "", "attachment_ids": {ids}}}"#)
    };
    let with = |ids: &[i64]| match message(2, "") {
        ClientFrame::SendMessage(message) => ClientFrame::SendMessage(SendMessage {
            attachment_ids: ids.iter().copied().map(AttachmentId).collect(),
            ..message
        }),
        other => other,
    };
    check(&send(r#"[31, "30"]"#), Ok(with(&[31, 30])));
    for ids in ["[]", "null"] {
        check(&send(ids), Err(ErrorCode::EmptyMessage));
    }
    for ids in ["7", r#""7""#, "{}", "[7, 7]", r#"[7, "07"]"#, "[-7]", "[null]", "[[7]]"] {
        check(&send(ids), Err(ErrorCode::InvalidField));
    }
    let most: Vec<i64> = (1..).take(ATTACHMENTS).collect();
    check(&send(&format!("{most:?}")), Ok(with(&most)));
    let more: Vec<i64> = (0..).take(ATTACHMENTS + 1).collect();
    check(&send(&format!("{more:?}")), Err(ErrorCode::TooManyAttachments));
    check(&send("[7]").replace(r#""""#, r#""\u0000""#), Err(ErrorCode::InvalidField));
}

/// A message goes to a user or to a conversation, and answers and names whom it will.
#[test]
fn a_message_has_one_target() {
    let send = |fields: &str| format!(r#"{{"type": "send_message", "content": "a", {fields}}}"#);
    let to = |to: Target, reply_to_id: Option<i64>, mention_ids: &[i64]| match message(2, "a") {
        ClientFrame::SendMessage(message) => ClientFrame::SendMessage(SendMessage {
            to,
            reply_to_id: reply_to_id.map(MessageId),
            mention_ids: mention_ids.iter().copied().map(UserId).collect(),
            ..message
        }),
        other => other,
    };
    let group = ConversationId(12).into();
    check(&send(r#""conversation_id": "12""#), Ok(to(group, None, &[])));
    check(&send(r#""conversation_id": 12, "recipient_id": null"#), Ok(to(group, None, &[])));
    check(&send(r#""conversation_id": 12, "recipient_id": 2"#), Err(ErrorCode::InvalidField));
    check(&send(r#""conversation_id": [12]"#), Err(ErrorCode::InvalidField));
    check(&send(r#""recipient_id": 2, "reply_to_id": "7""#), Ok(to(UserId(2).into(), Some(7), &[])));
    check(&send(r#""recipient_id": 2, "reply_to_id": -7"#), Err(ErrorCode::InvalidField));
    // Ascending, each once: so that the same message said again is the same.
    check(&send(r#""conversation_id": 12, "mention_ids": [9, "3", 9]"#), Ok(to(group, None, &[3, 9])));
    let most: Vec<_> = (0..=GROUP_MEMBERS).collect();
    check(&send(&format!(r#""conversation_id": 12, "mention_ids": {most:?}"#)), Err(ErrorCode::InvalidField));
}

#[test]
fn a_read_mark_names_a_message_or_a_place() {
    let mark = |fields: &str| format!(r#"{{"type": "mark_as_read", {fields}}}"#);
    let one = ClientFrame::MarkAsRead(ReadMark::Message { message_id: MessageId(7) });
    check(&mark(r#""message_id": 7"#), Ok(one.clone()));
    check(&mark(r#""message_id": 7, "conversation_id": 12"#), Ok(one));
    let up_to = ReadMark::UpTo { conversation_id: ConversationId(12), up_to: MessageId(7) };
    check(&mark(r#""conversation_id": 12, "up_to": 7"#), Ok(ClientFrame::MarkAsRead(up_to)));
    check(&mark(r#""conversation_id": 12"#), Err(ErrorCode::MissingField));
    check(&mark(r#""up_to": 7"#), Err(ErrorCode::MissingField));
    check(&mark(r#""conversation_id": 12, "up_to": 7.5"#), Err(ErrorCode::InvalidField));
}

#[test]
fn what_is_done_to_a_message_is_checked() {
    let edit = |fields: &str| format!(r#"{{"type": "edit_message", "message_id": 7, {fields}}}"#);
    let edited = |content: &str, subject: Option<&str>| {
        ClientFrame::EditMessage(EditMessage {
            message_id: MessageId(7),
            content: content.to_owned(),
            subject: subject.map(str::to_owned),
        })
    };
    check(&edit(r#""content": "a""#), Ok(edited("a", None)));
    // Without a text it may stand for its files: that, the store knows. And a subject may be taken away.
    check(&edit(r#""content": "", "subject": """#), Ok(edited("", Some(""))));
    // White space alone is no text.
    check(&edit(r#""content": " \n\u3000""#), Ok(edited("", None)));
    check(&edit(r#""subject": "a""#), Err(ErrorCode::MissingField));
    check(
        &edit(&format!(r#""content": "{}""#, "x".repeat(CONTENT_BYTES + 1))),
        Err(ErrorCode::ContentTooLarge),
    );

    let react = |reaction: &str, is_set: &str| {
        let reaction = quoted(reaction);
        format!(r#"{{"type": "set_reaction", "message_id": 7, "reaction": {reaction}, "is_set": {is_set}}}"#)
    };
    let longest = "x".repeat(REACTION_BYTES);
    for reaction in ["👍🏽", "👩‍👩‍👧‍👦", ":+1:", &longest] {
        let set = SetReaction { message_id: MessageId(7), reaction: reaction.to_owned(), is_set: true };
        check(&react(reaction, "true"), Ok(ClientFrame::SetReaction(set)));
    }
    for reaction in ["", " ", "a b", "a\n", "\u{85}", "\u{3000}", &format!("{longest}x")] {
        check(&react(reaction, "true"), Err(ErrorCode::InvalidField));
    }
    check(&react("x", "1"), Err(ErrorCode::InvalidField));
    check(&react("x", "null"), Err(ErrorCode::MissingField));
    check(r#"{"type": "delete_message"}"#, Err(ErrorCode::MissingField));
}

#[test]
fn what_is_done_to_a_group_is_checked() {
    let create = |fields: &str| format!(r#"{{"type": "create_group", {fields}}}"#);
    let created = |title: &str, member_ids: &[i64]| {
        ClientFrame::CreateGroup(CreateGroup {
            title: title.to_owned(),
            member_ids: member_ids.iter().copied().map(UserId).collect(),
            client_conversation_id: None,
        })
    };
    let longest = "ä".repeat(TITLE_CHARS);
    check(&create(r#""title": " Lunch \t", "member_ids": [3, 2, 3]"#), Ok(created("Lunch", &[2, 3])));
    check(&create(&format!(r#""title": "{longest}""#)), Ok(created(&longest, &[])));
    for title in ["\"\"", "\" \"", r#""a\nb""#, "7", &format!("\"{longest}x\"")] {
        check(&create(&format!(r#""title": {title}"#)), Err(ErrorCode::InvalidField));
    }
    check(&create(r#""member_ids": [3]"#), Err(ErrorCode::MissingField));
    check(&create(r#""title": "a", "client_conversation_id": "a b""#), Err(ErrorCode::InvalidField));
    // Who makes it is one of its members.
    let others: Vec<_> = (1..=GROUP_MEMBERS).collect();
    check(&create(&format!(r#""title": "a", "member_ids": {others:?}"#)), Err(ErrorCode::InvalidField));

    let group =
        |kind: &str, fields: &str| format!(r#"{{"type": "{kind}", "conversation_id": 12, {fields}}}"#);
    let user_ids = vec![UserId(3)];
    let added = ClientFrame::AddMembers { conversation_id: ConversationId(12), user_ids };
    check(&group("add_members", r#""user_ids": [3]"#), Ok(added));
    check(&group("add_members", r#""user_id": 3"#), Err(ErrorCode::MissingField));
    check(&group("add_members", r#""user_ids": 3"#), Err(ErrorCode::InvalidField));
    check(&group("set_role", r#""user_id": 3, "role": "king""#), Err(ErrorCode::InvalidField));
    check(&group("set_role", r#""role": "owner""#), Err(ErrorCode::MissingField));
    check(&group("remove_member", r#""x": 3"#), Err(ErrorCode::MissingField));
}

#[test]
fn what_is_ones_own_is_checked() {
    let conversation =
        |fields: &str| format!(r#"{{"type": "set_conversation", "conversation_id": 12{fields}}}"#);
    let set = SetConversation {
        conversation_id: ConversationId(12),
        is_muted: Some(false),
        is_archived: None,
        draft: Some(String::new()),
    };
    check(&conversation(r#", "is_muted": false, "draft": """#), Ok(ClientFrame::SetConversation(set)));
    check(&conversation(""), Err(ErrorCode::MissingField));
    check(&conversation(r#", "is_archived": "yes""#), Err(ErrorCode::InvalidField));
    check(&conversation(r#", "draft": "\u0000""#), Err(ErrorCode::InvalidField));
    let long = "x".repeat(CONTENT_BYTES + 1);
    check(&conversation(&format!(r#", "draft": "{long}""#)), Err(ErrorCode::InvalidField));
    check(r#"{"type": "set_block", "user_id": 3}"#, Err(ErrorCode::MissingField));
    check(r#"{"type": "set_receipts", "send_receipts": 0}"#, Err(ErrorCode::InvalidField));
}

#[test]
fn what_is_kept_nowhere_is_checked() {
    let typing = ClientFrame::Typing { to: UserId(3).into(), is_typing: true };
    check(r#"{"type": "typing", "recipient_id": 3, "is_typing": true}"#, Ok(typing));
    check(r#"{"type": "typing", "is_typing": true}"#, Err(ErrorCode::MissingField));
    check(
        r#"{"type": "set_presence", "status": "away"}"#,
        Ok(ClientFrame::SetPresence { status: Presence::Away }),
    );
    check(r#"{"type": "set_presence", "status": "offline"}"#, Err(ErrorCode::InvalidField));
    let watch = |user_ids: &[usize]| format!(r#"{{"type": "watch_presence", "user_ids": {user_ids:?}}}"#);
    check(&watch(&[]), Ok(ClientFrame::WatchPresence { user_ids: Vec::new() }));
    check(r#"{"type": "watch_presence"}"#, Err(ErrorCode::MissingField));
    let more: Vec<_> = (0..=WATCHED).collect();
    check(&watch(&more), Err(ErrorCode::InvalidField));
}

/// What a client writes is what a node reads.
#[test]
fn a_frame_that_is_written_is_read() {
    let (conversation_id, user_id, message_id) = (ConversationId(12), UserId(3), MessageId(7));
    let group = CreateGroup {
        title: "Lunch".to_owned(),
        member_ids: vec![user_id],
        client_conversation_id: Some("g1".to_owned()),
    };
    let reaction = SetReaction { message_id, reaction: "👍".to_owned(), is_set: false };
    for frame in [
        message(2, "a"),
        ClientFrame::MarkAsRead(ReadMark::UpTo { conversation_id, up_to: message_id }),
        ClientFrame::EditMessage(EditMessage { message_id, content: "b".to_owned(), subject: None }),
        ClientFrame::DeleteMessage { message_id },
        ClientFrame::SetReaction(reaction),
        ClientFrame::CreateGroup(group),
        ClientFrame::SetTitle { conversation_id, title: "Dinner".to_owned() },
        ClientFrame::AddMembers { conversation_id, user_ids: vec![user_id] },
        ClientFrame::RemoveMember { conversation_id, user_id },
        ClientFrame::SetRole { conversation_id, user_id, role: Role::Owner },
        ClientFrame::SetBlock { user_id, is_blocked: true },
        ClientFrame::SetReceipts { send_receipts: false },
        ClientFrame::Typing { to: conversation_id.into(), is_typing: false },
        ClientFrame::SetPresence { status: Presence::Online },
    ] {
        let text = serde_json::to_string(&Envelope { request_id: None, frame: frame.clone() }).unwrap();
        assert!(text.starts_with(&format!(r#"{{"type":"{}""#, frame.name())), "{text}");
        check(&text, Ok(frame));
    }
}

#[test]
fn a_body_is_a_frame_without_a_type() {
    let parse = |kind: &str, body: &str, path: &[(&str, &str)]| {
        ClientFrame::parse_body(kind, body, path).map_err(|error| error.code)
    };
    let send = |body: &str| parse("send_message", body, &[]);
    let body = r#"{"type": 5, "recipient_id": "2", "content": "x", "request_id": []}"#;
    assert_eq!(send(body), Ok(message(2, "x")));
    assert_eq!(send(r#"{"recipient_id": 2}"#), Err(ErrorCode::EmptyMessage));
    assert_eq!(send(r#"{"content": "x"}"#), Err(ErrorCode::MissingField));
    assert_eq!(send("[]"), Err(ErrorCode::InvalidFrame));
    assert_eq!(send(""), Err(ErrorCode::InvalidJson));
    let named = r#"{"recipient_id": 2, "content": "x", "client_message_id": ""}"#;
    assert_eq!(send(named), Err(ErrorCode::InvalidField));
    // What stands in the path counts before what stands in the body.
    let role = |path: &[(&str, &str)]| {
        parse("set_role", r#"{"role": "owner", "user_id": 99, "conversation_id": 99}"#, path)
    };
    let owner =
        ClientFrame::SetRole { conversation_id: ConversationId(12), user_id: UserId(3), role: Role::Owner };
    assert_eq!(role(&[("conversation_id", "12"), ("user_id", "3")]), Ok(owner));
    assert_eq!(role(&[("conversation_id", "12"), ("user_id", "\"3")]), Err(ErrorCode::InvalidField));
}

#[test]
fn a_refusal_names_its_request() {
    let least = format!(r#"{{"type":"ping","request_id":{}}}"#, i64::MIN);
    assert_eq!(Envelope::parse(&least).unwrap_err().code, ErrorCode::InvalidField);
    let error =
        Envelope::parse(r#"{"type":"send_message","request_id":7,"client_message_id":"c1"}"#).unwrap_err();
    assert_eq!(error.request_id, Some(RequestId::Number(7)));
    assert_eq!(error.client_message_id.as_deref(), Some("c1"));
    assert_eq!(error.code, ErrorCode::MissingField);
}
