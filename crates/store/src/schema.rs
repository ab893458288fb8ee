//! The tables, as diesel sees them. The columns are described in `migrations/postgres`.

diesel::table! {
    deployment (id) {
        id -> Text,
    }
}

diesel::table! {
    users (id) {
        id -> BigInt,
        username -> Text,
        full_name -> Text,
        disabled_at -> Nullable<BigInt>,
        tokens_valid_from -> BigInt,
        created_at -> BigInt,
        role -> Text,
        password_hash -> Nullable<Text>,
        external_subject -> Nullable<Text>,
        send_receipts -> Bool,
        last_seen_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    mailboxes (id) {
        id -> BigInt,
        owner_id -> Nullable<BigInt>,
        epoch -> Text,
        floor -> BigInt,
        last_seq -> BigInt,
        unread -> BigInt,
    }
}

diesel::table! {
    conversations (id) {
        id -> BigInt,
        kind -> SmallInt,
        user_low -> Nullable<BigInt>,
        user_high -> Nullable<BigInt>,
        created_at -> BigInt,
        title -> Text,
        creator_id -> Nullable<BigInt>,
        client_conversation_id -> Nullable<Text>,
    }
}

diesel::table! {
    members (conversation_id, user_id) {
        conversation_id -> BigInt,
        user_id -> BigInt,
        since -> BigInt,
        role -> SmallInt,
        is_muted -> Bool,
        is_archived -> Bool,
        draft -> Text,
    }
}

diesel::table! {
    messages (id) {
        id -> BigInt,
        conversation_id -> BigInt,
        sender_id -> BigInt,
        subject -> Text,
        content -> Text,
        client_message_id -> Text,
        request_hash -> BigInt,
        created_at -> BigInt,
        attachments -> Nullable<Text>,
        deleted_at -> Nullable<BigInt>,
        reply_to_id -> Nullable<BigInt>,
        mention_ids -> Nullable<Text>,
        edited_at -> Nullable<BigInt>,
        read_count -> BigInt,
    }
}

diesel::table! {
    message_versions (message_id, edited_at) {
        message_id -> BigInt,
        edited_at -> BigInt,
        subject -> Text,
        content -> Text,
    }
}

diesel::table! {
    reactions (message_id, user_id, reaction) {
        message_id -> BigInt,
        user_id -> BigInt,
        reaction -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    blocks (blocker_id, blocked_id) {
        blocker_id -> BigInt,
        blocked_id -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    mailbox_entries (mailbox_id, seq) {
        mailbox_id -> BigInt,
        seq -> BigInt,
        kind -> SmallInt,
        conversation_id -> BigInt,
        message_id -> Nullable<BigInt>,
        actor_id -> Nullable<BigInt>,
        read_at -> Nullable<BigInt>,
        created_at -> BigInt,
        hidden_at -> Nullable<BigInt>,
        message_ids -> Nullable<Text>,
        credential_id -> Nullable<BigInt>,
        detail -> Nullable<Text>,
        is_silent -> Nullable<SmallInt>,
    }
}

diesel::table! {
    sessions (id) {
        id -> BigInt,
        user_id -> BigInt,
        token_hash -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    tickets (token_hash) {
        token_hash -> Text,
        user_id -> BigInt,
        session_id -> Nullable<BigInt>,
        api_key_id -> Nullable<BigInt>,
        issued_at -> BigInt,
        credentials_expire_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> BigInt,
        name -> Text,
        key_hash -> Text,
        created_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    attachments (id) {
        id -> BigInt,
        message_id -> Nullable<BigInt>,
        uploader_id -> BigInt,
        filename -> Text,
        size -> BigInt,
        media_type -> Text,
        sha256 -> Text,
        storage_key -> Text,
        created_at -> BigInt,
        stored_at -> Nullable<BigInt>,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    mailboxes,
    conversations,
    members,
    messages,
    mailbox_entries,
    sessions,
    tickets,
    api_keys,
    attachments,
    message_versions,
    reactions,
    blocks,
);

/// The kinds of entries, as they stand in `mailbox_entries.kind`.
pub(crate) mod kind {
    pub(crate) const RECEIVED: i16 = 1;
    pub(crate) const SENT: i16 = 2;
    pub(crate) const READ: i16 = 3;
    pub(crate) const RECEIPT: i16 = 4;
    pub(crate) const DELETED: i16 = 5;
    pub(crate) const EDITED: i16 = 6;
    pub(crate) const REACTED: i16 = 7;
    /// A change of a group.
    pub(crate) const GROUP: i16 = 8;
    /// What a conversation is to the owner.
    pub(crate) const CONVERSATION: i16 = 9;
    // Of the system mailbox.
    pub(crate) const USER_ENDED: i16 = 10;
    pub(crate) const SESSION_ENDED: i16 = 11;
    pub(crate) const API_KEY_ENDED: i16 = 12;
    // Of the owner of the mailbox, again.
    pub(crate) const BLOCKED: i16 = 13;
    pub(crate) const RECEIPTS: i16 = 14;
}

/// The conversation of entries that are of none.
pub(crate) const NO_CONVERSATION: i64 = 0;

/// The kind of a conversation of two, as it stands in `conversations.kind`.
pub(crate) const DIRECT: i16 = 1;

/// The kind of a group, likewise.
pub(crate) const GROUP: i16 = 2;

/// Who made the groups of the operator, as it stands in `conversations.creator_id`: no user.
pub(crate) const OPERATOR: i64 = 0;

/// Roles, as they stand in `members.role`.
pub(crate) mod role {
    pub(crate) const MEMBER: i16 = 0;
    pub(crate) const OWNER: i16 = 1;
}
