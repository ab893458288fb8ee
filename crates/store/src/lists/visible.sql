-- Whether a message `m` of the conversation {2} is there for its member {0}: not deleted, said since they joined, and not
-- hidden from them.
m.deleted_at IS NULL
AND m.id > (SELECT n.since FROM members n WHERE n.conversation_id = {2} AND n.user_id = {0})
AND (SELECT count(*) FROM mailbox_entries v
     WHERE v.message_id = m.id AND v.mailbox_id = (SELECT b.id FROM mailboxes b WHERE b.owner_id = {0})
       AND v.kind <= 5 AND v.kind + 0 <= 2 AND v.hidden_at IS NULL) > 0
