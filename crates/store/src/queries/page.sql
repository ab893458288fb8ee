-- Entries of a mailbox after a position, in order. A walk along the key decides which, before anything is looked up: the same
-- cost wherever it begins, and by a plan that is right for any position and number.
-- The columns of a group: since when the owner is a member of it; those of a conversation of two are members for ever. Of an
-- edit or a reaction: in how many entries the owner has the message, none once it is deleted, for all or for the owner; the
-- many entries that tell of it are not hidden then. `count` and `+ 0`: see `lists/talks.sql`.
-- {0} the mailbox, {1} the position, {2} how many.
SELECT e.mailbox_id, e.seq, b.unread, e.kind, e.conversation_id, e.message_id, e.actor_id, e.read_at, e.created_at,
       e.message_ids, e.detail, e.hidden_at,
       c.kind, c.user_low, c.user_high,
       CASE WHEN c.kind = 2 THEN (SELECT n.since FROM members n
                                  WHERE n.conversation_id = e.conversation_id AND n.user_id = b.owner_id) END,
       CASE WHEN e.kind IN (6, 7) THEN (SELECT count(*) FROM mailbox_entries v
                                        WHERE v.message_id = e.message_id AND v.mailbox_id = e.mailbox_id
                                          AND v.kind <= 5 AND v.kind + 0 <= 2 AND v.hidden_at IS NULL) END,
       m.sender_id, m.subject, m.content, m.client_message_id, m.created_at, m.attachments, m.reply_to_id, m.mention_ids,
       m.edited_at, m.read_count, s.username, s.full_name
FROM (
    SELECT * FROM mailbox_entries WHERE mailbox_id = {0} AND seq > {1} ORDER BY seq LIMIT {2}
) e {mailboxes b} e.mailbox_id {b}
    LEFT {conversations c} e.conversation_id {c}
    LEFT {messages m} CASE WHEN e.kind <= 2 OR e.kind = 6 THEN e.message_id END {m}
    LEFT {users s} m.sender_id {s}
