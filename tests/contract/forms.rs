//! Rows of the section `HTTP` on `POST /messages/send/`: what it answers, and what it refuses.

use anyhow::ensure;
use serde_json::{Value, json};

use super::finish_with;
use super::pattern::{Findings, data, refusal};
use super::script::{Script, check_quiet};
use crate::harness::Cluster;
use crate::harness::http::{self, Answer, multipart, origin};

/// Row, fields, to whom it goes, how many are skipped.
type Form = (&'static str, &'static [(&'static str, &'static str)], &'static [i64], usize);

const FORMS: &[Form] = &[
    ("recipient", &[("recipient", "2"), ("subject", "s"), ("content", "x")], &[2], 0),
    (
        "recipient, repeated",
        &[("recipient", "2"), ("recipient", "3"), ("subject", "s"), ("content", "x")],
        &[2, 3],
        0,
    ),
    ("recipients", &[("recipients", "3"), ("subject", "s"), ("content", "x")], &[3], 0),
    (
        "recipients, repeated",
        &[("recipients", "3"), ("recipients", "2"), ("subject", "s"), ("content", "x")],
        &[3, 2],
        0,
    ),
    ("one twice", &[("recipients", "2"), ("recipients", "02"), ("subject", "s"), ("content", "x")], &[2], 0),
    (
        "both, the same",
        &[("recipients", "2"), ("recipient", "2"), ("subject", "s"), ("content", "x")],
        &[2],
        0,
    ),
    (
        "an empty one besides",
        &[("recipient", ""), ("recipients", "2"), ("subject", "s"), ("content", "x")],
        &[2],
        0,
    ),
    (
        "unknown besides",
        &[("recipients", "9999"), ("recipients", "2"), ("subject", "s"), ("content", "x")],
        &[2],
        1,
    ),
    (
        "bad besides",
        &[
            ("recipients", "2"),
            ("recipients", "abc"),
            ("recipients", "9999"),
            ("recipients", "3"),
            ("subject", "s"),
            ("content", "x"),
        ],
        &[2, 3],
        2,
    ),
    ("oneself", &[("recipient", "1"), ("subject", "s"), ("content", "x")], &[1], 0),
    (
        "fields that nobody knows",
        &[("recipient", "2"), ("subject", "s"), ("content", "x"), ("role", "admin")],
        &[2],
        0,
    ),
];

pub(super) async fn contract_of_forms(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let (bob, carol) = (Script::log_in(&cluster, 1, 2).await?, Script::log_in(&cluster, 1, 3).await?);
    let mut sockets =
        [ann.socket(&cluster).await?, bob.socket(&cluster).await?, carol.socket(&cluster).await?];
    let mut n_sent = 0;
    for (row, fields, recipients, n_skipped) in FORMS {
        let row = format!("send: {row}");
        let answer = ann.post_form(fields, &[]).await?;
        findings.hold(&row, answer.status == 200, &answer.head);
        let body = answer.json()?;
        let mut message = format!("Message sent to {} recipient(s).", recipients.len());
        if *n_skipped > 0 {
            message += &format!(" Skipped {n_skipped} invalid recipient(s).");
        }
        let ids = vec!["<number>"; recipients.len()];
        let expect = json!({"status": "success", "message_id": body["message_ids"][0], "message_ids": ids, "message": message});
        findings.compare(&row, &body, &expect);
        for (recipient, id) in recipients.iter().zip(body["message_ids"].as_array().into_iter().flatten()) {
            let mut pushed =
                json!({"type": "new_message", "seq": "<number>", "data": data(1, *recipient, "s", "x")});
            pushed["data"]["message_id"] = id.clone();
            // The sender's other tabs come first: their own socket gets `message_sent`.
            let sent = sockets[0].next().await?;
            findings.hold(&row, sent["type"] == "message_sent" && sent["message_id"] == *id, &sent);
            let received = sockets[usize::try_from(recipient - 1)?].next().await?;
            findings.compare(&format!("suffered: 2, {row}"), &received, &pushed);
        }
        n_sent += i64::try_from(recipients.len())?;
    }
    for socket in &mut sockets {
        check_quiet("send: each once", socket).await?;
    }
    // A person's browser, which posts the page's form, is sent back to the page.
    let (kind, body) =
        multipart(&[("csrfmiddlewaretoken", "abc"), ("recipient", "2"), ("content", "x")], &[]);
    let headers = [ann.cookie.clone(), origin(ann.address), kind];
    let answer = http::send(ann.address, "POST", "/messages/send/", &headers, &body).await?;
    findings.hold(
        "not XMLHttpRequest",
        (answer.status, answer.header("location")) == (302, Some("/")),
        &answer.head,
    );
    ensure!(sockets[1].next().await?["type"] == "new_message");
    let urlencoded = "Content-Type: application/x-www-form-urlencoded".to_owned();
    let answer = ann.post("/messages/send/", &[urlencoded], b"recipient=2&content=a+%26+b").await?;
    findings.hold("a form without files", answer.status == 200, answer.body);
    let received = sockets[1].next().await?;
    findings.hold("a form without files", received["data"]["content"] == "a & b", &received);
    findings.finish()?;
    finish_with(cluster, n_sent + 2).await
}

/// Row, fields, status, code, and the sentence if scripts may look for it.
type Refused = (&'static str, Vec<(&'static str, String)>, u16, &'static str, Option<&'static str>);

