-- What was found, newest first: of `found`, with the recipient's names, among the entries `e`. At last a row without a
-- message: where to go on, 0 where nothing is left. {3} how many entries were looked at, {4} how many are wanted.
, answer AS (
    SELECT seq, message_id FROM found
    UNION ALL
    SELECT CASE WHEN (SELECT count(*) FROM found) = {4} AND (count(*) = {3} OR min(seq) < (SELECT min(seq) FROM found))
                THEN (SELECT min(seq) FROM found)
                WHEN count(*) = {3} THEN min(seq) ELSE 0 END, NULL FROM e
)
SELECT answer.seq, {shown}, c.title, o.username, o.full_name
FROM answer LEFT {messages m} answer.message_id {m}
    LEFT {conversations c} m.conversation_id {c}
    LEFT {users s} m.sender_id {s}
    LEFT {users o} c.user_low + c.user_high - m.sender_id {o}
ORDER BY answer.message_id IS NULL, answer.seq DESC
