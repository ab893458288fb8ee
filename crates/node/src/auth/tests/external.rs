//! Tokens of other issuers that are signed with the secret.

use secrecy::ExposeSecret;

use super::*;
use crate::config::{Config, Overrides};

/// Tokens as these variables configure them, and the secret.
pub(super) fn configured(environment: &[(&str, &str)]) -> Tokens {
    let secret = ("SWITCHBOARD_JWT_SECRET", SECRET);
    let environment = environment.iter().chain([&secret]).map(|(name, value)| (name.into(), value.into()));
    let config = Config::load(&Overrides::default(), environment).unwrap();
    assert_eq!(config.auth.jwt_secret.expose_secret(), SECRET);
    Tokens::from_config(&config.auth).unwrap()
}

const ISSUER: (&str, &str) = ("SWITCHBOARD_AUTH__JWT_ISSUER", "https://login.example");
const AUDIENCE: (&str, &str) = ("SWITCHBOARD_AUTH__JWT_AUDIENCE", "chat");

/// Whom a token with these claims is of: `None` if it is refused. Those that are null are left out.
#[track_caller]
fn check(environment: &[(&str, &str)], changed: Value, expect: Option<&str>) {
    let mut claims = json!({"iss": "https://login.example", "sub": "ann", "exp": now() + 3600});
    claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let subject =
        configured(environment).verify(&signed(HS256, claims.to_string())).map(|claims| claims.subject);
    let expect = expect.map(|text| Subject::External(text.to_owned())).ok_or(AuthError::Invalid);
    assert_eq!(subject, expect, "{environment:?} {claims}");
}

#[test]
fn a_subject_of_another_issuer_is_no_id() {
    check(&[], json!({}), Some("https://login.example ann"));
    check(&[], json!({"sub": "7"}), Some("https://login.example 7"));
    check(&[], json!({"iss": null, "sub": "7"}), Some(" 7"));
    check(&[], json!({"iss": "Switchboard", "sub": "7"}), Some("Switchboard 7"));
    check(&[], json!({"iss": "switchboard/", "sub": "7"}), Some("switchboard/ 7"));
    check(&[], json!({"iss": ""}), None);
    check(&[], json!({"iss": "two words"}), None);
    check(&[], json!({"iss": "x\n"}), None);
    check(&[], json!({"iss": ["https://login.example"]}), None);
    check(&[], json!({"iss": "x".repeat(256)}), None);
}

#[test]
fn a_configured_issuer_is_the_only_other_one() {
    check(&[ISSUER], json!({}), Some("https://login.example ann"));
    for issuer in ["https://login.example/", "https://LOGIN.example", "https://login.exampl", "", "x"] {
        check(&[ISSUER], json!({ "iss": issuer }), None);
    }
    check(&[ISSUER], json!({"iss": null}), None);
    check(&[ISSUER], json!({"iss": ["https://login.example"]}), None);
    let own = signed(HS256, claims_ok());
    assert_eq!(configured(&[ISSUER, AUDIENCE]).verify(&own).unwrap().subject, Subject::User(UserId(7)));
}

#[test]
fn an_audience_is_configured_or_refused() {
    let ann = Some("https://login.example ann");
    check(&[], json!({"aud": "chat"}), None);
    check(&[], json!({"aud": []}), None);
    for (audience, expect) in [
        (json!("chat"), ann),
        (json!(["chat"]), ann),
        (json!(["mail", "chat"]), ann),
        (json!(null), None),
        (json!("mail"), None),
        (json!("chat "), None),
        (json!("Chat"), None),
        (json!(""), None),
        (json!([]), None),
        (json!(["mail"]), None),
        (json!([["chat"]]), None),
        (json!(["chat", 7]), None),
        (json!({"chat": true}), None),
        (json!(7), None),
    ] {
        check(&[AUDIENCE], json!({ "aud": audience }), expect);
    }
    check(&[ISSUER, AUDIENCE], json!({"aud": "chat"}), ann);
    check(&[ISSUER, AUDIENCE], json!({"aud": "chat", "iss": "x"}), None);
    let own = signed(HS256, claims("aud", json!("chat")));
    assert_eq!(configured(&[AUDIENCE]).verify(&own), Err(AuthError::Invalid), "ours are for nobody else");
}

#[test]
fn subjects_are_short_texts() {
    let longest = "x".repeat(255);
    check(&[], json!({ "sub": longest }), Some(&format!("https://login.example {longest}")));
    check(&[], json!({"sub": "a b"}), Some("https://login.example a b"));
    check(&[], json!({"sub": "ü|1"}), Some("https://login.example ü|1"));
    for sub in
        [json!(null), json!(""), json!(7), json!(["ann"]), json!("x".repeat(256)), json!("a\n"), json!("\0")]
    {
        check(&[], json!({ "sub": sub }), None);
    }
    check(&[], json!({"exp": null}), None);
    check(&[], json!({"nbf": now() + 60}), None);
}

#[test]
fn names_are_tidied() {
    let named = |name: Value| {
        let payload = json!({"iss": "x", "sub": "ann", "exp": now() + 60, "name": name}).to_string();
        tokens().verify(&signed(HS256, payload)).map(|claims| claims.name)
    };
    assert_eq!(named(json!(" Ann\u{202e}\n O'Neill")), Ok(Some("Ann O'Neill".to_owned())));
    assert_eq!(named(json!("x".repeat(500))), Ok(Some("x".repeat(150))));
    assert_eq!(named(json!("\n")), Ok(None));
    assert_eq!(named(json!(null)), Ok(None));
    assert_eq!(named(json!(7)), Err(AuthError::Invalid));
    let payload = json!({"iss": "x", "sub": "ann", "exp": now() + 60, "name": "a"}).to_string();
    let twice = payload.replace("\"name\":", "\"name\":\"b\",\"name\":");
    assert_eq!(tokens().verify(&signed(HS256, twice)), Err(AuthError::Invalid));
}
