//! Random secrets that we hand out: of sessions, tickets and API keys. The store knows only their hashes.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// How an API key begins, so that it is told from a token, and found where it should not be.
pub const API_KEY_PREFIX: &str = "sbk_";

/// A secret that nobody can guess: 256 bits, 64 hexadecimal digits.
#[must_use]
pub fn new_secret() -> String {
    // The generator behind this is seeded by the system and fit for keys.
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// An API key: [`API_KEY_PREFIX`] and a secret.
#[must_use]
pub fn new_api_key() -> String {
    format!("{API_KEY_PREFIX}{}", new_secret())
}

/// Whether this could be a secret of ours: what could not need not be looked for.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What the store keeps of a secret, 64 hexadecimal digits of SHA-256. Without salt or cost: who has the hash would
/// have to guess 256 bits.
#[must_use]
pub fn secret_hash(secret: &str) -> String {
    Sha256::digest(secret).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, other) = (new_secret(), new_secret());
        assert_ne!(one, other);
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert!(new_api_key().starts_with("sbk_"));
    }

    #[test]
    fn a_hash_is_sha_256() {
        let expect = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(secret_hash("abc"), expect);
    }
}
