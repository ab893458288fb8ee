//! Reads a set of keys, from a file or over HTTP. These block.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use url::Url;

use crate::agent::agent;

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

/// What is at an address. The agent is made for each fetch: so it trusts what the machine trusts now.
pub(super) fn url(url: &Url) -> io::Result<Vec<u8>> {
    let explain = |error: ureq::Error| io::Error::other(format!("{url} cannot be read: {error}"));
    let mut response = agent(url, DEADLINE).get(url.as_str()).call().map_err(explain)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("{url} answers with {}", response.status())));
    }
    response.body_mut().with_config().limit(MAX_BYTES).read_to_vec().map_err(explain)
}
