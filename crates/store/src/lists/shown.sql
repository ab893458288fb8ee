-- What every list says of a message `m` of the conversation `c`, by the sender `s`, to the user {0} with the mailbox {1}.
-- At last when it was read: by the user, if they received it; of what they sent, by the other, unless that one keeps it to
-- themselves, and in a group whether anybody has.
m.id, m.conversation_id, m.sender_id, c.user_low + c.user_high - m.sender_id,
m.subject, m.content, m.client_message_id, m.created_at, m.attachments,
m.reply_to_id, m.mention_ids, m.edited_at, m.read_count, s.username, s.full_name,
CASE WHEN m.sender_id <> {0} THEN (SELECT max(r.read_at) FROM mailbox_entries r
                                   WHERE r.message_id = m.id AND r.mailbox_id = {1}
                                     AND r.kind <= 5 AND r.kind + 0 = 1)
     WHEN c.user_low IS NULL THEN nullif(m.read_count, 0)
     ELSE (SELECT max(r.read_at) FROM mailbox_entries r
           WHERE r.message_id = m.id AND r.kind <= 5 AND r.kind + 0 = 1 AND r.is_silent IS NULL) END
