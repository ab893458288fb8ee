//! Tokens under the keys that another issuer publishes.

use std::sync::atomic::Ordering;

use super::external::configured;
use super::issuer::{ED25519, P256, P256_NEXT, P384, RSA, RSA_PUBLIC, answer, jwk, key, serve, set};
use super::*;
use crate::auth::token::Tokens;

/// A file of keys, and tokens that go by it.
struct Issuer {
    file: tempfile::NamedTempFile,
    tokens: Tokens,
}

impl Issuer {
    fn with(set: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), set).unwrap();
        let path = file.path().to_str().unwrap();
        let tokens = configured(&[&TRUSTED[..], &[("SWITCHBOARD_AUTH__JWKS_FILE", path)]].concat());
        Self { file, tokens }
    }

    fn accepts(&self, token: &str) -> bool {
        match self.tokens.verify(token) {
            Ok(claims) => claims.subject == Subject::External("https://login.example ann".to_owned()),
            Err(error) => {
                assert_eq!(error, AuthError::Invalid);
                false
            }
        }
    }
}

const TRUSTED: [(&str, &str); 2] =
    [("SWITCHBOARD_AUTH__JWT_ISSUER", "https://login.example"), ("SWITCHBOARD_AUTH__JWT_AUDIENCE", "chat")];

/// A token with whatever header and payload, signed by this key under this algorithm.
fn token(pem: &str, algorithm: Algorithm, header: &Value, payload: &Value) -> String {
    let message =
        format!("{}.{}", base64(header.to_string().as_bytes()), base64(payload.to_string().as_bytes()));
    let signature = sign(message.as_bytes(), &key(pem, algorithm), algorithm).unwrap();
    format!("{message}.{signature}")
}

fn payload() -> Value {
    json!({"iss": "https://login.example", "sub": "ann", "aud": "chat", "exp": now() + 3600})
}

/// A good token by this key, named so.
fn by(id: &str, pem: &str, algorithm: Algorithm) -> String {
    token(pem, algorithm, &json!({"alg": algorithm, "kid": id}), &payload())
}

fn unnamed(pem: &str, algorithm: Algorithm) -> String {
    token(pem, algorithm, &json!({ "alg": algorithm }), &payload())
}

#[test]
fn each_kind_of_key_has_its_algorithms() {
    let mut rsa = jwk("rsa", RSA, Algorithm::RS256);
    rsa.as_object_mut().unwrap().remove("alg");
    let issuer = Issuer::with(&set(&[
        rsa,
        jwk("p256", P256, Algorithm::ES256),
        jwk("p384", P384, Algorithm::ES384),
        jwk("ed", ED25519, Algorithm::EdDSA),
    ]));
    for (id, pem, algorithm) in [
        ("rsa", RSA, Algorithm::RS256),
        ("rsa", RSA, Algorithm::RS384),
        ("rsa", RSA, Algorithm::RS512),
        ("rsa", RSA, Algorithm::PS256),
        ("rsa", RSA, Algorithm::PS384),
        ("rsa", RSA, Algorithm::PS512),
        ("p256", P256, Algorithm::ES256),
        ("p384", P384, Algorithm::ES384),
        ("ed", ED25519, Algorithm::EdDSA),
    ] {
        assert!(issuer.accepts(&by(id, pem, algorithm)), "{id} {algorithm:?}");
    }
    assert!(!issuer.accepts(&by("p256", P256_NEXT, Algorithm::ES256)), "another key under the name");
    assert!(!issuer.accepts(&by("p384", P256, Algorithm::ES256)), "another curve under the name");
    assert!(!issuer.accepts(&by("rsa", P256, Algorithm::ES256)), "another kind under the name");
    assert!(!issuer.accepts(&by("p256 ", P256, Algorithm::ES256)), "no key of this name");
    assert!(!issuer.accepts(&by("", P256, Algorithm::ES256)));
}

#[test]
fn a_key_is_for_what_it_says() {
    let accepts = |change: &dyn Fn(&mut Value), algorithm: Algorithm| {
        let mut jwk = jwk("rsa", RSA, Algorithm::RS256);
        change(&mut jwk);
        Issuer::with(&set(&[jwk])).accepts(&by("rsa", RSA, algorithm))
    };
    assert!(accepts(&|_| {}, Algorithm::RS256));
    assert!(!accepts(&|_| {}, Algorithm::RS384), "`alg` says RS256");
    assert!(!accepts(&|_| {}, Algorithm::PS256), "`alg` says RS256");
    assert!(accepts(&|jwk| jwk["use"] = json!("sig"), Algorithm::RS256));
    assert!(!accepts(&|jwk| jwk["use"] = json!("enc"), Algorithm::RS256));
    assert!(accepts(&|jwk| jwk["key_ops"] = json!(["verify"]), Algorithm::RS256));
    assert!(!accepts(&|jwk| jwk["key_ops"] = json!(["encrypt"]), Algorithm::RS256));
    assert!(!accepts(&|jwk| jwk["alg"] = json!("RSA-OAEP"), Algorithm::RS256));
    assert!(!accepts(&|jwk| jwk["alg"] = json!("HS256"), Algorithm::RS256));
}

