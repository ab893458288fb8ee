-- The conversations of a user, all of them.
-- {0} the user, {1} their mailbox, {2} the position before which they stand, {3} how many, {4} the position of one without
-- any, {5} whether they are put away: 1 they are, 0 they are not, below 0 either.
WITH own AS (
    SELECT * FROM members WHERE user_id = {0} AND ({5} < 0 OR {5} = CAST(is_archived AS INTEGER))
)
