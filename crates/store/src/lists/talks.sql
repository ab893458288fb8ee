-- What conversations are to their member, the one with the latest message first, before a position. That is the latest
-- message that the member can see, and for a group without one when they joined; a conversation of two without one has
-- none. One probe a conversation finds the latest message, since nearly always that was not deleted; of a group one more
-- tells that there is none since the member joined, instead of a walk through all before.
-- Two things keep Postgres to the indexes whatever its statistics are, since it knows only what an average
-- conversation holds. `BETWEEN` where `=` is meant: the order by conversation then counts, which is the index's own;
-- else it may walk all messages until one is of the conversation. `> 0`: it takes `EXISTS` for rare, and sorts. `+ 0`
-- leaves out the index of lists, by which it would walk the mailbox; `kind <= 5` is what that by message asks for.
, seen AS MATERIALIZED (
    SELECT n.*, CASE WHEN n.since = 0 OR n.since < (
        SELECT m.id FROM messages m
        WHERE m.conversation_id BETWEEN n.conversation_id AND n.conversation_id AND m.deleted_at IS NULL
        ORDER BY m.conversation_id DESC, m.id DESC LIMIT 1
    ) THEN (
        SELECT m.id FROM messages m
        WHERE m.conversation_id BETWEEN n.conversation_id AND n.conversation_id AND m.deleted_at IS NULL
          AND m.id > n.since AND (
            SELECT count(*) FROM mailbox_entries v
            WHERE v.message_id = m.id AND v.mailbox_id = {1} AND v.kind <= 5 AND v.kind + 0 <= 2 AND v.hidden_at IS NULL) > 0
        ORDER BY m.conversation_id DESC, m.id DESC LIMIT 1
    ) END AS last FROM own n
), placed AS MATERIALIZED (
    SELECT seen.*, coalesce(
        last, (SELECT since FROM conversations g WHERE g.id = conversation_id AND g.kind = 2), {4}
    ) AS place FROM seen
), page AS (
    SELECT * FROM placed WHERE place < {2} ORDER BY place DESC LIMIT {3}
)
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM mailbox_entries u
            WHERE u.mailbox_id = {1} AND u.conversation_id BETWEEN c.id AND c.id
              AND u.kind = 1 AND u.read_at IS NULL AND u.hidden_at IS NULL
            ORDER BY u.conversation_id LIMIT 100
        ) unread),
       {shown}, c.id, page.place, page.is_muted, page.is_archived, page.draft,
       CASE WHEN c.kind = 2 THEN (SELECT count(*) FROM members g WHERE g.conversation_id = c.id) END, c.title,
       o.id, o.username, o.full_name, o.role
FROM page {conversations c} page.conversation_id {c}
    LEFT {messages m} page.last {m}
    LEFT {users s} m.sender_id {s}
    LEFT {users o} c.user_low + c.user_high - {0} {o}
ORDER BY page.place DESC
