//! The wire of Switchboard: what travels between a client and a node.
//!
//! - [`ids`]: identifiers as types, [`time`]: points in time as they are written.
//! - [`client_frame`]: what a client may say, parsed and checked field by field.
//! - [`server_frame`]: what a node says, one enum for both directions of (de)serialisation.
//! - [`conversation`]: what both say of groups and of what conversations are to their members.
//! - [`events`], [`history`] and [`api`]: the queries and bodies of the HTTP endpoints, [`problem`]: the error body of
//!   HTTP; [`former`]: the bodies of the former system's endpoints.
//! - [`codes`]: the error codes and the close codes, one table each.
//! - [`limits`]: the sizes that both sides may rely on.
//!
//! No async and no input or output in here. The README beside this crate is the wire reference; a test
//! parses each of its examples.
//!
//! To add a client frame: a variant of [`ClientFrame`], its fields in `client_frame::fields`, its row and
//! example in the README. To add a server frame: a variant of [`ServerFrame`], likewise.

pub mod api;
pub mod client_frame;
pub mod codes;
pub mod conversation;
pub mod events;
pub mod former;
pub mod history;
pub mod ids;
pub mod limits;
pub mod problem;
pub mod server_frame;
pub mod time;

pub use client_frame::{ClientFrame, Envelope, FrameError, Presence, RequestId, Role, Target};
pub use codes::{CloseCode, ErrorCode, Reaction};
pub use conversation::{ConversationSettings, GroupChange, Member};
pub use ids::{AttachmentId, ConversationId, MailboxId, MessageId, Seq, UserId};
pub use limits::Limits;
pub use server_frame::{Attachment, ErrorFrame, Incoming, MessageData, ServerFrame, Status, Welcome};
pub use time::Timestamp;
