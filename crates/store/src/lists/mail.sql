-- Messages of a user, newest first, before a place. Two walks down one index decide which, before anything is looked up; they
-- pass over what the user cannot see at the price of a probe for each. What one wrote to oneself counts as sent, unless only
-- what was received is wanted.
-- {0} the user, {1} their mailbox, {2} the place, {3} one more than are wanted, {4} how many are wanted, {5} and {6} how many
-- of the received and of the sent are looked at.
WITH e AS MATERIALIZED (
    SELECT * FROM (
        SELECT * FROM (
            SELECT seq, message_id FROM mailbox_entries e
            WHERE mailbox_id = {1} AND kind = 1 AND kind <= 2 AND hidden_at IS NULL AND seq < {2}
              AND (actor_id <> {0} OR {6} = 0) AND {seen e}
            ORDER BY seq DESC LIMIT {5}
        ) received
        UNION ALL
        SELECT * FROM (
            SELECT seq, message_id FROM mailbox_entries e
            WHERE mailbox_id = {1} AND kind = 2 AND kind <= 2 AND hidden_at IS NULL AND seq < {2} AND {seen e}
            ORDER BY seq DESC LIMIT {6}
        ) sent
    ) latest ORDER BY seq DESC LIMIT {3}
), found AS MATERIALIZED (
    SELECT seq, message_id FROM e ORDER BY seq DESC LIMIT {4}
)
