//! `GET /api/v1/openapi.json`: what the handlers say of themselves.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

use super::{
    accounts, attachments, conversations, events, groups, live, messages, own, profile, search, users,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Switchboard", description = "Messages over HTTP. What a client and a node say to each other over a WebSocket is in the wire reference."),
    paths(
        accounts::register, accounts::log_in, accounts::log_out, accounts::ticket, accounts::me,
        profile::set, profile::set_password,
        users::page, live::presence, live::typing, own::blocks, own::block, own::unblock, own::settings, own::set_settings,
        conversations::page, conversations::detail, conversations::history, conversations::read, conversations::set,
        groups::create, groups::set_title, groups::add_members, groups::set_role, groups::remove_member,
        messages::send, messages::edit, messages::read, messages::delete, messages::versions,
        messages::react, messages::take_reaction_back, search::mail, search::search,
        attachments::upload, attachments::download,
        events::poll, events::stream,
    ),
    security(("cookie" = []), ("token" = [])),
    modifiers(&Schemes),
)]
struct Document;

/// The ways in, and what each status means.
struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("switchboard")));
        components.add_security_scheme("cookie", cookie);
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        for item in document.paths.paths.values_mut() {
            let operations =
                [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                for (status, response) in &mut operation.responses.responses {
                    if let RefOr::T(response) = response {
                        response.description = meaning(status).to_owned();
                    }
                }
            }
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "201" => "It was made.",
        "204" => "It is done.",
        "206" => "The part that was asked for.",
        "4XX" => "It was refused: `code` says why.",
        _ => "Here it is.",
    }
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(&*DOCUMENT)
}
