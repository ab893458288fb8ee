//! The page and the browser client, embedded in the binary: plain HTML, CSS and ES modules from the folders `page` and
//! `client`, as they are.
//!
//! The node serves each of [`ASSETS`] under its path, with [`CONTENT_SECURITY_POLICY`]. Names carry no hash, so the
//! node should have browsers ask again each time (`Cache-Control: no-cache` with an `ETag`): modules of two
//! versions do not go together.
//!
//! To add a module: put it into its folder, name it in [`ASSETS`] and among the preloaded of `index.html`, import it by its
//! relative name. What the page goes by is in its own README.

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
    style("/assets/style/composer.css", include_bytes!("../page/style/composer.css")),
    style("/assets/style/controls.css", include_bytes!("../page/style/controls.css")),
    style("/assets/style/shell.css", include_bytes!("../page/style/shell.css")),
    style("/assets/style/thread.css", include_bytes!("../page/style/thread.css")),
    style("/assets/style/tokens.css", include_bytes!("../page/style/tokens.css")),
    module("/assets/app.js", include_bytes!("../page/app.js")),
    module("/assets/boot.js", include_bytes!("../page/boot.js")),
    module("/assets/dom.js", include_bytes!("../page/dom.js")),
    module("/assets/format.js", include_bytes!("../page/format.js")),
    module("/assets/links.js", include_bytes!("../page/links.js")),
    module("/assets/notifications.js", include_bytes!("../page/notifications.js")),
    module("/assets/places.js", include_bytes!("../page/places.js")),
    module("/assets/preferences.js", include_bytes!("../page/preferences.js")),
    module("/assets/world.js", include_bytes!("../page/world.js")),
    module("/assets/model/conversations.js", include_bytes!("../page/model/conversations.js")),
    module("/assets/model/drafts.js", include_bytes!("../page/model/drafts.js")),
    module("/assets/model/mailbox.js", include_bytes!("../page/model/mailbox.js")),
    module("/assets/model/people.js", include_bytes!("../page/model/people.js")),
    module("/assets/model/thread.js", include_bytes!("../page/model/thread.js")),
    module("/assets/view/actions.js", include_bytes!("../page/view/actions.js")),
    module("/assets/view/chunks.js", include_bytes!("../page/view/chunks.js")),
    module("/assets/view/composer.js", include_bytes!("../page/view/composer.js")),
    module("/assets/view/details.js", include_bytes!("../page/view/details.js")),
    module("/assets/view/dialogs.js", include_bytes!("../page/view/dialogs.js")),
    module("/assets/view/drop.js", include_bytes!("../page/view/drop.js")),
    module("/assets/view/entry.js", include_bytes!("../page/view/entry.js")),
    module("/assets/view/face.js", include_bytes!("../page/view/face.js")),
    module("/assets/view/found.js", include_bytes!("../page/view/found.js")),
    module("/assets/view/list.js", include_bytes!("../page/view/list.js")),
    module("/assets/view/message.js", include_bytes!("../page/view/message.js")),
    module("/assets/view/new.js", include_bytes!("../page/view/new.js")),
    module("/assets/view/outgoing.js", include_bytes!("../page/view/outgoing.js")),
    module("/assets/view/profile.js", include_bytes!("../page/view/profile.js")),
    module("/assets/view/reading.js", include_bytes!("../page/view/reading.js")),
    module("/assets/view/recipients.js", include_bytes!("../page/view/recipients.js")),
    module("/assets/view/rows.js", include_bytes!("../page/view/rows.js")),
    module("/assets/view/scroller.js", include_bytes!("../page/view/scroller.js")),
    module("/assets/view/state.js", include_bytes!("../page/view/state.js")),
    module("/assets/view/thread.js", include_bytes!("../page/view/thread.js")),
    module("/assets/view/tray.js", include_bytes!("../page/view/tray.js")),
    module("/client/connection.js", include_bytes!("../client/connection.js")),
    module("/client/delivery.js", include_bytes!("../client/delivery.js")),
    module("/client/environment.js", include_bytes!("../client/environment.js")),
    module("/client/events.js", include_bytes!("../client/events.js")),
    module("/client/follower.js", include_bytes!("../client/follower.js")),
    module("/client/http.js", include_bytes!("../client/http.js")),
    module("/client/link.js", include_bytes!("../client/link.js")),
    module("/client/log.js", include_bytes!("../client/log.js")),
    module("/client/outbox.js", include_bytes!("../client/outbox.js")),
    module("/client/presence.js", include_bytes!("../client/presence.js")),
    module("/client/session.js", include_bytes!("../client/session.js")),
    module("/client/storage.js", include_bytes!("../client/storage.js")),
    module("/client/switchboard.js", include_bytes!("../client/switchboard.js")),
    module("/client/tabs.js", include_bytes!("../client/tabs.js")),
    module("/client/transports.js", include_bytes!("../client/transports.js")),
];

