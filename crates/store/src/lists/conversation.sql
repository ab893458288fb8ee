-- The conversations of a user, one of them. {5} which; the others as in `conversations.sql`.
WITH own AS (
    SELECT * FROM members WHERE user_id = {0} AND conversation_id = {5}
)
