-- Messages of a user in which all the words stand: among their latest entries before a place. What one wrote to oneself
-- counts as sent, unless only what was received is wanted.
-- {0} the user, {1} their mailbox, {2} the place, {3} how many are looked at, {4} how many are wanted, {5} and {6} how many
-- of the received and of the sent are looked at; {~0} the words.
WITH e AS MATERIALIZED (
    SELECT * FROM (
        SELECT * FROM (
            SELECT seq, kind, conversation_id, message_id, actor_id FROM mailbox_entries
            WHERE mailbox_id = {1} AND kind = 1 AND kind <= 2 AND hidden_at IS NULL AND seq < {2}
            ORDER BY seq DESC LIMIT {5}
        ) received
        UNION ALL
        SELECT * FROM (
            SELECT seq, kind, conversation_id, message_id, actor_id FROM mailbox_entries
            WHERE mailbox_id = {1} AND kind = 2 AND kind <= 2 AND hidden_at IS NULL AND seq < {2}
            ORDER BY seq DESC LIMIT {6}
        ) sent
    ) latest ORDER BY seq DESC LIMIT {3}
), found AS MATERIALIZED (
    -- `LIMIT` keeps the text from being made again for each word.
    SELECT t.seq, t.message_id FROM (
        SELECT e.seq, e.message_id, m.conversation_id, lower(m.subject || ' ' || m.content) AS text
        FROM e {messages m} e.message_id {m} WHERE e.kind = 2 OR e.actor_id <> {0} OR {6} = 0 LIMIT {3}
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
)
