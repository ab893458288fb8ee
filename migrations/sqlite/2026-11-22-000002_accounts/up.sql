-- Free text, as clients of the former system show it.
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user';
-- A PHC string of argon2id. Null: no log in by password.
ALTER TABLE users ADD COLUMN password_hash TEXT;
-- Who it is to another issuer of tokens: its name, a space, the subject.
ALTER TABLE users ADD COLUMN external_subject TEXT;
CREATE UNIQUE INDEX users_external_subject ON users (external_subject);

-- Of secrets only SHA-256 is kept, in hexadecimal digits.
CREATE TABLE sessions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id BIGINT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- A ticket counts once: who deletes its row has it. It stands for the credentials that it was made with, a session, an
-- API key or a token, and counts no longer than they do.
CREATE TABLE tickets (
    token_hash TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    session_id BIGINT,
    api_key_id BIGINT,
    -- When the token was issued, if it was one.
    issued_at BIGINT NOT NULL,
    credentials_expire_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_expiry ON tickets (expires_at);

CREATE TABLE api_keys (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    key_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- A row is there before the first byte is stored, and until the bytes are gone, so that nothing is stored that no row
-- knows of. Several rows may share what is stored: one a message.
CREATE TABLE attachments (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- Null until a message takes it.
    message_id BIGINT,
    uploader_id BIGINT NOT NULL,
    filename TEXT NOT NULL,
    size BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    storage_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Null while bytes come in.
    stored_at BIGINT,
    -- Its message was deleted, or it was given up: the bytes go when no other row shares them.
    removed_at BIGINT
);
CREATE INDEX attachments_message ON attachments (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX attachments_key ON attachments (storage_key);
CREATE INDEX attachments_waiting ON attachments (uploader_id) WHERE message_id IS NULL AND removed_at IS NULL;
CREATE INDEX attachments_loose ON attachments (created_at) WHERE message_id IS NULL OR removed_at IS NOT NULL;

-- What its readers see of its files, a JSON list, so that no page needs a second query. Null: none.
ALTER TABLE messages ADD COLUMN attachments TEXT;
-- Subject, content and files are gone; id, sender, client message id and hash stay, so that a resend finds them.
ALTER TABLE messages ADD COLUMN deleted_at BIGINT;

-- The entry says nothing any more: its message was deleted, for all or for the owner.
ALTER TABLE mailbox_entries ADD COLUMN hidden_at BIGINT;
-- A JSON list, where an entry is of several messages; message_id is then the newest of them.
ALTER TABLE mailbox_entries ADD COLUMN message_ids TEXT;
-- The session or API key that ended. Only in the system mailbox.
ALTER TABLE mailbox_entries ADD COLUMN credential_id BIGINT;
-- Lists of what was received and sent. The literals of the queries must imply the conditions.
CREATE INDEX mailbox_entries_list ON mailbox_entries (mailbox_id, kind, seq) WHERE kind <= 2 AND hidden_at IS NULL;
CREATE INDEX mailbox_entries_unread ON mailbox_entries (mailbox_id, conversation_id)
    WHERE kind = 1 AND read_at IS NULL AND hidden_at IS NULL;
CREATE INDEX members_user ON members (user_id);
-- Without what was deleted: a conversation is no slower for it.
DROP INDEX messages_conversation;
CREATE INDEX messages_conversation ON messages (conversation_id, id) WHERE deleted_at IS NULL;

-- The system mailbox, the one without an owner. Every node reads it each second. kind: 10 a user's credentials all
-- ended, 11 a session ended, 12 an API key ended; actor_id is the user. Its entries are of no conversation: 0.
INSERT INTO mailboxes (owner_id, epoch) VALUES (NULL, lower(hex(randomblob(16))));
