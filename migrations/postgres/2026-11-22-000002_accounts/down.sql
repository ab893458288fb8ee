-- The log stays gapless: what the old binary does not know becomes what it does.
UPDATE mailbox_entries SET kind = 3 WHERE kind = 5;
DELETE FROM mailbox_entries WHERE mailbox_id IN (SELECT id FROM mailboxes WHERE owner_id IS NULL);
DELETE FROM mailboxes WHERE owner_id IS NULL;
DROP INDEX members_user;
DROP INDEX mailbox_entries_unread;
DROP INDEX mailbox_entries_list;
ALTER TABLE mailbox_entries DROP COLUMN hidden_at, DROP COLUMN message_ids, DROP COLUMN credential_id;
ALTER TABLE messages DROP COLUMN attachments, DROP COLUMN deleted_at;
DROP TABLE attachments;
DROP TABLE api_keys;
DROP TABLE tickets;
DROP TABLE sessions;
DROP INDEX users_external_subject;
ALTER TABLE users DROP COLUMN role, DROP COLUMN password_hash, DROP COLUMN external_subject;
