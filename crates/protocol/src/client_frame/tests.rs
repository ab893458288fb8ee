//! What is taken, and what is refused.

use super::*;

#[track_caller]
fn check(text: &str, expect: Result<ClientFrame, ErrorCode>) {
    let got = Envelope::parse(text).map(|envelope| envelope.frame);
    assert_eq!(got.map_err(|error| error.code), expect, "{text}");
}

fn message(recipient: i64, content: &str) -> ClientFrame {
    ClientFrame::SendMessage(SendMessage {
        recipient_id: UserId(recipient),
        subject: String::new(),
        content: content.to_owned(),
        client_message_id: None,
        attachment_ids: Vec::new(),
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

#[test]
fn a_body_is_a_frame_without_a_type() {
    let body = r#"{"type": 5, "recipient_id": "2", "content": "x", "request_id": []}"#;
    assert_eq!(SendMessage::parse(body).map(ClientFrame::SendMessage), Ok(message(2, "x")));
    let code = |body: &str| SendMessage::parse(body).map_err(|error| error.code);
    assert_eq!(code(r#"{"recipient_id": 2}"#), Err(ErrorCode::EmptyMessage));
    assert_eq!(code(r#"{"content": "x"}"#), Err(ErrorCode::MissingField));
    assert_eq!(code("[]"), Err(ErrorCode::InvalidFrame));
    assert_eq!(code(""), Err(ErrorCode::InvalidJson));
    let named = r#"{"recipient_id": 2, "content": "x", "client_message_id": ""}"#;
    assert_eq!(code(named), Err(ErrorCode::InvalidField));
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
