//! Reads a set of keys, from a file or over HTTP. These block.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

/// A longer set is refused: a key has some 400 bytes, with its certificate perhaps 4 KiB.
const MAX_BYTES: u64 = 256 * 1024;
/// What a fetch may take in all.
const DEADLINE: Duration = Duration::from_secs(5);

/// What is in a file.
pub(super) fn file(path: &Path) -> io::Result<Vec<u8>> {
    let explain = |error: io::Error| {
        let sentence = format!("the file {} cannot be read: {error}", path.display());
        io::Error::new(error.kind(), sentence)
    };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text)).map_err(explain)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(explain(io::Error::other("it has more than 256 KiB")));
    }
    Ok(text)
}

/// What is at an address. No redirect is followed: the keys of a token are those of the configured place.
pub(super) fn url(url: &Url) -> io::Result<Vec<u8>> {
    let explain = |error: ureq::Error| io::Error::other(format!("{url} cannot be read: {error}"));
    let mut response = agent(url).get(url.as_str()).call().map_err(explain)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("{url} answers with {}", response.status())));
    }
    response.body_mut().with_config().limit(MAX_BYTES).read_to_vec().map_err(explain)
}

/// Made for each fetch: so it trusts what the machine trusts now.
fn agent(url: &Url) -> Agent {
    let anchors = rustls_native_certs::load_native_certs().certs;
    let anchors = anchors.iter().map(|anchor| Certificate::from_der(anchor).to_owned());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(anchors))
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(url.scheme() == "https")
        .max_redirects(0)
        .timeout_global(Some(DEADLINE));
    // Without TLS the address is on this machine, where no proxy of the environment leads.
    let config = if url.scheme() == "http" { config.proxy(None) } else { config };
    config.build().new_agent()
}
