//! A mailbox, line by line.

use switchboard_protocol::{ConversationId, GroupChange, MailboxId, MessageId, Seq, UserId};
use switchboard_store::ReactionChange;

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    Sent(MessageId),
    Received { message: MessageId, is_read: bool },
    Read(Vec<MessageId>),
    Receipt { messages: Vec<MessageId>, reader: UserId, counts: Vec<i64> },
    Deleted(MessageId),
    Edited(MessageId),
    Reacted { message: MessageId, by: UserId, change: ReactionChange },
    Group { group: ConversationId, by: UserId, change: GroupChange },
    Void,
}

impl Line {
    /// The message that it is for, and not only about.
    fn carried(&self) -> Option<MessageId> {
        match self {
            Self::Sent(message) | Self::Received { message, .. } => Some(*message),
            _ => None,
        }
    }

    /// The message that it shows something of.
    fn shown(&self) -> Option<MessageId> {
        match self {
            Self::Edited(message) | Self::Reacted { message, .. } => Some(*message),
            _ => self.carried(),
        }
    }

    /// The message of which alone it says something that ends with it.
    fn ends_with(&self) -> Option<MessageId> {
        match self {
            Self::Read(messages) | Self::Receipt { messages, .. } => match messages[..] {
                [message] => Some(message),
                _ => None,
            },
            _ => self.shown(),
        }
    }

    fn is_unread(&self) -> bool {
        matches!(self, Self::Received { is_read: false, .. })
    }
}

pub(super) struct Log {
    pub(super) mailbox: MailboxId,
    pub(super) lines: Vec<Line>,
    /// After each line.
    pub(super) unread: Vec<i64>,
}

impl Log {
    pub(super) fn new(mailbox: MailboxId) -> Self {
        Self { mailbox, lines: Vec::new(), unread: Vec::new() }
    }

    pub(super) fn unread(&self) -> i64 {
        self.unread.last().copied().unwrap_or_default()
    }

    pub(super) fn last_seq(&self) -> Seq {
        Seq(self.lines.len() as i64)
    }

    pub(super) fn add(&mut self, line: Line, unread: i64) {
        self.unread.push(self.unread() + unread);
        self.lines.push(line);
    }

    /// Whether the owner has the message, and whether as one that was received and not read.
    pub(super) fn find(&self, message: MessageId) -> Option<bool> {
        let mut found = self.lines.iter().filter(|line| line.carried() == Some(message)).peekable();
        found.peek()?;
        Some(found.any(Line::is_unread))
    }

    /// What says of this message that it was received: whether it was read.
    pub(super) fn received(&mut self, of: MessageId) -> Option<&mut bool> {
        self.lines.iter_mut().find_map(|line| match line {
            Line::Received { message, is_read } if *message == of => Some(is_read),
            _ => None,
        })
    }

    /// Voids what says something of this message alone.
    pub(super) fn hide(&mut self, message: MessageId) {
        for line in self.lines.iter_mut().filter(|line| line.ends_with() == Some(message)) {
            *line = Line::Void;
        }
    }

    /// Voids what says something of one such message alone. Gives how many of them were unread.
    pub(super) fn forget(&mut self, is_such: impl Fn(MessageId) -> bool) -> i64 {
        let mut n_unread = 0;
        for line in self.lines.iter_mut().filter(|line| line.ends_with().is_some_and(&is_such)) {
            n_unread += i64::from(line.is_unread());
            *line = Line::Void;
        }
        n_unread
    }

    /// The positions whose lines are such.
    pub(super) fn find_all(&self, is_such: impl Fn(&Line) -> bool) -> Vec<Seq> {
        (1..).map(Seq).zip(&self.lines).filter(|(_, line)| is_such(line)).map(|(seq, _)| seq).collect()
    }
}
