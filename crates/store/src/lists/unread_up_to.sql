-- Messages of a conversation that a user received and did not read, the oldest first, up to one. All of them are read for
-- it: they stand together in the index of what is unread. `BETWEEN` and `+ 0` leave no other.
-- {0} the user, {1} their mailbox, {2} the conversation, {3} the message, {4} how many.
SELECT e.message_id FROM mailbox_entries e
WHERE e.mailbox_id = {1} AND e.conversation_id BETWEEN {2} AND {2}
  AND e.kind = 1 AND e.read_at IS NULL AND e.hidden_at IS NULL AND e.message_id + 0 <= {3} AND {seen e}
ORDER BY e.message_id + 0 LIMIT {4}
