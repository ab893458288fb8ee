-- Commits a batch of sends (op 0) and reads (op 1, a row a message), under the locks of the statements before it in the same
-- transaction. Its snapshot is newer than the locks, so what it reads of the locked mailboxes is the last word.
-- What stands between `--[name` and `--]` is left out where the batch has none of it: see `Shape`.
-- Nothing joins two intermediate results of the batch's size: a plan that knows no sizes would do so in a loop.
-- A comparison of rows leaves only the index that begins with both columns, and goes by both, at any size and with any
-- statistics: of the entries that by message, which holds the kinds up to 5, of the members that by conversation. As it is
-- held to give many rows, it stands where it gives one: behind `LIMIT 1`, in an aggregate, in `EXISTS`. `+ 0` leaves out the
-- indexes of lists.
WITH input AS MATERIALIZED (
    SELECT i.*, (date_part('epoch', clock_timestamp()) * 1000000)::int8 AS at
    FROM unnest({ord}, {actor}
--[sends
        , {recipient}, {subject}, {content}, {client}, {hash}, {strict}
--]
--[reads
        , {message}
--]
--[all
        , {op}, {target}, {files}, {n_files}, {reply}, {mentions}
--]
    ) AS i (ord, actor
--[sends
        , recipient, subject, content, client, hash, strict
--]
--[reads
        , message
--]
--[all
        , op, target, files, n_files, reply, mentions
--]
    )
--[all
), taken AS MATERIALIZED (
    -- The files that may be sent. Locked, so that nobody gives one up meanwhile.
    SELECT w.ord, a.id
    FROM unnest({file_ord}, {file}) AS w (ord, id) JOIN input i ON i.ord = w.ord JOIN attachments a ON a.id = w.id
    WHERE a.uploader_id = i.actor AND a.message_id IS NULL AND a.stored_at IS NOT NULL AND a.removed_at IS NULL
    ORDER BY a.id FOR UPDATE OF a
--]
--[sends
), prior AS MATERIALIZED (
    SELECT i.ord, i.actor, m.id, m.conversation_id, m.created_at, m.request_hash = i.hash AS same,
           c.user_low + c.user_high - i.actor AS peer
    FROM input i JOIN messages m ON m.sender_id = i.actor AND m.client_message_id = i.client
        JOIN conversations c ON c.id = m.conversation_id
--[all
    WHERE i.op = 0
--]
), aimed AS (
    -- By recipient, and by conversation. Only a group has no peer.
    SELECT i.*, i.recipient AS peer, c.id AS known
    FROM input i LEFT JOIN conversations c
        ON c.user_low = least(i.actor, i.recipient) AND c.user_high = greatest(i.actor, i.recipient)
--[all
    WHERE i.op = 0 AND i.target = 0
    UNION ALL
    SELECT i.*, c.user_low + c.user_high - i.actor, c.id
    FROM input i JOIN members s ON s.conversation_id = i.target AND s.user_id = i.actor
        JOIN conversations c ON c.id = i.target
    WHERE i.op = 0 AND i.target > 0
--]
), checked AS MATERIALIZED (
    -- problem: as the outcome below, 0 for none. Creator 0: the operator made the group.
    SELECT a.*, CASE
        WHEN a.peer <> a.actor AND (
            u.id IS NULL OR u.disabled_at IS NOT NULL
            OR EXISTS (SELECT FROM blocks k WHERE k.blocker_id = a.peer AND k.blocked_id = a.actor)
            OR a.strict AND NOT EXISTS (
                SELECT FROM members x JOIN conversations g ON g.id = x.conversation_id AND g.creator_id + 0 = 0
                    JOIN members y ON (y.conversation_id, y.user_id) >= (x.conversation_id, a.peer)
                        AND (y.conversation_id, y.user_id) <= (x.conversation_id, a.peer)
                WHERE x.user_id = a.actor)) THEN 9
--[all
        WHEN a.n_files <> (SELECT count(*) FROM taken t WHERE t.ord = a.ord) THEN 3
        WHEN a.reply IS NOT NULL AND NOT EXISTS (
            SELECT FROM messages r JOIN members s ON s.conversation_id = r.conversation_id AND s.user_id = a.actor
                JOIN mailboxes b ON b.owner_id = a.actor
                JOIN mailbox_entries e ON (e.message_id, e.mailbox_id) >= (a.reply, b.id)
                    AND (e.message_id, e.mailbox_id) <= (a.reply, b.id)
            WHERE r.id = a.reply AND r.conversation_id = a.known AND s.since < r.id
                AND e.kind <= 5 AND e.kind + 0 <= 2 AND e.hidden_at IS NULL) THEN 8
        WHEN a.mentions IS NOT NULL AND EXISTS (
            SELECT FROM json_array_elements_text(a.mentions::json) AS n (id) WHERE NOT CASE
                WHEN a.peer IS NULL THEN EXISTS (SELECT FROM members s WHERE s.conversation_id = a.known AND s.user_id = n.id::int8)
                ELSE n.id::int8 IN (a.actor, a.peer) END) THEN 7
--]
        ELSE 0 END AS problem
    FROM aimed a LEFT JOIN users u ON u.id = a.peer
    WHERE NOT EXISTS (SELECT FROM prior p WHERE p.ord = a.ord)
), fresh AS (
    -- A message that opens its conversation draws an id for it; of several, the first one's counts.
    SELECT c.*, least(c.actor, c.peer) AS low, greatest(c.actor, c.peer) AS high,
           CASE WHEN c.known IS NULL THEN nextval('conversations_id_seq') END AS drawn
    FROM checked c WHERE c.problem = 0
), sent AS MATERIALIZED (
    -- Ids are drawn here, after the locks and in the order of the batch, so that they ascend in a conversation.
    SELECT nextval('messages_id_seq') AS id, s.* FROM (
        SELECT f.*, coalesce(f.known, first_value(f.drawn) OVER (PARTITION BY f.low, f.high ORDER BY f.ord)) AS conversation
        FROM fresh f ORDER BY f.ord
    ) s
), opened AS (
    INSERT INTO conversations (id, kind, user_low, user_high, created_at)
    SELECT conversation, 1, low, high, min(at) FROM sent WHERE known IS NULL GROUP BY conversation, low, high
), joined AS (
    INSERT INTO members (conversation_id, user_id)
    SELECT conversation, low FROM sent WHERE known IS NULL UNION SELECT conversation, high FROM sent WHERE known IS NULL
), written AS (
    INSERT INTO messages
        (id, conversation_id, sender_id, subject, content, client_message_id, request_hash, created_at
--[all
        , attachments, reply_to_id, mention_ids
--]
        )
    SELECT id, conversation, actor, subject, content, client, hash, at
--[all
        , files, reply, mentions
--]
    FROM sent
--[all
), attached AS (
    UPDATE attachments a SET message_id = s.id FROM taken t JOIN sent s ON s.ord = t.ord WHERE a.id = t.id
--]
--]
--[reads
), marked AS (
    UPDATE mailbox_entries e SET read_at = i.at, is_silent = CASE WHEN NOT u.send_receipts THEN 1 END
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor JOIN users u ON u.id = i.actor CROSS JOIN LATERAL (
        SELECT r.mailbox_id, r.seq FROM mailbox_entries r WHERE (r.message_id, r.mailbox_id) >= (i.message, b.id)
            AND (r.message_id, r.mailbox_id) <= (i.message, b.id) AND r.kind <= 5 AND r.kind + 0 = 1 LIMIT 1
    ) r
    WHERE
--[all
        i.op = 1 AND
--]
        e.mailbox_id = r.mailbox_id AND e.seq = r.seq AND e.read_at IS NULL AND e.hidden_at IS NULL
    RETURNING i.ord, i.actor, i.at, e.conversation_id AS conversation, e.message_id AS message, e.actor_id AS sender,
              e.is_silent
), told AS MATERIALIZED (
    -- What its sender learns of: not one who has left the group since.
    SELECT m.*, c.kind = 2 AS of_group FROM marked m JOIN conversations c ON c.id = m.conversation
    WHERE m.is_silent IS NULL AND (c.kind = 1 OR EXISTS (
        SELECT FROM members s WHERE s.conversation_id = m.conversation AND s.user_id = m.sender AND s.since < m.message))
), tallied AS (
    UPDATE messages m SET read_count = m.read_count + t.readers
    FROM (SELECT message, count(*) AS readers, array_agg(ord) AS ords, array_agg(actor) AS actors, array_agg(at) AS ats
          FROM told WHERE of_group GROUP BY message) t
    WHERE m.id = t.message
    RETURNING m.id, m.conversation_id, m.sender_id, m.read_count, t.ords, t.actors, t.ats
--]
), change AS (
    -- The actor's own entry of a command comes first. kind: 1 received, 2 sent, 3 read, 4 receipt.
    -- Of several messages that are read at once there is one entry, and one receipt a sender, two if some are of groups.
--[sends
    SELECT ord, 0 AS part, actor AS owner, 2 AS kind, conversation, id AS message, NULL AS messages, actor,
           CASE WHEN actor = peer THEN at END AS read_at, at, 0 AS unread, peer, NULL AS detail FROM sent
    UNION ALL
    SELECT ord, 1, peer, 1, conversation, id, NULL, actor,
           CASE WHEN actor = peer THEN at END, at, CASE WHEN actor = peer THEN 0 ELSE 1 END, peer, NULL FROM sent
    WHERE peer IS NOT NULL
--[all
    UNION ALL
    SELECT s.ord, 1, g.user_id, 1, s.conversation, s.id, NULL, s.actor, NULL, s.at, 1, NULL, NULL
    FROM sent s JOIN members g ON g.conversation_id = s.conversation AND g.user_id <> s.actor
    WHERE s.peer IS NULL
--]
--]
--[all
    UNION ALL
--]
--[reads
    SELECT ord, 0 AS part, actor AS owner, 3 AS kind, (array_agg(conversation ORDER BY message DESC))[1] AS conversation,
           max(message) AS message,
           CASE WHEN count(*) > 1 THEN json_agg(message ORDER BY message)::text END AS messages, actor,
           min(at) AS read_at, min(at) AS at, -count(*)::int AS unread, NULL::int8 AS peer, NULL AS detail FROM marked GROUP BY ord, actor
    UNION ALL
    SELECT ord, 1, sender, 4, min(conversation),
           max(message), CASE WHEN count(*) > 1 THEN json_agg(message ORDER BY message)::text END, actor,
           min(at), min(at), 0, NULL, NULL FROM told WHERE NOT of_group GROUP BY ord, actor, sender
    UNION ALL
    SELECT r.ord, 2, t.sender_id, 4, min(t.conversation_id),
           max(t.id), CASE WHEN count(*) > 1 THEN json_agg(t.id ORDER BY t.id)::text END, r.actor,
           min(r.at), min(r.at), 0, NULL, json_agg(t.read_count ORDER BY t.id)::text
    FROM tallied t, unnest(t.ords, t.actors, t.ats) AS r (ord, actor, at) GROUP BY r.ord, r.actor, t.sender_id
--]
), numbered AS MATERIALIZED (
    SELECT c.ord, c.part, c.kind, c.conversation, c.message, c.messages, c.actor, c.read_at, c.at, c.peer, c.detail, c.unread AS change,
           b.id AS mailbox, b.last_seq + row_number() OVER log AS seq, b.unread + sum(c.unread) OVER log AS unread
    FROM change c JOIN mailboxes b ON b.owner_id = c.owner
    WINDOW log AS (PARTITION BY b.id ORDER BY c.ord, c.part)
), entered AS (
    INSERT INTO mailbox_entries
        (mailbox_id, seq, kind, conversation_id, message_id, message_ids, actor_id, read_at, created_at, detail)
    SELECT mailbox, seq, kind, conversation, message, messages, actor, read_at, at, detail FROM numbered
), counted AS (
    UPDATE mailboxes b SET last_seq = b.last_seq + n.entries, unread = b.unread + n.change
    FROM (SELECT mailbox, count(*) AS entries, sum(change) AS change FROM numbered GROUP BY mailbox) n
    WHERE b.id = n.mailbox
    RETURNING b.id, b.unread
), answer AS (
    -- outcome: 0 done now, 1 done before, 2 done before with another content, 3 a file is not there, 7 nor one who is
    -- mentioned, 8 nor what is answered, 9 nor the recipient for this sender.
    SELECT ord, part, 0 AS outcome, mailbox, seq, unread::int8, kind, conversation, message, messages, actor, read_at, at,
           peer, detail
    FROM numbered
--[sends
    UNION ALL
    SELECT ord, 0, problem, 0, 0, 0, 2, 0, 0, NULL, actor, NULL, at, NULL, NULL FROM checked WHERE problem > 0
    UNION ALL
    SELECT p.ord, 0, CASE WHEN p.same THEN 1 ELSE 2 END, b.id, e.seq, b.unread, e.kind, p.conversation_id, p.id,
           NULL, p.actor, e.read_at, p.created_at, p.peer, NULL
    FROM prior p JOIN mailboxes b ON b.owner_id = p.actor
        CROSS JOIN LATERAL (
            SELECT e.seq, e.kind, e.read_at FROM mailbox_entries e WHERE (e.message_id, e.mailbox_id) >= (p.id, b.id)
                AND (e.message_id, e.mailbox_id) <= (p.id, b.id) AND e.kind <= 5 AND e.kind + 0 = 2 LIMIT 1
        ) e
--]
--[reads
    UNION ALL
    -- The entry that says that it was read; what one wrote to oneself has only the received one. Of several, those count
    -- that the reader still has.
    SELECT i.ord, 0, 1, b.id, max(e.seq), coalesce((SELECT c.unread FROM counted c WHERE c.id = b.id), b.unread),
           3, max(e.conversation), max(i.message), NULL, i.actor, max(e.read_at), max(e.created_at), NULL, NULL
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor CROSS JOIN LATERAL (
        SELECT max(e.seq) AS seq, max(e.conversation_id) AS conversation, max(e.read_at) AS read_at,
               max(e.created_at) AS created_at, min(e.kind) AS first
        FROM mailbox_entries e WHERE (e.message_id, e.mailbox_id) >= (i.message, b.id)
            AND (e.message_id, e.mailbox_id) <= (i.message, b.id)
            AND e.kind <= 5 AND e.kind + 0 IN (1, 3) AND e.hidden_at IS NULL
    ) e
    WHERE
--[all
        i.op = 1 AND
--]
        e.first = 1 AND i.ord NOT IN (SELECT m.ord FROM marked m)
        AND EXISTS (SELECT FROM members s WHERE (s.conversation_id, s.user_id) >= (e.conversation, i.actor)
                        AND (s.conversation_id, s.user_id) <= (e.conversation, i.actor) AND s.since < i.message OFFSET 0)
    GROUP BY i.ord, b.id, b.unread, i.actor
--]
)
SELECT a.ord, a.outcome::int2, a.mailbox, a.seq, a.unread, a.kind::int2, a.conversation, a.message,
       a.messages, a.actor,
       -- Who sent it, in the one entry of a message that everything else of it is made of.
       coalesce(CASE WHEN a.kind = 2 THEN (
           SELECT CASE WHEN u.full_name = '' THEN u.username ELSE u.full_name END FROM users u WHERE u.id = a.actor
       ) END, ''), a.read_at, a.at, a.peer, a.detail
FROM answer a
ORDER BY a.ord, a.part
