-- Messages of a user in which all the words stand, newest first: among their latest entries before a place. What one wrote
-- to oneself counts as sent. At last a row without a message: where the search goes on, 0 at the beginning of the mailbox.
-- {0} the user, {1} their mailbox, {2} the place, {3} how many are looked at, {4} how many are wanted; {~0} the words.
WITH e AS MATERIALIZED (
    SELECT * FROM (
        SELECT * FROM (
            SELECT seq, kind, conversation_id, message_id, actor_id FROM mailbox_entries
            WHERE mailbox_id = {1} AND kind = 1 AND kind <= 2 AND hidden_at IS NULL AND seq < {2}
            ORDER BY seq DESC LIMIT {3}
        ) received
        UNION ALL
        SELECT * FROM (
            SELECT seq, kind, conversation_id, message_id, actor_id FROM mailbox_entries
            WHERE mailbox_id = {1} AND kind = 2 AND kind <= 2 AND hidden_at IS NULL AND seq < {2}
            ORDER BY seq DESC LIMIT {3}
        ) sent
    ) latest ORDER BY seq DESC LIMIT {3}
), found AS MATERIALIZED (
    -- `LIMIT` keeps the text from being made again for each word.
    SELECT t.seq, t.message_id FROM (
        SELECT e.seq, e.message_id, m.conversation_id, lower(m.subject || ' ' || m.content) AS text
        FROM e {messages m} e.message_id {m} WHERE e.kind = 2 OR e.actor_id <> {0} LIMIT {3}
    ) t
    WHERE text LIKE (SELECT lower({~0})) ESCAPE '\'
      AND text LIKE (SELECT lower({~1})) ESCAPE '\'
      AND text LIKE (SELECT lower({~2})) ESCAPE '\'
      AND text LIKE (SELECT lower({~3})) ESCAPE '\'
      AND text LIKE (SELECT lower({~4})) ESCAPE '\'
      AND text LIKE (SELECT lower({~5})) ESCAPE '\'
      AND text LIKE (SELECT lower({~6})) ESCAPE '\'
      AND text LIKE (SELECT lower({~7})) ESCAPE '\'
      -- In words of the message, so that it is asked only of one that has them all.
      AND (SELECT count(*) FROM members n
           WHERE n.conversation_id = t.conversation_id AND n.user_id = {0} AND n.since < t.message_id) > 0
    ORDER BY t.seq DESC LIMIT {4}
), answer AS (
    SELECT seq, message_id FROM found
    UNION ALL
    SELECT CASE WHEN (SELECT count(*) FROM found) = {4} THEN (SELECT min(seq) FROM found)
                WHEN count(*) = {3} THEN min(seq) ELSE 0 END, NULL FROM e
)
SELECT answer.seq, {shown}
FROM answer LEFT {messages m} answer.message_id {m}
    LEFT {conversations c} m.conversation_id {c}
    LEFT {users s} m.sender_id {s}
ORDER BY answer.message_id IS NULL, answer.seq DESC
