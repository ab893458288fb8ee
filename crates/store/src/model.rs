//! What the store takes and gives, free of rows and of the wire.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use switchboard_protocol::{AttachmentId, ConversationId, MailboxId, MessageId, Seq, Timestamp, UserId};

/// A user and their mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
    /// Free text.
    pub role: String,
    /// Whether they may not come in.
    pub disabled: bool,
    /// Tokens issued before this do not count.
    pub tokens_valid_from: Timestamp,
    /// Their mailbox.
    pub mailbox: MailboxId,
    /// Tells this mailbox from one of the same number in another life of the store.
    pub epoch: String,
    /// The mailbox's last entry, when this was read.
    pub last_seq: Seq,
    /// Messages received and not read, when this was read.
    pub unread: i64,
}

/// Where a mailbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Entries up to here may be gone.
    pub floor: Seq,
    /// The last entry.
    pub last_seq: Seq,
    /// Messages received and not read.
    pub unread: i64,
}

/// A change to mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a message.
    Send(Send),
    /// Mark received messages as read: one entry, and one receipt a sender. Those that are not there, or were read
    /// before, are left out.
    MarkRead {
        /// Who reads.
        reader: UserId,
        /// What; at most [`Command::MOST_READ`], none of them twice.
        messages: Vec<MessageId>,
    },
    /// Delete a message: by its sender for both, by its recipient for themselves.
    Delete {
        /// Who deletes.
        actor: UserId,
        /// What.
        message: MessageId,
    },
}

impl Command {
    /// Messages that one command may mark as read.
    pub const MOST_READ: usize = 200;
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Who sends.
    pub sender: UserId,
    /// Who receives.
    pub recipient: UserId,
    /// The subject; may be empty.
    pub subject: String,
    /// The text.
    pub content: String,
    /// Names the message for its sender, so that sending it again is safe.
    pub client_message_id: String,
    /// Files that the sender uploaded, and that no message has taken yet.
    pub attachments: Vec<FileLabel>,
}

/// What the readers of a message see of a file. Also how it stands beside the message in the store, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLabel {
    /// The attachment.
    pub id: AttachmentId,
    /// As its uploader named it.
    pub filename: String,
    /// In bytes.
    pub size: i64,
    /// As its first bytes tell.
    pub media_type: String,
}

impl FileLabel {
    /// As the store keeps them; none for none.
    pub(crate) fn to_json(files: &[Self]) -> Option<String> {
        // Numbers and texts: writing them cannot fail.
        if files.is_empty() { None } else { serde_json::to_string(files).ok() }
    }

    /// As the store keeps them.
    pub(crate) fn from_json(text: Option<&str>) -> Option<Vec<Self>> {
        text.map_or(Some(Vec::new()), |text| serde_json::from_str(text).ok())
    }
}

impl Send {
    /// What begins a client message id that the service gave itself: a space, which no client's id contains.
    pub const GENERATED: char = ' ';

    /// Tells this request from another one under the same client message id: 64 bits of SHA-256.
    #[must_use]
    pub fn request_hash(&self) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.recipient.0.to_be_bytes());
        hash.update((self.subject.len() as u64).to_be_bytes());
        hash.update(&self.subject);
        hash.update(&self.content);
        for file in &self.attachments {
            // No content ends like this: U+0000 is refused.
            hash.update([0]);
            hash.update(file.id.0.to_be_bytes());
        }
        let digest = hash.finalize();
        i64::from_be_bytes(std::array::from_fn(|index| digest[index]))
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is durable, and these entries say so: the actor's own first.
    Committed(Vec<Entry>),
    /// It had been done before: this is the actor's entry of then.
    Repeated(Entry),
    /// It changed nothing.
    Refused(Refusal),
}

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such recipient.
    UnknownRecipient,
    /// The actor has no such message.
    NotFound,
    /// The sender did not upload such a file, or a message has it.
    UnknownAttachment,
    /// The client message id names another message.
    ClientMessageIdReused,
    /// The store ended it, or had no time for it, for a reason that may pass. Whether it was done shows when it is
    /// tried again.
    Busy,
    /// The store does not take it as it is.
    Failed,
}

/// One entry of a mailbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whose log.
    pub mailbox: MailboxId,
    /// Where in it.
    pub seq: Seq,
    /// Messages received and not read: after this entry when it was just made, at present when it was read back.
    pub unread: i64,
    /// What it says.
    pub event: Event,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The owner received a message.
    Received(Arc<Message>),
    /// The owner sent a message.
    Sent(Arc<Message>),
    /// The owner read messages.
    Read {
        /// One or more, ascending.
        messages: Vec<MessageId>,
    },
    /// Messages of the owner were read.
    Receipt {
        /// One or more, ascending.
        messages: Vec<MessageId>,
        /// By whom.
        reader: UserId,
        /// When.
        read_at: Timestamp,
    },
    /// A message was deleted.
    Deleted {
        /// The message.
        message: MessageId,
    },
    /// It said something of a message that was deleted since.
    Void,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message.
    pub id: MessageId,
    /// Where it was sent.
    pub conversation: ConversationId,
    /// Who sent it.
    pub sender: UserId,
    /// Full name of the sender, else their user name.
    pub sender_name: String,
    /// Who received it.
    pub recipient: UserId,
    /// The subject; may be empty.
    pub subject: String,
    /// The text.
    pub content: String,
    /// When the store took it.
    pub created_at: Timestamp,
    /// Whether its recipient has read it, as far as the entry knows that it was read from.
    pub is_read: bool,
    /// What the sender called it, unless the service did.
    pub client_message_id: Option<String>,
    /// Its files.
    pub attachments: Vec<FileLabel>,
}

/// A user to be created, or renamed if the user name exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name that they log in by.
    pub username: String,
    /// The name that people read; may be empty.
    pub full_name: String,
    /// A PHC string. None leaves the password as it is; one that is given ends the user's sessions.
    pub password_hash: Option<String>,
}
