mod external;
mod issuer;
mod jwks;

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderValue};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use switchboard_protocol::{Timestamp, UserId};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn tokens() -> Tokens {
    Tokens::new(&SECRET.into(), Duration::from_secs(10))
}

fn now() -> i64 {
    Timestamp::now().0 / 1_000_000
}

/// URL-safe, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// A token with a right signature over whatever header and payload.
fn signed(header: &str, payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_ref()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// Good claims with one changed, or taken away where it is null.
fn claims(name: &str, value: Value) -> String {
    let mut claims = json!({"iss": "switchboard", "sub": "7", "iat": now(), "exp": now() + 3600});
    claims[name] = value;
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims.to_string()
}

fn claims_ok() -> String {
    claims("x", Value::Null)
}

#[track_caller]
fn check(what: &str, token: &str, expect: Result<i64, AuthError>) {
    let subject = tokens().verify(token).map(|claims| claims.subject);
    assert_eq!(subject, expect.map(|id| Subject::User(UserId(id))), "{what}");
}

#[test]
fn what_is_issued_is_accepted() {
    let token = tokens().issue(UserId(42), Duration::from_secs(60)).unwrap();
    let claims = tokens().verify(&token).unwrap();
    assert_eq!((claims.subject, claims.name), (Subject::User(UserId(42)), None));
    assert_eq!(claims.expires_at.0 - claims.issued_at.0, (60 + 10) * 1_000_000, "the leeway included");
    assert!((now() - claims.issued_at.0 / 1_000_000).abs() <= 1);
    let other = Tokens::new(&"another secret, as long as the first".into(), Duration::ZERO);
    assert_eq!(other.verify(&token), Err(AuthError::Invalid));
    check("hand made", &signed(HS256, claims_ok()), Ok(7));
}

#[test]
fn without_a_secret_there_are_no_tokens() {
    let none = Tokens::new(&"".into(), Duration::ZERO);
    assert_eq!(none.issue(UserId(1), Duration::from_secs(60)), None);
    let token = tokens().issue(UserId(1), Duration::from_secs(60)).unwrap();
    assert_eq!(none.verify(&token), Err(AuthError::Invalid));
}

#[test]
fn headers() {
    let refused = [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"nOnE"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","typ":"secevent+jwt"}"#,
        r#"{"typ":"JWT"}"#,
        "{}",
        "[]",
        "HS256",
        "",
    ];
    for header in refused {
        check(header, &signed(header, claims_ok()), Err(AuthError::Invalid));
    }
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","typ":"at+JWT"}"#,
        // Where a key is to be found is not the token's to say: these are not looked at.
        r#"{"alg":"HS256","kid":"../../dev/null","jku":"http://evil.example/","x5u":"http://evil.example/"}"#,
    ] {
        check(header, &signed(header, claims_ok()), Ok(7));
    }
}

#[test]
fn times() {
    let table = [
        ("exp", json!(null), Err(AuthError::Invalid)),
        ("exp", json!((now() + 60).to_string()), Err(AuthError::Invalid)),
        ("exp", json!([now() + 60]), Err(AuthError::Invalid)),
        ("exp", json!(true), Err(AuthError::Invalid)),
        ("exp", json!(-1), Err(AuthError::Invalid)),
        ("exp", json!(1e300), Err(AuthError::Invalid)),
        ("exp", json!(u64::MAX), Err(AuthError::Invalid)),
        ("exp", json!(1e12), Err(AuthError::Invalid)),
        ("exp", json!(0), Err(AuthError::Expired)),
        ("exp", json!(now() - 13), Err(AuthError::Expired)),
        ("exp", json!(now() as f64 - 13.5), Err(AuthError::Expired)),
        ("exp", json!(now() - 5), Ok(7)),
        // RFC 7519 allows fractions.
        ("exp", json!(now() as f64 + 60.25), Ok(7)),
        ("nbf", json!(now() + 60), Err(AuthError::Invalid)),
        ("nbf", json!("0"), Err(AuthError::Invalid)),
        ("nbf", json!(now() + 5), Ok(7)),
        ("nbf", json!(now() + 13), Err(AuthError::Invalid)),
        ("iat", json!("0"), Err(AuthError::Invalid)),
        ("iat", json!(-1), Err(AuthError::Invalid)),
        ("iat", json!(null), Ok(7)),
    ];
    for (name, value, expect) in table {
        let what = format!("{name} {value}");
        check(&what, &signed(HS256, claims(name, value)), expect);
    }
    let literal = claims_ok().replace("\"exp\":", "\"exp\":1e400,\"x\":");
    check("exp 1e400", &signed(HS256, literal), Err(AuthError::Invalid));
}

#[test]
fn without_leeway_a_second_counts() {
    let exact = Tokens::new(&SECRET.into(), Duration::ZERO);
    let expires = |at: i64| exact.verify(&signed(HS256, claims("exp", json!(at)))).map(|_| ());
    assert_eq!(expires(now() - 1), Err(AuthError::Expired));
    assert_eq!(expires(now() + 1), Ok(()));
    let begins = |at: i64| exact.verify(&signed(HS256, claims("nbf", json!(at)))).map(|_| ());
    assert_eq!(begins(now() + 2), Err(AuthError::Invalid));
    assert_eq!(begins(now()), Ok(()));
}

