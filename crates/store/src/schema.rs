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
    }
}

diesel::table! {
    members (conversation_id, user_id) {
        conversation_id -> BigInt,
        user_id -> BigInt,
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
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    mailboxes,
    conversations,
    members,
    messages,
    mailbox_entries,
);

/// The kinds of entries, as they stand in `mailbox_entries.kind`.
pub(crate) mod kind {
    pub(crate) const RECEIVED: i16 = 1;
    pub(crate) const SENT: i16 = 2;
    pub(crate) const READ: i16 = 3;
    pub(crate) const RECEIPT: i16 = 4;
}

/// The kind of a conversation of two, as it stands in `conversations.kind`.
pub(crate) const DIRECT: i16 = 1;
