-- The conversations of a user that have a message for them, the one with the latest first, before a message. One
-- probe a conversation finds its latest message, since nearly always that was not deleted.
-- Two things keep Postgres to the indexes whatever its statistics are, since it knows only what an average
-- conversation holds. `BETWEEN` where `=` is meant: the order by conversation then counts, which is the index's own;
-- else it may walk all messages until one is of the conversation. `> 0`: it takes `EXISTS` for rare, and sorts. `+ 0`
-- leaves out the index of lists, by which it would walk the mailbox.
-- {0} the user, {1} their mailbox, {2} the message, {3} how many.
WITH talk AS MATERIALIZED (
    SELECT n.conversation_id, (
        SELECT m.id FROM messages m
        WHERE m.conversation_id BETWEEN n.conversation_id AND n.conversation_id AND m.deleted_at IS NULL AND (
            SELECT count(*) FROM mailbox_entries v
            WHERE v.message_id = m.id AND v.mailbox_id = {1} AND v.kind + 0 <= 2 AND v.hidden_at IS NULL) > 0
        ORDER BY m.conversation_id DESC, m.id DESC LIMIT 1
    ) AS last FROM members n WHERE n.user_id = {0}
), page AS (
    SELECT conversation_id, last FROM talk WHERE last < {2} ORDER BY last DESC LIMIT {3}
)
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM mailbox_entries u
            WHERE u.mailbox_id = {1} AND u.conversation_id BETWEEN c.id AND c.id
              AND u.kind = 1 AND u.read_at IS NULL AND u.hidden_at IS NULL
            ORDER BY u.conversation_id LIMIT 100
        ) unread),
       c.id, m.id, m.sender_id, m.subject, m.content, m.client_message_id, m.created_at,
       m.attachments, (SELECT max(r.read_at) FROM mailbox_entries r WHERE r.message_id = m.id AND r.kind = 1),
       o.id, o.username, o.full_name, o.role
FROM page {messages m} page.last {m}
    {conversations c} page.conversation_id {c}
    {users o} c.user_low + c.user_high - {0} {o}
ORDER BY page.last DESC