#[test]
fn our_own_issuer_is_one_text_without_audience() {
    let refused = [
        ("iss", json!("")),
        ("iss", json!("switchboard ")),
        ("iss", json!(["switchboard"])),
        ("iss", json!(["switchboard", "https://login.example"])),
        ("iss", json!({"switchboard": 1})),
        ("aud", json!("another service")),
        ("aud", json!(["another service"])),
        ("aud", json!("switchboard")),
        ("aud", json!([])),
        ("aud", json!(7)),
    ];
    for (name, value) in refused {
        let what = format!("{name} {value}");
        check(&what, &signed(HS256, claims(name, value)), Err(AuthError::Invalid));
    }
}

#[test]
fn subjects() {
    let refused = [
        json!(null),
        json!(7),
        json!(["7"]),
        json!(""),
        json!("+7"),
        json!("-7"),
        json!(" 7"),
        json!("7 "),
        json!("7.0"),
        json!("0x7"),
        json!("7e0"),
        json!("٧"),
        json!("7\u{0}"),
        json!("9007199254740992"),
        json!("99999999999999999999"),
    ];
    for value in refused {
        let what = format!("sub {value}");
        check(&what, &signed(HS256, claims("sub", value)), Err(AuthError::Invalid));
    }
    let max = 9_007_199_254_740_991;
    check("sub max", &signed(HS256, claims("sub", json!(max.to_string()))), Ok(max));
}

#[test]
fn payloads() {
    let good = claims_ok();
    for (what, payload) in [
        ("two sub", good.replace("\"sub\":", "\"sub\":\"1\",\"sub\":")),
        ("two exp", good.replace("\"exp\":", "\"exp\":1,\"exp\":")),
        ("two iss", good.replace("\"iss\":", "\"iss\":\"x\",\"iss\":")),
        ("escaped twin", good.replace("\"sub\":", "\"\\u0073ub\":\"1\",\"sub\":")),
        ("a list", "[\"switchboard\",\"7\",0,99999999999]".to_owned()),
        ("nothing", String::new()),
        ("rest", format!("{good} x")),
    ] {
        check(what, &signed(HS256, payload), Err(AuthError::Invalid));
    }
    let no_utf8: Vec<u8> =
        claims("sub", json!("7~")).bytes().map(|byte| byte ^ if byte == b'~' { 0x81 } else { 0 }).collect();
    check("no UTF-8", &signed(HS256, no_utf8), Err(AuthError::Invalid));
}

#[test]
fn shapes() {
    let good = signed(HS256, claims_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let mut flipped = signature.to_owned();
    let first = if flipped.starts_with('A') { "B" } else { "A" };
    flipped.replace_range(..1, first);
    let table = [
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("no signature", format!("{header}.{payload}.")),
        ("four parts", format!("{good}.x")),
        ("five parts", format!("{header}.{payload}.{signature}.{header}.{payload}")),
        ("five parts, as of JWE", format!("{header}.{header}.{header}.{payload}.{signature}")),
        ("another signature", format!("{header}.{payload}.{flipped}")),
        ("half a signature", format!("{header}.{payload}.{}", &signature[..20])),
        ("another payload", format!("{header}.{}.{signature}", base64(claims("sub", json!("1")).as_bytes()))),
        ("padding", format!("{good}=")),
        ("no base64", format!("{header}.!!!!.{signature}")),
        ("standard base64", format!("{header}.{payload}.+/{}", &signature[2..])),
        ("space", format!(" {good}")),
        ("line end", format!("{good}\n")),
        ("NUL", format!("{good}\0")),
        ("a megabyte", "a".repeat(1 << 20)),
    ];
    for (what, token) in table {
        check(what, &token, Err(AuthError::Invalid));
    }
    let long = signed(HS256, claims("x", json!("x".repeat(8 * 1024))));
    check("good, but over 8 KiB", &long, Err(AuthError::Invalid));
    check("as it was", &good, Ok(7));
}

#[test]
fn bearer_is_read_from_the_head() {
    let table: [(&[&str], Result<&str, AuthError>); 13] = [
        (&[], Err(AuthError::Missing)),
        (&["Bearer a.b.c"], Ok("a.b.c")),
        (&["bearer a"], Ok("a")),
        (&["BEARER  a "], Ok("a")),
        (&["Bearer a", "Bearer a"], Err(AuthError::Invalid)),
        (&["Bearer"], Err(AuthError::Invalid)),
        (&["Bearer "], Err(AuthError::Invalid)),
        (&[""], Err(AuthError::Invalid)),
        (&["a.b.c"], Err(AuthError::Invalid)),
        (&["Basic YTpi"], Err(AuthError::Invalid)),
        (&["Bearer\ta"], Err(AuthError::Invalid)),
        (&["Bearerx a"], Err(AuthError::Invalid)),
        (&["Bearer ü"], Err(AuthError::Invalid)),
    ];
    for (values, expect) in table {
        let mut head = HeaderMap::new();
        for value in values {
            head.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(bearer(&head), expect, "{values:?}");
    }
}

#[test]
fn codes() {
    assert_eq!(AuthError::Missing.code(), ErrorCode::Unauthorized);
    assert_eq!(AuthError::Invalid.code(), ErrorCode::Unauthorized);
    assert_eq!(AuthError::Expired.code(), ErrorCode::TokenExpired);
}
