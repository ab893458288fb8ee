DROP TABLE mailbox_entries;
DROP TABLE messages;
DROP TABLE members;
DROP TABLE conversations;
DROP TABLE mailboxes;
DROP TABLE users;
DROP TABLE deployment;