const fn module(path: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, media_type: "text/javascript; charset=utf-8", body }
}

const fn style(path: &'static str, body: &'static [u8]) -> Asset {
    Asset { path, media_type: "text/css; charset=utf-8", body }
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

    /// The names by which a module names others.
    fn imports(script: &str) -> Vec<&str> {
        let starts = ["from '", "import('", "import '"];
        let rests = script
            .lines()
            .filter(|line| !line.trim_start().starts_with('*') && !line.contains("@"))
            .flat_map(|line| {
                starts.iter().filter_map(move |start| line.split_once(start)).map(|(_, rest)| rest)
            });
        rests
            .filter_map(|rest| rest.split_once('\''))
            .map(|(name, _)| name)
            .filter(|name| name.starts_with('.'))
            .collect()
    }

    /// A relative name, as a browser resolves it.
    fn resolved(path: &str, name: &str) -> String {
        let mut parts: Vec<&str> = path.split('/').collect();
        parts.pop();
        for part in name.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
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
            for origin in [
                "http:", "https:", "ws:/", "wss:/", "\"//", "'//", "`//", "(//", "\"data:", "'data:",
                "(data:",
            ] {
                assert!(!text.contains(origin), "{}: {origin}", asset.path);
            }
        }
    }

    #[test]
    fn text_does_not_become_markup_or_code() {
        for (path, script) in of_type("text/javascript") {
            // What is set by name can be a handler, but for names that begin like this.
            let script = script.replace("setAttribute('aria-", "");
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
            ] {
                assert!(!script.contains(sink), "{path}: {sink}");
            }
        }
    }

    /// A module that is found only while another is read costs a way to the node and back.
    #[test]
    fn all_modules_are_asked_for_at_once() {
        let (_, html) = of_type("text/html")[0];
        for (path, _) in of_type("text/javascript") {
            assert!(
                html.contains(&format!("href=\"{path}\"")) || html.contains(&format!("src=\"{path}\"")),
                "{path}"
            );
        }
    }

    /// What is kept in the browser outlives a session: only what anybody may know is.
    #[test]
    fn only_preferences_are_kept() {
        for (path, script) in of_type("text/javascript") {
            let keeps = ["localStorage", "sessionStorage", "document.cookie"];
            assert!(
                path == "/assets/preferences.js" || !keeps.iter().any(|store| script.contains(store)),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_referred_to_is_there() {
        let is_served = |path: &str| ASSETS.iter().any(|asset| asset.path == path);
        let mut n_found = 0;
        for (path, html) in of_type("text/html") {
            for tag in tags(html) {
                for reference in [values(tag, "src"), values(tag, "href")].concat() {
                    // What begins like this is a place within the page.
                    assert!(reference.starts_with("#/") || is_served(reference), "{path}: {reference}");
                    n_found += 1;
                }
            }
        }
        for (path, script) in of_type("text/javascript") {
            for name in imports(script) {
                assert!(is_served(&resolved(path, name)), "{path}: {name}");
                n_found += 1;
            }
        }
        assert!(n_found > 10, "this test does not find the references");
    }
}
