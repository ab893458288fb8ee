-- What a user received (kind 1) and sent (kind 2), the newest first, before a message of their mailbox. Two walks
-- down one index decide what is in the lists before anything is looked up. `kind <= 2` is what that index asks for,
-- and what `IN (1, 2)` keeps SQLite from taking it for. What was said in a group that the user left, or before they
-- joined it, is passed over at the price of a probe for each.
-- {0} the user, {1} their mailbox, {2} the message, {3} where to begin if it is not in the mailbox, {4} how many.
WITH place AS (
    -- Ids ascend in the order of a mailbox. `+ 0` keeps Postgres from walking the mailbox in search of the least, and
    -- `kind <= 5` is what the index by message asks for.
    SELECT coalesce(min(seq + 0), {3}) AS seq FROM mailbox_entries
    WHERE message_id = {2} AND mailbox_id = {1} AND kind <= 5 AND kind IN (1, 2)
)
SELECT CAST(e.kind AS BIGINT), {shown}, c.title, o.username, o.full_name
FROM (
    SELECT * FROM (
        SELECT kind, seq, message_id FROM mailbox_entries e
        WHERE mailbox_id = {1} AND kind = 1 AND kind <= 2 AND hidden_at IS NULL AND seq < (SELECT seq FROM place)
          AND {seen e}
        ORDER BY seq DESC LIMIT {4}
    ) received
    UNION ALL
    SELECT * FROM (
        SELECT kind, seq, message_id FROM mailbox_entries e
        WHERE mailbox_id = {1} AND kind = 2 AND kind <= 2 AND hidden_at IS NULL AND seq < (SELECT seq FROM place)
          AND {seen e}
        ORDER BY seq DESC LIMIT {4}
    ) sent
) e {messages m} e.message_id {m}
    {conversations c} m.conversation_id {c}
    {users s} m.sender_id {s}
    LEFT {users o} c.user_low + c.user_high - m.sender_id {o}
ORDER BY e.kind, e.seq DESC
