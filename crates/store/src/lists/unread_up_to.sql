-- Messages of a conversation that a user received and did not read, up to one, by their ids. They stand together in the
-- index of what is unread, mostly in the order in which they came. `BETWEEN`, the order by mailbox and `+ 0` leave no other.
-- {0} the user, {1} their mailbox, {2} the conversation, {3} the message, {4} how many.
SELECT message_id FROM (
    SELECT e.message_id FROM mailbox_entries e
    WHERE e.mailbox_id = {1} AND e.conversation_id BETWEEN {2} AND {2}
      AND e.kind = 1 AND e.read_at IS NULL AND e.hidden_at IS NULL AND e.message_id + 0 <= {3} AND {seen e}
    ORDER BY e.mailbox_id, e.conversation_id LIMIT {4}
) unread
ORDER BY message_id
