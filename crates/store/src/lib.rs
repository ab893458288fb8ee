//! What must survive: users, mailboxes, messages.
//!
//! - [`Store`] reads. Queries are written once, in `queries`, and run on either back end.
//! - [`Committer`] writes: it takes a batch of [`Command`]s and commits them as one transaction, which makes the
//!   mailboxes' entries. One task a node holds it.
//! - What is no message is changed by the [`Store`] itself: `accounts`, `credentials`, `attachments`. What nodes have to
//!   learn of it at once is an entry of the system mailbox: `revocations`.
//! - `postgres` and `sqlite` hold what differs: connections, and the hot statement.
//! - `migrations` brings the schema up to date, and tells how far it is; [`health`] tells what the store stands on.
//! - [`audit`] counts what must never be found; [`explain`] tells what reading costs.
//!
//! The rest of the system sees the types of [`model`]; rows and diesel stay in here.
//!
//! To add a kind of entry: its number in `schema::kind`, a variant of [`Event`] and of [`Command`], its part in
//! `postgres/commit.sql` and in `sqlite/commit.rs`, its reading in `queries::entry`. Nodes of the version before cannot
//! read it: a release that reads a kind comes before the one that writes it.

mod accounts;
mod answer;
mod attachments;
pub mod audit;
mod committer;
mod conversations;
mod credentials;
mod error;
pub mod explain;
pub mod health;
mod lists;
mod migrations;
pub mod model;
mod postgres;
mod queries;
mod restored;
mod revocations;
mod sabotage;
mod schema;
mod sqlite;
mod store;
mod users;

pub use accounts::NewAccount;
pub use attachments::StoredFile;
pub use committer::Committer;
pub use conversations::{Audience, Found, Membership, Party, Talk, Version};
pub use credentials::{ApiKey, ApiKeyId, LiveSession, NewTicket, Redeemed, SessionId};
pub use error::StoreError;
pub use health::{Health, PoolState};
pub use lists::{Listed, Lists, Person};
pub use migrations::Schema;
pub use model::{
    Account, BlockChange, Command, Edit, Entry, Event, FileLabel, GroupAct, Head, Import, Message, Outcome,
    OwnAct, ReactionChange, ReceiptsChange, Refusal, Send as SendCommand,
};
pub use revocations::{Revocation, Revocations};
pub use store::Store;
