-- Whether the user {0} is a member of the conversation of the entry `e` since before its message.
(SELECT count(*) FROM members n
 WHERE n.conversation_id = e.conversation_id AND n.user_id = {0} AND n.since < e.message_id) > 0
