//! The page, as the binary carries it, and smaller for those who take it compressed.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG,
    Encoding, EntityTag, Header, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use switchboard_web::{ASSETS, Asset};

use crate::auth::secret_hash;

/// Made once a process, whatever the number of its workers.
static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| ASSETS.iter().map(Served::new).collect());

/// A file of the page in the forms that it is served in, each with its tag.
struct Served {
    media_type: &'static str,
    plain: (Bytes, String),
    /// None where it would be no smaller.
    gzip: Option<(Bytes, String)>,
}

impl Served {
    fn new(asset: &Asset) -> Self {
        let hash = secret_hash(&String::from_utf8_lossy(asset.body));
        let tag = |tag: String| EntityTag::new_strong(tag).to_string();
        let gzip = compressed(asset.body).filter(|bytes| bytes.len() < asset.body.len());
        Self {
            media_type: asset.media_type,
            gzip: gzip.map(|bytes| (bytes.into(), tag(format!("{hash}-gzip")))),
            plain: (Bytes::from_static(asset.body), tag(hash)),
        }
    }
}

/// The same bytes in the same build, so that every node has the same under one tag. None if there is no memory for it.
fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// A route for each file.
pub(super) fn routes(service: &mut web::ServiceConfig) {
    for (asset, served) in ASSETS.iter().zip(SERVED.iter()) {
        let handler = move |request: HttpRequest| std::future::ready(respond(&request, served));
        service.service(super::get(asset.path, web::get().to(handler)));
    }
}

/// A browser asks each time, and gets the bytes only if they are others: after an upgrade nobody has half of the old
/// page.
fn respond(request: &HttpRequest, served: &Served) -> HttpResponse {
    let gzip = served.gzip.as_ref().filter(|_| takes_gzip(request));
    let (body, tag) = gzip.unwrap_or(&served.plain);
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|other| other.trim() == tag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag.as_str()))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, switchboard_web::CONTENT_SECURITY_POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"));
    if served.gzip.is_some() {
        response.insert_header((VARY, ACCEPT_ENCODING.as_str()));
    }
    if is_known {
        return response.finish();
    }
    if gzip.is_some() {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    response.content_type(served.media_type).body(body.clone())
}

/// Whether the client would rather have it compressed.
fn takes_gzip(request: &HttpRequest) -> bool {
    let forms = [Encoding::gzip(), Encoding::identity()];
    let wanted = AcceptEncoding::parse(request).ok().and_then(|wanted| wanted.negotiate(forms.iter()));
    wanted == Some(Encoding::gzip())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;
    use flate2::read::GzDecoder;

    use super::*;

    const TEXT: &[u8] = &[b'x'; 500];
    const LONG: Asset = Asset { path: "/", media_type: "text/html; charset=utf-8", body: TEXT };
    const SHORT: Asset = Asset { body: b"x", ..LONG };

    fn ask(asset: &Asset, headers: &[(&'static str, &str)]) -> HttpResponse {
        let request =
            headers.iter().fold(TestRequest::get(), |request, header| request.insert_header(*header));
        respond(&request.to_http_request(), &Served::new(asset))
    }

    fn header<'a>(answer: &'a HttpResponse, name: &str) -> Option<&'a str> {
        answer.headers().get(name).and_then(|value| value.to_str().ok())
    }

    #[actix_web::test]
    async fn who_takes_gzip_gets_it() {
        for (accept, is_gzip) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", true),
            ("identity, gzip;q=0.5", false),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let answer = ask(&LONG, &[("accept-encoding", accept)]);
            assert_eq!(header(&answer, "content-encoding"), is_gzip.then_some("gzip"), "{accept}");
            assert_eq!(header(&answer, "vary"), Some("accept-encoding"), "{accept}");
            assert_eq!(header(&answer, "content-type"), Some(LONG.media_type), "{accept}");
            let body = to_bytes(answer.into_body()).await.unwrap();
            let mut text = Vec::new();
            match is_gzip {
                true => _ = GzDecoder::new(&body[..]).read_to_end(&mut text).unwrap(),
                false => text.extend_from_slice(&body),
            }
            assert_eq!(text, TEXT, "{accept}");
        }
        let answer = ask(&SHORT, &[("accept-encoding", "gzip")]);
        assert_eq!((header(&answer, "content-encoding"), header(&answer, "vary")), (None, None));
    }

    #[actix_web::test]
    async fn each_form_has_a_tag_of_its_own() {
        let gzip = ("accept-encoding", "gzip");
        let tags =
            [ask(&LONG, &[]), ask(&LONG, &[gzip])].map(|answer| header(&answer, "etag").unwrap().to_owned());
        assert_ne!(tags[0], tags[1]);
        for (nth, tag) in tags.iter().enumerate() {
            let known = ("if-none-match", tag.as_str());
            assert_eq!(ask(&LONG, &[known]).status(), if nth == 0 { 304 } else { 200 });
            let answer = ask(&LONG, &[known, gzip]);
            assert_eq!(answer.status(), if nth == 1 { 304 } else { 200 });
            assert_eq!(header(&answer, "vary"), Some("accept-encoding"));
        }
    }

    #[test]
    fn the_page_is_smaller_compressed() {
        let n_smaller = SERVED.iter().filter(|served| served.gzip.is_some()).count();
        assert!(n_smaller > SERVED.len() / 2, "{n_smaller} of {}", SERVED.len());
    }
}
