//! `GET /api/v1/openapi.json`: what the handlers say of themselves.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

use super::{accounts, attachments, conversations, events, messages, users};

#[derive(OpenApi)]
#[openapi(
    info(title = "Switchboard", description = "Messages over HTTP. What a client and a node say to each other over a WebSocket is in the wire reference."),
    paths(
        accounts::register, accounts::log_in, accounts::log_out, accounts::ticket, accounts::me,
        users::page, conversations::page, conversations::history,
        messages::send, messages::read, messages::delete,
        attachments::upload, attachments::download,
        events::poll, events::stream,
    ),
    security(("cookie" = []), ("token" = [])),
    modifiers(&Schemes),
)]
struct Document;

/// The ways in.
struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("switchboard")));
        components.add_security_scheme("cookie", cookie);
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok().json(&*DOCUMENT)
}
