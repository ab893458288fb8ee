-- Commits a batch of what is done to messages, none of them twice: deletions (kind 5), edits (6) and reactions (7), under the
-- locks of the statements before it in the same transaction. A sender's deletion takes the message from all, another's from
-- themselves. For the snapshot, the joins and `+ 0` see `commit.sql`, and for the comparisons of rows: a message's many entries
-- are not walked for the few of one mailbox. `OFFSET 0` keeps an `EXISTS` from being made a join.
WITH input AS MATERIALIZED (
    SELECT i.*, (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS now
    FROM unnest({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11})
        AS i (ord, kind, actor, message, subject, content, within, keep, reaction, is_set, strict)
), held AS MATERIALIZED (
    -- That the actor has the message is said by a membership since before it, and by an entry that is not hidden.
    SELECT i.*, b.id AS mailbox, m.conversation_id AS conversation, m.sender_id = i.actor AS of_sender,
           c.user_low + c.user_high - i.actor AS peer, m.created_at, m.edited_at, m.attachments IS NULL AS is_bare,
           m.subject AS subject_before, m.content AS content_before, r.created_at IS NOT NULL AS was_set
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor JOIN messages m ON m.id = i.message
        JOIN conversations c ON c.id = m.conversation_id
        JOIN members s ON (s.conversation_id, s.user_id) >= (m.conversation_id, i.actor)
            AND (s.conversation_id, s.user_id) <= (m.conversation_id, i.actor) AND s.since < m.id
        LEFT JOIN reactions r ON r.message_id = i.message AND r.user_id = i.actor AND r.reaction = i.reaction
    WHERE EXISTS (SELECT FROM mailbox_entries e WHERE (e.message_id, e.mailbox_id) >= (i.message, b.id)
                      AND (e.message_id, e.mailbox_id) <= (i.message, b.id)
                      AND e.kind <= 5 AND e.kind + 0 <= 2 AND e.hidden_at IS NULL OFFSET 0)
        AND (i.kind <> 6 OR m.sender_id = i.actor)
), judged AS MATERIALIZED (
    -- outcome: 0 done now, 1 done before, 4 too late, 5 nothing left to say, 6 too many reactions, 9 the other takes nothing
    -- from the actor. What was done before is so whatever holds by now: an answer may have been lost. Creator 0: the operator
    -- made the group.
    SELECT h.*, CASE
        WHEN h.kind = 6 AND h.content = h.content_before AND coalesce(h.subject = h.subject_before, true) THEN 1
        WHEN h.kind = 7 AND h.is_set = h.was_set THEN 1
        WHEN h.kind > 5 AND h.peer <> h.actor AND (
            EXISTS (SELECT FROM users u WHERE u.id = h.peer AND u.disabled_at IS NOT NULL)
            OR EXISTS (SELECT FROM blocks k WHERE k.blocker_id = h.peer AND k.blocked_id = h.actor)
            OR h.strict AND NOT EXISTS (
                SELECT FROM members x JOIN conversations g ON g.id = x.conversation_id AND g.creator_id + 0 = 0
                    JOIN members y ON (y.conversation_id, y.user_id) >= (x.conversation_id, h.peer)
                        AND (y.conversation_id, y.user_id) <= (x.conversation_id, h.peer)
                WHERE x.user_id = h.actor)) THEN 9
        WHEN h.kind = 6 AND h.now - h.created_at > h.within THEN 4
        WHEN h.kind = 6 AND h.content = '' AND h.is_bare THEN 5
        WHEN h.kind = 7 AND h.is_set
            AND (SELECT count(*) FROM reactions r WHERE r.message_id = h.message AND r.user_id = h.actor) >= {12} THEN 6
        ELSE 0 END AS outcome
    FROM held h
), told AS MATERIALIZED (
    -- at: of a text, later than when it was last changed, whatever the clock says. detail: what the answer says besides.
    SELECT j.*, CASE
            WHEN j.outcome = 1 AND j.kind = 6 THEN coalesce(j.edited_at, j.created_at)
            WHEN j.kind = 6 THEN greatest(j.now, j.edited_at + 1)
            ELSE j.now END AS at,
        CASE j.kind
            WHEN 6 THEN json_build_object('subject', coalesce(j.subject, j.subject_before), 'content', j.content)::text
            WHEN 7 THEN json_build_object('reaction', j.reaction, 'is_set', j.is_set, 'count',
                (SELECT count(*) FROM reactions r WHERE r.message_id = j.message AND r.reaction = j.reaction)
                + j.is_set::int - j.was_set::int)::text
            END AS detail
    FROM judged j WHERE j.outcome <= 1
), target AS MATERIALIZED (
    SELECT * FROM told WHERE outcome = 0
), erased AS (
    UPDATE messages m SET subject = '', content = '', attachments = NULL, deleted_at = t.at
    FROM target t WHERE m.id = t.message AND t.kind = 5 AND t.of_sender
), detached AS (
    UPDATE attachments a SET removed_at = t.at
    FROM target t WHERE a.message_id = t.message AND t.kind = 5 AND t.of_sender AND a.removed_at IS NULL
), forgotten AS (
    DELETE FROM message_versions v USING target t WHERE v.message_id = t.message AND t.kind = 5 AND t.of_sender
), dropped AS (
    DELETE FROM reactions r USING target t WHERE r.message_id = t.message AND t.kind = 5 AND t.of_sender
), hidden AS (
    -- Those of former members too. An entry of several messages stays: what it says of the others holds. Edits and
    -- reactions stay too, as many as they may be: they say nothing where the message is hidden.
    UPDATE mailbox_entries e SET hidden_at = t.at FROM target t
    WHERE t.kind = 5 AND e.message_id = t.message AND (t.of_sender OR e.mailbox_id + 0 = t.mailbox)
        AND e.kind <= 5 AND e.kind + 0 IN (1, 2, 3, 4) AND e.hidden_at IS NULL AND e.message_ids IS NULL
), reworded AS (
    UPDATE messages m SET subject = coalesce(t.subject, t.subject_before), content = t.content, edited_at = t.at
    FROM target t WHERE m.id = t.message AND t.kind = 6
), kept AS (
    INSERT INTO message_versions (message_id, edited_at, subject, content)
    SELECT message, at, subject_before, content_before FROM target WHERE kind = 6 AND keep
), outdated AS (
    -- So that with this one there are as many as are kept.
    DELETE FROM message_versions v USING (
        SELECT t.message, (SELECT w.edited_at FROM message_versions w WHERE w.message_id = t.message
                           ORDER BY w.edited_at DESC LIMIT 1 OFFSET {13}) AS last
        FROM target t WHERE t.kind = 6 AND t.keep OFFSET 0
    ) t WHERE v.message_id = t.message AND v.edited_at <= t.last
), reacted AS (
    INSERT INTO reactions (message_id, user_id, reaction, created_at)
    SELECT message, actor, reaction, at FROM target WHERE kind = 7 AND is_set
), unreacted AS (
    DELETE FROM reactions r USING target t
    WHERE r.message_id = t.message AND r.user_id = t.actor AND r.reaction = t.reaction AND t.kind = 7 AND NOT t.is_set
), audience AS (
    -- The actor first, then the other members who have the message. What others than the sender delete concerns them alone.
    SELECT ord, 0 AS part, mailbox, kind, conversation, message, actor, at, detail FROM target
    UNION ALL
    SELECT t.ord, 1, b.id, t.kind, t.conversation, t.message, t.actor, t.at, t.detail
    FROM target t JOIN members g ON g.conversation_id = t.conversation AND g.user_id <> t.actor AND g.since < t.message
        JOIN mailboxes b ON b.owner_id = g.user_id
    WHERE (t.kind > 5 OR t.of_sender)
        AND EXISTS (SELECT FROM mailbox_entries e WHERE (e.message_id, e.mailbox_id) >= (t.message, b.id)
                        AND (e.message_id, e.mailbox_id) <= (t.message, b.id)
                        AND e.kind <= 5 AND e.kind + 0 <= 2 AND e.hidden_at IS NULL OFFSET 0)
), change AS (
    -- Unread changes in these mailboxes only, which are locked: nothing of a group is unread to who has left it.
    SELECT a.*, CASE WHEN a.kind = 5 THEN (
            SELECT -count(*) FROM mailbox_entries e WHERE (e.message_id, e.mailbox_id) >= (a.message, a.mailbox)
                AND (e.message_id, e.mailbox_id) <= (a.message, a.mailbox) AND e.kind <= 5 AND e.kind + 0 = 1
                AND e.read_at IS NULL AND e.hidden_at IS NULL) ELSE 0 END AS unread
    FROM audience a
), numbered AS MATERIALIZED (
    SELECT c.*, b.last_seq + row_number() OVER log AS seq, b.unread + sum(c.unread) OVER log AS left_unread
    FROM change c JOIN mailboxes b ON b.id = c.mailbox
    WINDOW log AS (PARTITION BY b.id ORDER BY c.ord)
), entered AS (
    -- A text is not kept here: the message has it.
    INSERT INTO mailbox_entries (mailbox_id, seq, kind, conversation_id, message_id, actor_id, created_at, detail)
    SELECT mailbox, seq, kind, conversation, message, actor, at, CASE WHEN kind = 7 THEN detail END FROM numbered
), counted AS (
    UPDATE mailboxes b SET last_seq = b.last_seq + n.entries, unread = b.unread + n.unread
    FROM (SELECT mailbox, count(*) AS entries, sum(unread) AS unread FROM numbered GROUP BY mailbox) n
    WHERE b.id = n.mailbox
    RETURNING b.id, b.last_seq, b.unread
), answer AS (
    SELECT ord, part, 0 AS outcome, mailbox, seq, left_unread::int8 AS unread, kind, conversation, message, actor, at, detail
    FROM numbered
    UNION ALL
    SELECT ord, 0, outcome, mailbox, 0, 0, kind, conversation, message, actor, now, NULL FROM judged WHERE outcome > 1
    UNION ALL
    -- What changes nothing has no entry of its own: the mailbox's last stands for it.
    SELECT t.ord, 0, 1, b.id, coalesce((SELECT c.last_seq FROM counted c WHERE c.id = b.id), b.last_seq),
           coalesce((SELECT c.unread FROM counted c WHERE c.id = b.id), b.unread), t.kind, t.conversation, t.message, t.actor,
           t.at, t.detail
    FROM told t JOIN mailboxes b ON b.id = t.mailbox WHERE t.outcome = 1
    UNION ALL
    SELECT i.ord, 0, 1, b.id, e.seq, coalesce((SELECT c.unread FROM counted c WHERE c.id = b.id), b.unread), 5,
           e.conversation_id, i.message, i.actor, e.created_at, NULL
    FROM input i JOIN mailboxes b ON b.owner_id = i.actor
        JOIN mailbox_entries e ON (e.message_id, e.mailbox_id) >= (i.message, b.id)
            AND (e.message_id, e.mailbox_id) <= (i.message, b.id) AND e.kind <= 5 AND e.kind + 0 = 5
    WHERE i.kind = 5 AND i.ord NOT IN (SELECT t.ord FROM target t)
)
SELECT a.ord, a.outcome::int2, a.mailbox, a.seq, a.unread, a.kind::int2, a.conversation, a.message, NULL::text, a.actor,
       '', NULL::int8, a.at, NULL::int8, a.detail
FROM answer a
ORDER BY a.ord, a.part
