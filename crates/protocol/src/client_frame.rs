//! What a client may say, parsed and checked field by field.
//!
//! Fields are first kept as raw JSON, so that a wrong one is refused by its name and unknown ones cost nothing.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::MAX_ID;
use crate::limits::{ATTACHMENTS, CLIENT_MESSAGE_ID_BYTES, CONTENT_BYTES, REQUEST_ID_BYTES, SUBJECT_CHARS};
use crate::{AttachmentId, ErrorCode, ErrorFrame, MessageId, UserId};

/// A frame from a client to a node, tagged by `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Send a message.
    SendMessage(SendMessage),
    /// Mark a received message as read.
    MarkAsRead {
        /// The message.
        message_id: MessageId,
    },
    /// Ask for the count of messages received and not read.
    GetUnreadCount,
    /// Ask for a `pong`.
    Ping,
}

/// A message to be sent. Checked: within the limits, not empty, without U+0000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SendMessage {
    /// Whom to.
    pub recipient_id: UserId,
    /// The subject; may be empty.
    pub subject: String,
    /// The text.
    pub content: String,
    /// Names the message for its sender: sending it again under the same id makes no second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Files that the sender uploaded for this message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachment_ids: Vec<AttachmentId>,
}

impl SendMessage {
    /// Reads and checks the body of a request, which has the fields of the frame.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let raw = Fields::read(text).map_err(Refusal::anonymous)?;
        raw.send_message(raw.client_message_id()).map_err(Refusal::anonymous)
    }
}

/// A frame with what is around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Repeated in answers that are not entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// What is said.
    #[serde(flatten)]
    pub frame: ClientFrame,
}

/// What a client calls its request: a text or an integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A text of at most 128 bytes.
    Text(String),
    /// An integer below 2^53.
    Number(i64),
}

/// Why a frame was refused, and whose it was as far as that could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FrameError {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// What the request called itself.
    pub request_id: Option<RequestId>,
    /// What the sender called the message.
    pub client_message_id: Option<String>,
}

impl From<FrameError> for ErrorFrame {
    fn from(error: FrameError) -> Self {
        Self {
            code: error.code,
            error: error.message,
            request_id: error.request_id,
            client_message_id: error.client_message_id,
            retry_after_ms: None,
        }
    }
}

impl Envelope {
    /// Reads and checks a frame.
    ///
    /// # Errors
    /// With the code that the client gets, naming the field where one is to blame.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let raw = Fields::read(text).map_err(Refusal::anonymous)?;
        let request_id = raw.request_id().map_err(Refusal::anonymous)?;
        let client_message_id = raw.client_message_id();
        let refuse = |refusal: Refusal| FrameError {
            code: refusal.0,
            message: refusal.1,
            request_id: request_id.clone(),
            client_message_id: client_message_id.as_ref().ok().cloned().flatten(),
        };
        let kind = match raw.kind {
            Some(value) => text_of("type", value).map_err(refuse)?,
            None => return Err(refuse(unknown_type())),
        };
        let frame = match kind.as_str() {
            "send_message" => raw.send_message(client_message_id.clone()).map(ClientFrame::SendMessage),
            "mark_as_read" => required("message_id", raw.message_id)
                .map(|id| ClientFrame::MarkAsRead { message_id: MessageId(id) }),
            "get_unread_count" => Ok(ClientFrame::GetUnreadCount),
            "ping" => Ok(ClientFrame::Ping),
            _ => Err(unknown_type()),
        };
        let frame = frame.map_err(refuse)?;
        Ok(Self { request_id, frame })
    }
}

/// A code and a sentence, before it is known whose frame it was.
#[derive(Clone)]
struct Refusal(ErrorCode, String);

impl Refusal {
    fn anonymous(self) -> FrameError {
        FrameError { code: self.0, message: self.1, request_id: None, client_message_id: None }
    }
}

fn unknown_type() -> Refusal {
    Refusal(ErrorCode::UnknownType, "`type` names no frame of this service".to_owned())
}

fn invalid(field: &str, what: &str) -> Refusal {
    Refusal(ErrorCode::InvalidField, format!("`{field}` must be {what}"))
}

