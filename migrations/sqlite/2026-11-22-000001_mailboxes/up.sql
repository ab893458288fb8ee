-- Times are microseconds since 1970-01-01T00:00:00Z, so that one schema serves both stores.

-- One row. Names the channels of this deployment, since Redis pub/sub knows no databases.
CREATE TABLE deployment (
    id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO deployment (id) VALUES (lower(hex(randomblob(16))));

CREATE TABLE users (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL UNIQUE,
    full_name TEXT NOT NULL DEFAULT '',
    disabled_at BIGINT,
    -- Tokens issued before this do not count.
    tokens_valid_from BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);

-- `last_seq` and `unread` change with every message, in its transaction. No index holds them.
CREATE TABLE mailboxes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- The user whose mailbox it is. Null for a mailbox that belongs to no user.
    owner_id BIGINT UNIQUE REFERENCES users (id),
    epoch TEXT NOT NULL,
    floor BIGINT NOT NULL DEFAULT 0,
    last_seq BIGINT NOT NULL DEFAULT 0,
    unread BIGINT NOT NULL DEFAULT 0
);

-- kind: 1 direct, one per pair, the lower user first; other kinds have no pair.
CREATE TABLE conversations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind SMALLINT NOT NULL,
    user_low BIGINT,
    user_high BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (user_low, user_high)
);

CREATE TABLE members (
    conversation_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);

-- No foreign keys here and below: they were measured to cost as much again as the rows. The audit counts orphans.
CREATE TABLE messages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    conversation_id BIGINT NOT NULL,
    sender_id BIGINT NOT NULL,
    subject TEXT NOT NULL,
    content TEXT NOT NULL,
    client_message_id TEXT NOT NULL,
    -- Tells a repeated request from another one under the same client message id.
    request_hash BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (sender_id, client_message_id)
);
CREATE INDEX messages_conversation ON messages (conversation_id, id);

-- kind: 1 received, 2 sent, 3 read, 4 receipt. actor_id: who sent it, or who read it.
CREATE TABLE mailbox_entries (
    mailbox_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    message_id BIGINT,
    actor_id BIGINT,
    read_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, seq)
);
CREATE INDEX mailbox_entries_message ON mailbox_entries (message_id, mailbox_id);
