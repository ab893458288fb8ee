//! The page and the browser client, embedded in the binary: plain HTML, CSS and ES modules from the folders `page` and
//! `client`, as they are.
//!
//! The node serves each of [`ASSETS`] under its path, with [`CONTENT_SECURITY_POLICY`]. Names carry no hash, so the
//! node should have browsers ask again each time (`Cache-Control: no-cache` with an `ETag`): modules of two
//! versions do not go together.
//!
//! To add a module: put it into its folder, name it in [`ASSETS`], import it by its relative name.

/// What the page may do. Scripts, styles and connections come from its own origin alone, nothing stands inline, no
/// text becomes markup (trusted types, of which there are none), and nobody may frame it. `'self'` covers the
/// WebSocket of the same host.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Where it is served.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// Its bytes.
    pub body: &'static [u8],
}

/// Every file of the page.
pub const ASSETS: &[Asset] = &[
    Asset { path: "/", media_type: "text/html; charset=utf-8", body: include_bytes!("../page/index.html") },
    Asset { path: "/favicon.svg", media_type: "image/svg+xml", body: include_bytes!("../page/favicon.svg") },
    Asset {
        path: "/assets/style.css",
        media_type: "text/css; charset=utf-8",
        body: include_bytes!("../page/style.css"),
    },
    module("/assets/app.js", include_bytes!("../page/app.js")),
    module("/assets/session.js", include_bytes!("../page/session.js")),
    module("/assets/mailbox.js", include_bytes!("../page/mailbox.js")),
    module("/assets/outbox.js", include_bytes!("../page/outbox.js")),
    module("/assets/feed.js", include_bytes!("../page/feed.js")),
    module("/assets/api.js", include_bytes!("../page/api.js")),
    module("/assets/composer.js", include_bytes!("../page/composer.js")),
    module("/assets/view.js", include_bytes!("../page/view.js")),
    module("/client/connection.js", include_bytes!("../client/connection.js")),
    module("/client/environment.js", include_bytes!("../client/environment.js")),
    module("/client/events.js", include_bytes!("../client/events.js")),
    module("/client/follower.js", include_bytes!("../client/follower.js")),
    module("/client/http.js", include_bytes!("../client/http.js")),
    module("/client/link.js", include_bytes!("../client/link.js")),
    module("/client/log.js", include_bytes!("../client/log.js")),
    module("/client/outbox.js", include_bytes!("../client/outbox.js")),
    module("/client/session.js", include_bytes!("../client/session.js")),
    module("/client/storage.js", include_bytes!("../client/storage.js")),
    module("/client/switchboard.js", include_bytes!("../client/switchboard.js")),
    module("/client/tabs.js", include_bytes!("../client/tabs.js")),
    module("/client/transports.js", include_bytes!("../client/transports.js")),
];

const fn module(path: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, media_type: "text/javascript; charset=utf-8", body }
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, Asset};

    fn text(asset: &Asset) -> &'static str {
        std::str::from_utf8(asset.body).expect("the page is text")
    }

    fn of_type(media_type: &str) -> Vec<(&'static str, &'static str)> {
        let of_type = ASSETS.iter().filter(|asset| asset.media_type.starts_with(media_type));
        let found: Vec<_> = of_type.map(|asset| (asset.path, text(asset))).collect();
        assert!(!found.is_empty(), "{media_type}");
        found
    }

    /// The tags of a page: what stands between `<` and `>`.
    fn tags(html: &str) -> Vec<&str> {
        html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag).collect()
    }

    /// The values of an attribute within a tag.
    fn values<'a>(tag: &'a str, name: &str) -> Vec<&'a str> {
        let begin = format!(" {name}=\"");
        let rests = tag.split(&begin).skip(1).filter_map(|rest| rest.split_once('"'));
        rests.map(|(value, _)| value).collect()
    }

    fn is_name_of_attribute(rest: &str) -> bool {
        let end = rest.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        end.len() < rest.len() && end.trim_start().starts_with('=')
    }

    #[test]
    fn nothing_stands_inline() {
        for (path, html) in of_type("text/html") {
            let tags = tags(html);
            assert!(tags.len() > 20, "{path}: this test does not find the tags");
            for tag in tags {
                assert!(!tag.starts_with("style"), "{path}: <{tag}>");
                assert!(!tag.starts_with("script") || values(tag, "src").len() == 1, "{path}: <{tag}>");
                let handles = tag.to_lowercase().split(" on").skip(1).any(is_name_of_attribute);
                assert!(!handles && !tag.to_lowercase().contains(" style="), "{path}: <{tag}>");
            }
            assert!(html.matches("<script").count() == html.matches("></script>").count(), "{path}");
        }
    }

    #[test]
    fn no_other_origin_is_named() {
        for asset in ASSETS {
            // The name of a language, which nobody fetches.
            let text = text(asset).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
            for origin in
                ["http:", "https:", "ws:", "wss:", "\"//", "'//", "`//", "(//", "\"data:", "'data:", "(data:"]
            {
                assert!(!text.contains(origin), "{}: {origin}", asset.path);
            }
        }
    }

    #[test]
    fn text_does_not_become_markup_or_code() {
        for (path, script) in of_type("text/javascript") {
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "setHTML",
                "srcdoc",
                "document.write",
                "DOMParser",
                "createContextualFragment",
                "eval(",
                "Function(",
                "setAttribute",
                "localStorage",
                "sessionStorage",
            ] {
                assert!(!script.contains(sink), "{path}: {sink}");
            }
        }
    }

    #[test]
    fn what_is_referred_to_is_there() {
        let is_served = |path: &str| ASSETS.iter().any(|asset| asset.path == path);
        let mut n_found = 0;
        for (path, html) in of_type("text/html") {
            for tag in tags(html) {
                for reference in [values(tag, "src"), values(tag, "href")].concat() {
                    assert!(is_served(reference), "{path}: {reference}");
                    n_found += 1;
                }
            }
        }
        for (path, script) in of_type("text/javascript") {
            let imports = script.split(" from './").skip(1).chain(script.split("import('./").skip(1));
            let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
            for name in imports.filter_map(|rest| rest.split_once('\'')).map(|(name, _)| name) {
                assert!(is_served(&format!("{folder}/{name}")), "{path}: {name}");
                n_found += 1;
            }
        }
        assert!(n_found > 10, "this test does not find the references");
    }
}
