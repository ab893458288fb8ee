//! The page, as the binary carries it.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, EntityTag, IF_NONE_MATCH, REFERRER_POLICY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use switchboard_web::{ASSETS, Asset};

use crate::auth::secret_hash;

/// A route for each file.
pub(super) fn routes(service: &mut web::ServiceConfig) {
    for asset in ASSETS {
        let tag = EntityTag::new_strong(secret_hash(&String::from_utf8_lossy(asset.body))).to_string();
        let handler = move |request: HttpRequest| std::future::ready(respond(&request, asset, &tag));
        service.service(super::get(asset.path, web::get().to(handler)));
    }
}

/// A browser asks each time, and gets the bytes only if they are others: after an upgrade nobody has half of the old
/// page.
fn respond(request: &HttpRequest, asset: &Asset, tag: &str) -> HttpResponse {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|other| other.trim() == tag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, switchboard_web::CONTENT_SECURITY_POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"));
    if is_known { response.finish() } else { response.content_type(asset.media_type).body(asset.body) }
}
