-- The same the other way: the oldest ones after a message, but again newest first.
-- {0} the user, {1} their mailbox, {2} the conversation, {3} the message, {4} how many.
SELECT CAST(0 AS BIGINT), {shown}
FROM (
    SELECT m.id FROM messages m
    WHERE m.conversation_id = {2} AND m.id > {3} AND {visible m}
    ORDER BY m.conversation_id, m.id LIMIT {4}
) e {messages m} e.id {m}
    {conversations c} m.conversation_id {c}
    {users s} m.sender_id {s}
ORDER BY e.id DESC