/// The fields of all frames, unread. One that is null counts as missing.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    recipient_id: Option<&'a RawValue>,
    #[serde(borrow)]
    subject: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    client_message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    attachment_ids: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        // A derived struct would take an array for its fields in order.
        let is_object = text.trim_start().starts_with('{');
        let parsed = if is_object { serde_json::from_str(text).map_err(Some) } else { Err(None) };
        parsed.map_err(|error| match error {
            Some(error) if error.is_data() => {
                Refusal(ErrorCode::InvalidField, "a field stands in the frame twice".to_owned())
            }
            None if serde_json::from_str::<&RawValue>(text).is_ok() => {
                Refusal(ErrorCode::InvalidFrame, "a frame must be a JSON object".to_owned())
            }
            _ => Refusal(ErrorCode::InvalidJson, "Invalid JSON".to_owned()),
        })
    }

    fn request_id(&self) -> Result<Option<RequestId>, Refusal> {
        let Some(value) = self.request_id else {
            return Ok(None);
        };
        match serde_json::from_str(value.get()) {
            Ok(RequestId::Text(text)) if text.len() > REQUEST_ID_BYTES => {}
            Ok(RequestId::Number(number)) if number.unsigned_abs() > MAX_ID.unsigned_abs() => {}
            Ok(id) => return Ok(Some(id)),
            Err(_) => {}
        }
        Err(invalid("request_id", "a text of at most 128 bytes or an integer below 2^53"))
    }

    /// Printable ASCII without the space, which marks the ids that the service gives itself.
    fn client_message_id(&self) -> Result<Option<String>, Refusal> {
        let Some(value) = self.client_message_id else {
            return Ok(None);
        };
        let id = text_of("client_message_id", value)?;
        let fits = (1..=CLIENT_MESSAGE_ID_BYTES).contains(&id.len());
        if fits && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Some(id))
        } else {
            Err(invalid("client_message_id", "1 to 128 printable ASCII characters"))
        }
    }

    fn send_message(
        &self,
        client_message_id: Result<Option<String>, Refusal>,
    ) -> Result<SendMessage, Refusal> {
        let recipient_id = UserId(required("recipient_id", self.recipient_id)?);
        let subject = match self.subject {
            Some(value) => text_of("subject", value)?,
            None => String::new(),
        };
        let content = match self.content {
            Some(value) => text_of("content", value)?,
            None => String::new(),
        };
        let attachment_ids = self.attachment_ids()?;
        check_message(&subject, &content, attachment_ids.len())
            .map_err(|(code, message)| Refusal(code, message))?;
        let client_message_id = client_message_id?;
        Ok(SendMessage { recipient_id, subject, content, client_message_id, attachment_ids })
    }

    fn attachment_ids(&self) -> Result<Vec<AttachmentId>, Refusal> {
        let Some(value) = self.attachment_ids else {
            return Ok(Vec::new());
        };
        let wrong = || invalid("attachment_ids", "a list of ids, none of them twice");
        let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_no_list| wrong())?;
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            let id = AttachmentId(id_of(value).ok_or_else(wrong)?);
            if ids.contains(&id) {
                return Err(wrong());
            }
            ids.push(id);
            if ids.len() > ATTACHMENTS {
                let message = format!("a message may have {ATTACHMENTS} attachments");
                return Err(Refusal(ErrorCode::TooManyAttachments, message));
            }
        }
        Ok(ids)
    }
}

/// Checks the texts of a message with this number of attachments.
///
/// # Errors
/// A code and a sentence.
pub fn check_message(subject: &str, content: &str, n_attachments: usize) -> Result<(), (ErrorCode, String)> {
    if subject.chars().count() > SUBJECT_CHARS {
        let message = format!("`subject` is longer than {SUBJECT_CHARS} characters");
        return Err((ErrorCode::SubjectTooLong, message));
    }
    if content.len() > CONTENT_BYTES {
        let message = format!("`content` is larger than {CONTENT_BYTES} bytes");
        return Err((ErrorCode::ContentTooLarge, message));
    }
    for (field, text) in [("subject", subject), ("content", content)] {
        // Postgres cannot keep it in a text.
        if text.contains('\0') {
            return Err((ErrorCode::InvalidField, format!("`{field}` must be free of U+0000")));
        }
    }
    if content.trim().is_empty() && n_attachments == 0 {
        return Err((ErrorCode::EmptyMessage, "a message needs content or an attachment".to_owned()));
    }
    Ok(())
}

fn text_of(field: &str, value: &RawValue) -> Result<String, Refusal> {
    serde_json::from_str(value.get()).map_err(|_not_text| invalid(field, "a text"))
}

/// An id: a number, or a string of digits, which means that number.
fn required(field: &str, value: Option<&RawValue>) -> Result<i64, Refusal> {
    let value = value.ok_or_else(|| Refusal(ErrorCode::MissingField, format!("`{field}` is missing")))?;
    id_of(value).ok_or_else(|| invalid(field, "an id: an integer below 2^53, or a text of its digits"))
}

fn id_of(value: &RawValue) -> Option<i64> {
    let json = value.get();
    let text: Option<String> = serde_json::from_str(json).ok();
    parse_id(text.as_deref().unwrap_or(json))
}

/// An id as digits, as it stands in a path or a form.
#[must_use]
pub fn parse_id(digits: &str) -> Option<i64> {
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None };
    number.filter(|id| *id <= MAX_ID)
}

#[cfg(test)]
mod tests {
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
            format!(
                r#"{{"type": "send_message", "recipient_id": 2, "content": "", "attachment_ids": {ids}}}"#
            )
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
        let error = Envelope::parse(r#"{"type":"send_message","request_id":7,"client_message_id":"c1"}"#)
            .unwrap_err();
        assert_eq!(error.request_id, Some(RequestId::Number(7)));
        assert_eq!(error.client_message_id.as_deref(), Some("c1"));
        assert_eq!(error.code, ErrorCode::MissingField);
    }
}
