-- Commits a batch of sends (op 0) and reads (op 1, a row a message), under the locks of the statement before it in the same
-- transaction. Its snapshot is newer than the locks, so what it reads of the locked mailboxes is the last word.
-- Nothing joins two intermediate results of the batch's size: a plan that knows no sizes would do so in a loop.
-- `+ 0` leaves no index of the entries but that by message, which is the right one at any size and with any statistics.
WITH input AS MATERIALIZED (
    SELECT i.*, (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS at
    FROM unnest({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11})
        AS i (ord, op, actor, peer, message, subject, content, client, hash, files, n_files)
), taken AS MATERIALIZED (
    -- The files that may be sent. Locked, so that nobody gives one up meanwhile.
    SELECT w.ord, a.id
    FROM unnest({12}, {13}) AS w (ord, id) JOIN input i ON i.ord = w.ord JOIN attachments a ON a.id = w.id
    WHERE a.uploader_id = i.actor AND a.message_id IS NULL AND a.stored_at IS NOT NULL AND a.removed_at IS NULL
    ORDER BY a.id FOR UPDATE OF a
), prior AS MATERIALIZED (
    SELECT i.ord, i.actor, m.id, m.conversation_id, m.created_at, m.request_hash = i.hash AS same
    FROM input i JOIN messages m ON m.sender_id = i.actor AND m.client_message_id = i.client
    WHERE i.op = 0
), fresh AS (
    -- A message that opens its conversation draws an id for it; of several, the first one's counts.
    SELECT i.*, i.n_files = (SELECT count(*) FROM taken t WHERE t.ord = i.ord) AS complete, c.id AS known, least(i.actor, i.peer) AS low, greatest(i.actor, i.peer) AS high,
           CASE WHEN c.id IS NULL THEN nextval('conversations_id_seq') END AS drawn
    FROM input i JOIN users u ON u.id = i.peer
        LEFT JOIN conversations c ON c.user_low = least(i.actor, i.peer) AND c.user_high = greatest(i.actor, i.peer)
    WHERE i.op = 0 AND u.disabled_at IS NULL AND NOT EXISTS (SELECT FROM prior p WHERE p.ord = i.ord)
), sent AS MATERIALIZED (
    -- Ids are drawn here, after the locks and in the order of the batch, so that they ascend in a conversation.
    SELECT nextval('messages_id_seq') AS id, s.* FROM (
        SELECT f.*, coalesce(f.known, first_value(f.drawn) OVER (PARTITION BY f.low, f.high ORDER BY f.ord)) AS conversation
        FROM fresh f WHERE f.complete ORDER BY f.ord
    ) s
), opened AS (
    INSERT INTO conversations (id, kind, user_low, user_high, created_at)
    SELECT conversation, 1, low, high, min(at) FROM sent WHERE known IS NULL GROUP BY conversation, low, high
), joined AS (
    INSERT INTO members (conversation_id, user_id)
    SELECT conversation, low FROM sent WHERE known IS NULL UNION SELECT conversation, high FROM sent WHERE known IS NULL
), written AS (
    INSERT INTO messages
        (id, conversation_id, sender_id, subject, content, client_message_id, request_hash, created_at, attachments)
    SELECT id, conversation, actor, subject, content, client, hash, at, files FROM sent
), attached AS (
    UPDATE attachments a SET message_id = s.id FROM taken t JOIN sent s ON s.ord = t.ord WHERE a.id = t.id
), marked AS (
    UPDATE mailbox_entries e SET read_at = i.at
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor
    WHERE i.op = 1 AND e.message_id = i.message AND e.mailbox_id + 0 = b.id AND e.kind + 0 = 1
        AND e.read_at IS NULL AND e.hidden_at IS NULL
    RETURNING i.ord, i.actor, i.at, e.conversation_id AS conversation, e.message_id AS message, e.actor_id AS sender
), change AS (
    -- The actor's own entry of a command comes first. kind: 1 received, 2 sent, 3 read, 4 receipt.
    -- Of several messages that are read at once there is one entry, and one receipt a sender.
    SELECT ord, 0 AS part, actor AS owner, 2 AS kind, conversation, id AS message, NULL AS messages, actor,
           CASE WHEN actor = peer THEN at END AS read_at, at, 0 AS unread FROM sent
    UNION ALL
    SELECT ord, 1, peer, 1, conversation, id, NULL, actor,
           CASE WHEN actor = peer THEN at END, at, CASE WHEN actor = peer THEN 0 ELSE 1 END FROM sent
    UNION ALL
    SELECT ord, 0, actor, 3, (array_agg(conversation ORDER BY message DESC))[1], max(message),
           CASE WHEN count(*) > 1 THEN json_agg(message ORDER BY message)::text END, actor,
           min(at), min(at), -count(*)::int FROM marked GROUP BY ord, actor
    UNION ALL
    SELECT ord, 1, sender, 4, min(conversation),
           max(message), CASE WHEN count(*) > 1 THEN json_agg(message ORDER BY message)::text END, actor,
           min(at), min(at), 0 FROM marked GROUP BY ord, actor, sender
), numbered AS MATERIALIZED (
    SELECT c.ord, c.part, c.kind, c.conversation, c.message, c.messages, c.actor, c.read_at, c.at, c.unread AS change,
           b.id AS mailbox, b.last_seq + row_number() OVER log AS seq, b.unread + sum(c.unread) OVER log AS unread
    FROM change c JOIN mailboxes b ON b.owner_id = c.owner
    WINDOW log AS (PARTITION BY b.id ORDER BY c.ord, c.part)
), entered AS (
    INSERT INTO mailbox_entries
        (mailbox_id, seq, kind, conversation_id, message_id, message_ids, actor_id, read_at, created_at)
    SELECT mailbox, seq, kind, conversation, message, messages, actor, read_at, at FROM numbered
), counted AS (
    UPDATE mailboxes b SET last_seq = b.last_seq + n.entries, unread = b.unread + n.change
    FROM (SELECT mailbox, count(*) AS entries, sum(change) AS change FROM numbered GROUP BY mailbox) n
    WHERE b.id = n.mailbox
    RETURNING b.id, b.unread
), answer AS (
    -- outcome: 0 done now, 1 done before, 2 done before with another content, 3 a file is not there.
    SELECT ord, part, 0 AS outcome, mailbox, seq, unread::int8, kind, conversation, message, messages, actor, read_at, at
    FROM numbered
    UNION ALL
    SELECT ord, 0, 3, 0, 0, 0, 2, 0, 0, NULL, actor, NULL, at FROM fresh WHERE NOT complete
    UNION ALL
    SELECT p.ord, 0, CASE WHEN p.same THEN 1 ELSE 2 END, b.id, e.seq, b.unread, e.kind, p.conversation_id, p.id,
           NULL, p.actor, e.read_at, p.created_at
    FROM prior p JOIN mailboxes b ON b.owner_id = p.actor
        JOIN mailbox_entries e ON e.message_id = p.id AND e.mailbox_id + 0 = b.id AND e.kind + 0 = 2
    UNION ALL
    -- The entry that says that it was read; what one wrote to oneself has only the received one. Of several, those count
    -- that the reader still has.
    SELECT i.ord, 0, 1, b.id, max(e.seq), coalesce((SELECT c.unread FROM counted c WHERE c.id = b.id), b.unread),
           3, max(e.conversation_id), max(i.message), NULL, i.actor, max(e.read_at), max(e.created_at)
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor
        JOIN mailbox_entries r ON r.message_id = i.message AND r.mailbox_id + 0 = b.id AND r.kind + 0 = 1
        JOIN mailbox_entries e ON e.message_id = i.message AND e.mailbox_id + 0 = b.id AND e.kind + 0 IN (1, 3)
    WHERE i.op = 1 AND r.hidden_at IS NULL AND e.hidden_at IS NULL AND i.ord NOT IN (SELECT m.ord FROM marked m)
    GROUP BY i.ord, b.id, b.unread, i.actor
)
SELECT a.ord, a.outcome::int2, a.mailbox, a.seq, a.unread, a.kind::int2, a.conversation, a.message,
       a.messages, a.actor, CASE WHEN u.full_name = '' THEN u.username ELSE u.full_name END, a.read_at, a.at
FROM answer a JOIN users u ON u.id = a.actor
ORDER BY a.ord, a.part
