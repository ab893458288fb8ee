//! The routes, all on one screen.

mod access;
mod accounts;
mod attachments;
mod body;
pub(crate) mod caller;
mod change;
mod conversations;
mod events;
mod former;
mod groups;
mod health;
mod held;
mod live;
mod messages;
mod openapi;
mod own;
mod page;
mod profile;
mod search;
mod socket;
mod tracked;
mod users;

use std::sync::Arc;

use actix_web::{Route, web};
use switchboard_protocol::{Seq, events::EventsQuery, ids::MAX_ID};
use switchboard_store::{Account, Message};

use crate::problem::{query_config, unknown_path, wrong_method};
use crate::state::Node;
pub(crate) use access::log;
pub(crate) use tracked::track;

/// Every route of a node, where what it counts has no address of its own.
pub(crate) fn all_routes(service: &mut web::ServiceConfig) {
    service.service(get("/metrics", web::get().to(health::metrics))).configure(routes);
}

/// What operators have an address of their own for.
pub(crate) fn operators_routes(service: &mut web::ServiceConfig) {
    service
        .service(get("/live", web::get().to(health::live)))
        .service(get("/ready", web::get().to(health::ready_to_operator)))
        .service(get("/metrics", web::get().to(health::metrics_to_operator)))
        .default_service(web::to(unknown_path));
}

/// Every route for clients.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    service
        .app_data(query_config())
        .service(get("/ws/messages/", web::get().to(socket::connect)))
        .service(post("/api/v1/auth/register", web::post().to(accounts::register)))
        .service(post("/api/v1/auth/login", web::post().to(accounts::log_in)))
        .service(post("/api/v1/auth/logout", web::post().to(accounts::log_out)))
        .service(post("/api/v1/auth/ticket", web::post().to(accounts::ticket)))
        .service(
            resource("/api/v1/me", web::get().to(accounts::me), "GET, PATCH")
                .route(web::patch().to(profile::set)),
        )
        .service(resource("/api/v1/me/password", web::put().to(profile::set_password), "PUT"))
        .service(get("/api/v1/users", web::get().to(users::page)))
        .service(get("/api/v1/blocks", web::get().to(own::blocks)))
        .service(
            resource("/api/v1/blocks/{user_id}", web::put().to(own::block), "PUT, DELETE")
                .route(web::delete().to(own::unblock)),
        )
        .service(
            resource("/api/v1/settings", web::get().to(own::settings), "GET, PUT")
                .route(web::put().to(own::set_settings)),
        )
        .service(get("/api/v1/presence", web::get().to(live::presence)))
        .service(post("/api/v1/typing", web::post().to(live::typing)))
        .configure(talk_routes)
        .service(post("/api/v1/attachments", web::post().to(attachments::upload)))
        .service(
            resource("/api/v1/attachments/{id}", web::get().to(attachments::download), "GET, HEAD")
                .route(web::head().to(attachments::download)),
        )
        .service(get("/api/v1/events", web::get().to(events::poll)))
        .service(get("/api/v1/events/stream", web::get().to(events::stream)))
        .service(get("/api/v1/openapi.json", web::get().to(openapi::document)))
        .service(get("/live", web::get().to(health::live)))
        .service(get("/ready", web::get().to(health::ready)))
        .configure(former::routes)
        .configure(page::routes)
        .default_service(web::to(unknown_path));
}

/// Messages and their conversations.
fn talk_routes(service: &mut web::ServiceConfig) {
    service
        .service(
            resource("/api/v1/conversations", web::get().to(conversations::page), "GET, POST")
                .route(web::post().to(groups::create)),
        )
        .service(
            resource("/api/v1/conversations/{id}", web::get().to(conversations::detail), "GET, PATCH")
                .route(web::patch().to(groups::set_title)),
        )
        .service(get("/api/v1/conversations/{id}/messages", web::get().to(conversations::history)))
        .service(post("/api/v1/conversations/{id}/read", web::post().to(conversations::read)))
        .service(resource("/api/v1/conversations/{id}/settings", web::put().to(conversations::set), "PUT"))
        .service(post("/api/v1/conversations/{id}/members", web::post().to(groups::add_members)))
        .service(
            resource(
                "/api/v1/conversations/{id}/members/{user_id}",
                web::put().to(groups::set_role),
                "PUT, DELETE",
            )
            .route(web::delete().to(groups::remove_member)),
        )
        .service(
            resource("/api/v1/messages", web::get().to(search::mail), "GET, POST")
                .route(web::post().to(messages::send)),
        )
        .service(
            resource("/api/v1/messages/{id}", web::patch().to(messages::edit), "PATCH, DELETE")
                .route(web::delete().to(messages::delete)),
        )
        .service(post("/api/v1/messages/{id}/read", web::post().to(messages::read)))
        .service(get("/api/v1/messages/{id}/versions", web::get().to(messages::versions)))
        .service(
            resource(
                "/api/v1/messages/{id}/reactions/{reaction}",
                web::put().to(messages::react),
                "PUT, DELETE",
            )
            .route(web::delete().to(messages::take_reaction_back)),
        )
        .service(get("/api/v1/search", web::get().to(search::search)));
}

