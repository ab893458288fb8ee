//! Those whom another issuer of tokens knows.

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use switchboard_protocol::Timestamp;

use super::check_problem;
use crate::harness::http::{bearer, get};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, SECRET};

/// One other issuer, its name for us, and its keys.
pub(super) const ONE_ISSUER: &[(&str, &str)] = &[
    ("SWITCHBOARD_AUTH__JWT_ISSUER", "https://login.example"),
    ("SWITCHBOARD_AUTH__JWT_AUDIENCE", "chat"),
    ("SWITCHBOARD_AUTH__JWKS_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/identity/keys.json")),
];

/// Signs for these tests and for nothing else; its public half is in `keys.json`.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglE7VF9Bt2qkMIOKs
CbkYqT5YaHM57KYOKmRRQiC63D+hRANCAAQai1fmaVmW1aixyzQeYZaUb655AvBY
Wb2TUhm61L428fcW7kG1gUChXL3LkL4BznUnEm8cBsAODxP0FnH52Tsp
-----END PRIVATE KEY-----";

fn hs256(claims: &Value) -> anyhow::Result<[String; 1]> {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok([format!("Authorization: Bearer {}", encode(&Header::new(Algorithm::HS256), claims, &key)?)])
}

fn es256(key_id: &str, claims: &Value) -> anyhow::Result<[String; 1]> {
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::ES256) };
    let token = encode(&header, claims, &EncodingKey::from_ec_pem(KEY.as_bytes())?)?;
    Ok([format!("Authorization: Bearer {token}")])
}

fn claims(issuer: &str, subject: &str) -> Value {
    json!({"iss": issuer, "sub": subject, "exp": Timestamp::now().0 / 1_000_000 + 3600})
}

async fn me(cluster: &Cluster, node: usize, headers: &[String]) -> anyhow::Result<Value> {
    let answer = get(cluster.address(node), "/api/v1/me", headers).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    answer.json()
}

pub(super) async fn an_external_user_is_created_at_first_sight(cluster: Cluster) -> anyhow::Result<()> {
    let mut of_ann = claims("https://login.example", "ann");
    of_ann["name"] = json!("Ann O'Neill\u{202e}");
    let ann = me(&cluster, 0, &hs256(&of_ann)?).await?;
    ensure!((&ann["username"], &ann["full_name"]) == (&json!("ann"), &json!("Ann O'Neill")), "{ann}");
    // Known from now on, everywhere, under the names that they have.
    of_ann["name"] = json!("Somebody Else");
    for node in [0, 1] {
        ensure!(me(&cluster, node, &hs256(&of_ann)?).await? == ann);
        let socket = Socket::handshake_with(&cluster, node, &hs256(&of_ann)?, "").await?;
        let welcome = socket.ok().context("it is refused")?.next().await?;
        ensure!(welcome["user"]["id"] == ann["id"], "{welcome}");
    }
    // What another issuer calls somebody makes them nobody whom we know already.
    let mut seen = vec![ann["id"].clone()];
    for (issuer, subject) in [
        ("https://another.example", "ann"),
        ("https://login.example", "1"),
        ("https://login.example", "user1"),
        ("https://login.example", "Ann"),
        ("https://login.example/", "ann"),
        ("https://login.example", "ann "),
        ("SWITCHBOARD", "1"),
    ] {
        let other = me(&cluster, 1, &hs256(&claims(issuer, subject))?).await?;
        let id = other["id"].clone();
        ensure!(
            id.as_i64() > Some(crate::harness::USERS) && !seen.contains(&id),
            "{issuer} {subject}: {other}"
        );
        ensure!(me(&cluster, 0, &hs256(&claims(issuer, subject))?).await? == other, "{issuer} {subject}");
        seen.push(id);
    }
    for (what, claims) in [
        ("our own issuer", claims("switchboard", "ann")),
        ("no subject", claims("https://login.example", "")),
        ("for another service", {
            let mut claims = claims("https://login.example", "ann");
            claims["aud"] = json!("mail");
            claims
        }),
    ] {
        let answer = get(cluster.address(0), "/api/v1/me", &hs256(&claims)?).await?;
        check_problem(what, &answer, 401, "unauthorized")?;
    }
    // Who was shut out is not created again.
    ensure!(cluster.store.disable_user("ann").await?.is_some());
    for node in [0, 1] {
        let answer = get(cluster.address(node), "/api/v1/me", &hs256(&of_ann)?).await?;
        check_problem("disabled", &answer, 401, "unauthorized")?;
    }
    cluster.finish().await
}

pub(super) async fn two_nodes_see_somebody_first(cluster: Cluster) -> anyhow::Result<()> {
    for round in 0..5 {
        let headers = hs256(&claims("https://login.example", &format!("eve{round}")))?;
        let answers = join_all((0..8).map(|n| me(&cluster, n % 2, &headers))).await;
        let answers = answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(answers.iter().all(|each| *each == answers[0]), "round {round}: {answers:?}");
    }
    cluster.finish().await
}

pub(super) async fn one_issuer_is_trusted_and_its_keys(cluster: Cluster) -> anyhow::Result<()> {
    let with = |name: &str, value: Value| {
        let mut claims = claims("https://login.example", "ann");
        claims["aud"] = json!("chat");
        claims[name] = value;
        claims
    };
    let good = with("name", json!("Ann"));
    let ann = me(&cluster, 0, &es256("of-a-test", &good)?).await?;
    ensure!(ann["username"] == "ann" && ann["full_name"] == "Ann", "{ann}");
    for node in [0, 1] {
        ensure!(me(&cluster, node, &es256("of-a-test", &good)?).await? == ann);
        ensure!(me(&cluster, node, &hs256(&good)?).await? == ann, "by the secret she is the same");
        ensure!(me(&cluster, node, &[bearer(1)]).await?["id"] == 1, "and our own tokens count");
    }
    ensure!(me(&cluster, 1, &es256("of-a-test", &with("aud", json!(["mail", "chat"])))?).await? == ann);
    let other_issuer = with("iss", json!("https://login.example/"));
    let (other_service, no_service) = (with("aud", json!("mail")), with("aud", Value::Null));
    let ours = json!({"iss": "switchboard", "sub": "1", "exp": good["exp"]});
    for (what, headers) in [
        ("another key's name", es256("another", &good)?),
        ("another issuer", es256("of-a-test", &other_issuer)?),
        ("another issuer, by the secret", hs256(&other_issuer)?),
        ("another service", es256("of-a-test", &other_service)?),
        ("another service, by the secret", hs256(&other_service)?),
        ("no service", es256("of-a-test", &no_service)?),
        ("our issuer, by its key", es256("of-a-test", &ours)?),
        ("no end", es256("of-a-test", &with("exp", Value::Null))?),
    ] {
        for node in [0, 1] {
            let answer = get(cluster.address(node), "/api/v1/me", &headers).await?;
            check_problem(what, &answer, 401, "unauthorized")?;
        }
    }
    cluster.finish().await
}
