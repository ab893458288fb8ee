//! The fields of frames: first kept as raw JSON, then read one by one.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ClientFrame, CreateGroup, EditMessage, Presence, ReadMark, Refusal, RequestId, SendMessage,
    SetConversation, SetReaction, Target, invalid, unknown_type,
};
use crate::ids::MAX_ID;
use crate::limits::{
    ATTACHMENTS, CLIENT_MESSAGE_ID_BYTES, CONTENT_BYTES, GROUP_MEMBERS, REACTION_BYTES, REQUEST_ID_BYTES,
    SUBJECT_CHARS, TITLE_CHARS, WATCHED,
};
use crate::{AttachmentId, ConversationId, ErrorCode, MessageId, UserId};

macro_rules! fields {
    ($($field:ident)*) => {
        /// The fields of all frames, unread. One that is null counts as missing.
        #[derive(Deserialize)]
        pub(super) struct Fields<'a> {
            #[serde(borrow, rename = "type")]
            pub(super) kind: Option<&'a RawValue>,
            $(#[serde(borrow)] $field: Option<&'a RawValue>,)*
        }

        impl<'a> Fields<'a> {
            /// Gives a field another value.
            pub(super) fn give(&mut self, field: &str, value: &'a RawValue) {
                match field {
                    $(stringify!($field) => self.$field = Some(value),)*
                    _ => {}
                }
            }
        }
    };
}

fields! {
    request_id recipient_id conversation_id subject content client_message_id message_id attachment_ids reply_to_id
    mention_ids up_to reaction is_set title member_ids client_conversation_id user_ids user_id role is_muted is_archived
    draft is_blocked send_receipts is_typing status
}