fn refused() -> Vec<Refused> {
    let fields = |fields: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        fields.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
    };
    let nobody = Some("Please select at least one recipient.");
    let bad = Some("Invalid recipient selection.");
    let empty = Some("Message text or at least one attachment is required.");
    vec![
        ("no recipient", fields(&[("content", "x")]), 400, "missing_field", nobody),
        ("no recipient: empty", fields(&[("recipient", ""), ("content", "x")]), 400, "missing_field", nobody),
        ("bad recipient", fields(&[("recipient", "abc"), ("content", "x")]), 400, "invalid_field", bad),
        ("bad recipient: -1", fields(&[("recipients", "-1"), ("content", "x")]), 400, "invalid_field", bad),
        ("bad recipient: 2.0", fields(&[("recipients", "2.0"), ("content", "x")]), 400, "invalid_field", bad),
        (
            "bad recipient: unknown",
            fields(&[("recipients", "9999"), ("content", "x")]),
            400,
            "unknown_recipient",
            bad,
        ),
        (
            "bad recipient: all",
            fields(&[("recipients", "9999"), ("recipients", "x"), ("content", "x")]),
            400,
            "unknown_recipient",
            bad,
        ),
        ("no content", fields(&[("recipient", "2")]), 400, "empty_message", empty),
        (
            "no content: empty",
            fields(&[("recipient", "2"), ("subject", "s"), ("content", "")]),
            400,
            "empty_message",
            empty,
        ),
        (
            "no content: space",
            fields(&[("recipient", "2"), ("content", " \r\n")]),
            400,
            "empty_message",
            empty,
        ),
        (
            "subject over 255",
            vec![("recipient", "2".to_owned()), ("subject", "ä".repeat(256)), ("content", "x".to_owned())],
            400,
            "subject_too_long",
            None,
        ),
        (
            "content with U+0000",
            fields(&[("recipient", "2"), ("content", "a\0b")]),
            400,
            "invalid_field",
            None,
        ),
        ("nothing", vec![], 400, "missing_field", nobody),
    ]
}

pub(super) async fn contract_of_refused_forms(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let mut bobs = bob.socket(&cluster).await?;
    for (row, fields, status, code, sentence) in refused() {
        let row = format!("send: {row}");
        let fields: Vec<_> = fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let answer = ann.post_form(&fields, &[]).await?;
        check_refused(&mut findings, &row, &answer, status, code);
        if let Some(sentence) = sentence {
            findings.hold(&row, answer.json()?["error"] == sentence, &answer.body);
        }
        // Without a script it is no success either.
        let (kind, body) = multipart(&fields, &[]);
        let headers = [ann.cookie.clone(), origin(ann.address), kind];
        let answer = http::send(ann.address, "POST", "/messages/send/", &headers, &body).await?;
        check_refused(&mut findings, &format!("{row}, not XMLHttpRequest"), &answer, status, code);
    }
    let json = "Content-Type: application/json".to_owned();
    let answer = ann.post("/messages/send/", &[json], br#"{"recipient": 2, "content": "x"}"#).await?;
    check_refused(&mut findings, "send: no form", &answer, 415, "unsupported_media_type");
    let answer = ann.post("/messages/send/", &[], &[]).await?;
    check_refused(&mut findings, "send: no body", &answer, 415, "unsupported_media_type");
    let (kind, body) = multipart(&[("recipient", "2"), ("content", "x")], &[]);
    let answer = ann.post("/messages/send/", &[kind], &body[..body.len() - 20]).await?;
    check_refused(&mut findings, "send: cut off", &answer, 400, "invalid_field");
    check_quiet("send: what is refused is not delivered", &mut bobs).await?;
    findings.finish()?;
    finish_with(cluster, 0).await
}

fn check_refused(findings: &mut Findings, row: &str, answer: &Answer, status: u16, code: &str) {
    findings.hold(row, answer.status == status, &answer.head);
    findings.compare(row, &answer.json().unwrap_or(Value::Null), &refusal(code));
}
