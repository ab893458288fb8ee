//! A message before it is sent.

use switchboard_protocol::client_frame::SendMessage;
use switchboard_protocol::{AttachmentId, MessageId, Target, UserId};

/// What [`Client::send_draft`](crate::Client::send_draft) sends. The node checks it: it is within the limits, and
/// has content or an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Whom to.
    pub to: Target,
    /// The subject; may be empty.
    pub subject: String,
    /// The text; may be empty if there is an attachment.
    pub content: String,
    /// Names the message for its sender: sending it again under the same id makes no second one. Without it, the
    /// message gets a random one.
    pub client_message_id: Option<String>,
    /// Files that the sender uploaded, over HTTP, and that no message has yet.
    pub attachment_ids: Vec<AttachmentId>,
    /// The message of the same conversation that this one answers.
    pub reply_to_id: Option<MessageId>,
    /// Members of the conversation whom the text names.
    pub mention_ids: Vec<UserId>,
}

impl Draft {
    /// A text without subject and files.
    pub fn new(to: impl Into<Target>, content: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            subject: String::new(),
            content: content.into(),
            client_message_id: None,
            attachment_ids: Vec::new(),
            reply_to_id: None,
            mention_ids: Vec::new(),
        }
    }

    /// The frame, and what the message is called in it.
    pub(crate) fn into_frame(self) -> (SendMessage, String) {
        let client_message_id = self.client_message_id.unwrap_or_else(random_name);
        let frame = SendMessage {
            to: self.to,
            subject: self.subject,
            content: self.content,
            client_message_id: Some(client_message_id.clone()),
            attachment_ids: self.attachment_ids,
            reply_to_id: self.reply_to_id,
            mention_ids: self.mention_ids,
        };
        (frame, client_message_id)
    }
}

/// A name that nothing else has.
pub(crate) fn random_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}
