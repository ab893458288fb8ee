//! The server of Switchboard: stateless nodes around a store and a channel layer.
//!
//! The way of a message: [`http`] upgrades a request to a [`session`]; the session hands a command to the
//! [`writer`], which commits it with others and gives the entries, as [`packet`]s, to the [`hub`] and to the
//! channel layer; the hub of each node puts what it hears in order and into the queues of its sessions, whose
//! [`feed`]s come from a page of the store to the live end without a seam.
//!
//! - [`ephemeral`] is what is told beside the mailboxes, and kept nowhere; [`presence`] is who is there.
//! - `commands` is what a user asks for, whichever way it came; [`revocations`] says whose credentials have ended;
//!   [`attachments`] holds the bytes of files.
//! - [`program`] is all of it; [`run`] is the commands of [`cli`]; [`node`] starts and stops a node, whose sessions leave as [`drain`] says;
//!   [`state`] is what its workers share.
//! - [`config`], [`auth`], [`limits`], [`guard`], [`problem`], [`metrics`] and [`logging`] stand on their own.
//!
//! Actix's workers do sockets and nothing else. Whatever talks to the store or the layer runs on the back-end
//! runtime, which exists before the actix system.

mod agent;
pub mod attachments;
pub mod auth;
pub mod cli;
mod collector;
mod commands;
pub mod config;
pub mod drain;
pub mod ephemeral;
pub mod feed;
pub mod guard;
pub mod http;
pub mod hub;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod packet;
pub mod presence;
pub mod problem;
pub mod program;
pub mod revocations;
pub mod run;
mod sabotage;
pub mod session;
pub mod state;
pub mod trace;
pub mod transport;
pub mod writer;
