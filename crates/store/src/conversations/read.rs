//! Reading conversations.

use std::collections::HashMap;

use switchboard_protocol::{ConversationId, MailboxId, MessageId, Seq, Target, Timestamp, UserId};

use super::{Audience, Found, Membership, Talk, Version};
use crate::error::StoreError;
use crate::lists::Person;
use crate::model::Account;
use crate::store::Store;

fn later<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("not built".to_owned()))
}

impl Store {
    /// Up to `limit` conversations of a user, the one with the latest message first; only those that stand before
    /// `before`, and with `archived` only those that are put away, or are not. A conversation of two without a message
    /// that the user can see is left out; a group is not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn conversations(
        &self,
        _reader: &Account,
        _before: Option<MessageId>,
        _archived: Option<bool>,
        _limit: i64,
    ) -> Result<Vec<Talk>, StoreError> {
        later()
    }

    /// A conversation with its members by id, if `reader` is one of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn conversation(
        &self,
        _reader: &Account,
        _conversation: ConversationId,
    ) -> Result<Option<(Talk, Vec<Membership>)>, StoreError> {
        later()
    }

    /// What a message said before, newest first; none if it is not there for `reader`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn versions(
        &self,
        _reader: &Account,
        _message: MessageId,
    ) -> Result<Option<Vec<Version>>, StoreError> {
        later()
    }

    /// The messages of a conversation that `reader` received and did not read, up to one of them, the oldest first, at most
    /// `limit`; none if they are no member.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn unread_up_to(
        &self,
        _reader: UserId,
        _mailbox: MailboxId,
        _conversation: ConversationId,
        _up_to: MessageId,
        _limit: i64,
    ) -> Result<Option<Vec<MessageId>>, StoreError> {
        later()
    }

    /// Messages of a user, sent or received, in whose subject or content the words stand, newest first: what is found
    /// among the next entries of their mailbox before `before`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn search(
        &self,
        _reader: &Account,
        _words: &str,
        _before: Option<Seq>,
        _limit: i64,
    ) -> Result<Found, StoreError> {
        later()
    }

    /// The others in a conversation, for what is told to them and kept nowhere; none if the user may not write there, or no
    /// message was ever sent between the two.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn audience(
        &self,
        _user: UserId,
        _to: Target,
        _only_in_groups: bool,
    ) -> Result<Option<Audience>, StoreError> {
        later()
    }

    /// Those of `others` with whom a user shares a conversation, and who did not block them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn acquaintances(&self, _user: UserId, _others: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        later()
    }

    /// Whom a user has blocked, by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn blocked(&self, _user: UserId) -> Result<Vec<Person>, StoreError> {
        later()
    }

    /// Whether senders learn that a user has read their messages.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn sends_receipts(&self, _user: UserId) -> Result<bool, StoreError> {
        later()
    }

    /// When users were last seen, as far as that is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn last_seen(&self, _users: &[UserId]) -> Result<HashMap<UserId, Timestamp>, StoreError> {
        later()
    }

    /// Notes that users were seen until now, by the clock of the store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Interrupted`].
    pub async fn note_seen(&self, _users: &[UserId]) -> Result<(), StoreError> {
        later()
    }
}
