-- Whether senders learn that this user has read their messages.
ALTER TABLE users ADD COLUMN send_receipts BOOLEAN NOT NULL DEFAULT TRUE;
-- When they last left, as far as a node could tell.
ALTER TABLE users ADD COLUMN last_seen_at BIGINT;

-- kind: 2 a group.
ALTER TABLE conversations ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN creator_id BIGINT;
-- Names the group for who made it.
ALTER TABLE conversations ADD COLUMN client_conversation_id TEXT;
CREATE UNIQUE INDEX conversations_creator ON conversations (creator_id, client_conversation_id)
    WHERE creator_id IS NOT NULL;

-- Who leaves a group loses the row, and with it the sight of all that was said there; who comes back begins anew.
-- Of the conversation's messages those with a higher id are for this member. Drawn from the ids of messages.
ALTER TABLE members ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
-- 0 member, 1 owner.
ALTER TABLE members ADD COLUMN role SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN is_muted BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE members ADD COLUMN is_archived BOOLEAN NOT NULL DEFAULT FALSE;
-- What the member began to write.
ALTER TABLE members ADD COLUMN draft TEXT NOT NULL DEFAULT '';

ALTER TABLE messages ADD COLUMN reply_to_id BIGINT;
-- A JSON list of users. Null: nobody.
ALTER TABLE messages ADD COLUMN mention_ids TEXT;
ALTER TABLE messages ADD COLUMN edited_at BIGINT;
-- In a group: how many have read it and said so.
ALTER TABLE messages ADD COLUMN read_count BIGINT NOT NULL DEFAULT 0;

-- What a message said until it was changed, if that is kept.
CREATE TABLE message_versions (
    message_id BIGINT NOT NULL,
    -- When it ceased to say so.
    edited_at BIGINT NOT NULL,
    subject TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (message_id, edited_at)
);

CREATE TABLE reactions (
    message_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    reaction TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (message_id, user_id, reaction)
);

CREATE TABLE blocks (
    blocker_id BIGINT NOT NULL,
    blocked_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (blocker_id, blocked_id)
);

-- kind: 6 text changed, 7 reaction, 8 group made or changed, 9 what a conversation is to the owner, 13 block,
-- 14 whether the owner sends receipts.
-- What an entry says besides, as JSON.
ALTER TABLE mailbox_entries ADD COLUMN detail TEXT;
-- Of a received message: it was read, and its sender is not to know. Else null.
ALTER TABLE mailbox_entries ADD COLUMN is_silent SMALLINT;

-- Without what is told again and again of a message, its changes and reactions: those may be a hundred thousand, and nobody
-- looks for them by their message. The literals of the queries must imply the condition.
DROP INDEX mailbox_entries_message;
CREATE INDEX mailbox_entries_message ON mailbox_entries (message_id, mailbox_id) WHERE kind <= 5;

-- What a mailbox has last heard of a group.
CREATE INDEX mailbox_entries_group ON mailbox_entries (mailbox_id, conversation_id, seq) WHERE kind = 8;
