-- Commits a batch of sends (op 0) and reads (op 1), under the locks of the statement before it in the same
-- transaction. Its snapshot is newer than the locks, so what it reads of the locked mailboxes is the last word.
WITH input AS MATERIALIZED (
    SELECT * FROM unnest({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9})
        AS i (ord, op, actor, peer, message, subject, content, client, hash)
), clock AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS now
), prior AS MATERIALIZED (
    SELECT i.ord, i.actor, m.id, m.conversation_id, m.created_at, m.request_hash = i.hash AS same
    FROM input i JOIN messages m ON m.sender_id = i.actor AND m.client_message_id = i.client
    WHERE i.op = 0
), fresh AS MATERIALIZED (
    -- Ids are drawn here, after the locks and in the order of the batch, so that they ascend in a conversation.
    SELECT nextval('messages_id_seq') AS id, s.*, least(s.actor, s.peer) AS low, greatest(s.actor, s.peer) AS high
    FROM (
        SELECT i.* FROM input i JOIN users u ON u.id = i.peer
        WHERE i.op = 0 AND u.disabled_at IS NULL AND NOT EXISTS (SELECT FROM prior p WHERE p.ord = i.ord)
        ORDER BY i.ord
    ) s
), pair AS MATERIALIZED (
    SELECT DISTINCT low, high FROM fresh
), known AS MATERIALIZED (
    SELECT c.id, p.low, p.high FROM pair p JOIN conversations c ON c.user_low = p.low AND c.user_high = p.high
), opened AS (
    INSERT INTO conversations (kind, user_low, user_high, created_at)
    SELECT 1, p.low, p.high, clock.now FROM pair p CROSS JOIN clock
    WHERE NOT EXISTS (SELECT FROM known k WHERE k.low = p.low AND k.high = p.high)
    RETURNING id, user_low AS low, user_high AS high
), joined AS (
    INSERT INTO members (conversation_id, user_id)
    SELECT id, low FROM opened UNION SELECT id, high FROM opened
), conversation AS MATERIALIZED (
    SELECT * FROM known UNION ALL SELECT * FROM opened
), sent AS MATERIALIZED (
    SELECT f.*, c.id AS conversation FROM fresh f JOIN conversation c USING (low, high)
), written AS (
    INSERT INTO messages
        (id, conversation_id, sender_id, subject, content, client_message_id, request_hash, created_at)
    SELECT s.id, s.conversation, s.actor, s.subject, s.content, s.client, s.hash, clock.now
    FROM sent s CROSS JOIN clock
), marked AS (
    UPDATE mailbox_entries e SET read_at = clock.now
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor CROSS JOIN clock
    WHERE i.op = 1 AND e.message_id = i.message AND e.mailbox_id = b.id AND e.kind = 1 AND e.read_at IS NULL
    RETURNING i.ord, i.actor, e.conversation_id, e.message_id, e.actor_id AS sender
), change AS (
    -- The actor's own entry of a command comes first. kind: 1 received, 2 sent, 3 read, 4 receipt.
    SELECT ord, 0 AS part, actor AS owner, 2 AS kind, conversation, id AS message, actor,
           CASE WHEN actor = peer THEN clock.now END AS read_at, 0 AS unread FROM sent CROSS JOIN clock
    UNION ALL
    SELECT ord, 1, peer, 1, conversation, id, actor,
           CASE WHEN actor = peer THEN clock.now END, CASE WHEN actor = peer THEN 0 ELSE 1 END FROM sent CROSS JOIN clock
    UNION ALL
    SELECT ord, 0, actor, 3, conversation_id, message_id, actor, clock.now, -1 FROM marked CROSS JOIN clock
    UNION ALL
    SELECT ord, 1, sender, 4, conversation_id, message_id, actor, clock.now, 0 FROM marked CROSS JOIN clock
), numbered AS MATERIALIZED (
    SELECT c.ord, c.kind, c.conversation, c.message, c.actor, c.read_at, b.id AS mailbox, c.unread AS change,
           b.last_seq + row_number() OVER log AS seq, b.unread + sum(c.unread) OVER log AS unread
    FROM change c JOIN mailboxes b ON b.owner_id = c.owner
    WINDOW log AS (PARTITION BY b.id ORDER BY c.ord, c.part)
), entered AS (
    INSERT INTO mailbox_entries
        (mailbox_id, seq, kind, conversation_id, message_id, actor_id, read_at, created_at)
    SELECT n.mailbox, n.seq, n.kind, n.conversation, n.message, n.actor, n.read_at, clock.now
    FROM numbered n CROSS JOIN clock
), counted AS (
    UPDATE mailboxes b SET last_seq = b.last_seq + n.entries, unread = b.unread + n.change
    FROM (SELECT mailbox, count(*) AS entries, sum(change) AS change FROM numbered GROUP BY mailbox) n
    WHERE b.id = n.mailbox
    RETURNING b.id, b.unread
), answer AS (
    -- outcome: 0 done now, 1 done before, 2 done before with another content.
    SELECT n.ord, 0 AS outcome, n.mailbox, n.seq, n.unread::int8, n.kind, n.conversation, n.message,
           n.actor, n.read_at, clock.now AS at
    FROM numbered n CROSS JOIN clock
    UNION ALL
    SELECT p.ord, CASE WHEN p.same THEN 1 ELSE 2 END, b.id, e.seq, b.unread, e.kind, p.conversation_id, p.id,
           p.actor, e.read_at, p.created_at
    FROM prior p JOIN mailboxes b ON b.owner_id = p.actor
        JOIN mailbox_entries e ON e.message_id = p.id AND e.mailbox_id = b.id AND e.kind = 2
    UNION ALL
    -- The entry that says that it was read; what one wrote to oneself has only the received one.
    SELECT i.ord, 1, b.id, max(e.seq), coalesce(max(c.unread), b.unread), 3, max(e.conversation_id), i.message,
           i.actor, max(e.read_at), max(e.created_at)
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor
        JOIN mailbox_entries e ON e.message_id = i.message AND e.mailbox_id = b.id AND e.kind IN (1, 3)
        LEFT JOIN counted c ON c.id = b.id
    WHERE i.op = 1 AND NOT EXISTS (SELECT FROM marked m WHERE m.ord = i.ord)
    GROUP BY i.ord, b.id, b.unread, i.message, i.actor
)
SELECT a.ord, a.outcome::int2, a.mailbox, a.seq, a.unread, a.kind::int2, a.conversation, a.message, a.actor,
       CASE WHEN u.full_name = '' THEN u.username ELSE u.full_name END, a.read_at, a.at
FROM answer a JOIN users u ON u.id = a.actor
ORDER BY a.ord, a.kind IN (1, 4)
