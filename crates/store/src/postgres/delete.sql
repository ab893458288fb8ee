-- Commits a batch of deletions, none of a message twice, under the locks of the statement before it in the same
-- transaction. The sender's takes the message from both, the recipient's from themselves. For `+ 0` see `commit.sql`.
WITH input AS MATERIALIZED (
    SELECT i.*, (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS at
    FROM unnest({1}, {2}, {3}) AS i (ord, actor, message)
), target AS MATERIALIZED (
    -- That the actor has the message is said by an entry of theirs that is not hidden.
    SELECT i.*, b.id AS mailbox, m.conversation_id AS conversation, m.sender_id = i.actor AS of_sender
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor JOIN messages m ON m.id = i.message
    WHERE EXISTS (SELECT FROM mailbox_entries e WHERE e.message_id = i.message AND e.mailbox_id + 0 = b.id
                  AND e.kind + 0 <= 2 AND e.hidden_at IS NULL)
), hidden AS (
    -- An entry of several messages stays: what it says of the others holds.
    UPDATE mailbox_entries e SET hidden_at = t.at FROM target t
    WHERE e.message_id = t.message AND (t.of_sender OR e.mailbox_id + 0 = t.mailbox)
        AND e.kind + 0 <= 4 AND e.hidden_at IS NULL AND e.message_ids IS NULL
    RETURNING t.ord, t.actor, t.at, t.message, t.conversation, e.mailbox_id AS mailbox,
              CASE WHEN e.mailbox_id = t.mailbox THEN 0 ELSE 1 END AS part,
              CASE WHEN e.kind = 1 AND e.read_at IS NULL THEN -1 ELSE 0 END AS unread
), erased AS (
    UPDATE messages m SET subject = '', content = '', attachments = NULL, deleted_at = t.at
    FROM target t WHERE m.id = t.message AND t.of_sender
), detached AS (
    UPDATE attachments a SET removed_at = t.at
    FROM target t WHERE a.message_id = t.message AND t.of_sender AND a.removed_at IS NULL
), change AS (
    SELECT ord, part, actor, at, message, conversation, mailbox, sum(unread) AS unread FROM hidden
    GROUP BY ord, part, actor, at, message, conversation, mailbox
), numbered AS MATERIALIZED (
    SELECT c.*, b.last_seq + row_number() OVER log AS seq, b.unread + sum(c.unread) OVER log AS left_unread
    FROM change c JOIN mailboxes b ON b.id = c.mailbox
    WINDOW log AS (PARTITION BY b.id ORDER BY c.ord)
), entered AS (
    INSERT INTO mailbox_entries (mailbox_id, seq, kind, conversation_id, message_id, actor_id, created_at)
    SELECT mailbox, seq, 5, conversation, message, actor, at FROM numbered
), counted AS (
    UPDATE mailboxes b SET last_seq = b.last_seq + n.entries, unread = b.unread + n.unread
    FROM (SELECT mailbox, count(*) AS entries, sum(unread) AS unread FROM numbered GROUP BY mailbox) n
    WHERE b.id = n.mailbox
    RETURNING b.id, b.unread
), answer AS (
    SELECT ord, part, 0 AS outcome, mailbox, seq, left_unread::int8 AS unread, conversation, message, actor, at
    FROM numbered
    UNION ALL
    SELECT i.ord, 0, 1, b.id, e.seq, coalesce((SELECT c.unread FROM counted c WHERE c.id = b.id), b.unread), e.conversation_id, i.message, i.actor, e.created_at
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor
        JOIN mailbox_entries e ON e.message_id = i.message AND e.mailbox_id + 0 = b.id AND e.kind + 0 = 5
    WHERE i.ord NOT IN (SELECT t.ord FROM target t)
)
SELECT a.ord, a.outcome::int2, a.mailbox, a.seq, a.unread, 5::int2, a.conversation, a.message, NULL::text, a.actor,
       '', NULL::int8, a.at, NULL::int8, NULL::text
FROM answer a
ORDER BY a.ord, a.part
