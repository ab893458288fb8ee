//! What the store takes and gives, free of rows and of the wire.

mod details;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use switchboard_protocol::server_frame::ReactionCount;
use switchboard_protocol::{
    AttachmentId, ConversationId, ConversationSettings, GroupChange, MailboxId, MessageId, Role, Seq, Target,
    Timestamp, UserId,
};

pub use self::details::{BlockChange, ReactionChange, ReceiptsChange};

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
    /// Whether they have a password.
    pub has_password: bool,
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
    /// Change the text of a message that the actor sent.
    Edit(Edit),
    /// Set a reaction to a message, or take it back.
    React {
        /// Whose.
        actor: UserId,
        /// To what.
        message: MessageId,
        /// The reaction.
        reaction: String,
        /// Whether it is set.
        is_set: bool,
        /// Whether [`Send::only_in_groups`] holds.
        only_in_groups: bool,
    },
    /// Make a group, or change one.
    Group {
        /// Who does it.
        actor: UserId,
        /// What.
        act: GroupAct,
        /// Whether [`Send::only_in_groups`] holds.
        only_in_groups: bool,
    },
    /// Change what is a user's own.
    Own {
        /// Whose.
        user: UserId,
        /// What.
        act: OwnAct,
    },
}

impl Command {
    /// Messages that one command may mark as read.
    pub const MOST_READ: usize = 200;

    /// Who asked for it.
    #[must_use]
    pub fn actor(&self) -> UserId {
        match self {
            Self::Send(send) => send.sender,
            Self::Edit(edit) => edit.actor,
            Self::MarkRead { reader: actor, .. }
            | Self::Delete { actor, .. }
            | Self::React { actor, .. }
            | Self::Group { actor, .. }
            | Self::Own { user: actor, .. } => *actor,
        }
    }
}

/// Another text for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Who changes it.
    pub actor: UserId,
    /// Which.
    pub message: MessageId,
    /// The subject; none leaves it.
    pub subject: Option<String>,
    /// The text. Without any, the message must have files.
    pub content: String,
    /// How long after it was sent a message may be changed, in microseconds.
    pub within: i64,
    /// Whether the text before is kept.
    pub keep: bool,
    /// Whether [`Send::only_in_groups`] holds.
    pub only_in_groups: bool,
}

/// What is done to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupAct {
    /// It is made; the actor owns it.
    Create {
        /// Its title.
        title: String,
        /// The other members, at most 99, none of them twice.
        members: Vec<UserId>,
        /// Names it for the actor, so that making it again is safe.
        client_conversation_id: String,
    },
    /// It gets another title.
    Title {
        /// Which.
        group: ConversationId,
        /// The title.
        title: String,
    },
    /// It gets more members.
    Add {
        /// Which.
        group: ConversationId,
        /// Whom, none of them twice; who is a member already is left out.
        users: Vec<UserId>,
    },
    /// A member goes, the actor or by an owner.
    Remove {
        /// Which.
        group: ConversationId,
        /// Whom.
        user: UserId,
    },
    /// A member gets another role.
    Role {
        /// Which.
        group: ConversationId,
        /// Whom.
        user: UserId,
        /// The role.
        role: Role,
    },
}