fn get(path: &str, handler: Route) -> actix_web::Resource {
    resource(path, handler, "GET")
}

fn post(path: &str, handler: Route) -> actix_web::Resource {
    resource(path, handler, "POST")
}

fn resource(path: &str, handler: Route, allowed: &'static str) -> actix_web::Resource {
    web::resource(path).route(handler).default_service(wrong_method(allowed))
}

/// Where a feed begins. A cursor of another epoch is one that the mailbox cannot know.
fn cursor(query: &EventsQuery, account: &Account) -> Option<Seq> {
    let foreign = query.epoch.as_ref().is_some_and(|epoch| *epoch != account.epoch);
    query.cursor.map(|cursor| if foreign || cursor.0 < 0 { Seq(MAX_ID) } else { cursor })
}

/// A number of things in a page, within what may be asked for.
fn page_size(asked: Option<i64>) -> i64 {
    asked.unwrap_or(50).clamp(1, 200)
}

/// Bytes of text in a page, as JSON has them, unless a single message is larger: the next page has the rest.
const PAGE_BYTES: usize = 1024 * 1024;

/// Bytes of a reaction in a page, but for its text.
const REACTION_FRAME: usize = 40;

/// Takes up to `limit` of what was found, until the page is full. Gives what fits, and whether there was more.
fn fill<T>(items: Vec<T>, limit: i64, bytes_of: impl Fn(&T) -> usize) -> (Vec<T>, bool) {
    let (n_found, limit) = (items.len(), usize::try_from(limit).unwrap_or(usize::MAX));
    let mut bytes = 0;
    let fits = |item: &T| {
        let size = bytes_of(item);
        bytes += size;
        bytes <= PAGE_BYTES || bytes == size
    };
    let items: Vec<T> = items.into_iter().take(limit).take_while(fits).collect();
    let has_more = items.len() < n_found;
    (items, has_more)
}

/// What a message counts in a page: there may be more of reactions to it than of text.
fn bytes_of_message(message: &Message) -> usize {
    let reactions = message.reactions.iter().map(|set| REACTION_FRAME + bytes_of_text(&set.reaction));
    bytes_of_text(&message.content) + reactions.sum::<usize>()
}

/// What a text counts: what is escaped as what it becomes.
fn bytes_of_text(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    });
    escaped.sum()
}

/// The node, as actix hands it to a handler.
pub(crate) type NodeData = web::Data<Arc<Node>>;

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use switchboard_protocol::server_frame::ReactionCount;
    use switchboard_protocol::{ConversationId, MessageId, Timestamp, UserId};

    use super::*;

    #[test]
    fn a_page_is_as_full_of_reactions_as_of_text() {
        let set = |nth: usize| ReactionCount { reaction: format!("{nth:060}"), count: 1, is_own: false };
        let message = Message {
            id: MessageId(1),
            conversation: ConversationId(1),
            sender: UserId(1),
            sender_name: String::new(),
            recipient: None,
            subject: String::new(),
            content: "\"x\n".to_owned(),
            created_at: Timestamp(0),
            is_read: false,
            client_message_id: None,
            attachments: Vec::new(),
            reply_to: None,
            mentions: Vec::new(),
            edited_at: None,
            read_count: None,
            reactions: (0..2_000).map(set).collect(),
        };
        assert_eq!(bytes_of_message(&message), 9 + 2_000 * 100);
        let (page, has_more) = fill(repeat_n(message, 50).collect(), 50, bytes_of_message);
        assert_eq!((page.len(), has_more), (5, true));
    }
}
