//! A typed asynchronous client of Switchboard: it reconnects, resumes and keeps an outbox.
//!
//! - [`client`]: the handle, and what a request may come to.
//! - [`draft`]: a message before it is sent.
//! - [`config`]: where to connect, as whom, from which position.
//! - [`event`]: what the consumer hears of, and the bounded way to it.
//! - `session`: the task behind the handle; it owns the cursor and outlives connections.
//! - `link`: one connection, from its handshake to its end.
//! - `outbox`: requests without an answer yet; `matching`: by what their answers are known.
//!
//! ```no_run
//! # use switchboard_client::{Client, Config, Event};
//! # use switchboard_protocol::{ServerFrame, UserId};
//! # async fn echo(token: String) -> Result<(), switchboard_client::RequestError> {
//! let (client, mut events) = Client::start(Config::new(["http://127.0.0.1:8000"], token));
//! while let Some(event) = events.recv().await {
//!     if let Event::Entry { frame: ServerFrame::NewMessage { data, .. }, .. } = event {
//!         client.send(data.sender_id, "", &data.content, None).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it promises: entries arrive in order, each once, none missing, across reconnects and nodes. A request
//! stays until the node answered it. Messages are written in the order of [`Client::post`]; only one that the
//! node refused for the moment (`rate_limited`, `store_unavailable`, `draining`) may be stored after its
//! successors, since those may have been on their way.

pub mod client;
pub mod config;
pub mod draft;
pub mod event;
mod link;
mod matching;
mod outbox;
mod session;

pub use client::{Acknowledged, Answer, Client, RequestError};
pub use config::{Backoff, Config};
pub use draft::Draft;
pub use event::Event;