/// What is public must not sign: not as a secret, and not because a header brings a key of its own.
#[test]
fn no_token_chooses_its_own_key() {
    let rsa = jwk("rsa", RSA, Algorithm::RS256);
    let secret = json!({"kty": "oct", "kid": "oct", "k": base64(SECRET.as_bytes()), "alg": "HS256"});
    let issuer = Issuer::with(&set(&[rsa.clone(), secret]));
    assert!(issuer.accepts(&by("rsa", RSA, Algorithm::RS256)));

    let with_secret = |secret: &[u8], header: Value| {
        let message =
            format!("{}.{}", base64(header.to_string().as_bytes()), base64(payload().to_string().as_bytes()));
        let algorithm = if header["alg"] == "HS384" { Algorithm::HS384 } else { Algorithm::HS256 };
        let signature = sign(message.as_bytes(), &EncodingKey::from_secret(secret), algorithm).unwrap();
        format!("{message}.{signature}")
    };
    let modulus = rsa["n"].as_str().unwrap();
    for public in [RSA_PUBLIC.as_bytes(), format!("{RSA_PUBLIC}\n").as_bytes(), modulus.as_bytes()] {
        assert!(!issuer.accepts(&with_secret(public, json!({"alg": "HS256", "kid": "rsa"}))));
        assert!(!issuer.accepts(&with_secret(public, json!({"alg": "RS256", "kid": "rsa"}))));
    }
    assert!(!issuer.accepts(&with_secret(SECRET.as_bytes(), json!({"alg": "HS384", "kid": "oct"}))));
    assert!(
        issuer.accepts(&with_secret(SECRET.as_bytes(), json!({"alg": "HS256", "kid": "rsa"}))),
        "the secret's"
    );

    let foreign = jwk("rsa", P256, Algorithm::ES256);
    for header in [
        json!({"alg": "ES256", "jwk": foreign}),
        json!({"alg": "ES256", "kid": "rsa", "jwk": foreign}),
        json!({"alg": "ES256", "kid": "rsa", "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}),
        json!({"alg": "ES256", "kid": "../../keys", "x5c": ["AAAA"]}),
    ] {
        assert!(!issuer.accepts(&token(P256, Algorithm::ES256, &header, &payload())), "{header}");
    }
    for header in [
        json!({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}),
        json!({"alg": "RS256", "kid": "rsa", "b64": false, "crit": ["b64"]}),
        json!({"alg": "RS256", "kid": "rsa", "b64": true}),
        json!({"alg": "none", "kid": "rsa"}),
        json!({"alg": "RS384", "kid": "rsa"}),
        json!({"alg": "RS256", "kid": 7}),
    ] {
        assert!(!issuer.accepts(&token(RSA, Algorithm::RS256, &header, &payload())), "{header}");
    }
    let ignored = json!({"alg": "RS256", "kid": "rsa", "jku": "http://127.0.0.1:1/", "jwk": foreign});
    assert!(issuer.accepts(&token(RSA, Algorithm::RS256, &ignored, &payload())));
}

#[test]
fn claims_are_checked_as_under_the_secret() {
    let issuer = Issuer::with(&set(&[jwk("a", P256, Algorithm::ES256)]));
    for (name, value) in [
        ("iss", json!("switchboard")),
        ("iss", json!("https://login.example/")),
        ("iss", json!(["https://login.example"])),
        ("iss", json!(null)),
        ("aud", json!("mail")),
        ("aud", json!(null)),
        ("exp", json!(null)),
        ("exp", json!("9999999999")),
        ("nbf", json!(now() + 60)),
        ("sub", json!("")),
        ("sub", json!(7)),
    ] {
        let mut payload = payload();
        payload[name] = value;
        let token = token(P256, Algorithm::ES256, &json!({"alg": "ES256", "kid": "a"}), &payload);
        assert!(!issuer.accepts(&token), "{payload}");
    }
    let mut late = payload();
    late["exp"] = json!(now() - 60);
    let late = token(P256, Algorithm::ES256, &json!({"alg": "ES256", "kid": "a"}), &late);
    assert_eq!(issuer.tokens.verify(&late), Err(AuthError::Expired));
}

#[test]
fn without_a_name_the_only_key_is_meant() {
    let (a, b) = (jwk("a", P256, Algorithm::ES256), jwk("b", P256_NEXT, Algorithm::ES256));
    let rsa = jwk("c", RSA, Algorithm::RS256);
    let one = Issuer::with(&set(&[a.clone(), rsa.clone()]));
    assert!(one.accepts(&unnamed(P256, Algorithm::ES256)) && one.accepts(&unnamed(RSA, Algorithm::RS256)));
    assert!(!one.accepts(&unnamed(P256_NEXT, Algorithm::ES256)));
    let two = Issuer::with(&set(&[a.clone(), b, rsa]));
    assert!(!two.accepts(&unnamed(P256, Algorithm::ES256)) && two.accepts(&by("a", P256, Algorithm::ES256)));
    let namesakes = Issuer::with(&set(&[a, jwk("a", P256_NEXT, Algorithm::ES256)]));
    assert!(!namesakes.accepts(&by("a", P256, Algorithm::ES256)));
}

#[test]
fn keys_that_cannot_be_read_spoil_no_others() {
    let strange = [
        json!(null),
        json!({}),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "x", "x": "AA", "y": "AA"}),
        json!({"kty": "RSA", "kid": "x", "n": "!", "e": "AQAB"}),
        json!({"kty": "AKP", "kid": "x", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": 7}),
    ];
    let issuer = Issuer::with(&set(&[&strange[..], &[jwk("a", P256, Algorithm::ES256)]].concat()));
    assert!(issuer.accepts(&by("a", P256, Algorithm::ES256)));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_read_again() {
    let (old, new) = (by("a", P256, Algorithm::ES256), by("b", P256_NEXT, Algorithm::ES256));
    let (a, b) = (jwk("a", P256, Algorithm::ES256), jwk("b", P256_NEXT, Algorithm::ES256));
    let issuer = Issuer::with(&set(std::slice::from_ref(&a)));
    let look = async |text: &str| {
        std::fs::write(issuer.file.path(), text).unwrap();
        let _endless = tokio::time::timeout(Duration::from_secs(5), issuer.tokens.keep_fresh()).await;
        (issuer.accepts(&old), issuer.accepts(&new))
    };
    assert_eq!((issuer.accepts(&old), issuer.accepts(&new)), (true, false));
    assert_eq!(look(&set(&[a, b.clone()])).await, (true, true), "while both are listed");
    assert_eq!(look("half a fi").await, (true, true), "the last good keys stay");
    assert_eq!(look(&" ".repeat(300 * 1024)).await, (true, true), "the last good keys stay");
    assert_eq!(look(&set(&[b])).await, (false, true));
    assert_eq!(look(&set(&[])).await, (false, false), "all were taken back");
}

#[test]
fn a_file_must_be_readable_at_start() {
    let load = |path: &str| {
        let environment = [TRUSTED[0], TRUSTED[1], ("SWITCHBOARD_AUTH__JWKS_FILE", path)]
            .map(|(name, value)| (name.into(), value.into()));
        let config = crate::config::Config::load(&crate::config::Overrides::default(), environment).unwrap();
        Tokens::from_config(&config.auth).err().unwrap().to_string()
    };
    assert!(
        load("/nowhere/keys.json").starts_with("the file /nowhere/keys.json cannot be read: No such file")
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(load(file.path().to_str().unwrap()).contains("holds no set of keys"));
}

fn at_url(url: &url::Url) -> Tokens {
    configured(&[TRUSTED[0], TRUSTED[1], ("SWITCHBOARD_JWKS_URL", url.as_str())])
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_are_looked_for_seldom() {
    let (url, count) = serve(answer("200 OK", &set(&[jwk("a", P256, Algorithm::ES256)])));
    let tokens = at_url(&url);
    let known = by("a", P256, Algorithm::ES256);
    assert_eq!(tokens.verify(&known), Err(AuthError::Invalid), "not read yet");
    let flood = async {
        for n in 0..950 {
            let unknown = by(&n.to_string(), P256_NEXT, Algorithm::ES256);
            assert_eq!(tokens.verify(&unknown), Err(AuthError::Invalid));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! { () = flood => {}, () = tokens.keep_fresh() => {} }
    assert!(tokens.verify(&known).is_ok());
    assert_eq!(count.load(Ordering::SeqCst), 4, "at once, then every 30 s of 95");
    let _endless = tokio::time::timeout(Duration::from_secs(3500), tokens.keep_fresh()).await;
    let n_later = count.load(Ordering::SeqCst) - 4;
    assert!((6..=7).contains(&n_later), "every 10 minutes: {n_later}");
}

#[tokio::test(start_paused = true)]
async fn only_a_plain_answer_counts() {
    let good = set(&[jwk("a", P256, Algorithm::ES256)]);
    let (there, _) = serve(answer("200 OK", &good));
    let padded = format!("{good}{}", " ".repeat(256 * 1024));
    for (what, text, is_good) in [
        ("as it should be", answer("200 OK", &good), true),
        ("redirected", answer(&format!("302 Found\r\nlocation: {there}"), &good), false),
        ("moved", answer(&format!("301 Moved Permanently\r\nlocation: {there}"), ""), false),
        ("an error with a set", answer("500 Internal Server Error", &good), false),
        ("created", answer("201 Created", &good), false),
        ("too long", answer("200 OK", &padded), false),
        ("a page", answer("200 OK", "<html>"), false),
        ("no HTTP", "hello".to_owned(), false),
    ] {
        let (url, _) = serve(text);
        let tokens = at_url(&url);
        let _endless = tokio::time::timeout(Duration::from_secs(1), tokens.keep_fresh()).await;
        assert_eq!(tokens.verify(&by("a", P256, Algorithm::ES256)).is_ok(), is_good, "{what}");
    }
}