impl<'a> Fields<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Refusal> {
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

    pub(super) fn request_id(&self) -> Result<Option<RequestId>, Refusal> {
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

    pub(super) fn client_message_id(&self) -> Result<Option<String>, Refusal> {
        self.client_message_id.map(|value| client_id("client_message_id", value)).transpose()
    }

    fn send_message(
        &self,
        client_message_id: Result<Option<String>, Refusal>,
    ) -> Result<SendMessage, Refusal> {
        let to = self.target()?;
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
        let reply_to_id = self.reply_to_id.map(|value| id("reply_to_id", value)).transpose()?.map(MessageId);
        let mention_ids = self.users("mention_ids", self.mention_ids, GROUP_MEMBERS)?;
        Ok(SendMessage { to, subject, content, client_message_id, attachment_ids, reply_to_id, mention_ids })
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

impl Fields<'_> {
    /// The frame of this type.
    pub(super) fn frame(
        &self,
        kind: &str,
        client_message_id: Result<Option<String>, Refusal>,
    ) -> Result<ClientFrame, Refusal> {
        Ok(match kind {
            "send_message" => ClientFrame::SendMessage(self.send_message(client_message_id)?),
            "mark_as_read" => ClientFrame::MarkAsRead(self.read_mark()?),
            "edit_message" => ClientFrame::EditMessage(self.edit_message()?),
            "delete_message" => ClientFrame::DeleteMessage { message_id: self.message()? },
            "set_reaction" => ClientFrame::SetReaction(self.set_reaction()?),
            "create_group" => ClientFrame::CreateGroup(self.create_group()?),
            "set_title" => {
                ClientFrame::SetTitle { conversation_id: self.conversation()?, title: self.title()? }
            }
            "add_members" => ClientFrame::AddMembers {
                conversation_id: self.conversation()?,
                user_ids: self.some_users("user_ids", self.user_ids, GROUP_MEMBERS)?,
            },
            "remove_member" => {
                ClientFrame::RemoveMember { conversation_id: self.conversation()?, user_id: self.user()? }
            }
            "set_role" => ClientFrame::SetRole {
                conversation_id: self.conversation()?,
                user_id: self.user()?,
                role: needed("role", self.role, "`owner` or `member`")?,
            },
            "set_conversation" => ClientFrame::SetConversation(self.set_conversation()?),
            "set_block" => ClientFrame::SetBlock {
                user_id: self.user()?,
                is_blocked: needed("is_blocked", self.is_blocked, FLAG)?,
            },
            "set_receipts" => {
                ClientFrame::SetReceipts { send_receipts: needed("send_receipts", self.send_receipts, FLAG)? }
            }
            "typing" => ClientFrame::Typing {
                to: self.target()?,
                is_typing: needed("is_typing", self.is_typing, FLAG)?,
            },
            "watch_presence" => {
                ClientFrame::WatchPresence { user_ids: self.some_users("user_ids", self.user_ids, WATCHED)? }
            }
            "set_presence" => ClientFrame::SetPresence { status: self.status()? },
            "get_unread_count" => ClientFrame::GetUnreadCount,
            "ping" => ClientFrame::Ping,
            _ => return Err(unknown_type()),
        })
    }

    fn read_mark(&self) -> Result<ReadMark, Refusal> {
        if self.message_id.is_some() || self.conversation_id.is_none() {
            return Ok(ReadMark::Message { message_id: self.message()? });
        }
        let up_to = MessageId(required("up_to", self.up_to)?);
        Ok(ReadMark::UpTo { conversation_id: self.conversation()?, up_to })
    }

    fn edit_message(&self) -> Result<EditMessage, Refusal> {
        let message_id = self.message()?;
        let subject = self.subject.map(|value| text_of("subject", value)).transpose()?;
        let mut content = text("content", self.content)?;
        // A message with files may lose its text: whether it has any, the store knows. White space is none.
        if content.trim().is_empty() {
            content.clear();
        }
        check_message(subject.as_deref().unwrap_or_default(), &content, 1)
            .map_err(|(code, message)| Refusal(code, message))?;
        Ok(EditMessage { message_id, content, subject })
    }

    fn set_reaction(&self) -> Result<SetReaction, Refusal> {
        let message_id = self.message()?;
        let reaction = text("reaction", self.reaction)?;
        let is_plain = |char: char| !char.is_control() && !char.is_whitespace();
        if !(1..=REACTION_BYTES).contains(&reaction.len()) || !reaction.chars().all(is_plain) {
            return Err(invalid("reaction", "1 to 64 bytes without control characters and spaces"));
        }
        Ok(SetReaction { message_id, reaction, is_set: needed("is_set", self.is_set, FLAG)? })
    }

    fn create_group(&self) -> Result<CreateGroup, Refusal> {
        let named = self.client_conversation_id;
        Ok(CreateGroup {
            title: self.title()?,
            // Who makes it is the last of them.
            member_ids: self.users("member_ids", self.member_ids, GROUP_MEMBERS - 1)?,
            client_conversation_id: named
                .map(|value| client_id("client_conversation_id", value))
                .transpose()?,
        })
    }

    fn set_conversation(&self) -> Result<SetConversation, Refusal> {
        let conversation_id = self.conversation()?;
        let draft = self.draft.map(|value| text_of("draft", value)).transpose()?;
        if draft.as_ref().is_some_and(|draft| draft.len() > CONTENT_BYTES || draft.contains('\0')) {
            return Err(invalid("draft", "a text of at most 32 KiB without U+0000"));
        }
        let is_muted = self.is_muted.map(|value| read("is_muted", value, FLAG)).transpose()?;
        let is_archived = self.is_archived.map(|value| read("is_archived", value, FLAG)).transpose()?;
        if draft.is_none() && is_muted.is_none() && is_archived.is_none() {
            let sentence = "one of `is_muted`, `is_archived` and `draft` is needed";
            return Err(Refusal(ErrorCode::MissingField, sentence.to_owned()));
        }
        Ok(SetConversation { conversation_id, is_muted, is_archived, draft })
    }

    fn status(&self) -> Result<Presence, Refusal> {
        let what = "`online` or `away`";
        let status = needed("status", self.status, what)?;
        if status == Presence::Offline { Err(invalid("status", what)) } else { Ok(status) }
    }

    fn target(&self) -> Result<Target, Refusal> {
        match (self.recipient_id, self.conversation_id) {
            (Some(_), Some(_)) => Err(invalid("recipient_id", "left out where there is a `conversation_id`")),
            (None, Some(_)) => Ok(Target::Conversation(self.conversation()?)),
            (recipient, None) => Ok(Target::User(UserId(required("recipient_id", recipient)?))),
        }
    }

    fn title(&self) -> Result<String, Refusal> {
        let title = text("title", self.title)?.trim().to_owned();
        if !(1..=TITLE_CHARS).contains(&title.chars().count()) || title.chars().any(char::is_control) {
            return Err(invalid("title", "1 to 150 characters without control characters"));
        }
        Ok(title)
    }

    fn message(&self) -> Result<MessageId, Refusal> {
        required("message_id", self.message_id).map(MessageId)
    }

    fn conversation(&self) -> Result<ConversationId, Refusal> {
        required("conversation_id", self.conversation_id).map(ConversationId)
    }

    fn user(&self) -> Result<UserId, Refusal> {
        required("user_id", self.user_id).map(UserId)
    }

    fn some_users(&self, field: &str, value: Option<&RawValue>, most: usize) -> Result<Vec<UserId>, Refusal> {
        if value.is_none() {
            return Err(missing(field));
        }
        self.users(field, value, most)
    }

    fn users(&self, field: &str, value: Option<&RawValue>, most: usize) -> Result<Vec<UserId>, Refusal> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        let wrong = || invalid(field, &format!("a list of at most {most} ids"));
        let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_no_list| wrong())?;
        if values.len() > most {
            return Err(wrong());
        }
        let ids: Option<Vec<_>> = values.into_iter().map(|value| id_of(value).map(UserId)).collect();
        let mut ids = ids.ok_or_else(wrong)?;
        ids.sort_unstable();
        ids.dedup();
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

pub(super) fn text_of(field: &str, value: &RawValue) -> Result<String, Refusal> {
    serde_json::from_str(value.get()).map_err(|_not_text| invalid(field, "a text"))
}

/// An id: a number, or a string of digits, which means that number.
fn required(field: &str, value: Option<&RawValue>) -> Result<i64, Refusal> {
    id(field, value.ok_or_else(|| missing(field))?)
}

fn id(field: &str, value: &RawValue) -> Result<i64, Refusal> {
    id_of(value).ok_or_else(|| invalid(field, "an id: an integer below 2^53, or a text of its digits"))
}

fn missing(field: &str) -> Refusal {
    Refusal(ErrorCode::MissingField, format!("`{field}` is missing"))
}

const FLAG: &str = "`true` or `false`";

fn needed<'a, T: Deserialize<'a>>(
    field: &str,
    value: Option<&'a RawValue>,
    what: &str,
) -> Result<T, Refusal> {
    read(field, value.ok_or_else(|| missing(field))?, what)
}

fn read<'a, T: Deserialize<'a>>(field: &str, value: &'a RawValue, what: &str) -> Result<T, Refusal> {
    serde_json::from_str(value.get()).map_err(|_other| invalid(field, what))
}

fn text(field: &str, value: Option<&RawValue>) -> Result<String, Refusal> {
    text_of(field, value.ok_or_else(|| missing(field))?)
}

/// Printable ASCII without the space, which marks the ids that the service gives itself.
fn client_id(field: &str, value: &RawValue) -> Result<String, Refusal> {
    let id = text_of(field, value)?;
    let fits = (1..=CLIENT_MESSAGE_ID_BYTES).contains(&id.len());
    if fits && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(id)
    } else {
        Err(invalid(field, "1 to 128 printable ASCII characters"))
    }
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
