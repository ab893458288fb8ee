//! Rows on files: in a form, live, in lists, on their way back, and their limits.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use switchboard_protocol::{AttachmentId, UserId};

use super::finish_with;
use super::pattern::{Findings, attachment, data, listed, refusal};
use super::script::{Script, check_quiet};
use crate::harness::Cluster;
use crate::harness::http::Answer;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\xff\xfe and bytes that are no text \x80\x81";

fn id(attachment: &Value) -> anyhow::Result<i64> {
    attachment["id"].as_i64().with_context(|| format!("no id: {attachment}"))
}

pub(super) async fn contract_of_files(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let (bob, carol) = (Script::log_in(&cluster, 1, 2).await?, Script::log_in(&cluster, 1, 3).await?);
    let (mut bobs, mut carols) = (bob.socket(&cluster).await?, carol.socket(&cluster).await?);
    // Content may be empty if there is a file; those of size 0 are skipped.
    let fields = [("recipients", "2"), ("recipients", "3"), ("subject", "s"), ("content", "")];
    let files: [(&str, &str, &[u8]); 4] = [
        ("attachments", "photo ä.png", PNG),
        ("attachments", "empty.txt", b""),
        ("attachments", "../../<img src=x>.html", b"<script>alert(1)</script>"),
        ("attachments", "", b""),
    ];
    let sent = ann.send_form(&fields, &files).await?;
    let expect = json!([attachment("photo ä.png", PNG.len()), attachment("<img src=x>.html", 25)]);
    let mut ids = Vec::new();
    for (socket, script, user) in [(&mut bobs, &bob, 2), (&mut carols, &carol, 3)] {
        let mut pushed = json!({"type": "new_message", "seq": "<number>", "data": data(1, user, "s", "")});
        pushed["data"]["attachments"] = expect.clone();
        let received = socket.next().await?;
        findings.compare("kept: delivered live, attachments included", &received, &pushed);
        let lists = script.json("/messages/get/").await?;
        let mut message = listed(&sent["message_ids"][ids.len()], (1, user), ("s", ""), false, "received");
        message["attachments"] = expect.clone();
        findings.compare("/messages/get/, attachments", &lists["received"], &json!([message]));
        let attachments = &lists["received"][0]["attachments"];
        findings.hold(
            "the same live as in lists",
            *attachments == received["data"]["attachments"],
            attachments,
        );
        for place in ["url", "download_url"] {
            let path = attachments[0][place].as_str().context("a path")?;
            check_file(&mut findings, &format!("suffered: 31, {place}"), &script.get(path).await?, PNG);
            check_file(&mut findings, "download: the sender", &ann.get(path).await?, PNG);
        }
        let page = script.get(attachments[1]["url"].as_str().context("a path")?).await?;
        check_file(&mut findings, "download: as attachment", &page, b"<script>alert(1)</script>");
        let kind = page.header("content-type");
        findings.hold("download: no page of ours", kind == Some("application/octet-stream"), &page.head);
        ids.push((id(&attachments[0])?, user));
    }
    check_foreign(&mut findings, &ids, &[&bob, &carol]).await?;
    // H kept a copy a recipient: here both rows lead to the same bytes.
    let mut keys = Vec::new();
    for (id, user) in ids {
        let file = cluster.store.find_attachment(AttachmentId(id), UserId(user)).await?;
        keys.push(file.context("a row")?.storage_key);
    }
    findings.hold("N recipients: one stored file", keys[0] == keys[1], format!("{keys:?}"));
    for socket in [&mut bobs, &mut carols] {
        ensure!(socket.next().await?["type"] == "message_read");
        check_quiet("one message each", socket).await?;
    }
    findings.finish()?;
    finish_with(cluster, 2).await
}

fn check_file(findings: &mut Findings, row: &str, answer: &Answer, bytes: &[u8]) {
    findings.hold(row, answer.status == 200 && answer.bytes == bytes, &answer.head);
    let disposition = answer.header("content-disposition").unwrap_or_default();
    findings.hold(row, disposition.starts_with("attachment; "), &answer.head);
    findings.hold(row, answer.header("x-content-type-options") == Some("nosniff"), &answer.head);
}

/// Who is neither sender nor recipient finds what they would find of a file that is not there.
async fn check_foreign(
    findings: &mut Findings,
    ids: &[(i64, i64)],
    others: &[&Script; 2],
) -> anyhow::Result<()> {
    for ((id, _), script) in ids.iter().zip(others.iter().rev()) {
        let foreign = script.get(&format!("/messages/download/{id}/")).await?;
        let missing = script.get("/messages/download/99999/").await?;
        findings.hold("download: stranger", foreign.status == 404, &foreign.head);
        findings.compare("download: stranger", &foreign.json().unwrap_or(Value::Null), &refusal("not_found"));
        findings.hold("download: unknown id", missing.body == foreign.body, &missing.body);
    }
    Ok(())
}

/// A limit that tests need no time for.
pub(super) const SMALL: &[(&str, &str)] = &[("SWITCHBOARD_ATTACHMENTS__MAX_BYTES", "1000")];

pub(super) async fn contract_of_file_limits(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let mut bobs = bob.socket(&cluster).await?;
    let fields = [("recipient", "2"), ("content", "x")];
    let (most, over) = (vec![b'x'; 1000], vec![b'x'; 1001]);
    let file = ("attachments", "a.txt", most.as_slice());
    let refused = [
        (
            "a file over its limit",
            &fields[..],
            vec![("attachments", "a.txt", over.as_slice())],
            413,
            "attachment_too_large",
        ),
        ("eleven files", &fields[..], vec![file; 11], 400, "too_many_attachments"),
        (
            "an empty file is none",
            &fields[..1],
            vec![("attachments", "a.txt", b"".as_slice())],
            400,
            "empty_message",
        ),
        ("no recipient, but a file", &fields[1..], vec![file], 400, "missing_field"),
        ("unknown recipient, but a file", &[("recipient", "9999")], vec![file], 400, "unknown_recipient"),
    ];
    for (row, fields, files, status, code) in refused {
        let answer = ann.post_form(fields, &files).await?;
        findings.hold(row, answer.status == status, &answer.head);
        findings.compare(row, &answer.json().unwrap_or(Value::Null), &refusal(code));
    }
    check_quiet("refused with its files", &mut bobs).await?;
    ann.send_form(&fields, &vec![file; 10]).await?;
    let received = bobs.next().await?;
    let expect = vec![attachment("a.txt", 1000); 10];
    findings.compare("ten files at the limit", &received["data"]["attachments"], &json!(expect));
    ann.send_form(&fields, &[("attachments", "a.txt", b"")]).await?;
    let received = bobs.next().await?;
    findings.compare("an empty file is skipped", &received["data"]["attachments"], &json!([]));
    findings.finish()?;
    finish_with(cluster, 2).await
}
