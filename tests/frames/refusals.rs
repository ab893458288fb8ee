//! Frames that are well-formed WebSocket and wrong otherwise. The session survives every one of them.

use anyhow::ensure;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{ask, check_alive, check_refused, check_sent, finish_with, open};
use crate::harness::Cluster;
use crate::harness::http::{bearer, get};

/// Of a message, in bytes.
const CONTENT: usize = 32 * 1024;

const BAD_FRAMES: &[(&str, &str)] = &[
    ("", "invalid_json"),
    ("{", "invalid_json"),
    ("hello", "invalid_json"),
    (r#"{"type":"ping"} {"type":"ping"}"#, "invalid_json"),
    (r#"{"type":"ping",}"#, "invalid_json"),
    ("[]", "invalid_frame"),
    ("5", "invalid_frame"),
    (r#""x""#, "invalid_frame"),
    ("null", "invalid_frame"),
    (r#"["ping"]"#, "invalid_frame"),
    ("{}", "unknown_type"),
    (r#"{"type":"pong"}"#, "unknown_type"),
    (r#"{"type":"PING"}"#, "unknown_type"),
    (r#"{"type":7}"#, "invalid_field"),
    (r#"{"type":null}"#, "unknown_type"),
    (r#"{"type":["ping"]}"#, "invalid_field"),
    (r#"{"type":"ping","type":"ping"}"#, "invalid_field"),
    (r#"{"type":"ping","request_id":{"a":1}}"#, "invalid_field"),
    (r#"{"type":"ping","request_id":1.5}"#, "invalid_field"),
    (r#"{"type":"send_message","content":"x"}"#, "missing_field"),
    (r#"{"type":"send_message","recipient_id":null,"content":"x"}"#, "missing_field"),
    (r#"{"type":"send_message","recipient_id":9999,"content":"x"}"#, "unknown_recipient"),
    (r#"{"type":"send_message","recipient_id":0,"content":"x"}"#, "unknown_recipient"),
    (r#"{"type":"send_message","recipient_id":9007199254740991,"content":"x"}"#, "unknown_recipient"),
    (r#"{"type":"send_message","recipient_id":2,"recipient_id":3,"content":"x"}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2}"#, "empty_message"),
    (r#"{"type":"send_message","recipient_id":2,"subject":"x"}"#, "empty_message"),
    (r#"{"type":"send_message","recipient_id":2,"content":""}"#, "empty_message"),
    (r#"{"type":"send_message","recipient_id":2,"content":" \n\t"}"#, "empty_message"),
    (r#"{"type":"send_message","recipient_id":2,"content":null}"#, "empty_message"),
    (r#"{"type":"send_message","recipient_id":2,"content":5}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":{"a":1}}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"a\u0000b"}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"\ud800"}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"x","subject":"\u0000"}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"x","subject":5}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"x","client_message_id":""}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"x","client_message_id":"a b"}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"x","client_message_id":"ä"}"#, "invalid_field"),
    (r#"{"type":"send_message","recipient_id":2,"content":"x","client_message_id":7}"#, "invalid_field"),
    (r#"{"type":"mark_as_read"}"#, "missing_field"),
    (r#"{"type":"mark_as_read","message_id":null}"#, "missing_field"),
];

pub(super) async fn bad_frames_are_refused_by_code(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    for (frame, code) in BAD_FRAMES {
        check_refused(&mut ann, *frame, code).await?;
    }
    let error = check_refused(&mut ann, "no JSON", "invalid_json").await?;
    ensure!(error["error"] == "Invalid JSON", "clients of the former system know this text: {error}");
    let ping = br#"{"type":"ping"}"#.as_slice();
    check_refused(&mut ann, Message::binary(ping), "unsupported_data").await?;
    let long = format!(r#"{{"type":"ping","request_id":"{}"}}"#, "x".repeat(129));
    check_refused(&mut ann, long, "invalid_field").await?;
    let long = "x".repeat(129);
    let send = json!({"type": "send_message", "recipient_id": 2, "content": "x", "client_message_id": long});
    check_refused(&mut ann, send.to_string(), "invalid_field").await?;
    // Depth is dangerous where each level costs stack.
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let pong = ask(&mut ann, format!(r#"{{"type":"ping","ignored":{deep}}}"#)).await?;
    ensure!(pong == json!({"type": "pong"}), "{pong}");
    check_refused(&mut ann, deep.clone(), "invalid_frame").await?;
    check_refused(&mut ann, "[".repeat(200_000), "invalid_json").await?;
    for field in ["type", "request_id", "content"] {
        let frame = format!(r#"{{"recipient_id":2,"type":"send_message","{field}":{deep}}}"#);
        let error = ask(&mut ann, frame).await?;
        ensure!(error["code"] == "invalid_field", "{field}: {error}");
    }
    check_alive(&mut ann).await?;
    finish_with(cluster, 0).await
}

pub(super) async fn ids_are_numbers_or_digits(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let odd = [
        r#""abc""#,
        r#"" 2""#,
        r#""2 ""#,
        r#""+2""#,
        r#""-2""#,
        r#""""#,
        r#""2.0""#,
        "2.0",
        "2e0",
        "-1",
        "-0",
        "true",
        "false",
        "[2]",
        "{}",
        "9007199254740992",
        r#""9007199254740992""#,
        "99999999999999999999999999",
    ];
    for id in odd {
        let send = format!(r#"{{"type":"send_message","recipient_id":{id},"content":"x"}}"#);
        check_refused(&mut ann, send, "invalid_field").await?;
        let read = format!(r#"{{"type":"mark_as_read","message_id":{id}}}"#);
        check_refused(&mut ann, read, "invalid_field").await?;
    }
    // What the former system stored and never pushed is the number that it says, and is delivered.
    let mut bob = open(&cluster, 2).await?;
    for (n, id) in [json!(2), json!("2"), json!("02"), json!("0000000000000000000000002")].iter().enumerate()
    {
        let sent = check_sent(
            &mut ann,
            &json!({"type": "send_message", "recipient_id": id, "content": n.to_string()}),
        )
        .await?;
        let received = bob.next().await?;
        ensure!(received["data"]["content"] == *format!("{n}"), "{id}: {received}");
        let read = json!({"type": "mark_as_read", "message_id": sent["message_id"].to_string()});
        let read = ask(&mut bob, read.to_string()).await?;
        ensure!(read["type"] == "message_read" && read["message_id"] == sent["message_id"], "{id}: {read}");
        ensure!(ann.next().await?["type"] == "read_receipt");
    }
    finish_with(cluster, 4).await
}

pub(super) async fn content_up_to_its_limit(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let send = |subject: &str, content: &str| json!({"type": "send_message", "recipient_id": 2, "subject": subject, "content": content});
    let over = [
        (send(&"ä".repeat(256), "x"), "subject_too_long"),
        (send("", &"x".repeat(CONTENT + 1)), "content_too_large"),
        // Bytes count, not characters.
        (send("", &"ä".repeat(CONTENT / 2 + 1)), "content_too_large"),
    ];
    for (frame, code) in over {
        check_refused(&mut ann, frame.to_string(), code).await?;
    }
    let fits =
        [(255, "x".repeat(CONTENT)), (0, "ä".repeat(CONTENT / 2)), (1, "\u{1F30D}".repeat(CONTENT / 4))];
    for (subject, content) in &fits {
        let sent = check_sent(&mut ann, &send(&"ä".repeat(*subject), content)).await?;
        ensure!(sent["data"]["content"] == **content);
    }
    // Six bytes of the frame for each of the content: the most that a client can make of it.
    let escaped = r"\u0041".repeat(CONTENT);
    ann.send(format!(r#"{{"type":"send_message","recipient_id":2,"content":"{escaped}"}}"#)).await?;
    let sent = ann.next().await?;
    ensure!(sent["data"]["content"] == "A".repeat(CONTENT), "{}", sent["code"]);
    let events = get(cluster.address(1), "/api/v1/events?cursor=0", &[bearer(2)]).await?.json()?;
    let contents: Vec<_> = events["events"].as_array().into_iter().flatten().map(content).collect();
    let escaped = "A".repeat(CONTENT);
    ensure!(contents == [&fits[0].1, &fits[1].1, &fits[2].1, &escaped], "as it was sent, on the other node");
    finish_with(cluster, 4).await
}

fn content(event: &Value) -> &str {
    event["data"]["content"].as_str().unwrap_or_default()
}

pub(super) async fn foreign_and_missing_are_alike(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let sent =
        check_sent(&mut ann, &json!({"type": "send_message", "recipient_id": 2, "content": "x"})).await?;
    let mut carol = open(&cluster, 3).await?;
    let read = |id: &Value| json!({"type": "mark_as_read", "message_id": id, "request_id": "r"}).to_string();
    let foreign = check_refused(&mut carol, read(&sent["message_id"]), "not_found").await?;
    for missing in [json!(0), json!(99_999), json!(9_007_199_254_740_991_i64)] {
        let missing = check_refused(&mut carol, read(&missing), "not_found").await?;
        ensure!(missing == foreign, "{missing} tells more or less than {foreign}");
    }
    // Its own sender has not received it either.
    let own = check_refused(&mut ann, read(&sent["message_id"]), "not_found").await?;
    ensure!(own == foreign);
    let mut bob = open(&cluster, 2).await?;
    let count = ask(&mut bob, r#"{"type":"get_unread_count","request_id":1}"#).await?;
    ensure!(count["unread_count"] == 1, "nobody else has read it: {count}");
    finish_with(cluster, 1).await
}

pub(super) async fn a_client_id_names_one_message(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let send = |recipient: i64, subject: &str, content: &str| {
        json!({"type": "send_message", "recipient_id": recipient, "subject": subject, "content": content,
               "client_message_id": "c1"})
    };
    let first = check_sent(&mut ann, &send(2, "s", "x")).await?;
    for other in [send(3, "s", "x"), send(2, "t", "x"), send(2, "s", "y")] {
        let error = check_refused(&mut ann, other.to_string(), "client_message_id_reused").await?;
        ensure!(error["client_message_id"] == "c1", "{error}");
    }
    let again = check_sent(&mut ann, &send(2, "s", "x")).await?;
    ensure!(again["repeat"] == true && again["seq"] == first["seq"], "{again}");
    ensure!(again["message_id"] == first["message_id"], "{again}");
    // The name is the sender's own: others may use it too.
    let mut bob = open(&cluster, 2).await?;
    let others = check_sent(&mut bob, &send(1, "s", "y")).await?;
    ensure!(others["message_id"] != first["message_id"] && others["repeat"].is_null(), "{others}");
    finish_with(cluster, 2).await
}

pub(super) async fn requests_are_answered_by_their_id(cluster: Cluster) -> anyhow::Result<()> {
    let mut ann = open(&cluster, 1).await?;
    let send = |id: &Value| {
        json!({"type": "send_message", "recipient_id": 1, "content": "note", "client_message_id": "c1",
               "request_id": id})
    };
    let first = check_sent(&mut ann, &send(&json!("first"))).await?;
    ensure!(first["request_id"].is_null(), "an entry is nobody's answer: {first}");
    let received = ann.next().await?;
    ensure!(received["type"] == "new_message" && received["request_id"].is_null(), "{received}");
    for id in [json!(7), json!(-7), json!(9_007_199_254_740_991_i64), json!("text ä"), json!("")] {
        let requests = [
            (json!({"type": "ping", "request_id": id}), "pong"),
            (json!({"type": "get_unread_count", "request_id": id}), "unread_count"),
            (json!({"type": "nothing", "request_id": id}), "error"),
            (json!({"type": "mark_as_read", "message_id": 99_999, "request_id": id}), "error"),
            (send(&id), "message_sent"),
            // A message to oneself is read from the start.
            (
                json!({"type": "mark_as_read", "message_id": first["message_id"], "request_id": id}),
                "message_read",
            ),
        ];
        for (request, kind) in requests {
            let answer = ask(&mut ann, request.to_string()).await?;
            ensure!(answer["type"] == kind && answer["request_id"] == id, "{request}: {answer}");
            ensure!(answer["seq"].is_null() || answer["repeat"] == true, "{request}: {answer}");
        }
    }
    finish_with(cluster, 1).await
}