/// What a user changes of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnAct {
    /// What a conversation is to them. What is none stays as it is.
    Conversation {
        /// Which.
        conversation: ConversationId,
        /// Whether its messages are not to be announced.
        is_muted: Option<bool>,
        /// Whether it is put away.
        is_archived: Option<bool>,
        /// What they began to write in it.
        draft: Option<String>,
    },
    /// They block somebody, or no longer.
    Block {
        /// Whom.
        user: UserId,
        /// Whether they are blocked.
        is_blocked: bool,
        /// Whether [`Send::only_in_groups`] holds: then only somebody whom they share a conversation with.
        only_in_groups: bool,
    },
    /// Whether senders learn that they read messages.
    Receipts {
        /// Whether they do.
        send: bool,
    },
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Who sends.
    pub sender: UserId,
    /// Who receives.
    pub to: Target,
    /// The subject; may be empty.
    pub subject: String,
    /// The text.
    pub content: String,
    /// Names the message for its sender, so that sending it again is safe.
    pub client_message_id: String,
    /// Files that the sender uploaded, and that no message has taken yet.
    pub attachments: Vec<FileLabel>,
    /// What it answers: a message of the same conversation, that the sender has.
    pub reply_to: Option<MessageId>,
    /// Members whom it names, ascending, none of them twice.
    pub mentions: Vec<UserId>,
    /// Whether only members of a shared group of the operator may write to each other. To oneself anybody may.
    pub only_in_groups: bool,
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

    /// Who is mentioned, as the store keeps it; none for nobody.
    pub(crate) fn mentions_as_json(&self) -> Option<String> {
        // Numbers: writing them cannot fail.
        if self.mentions.is_empty() { None } else { serde_json::to_string(&self.mentions).ok() }
    }

    /// Tells this request from another one under the same client message id: 64 bits of SHA-256.
    #[must_use]
    pub fn request_hash(&self) -> i64 {
        let mut hash = Sha256::new();
        match self.to {
            Target::User(user) => hash.update(user.0.to_be_bytes()),
            // No user's id is negative.
            Target::Conversation(conversation) => hash.update((-conversation.0).to_be_bytes()),
        }
        hash.update((self.subject.len() as u64).to_be_bytes());
        hash.update(&self.subject);
        hash.update(&self.content);
        for file in &self.attachments {
            // No content ends like this: U+0000 is refused.
            hash.update([0]);
            hash.update(file.id.0.to_be_bytes());
        }
        for (mark, id) in
            self.reply_to.iter().map(|id| (1_u8, id.0)).chain(self.mentions.iter().map(|id| (2, id.0)))
        {
            hash.update([0, mark]);
            hash.update(id.to_be_bytes());
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
    /// There is no such recipient, or not for this sender: the two share no group where they must, or the recipient
    /// blocked the sender.
    UnknownRecipient,
    /// The actor has no such message or conversation.
    NotFound,
    /// The actor does not own the group.
    NotOwner,
    /// The group would have more members than it may.
    GroupFull,
    /// Somebody would be a member of more groups than they may.
    TooManyGroups,
    /// The user blocks as many as they may.
    TooManyBlocks,
    /// The message is too old to be changed.
    TooLate,
    /// It would be said with nothing.
    Empty,
    /// The actor has set as many reactions on the message as may be.
    TooManyReactions,
    /// Somebody is mentioned who is no member.
    UnknownMention,
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
        /// In a group: how many have read each of them. Else empty.
        counts: Vec<i64>,
    },
    /// A message was deleted.
    Deleted {
        /// The message.
        message: MessageId,
    },
    /// The text of a message was changed.
    Edited {
        /// The message.
        message: MessageId,
        /// Its conversation.
        conversation: ConversationId,
        /// The subject; may be empty.
        subject: Arc<str>,
        /// The text. The entries of one edit share it.
        content: Arc<str>,
        /// When.
        edited_at: Timestamp,
    },
    /// A reaction to a message was set or taken back.
    Reacted {
        /// The message.
        message: MessageId,
        /// Its conversation.
        conversation: ConversationId,
        /// Whose.
        user: UserId,
        /// What.
        reaction: ReactionChange,
    },
    /// A group was made, or changed.
    Group {
        /// Which.
        group: ConversationId,
        /// By whom.
        actor: UserId,
        /// How.
        change: GroupChange,
    },
    /// What a conversation is to the owner was changed.
    Conversation {
        /// Which.
        conversation: ConversationId,
        /// All of it.
        settings: ConversationSettings,
    },
    /// The owner blocked somebody, or no longer does.
    Block(BlockChange),
    /// Whether the owner sends receipts was changed.
    Receipts(ReceiptsChange),
    /// It said something of a message that was deleted since, or of a group that the owner is no member of.
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
    /// Who received it; none in a group.
    pub recipient: Option<UserId>,
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
    /// What it answers.
    pub reply_to: Option<MessageId>,
    /// Members whom it names.
    pub mentions: Vec<UserId>,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// In a group, to its sender: how many have read it.
    pub read_count: Option<i64>,
    /// Reactions to it; only in pages of a conversation and where a search has found it.
    pub reactions: Vec<ReactionCount>,
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
