//! The row kept on sizes: 256 KiB a frame, 32 KiB of decoded content, on either way.

use anyhow::{Context, ensure};
use serde_json::json;

use super::finish_with;
use super::pattern::{Findings, error_frame, refusal};
use super::script::{Script, ask, check_quiet};
use crate::harness::Cluster;

const CONTENT: usize = 32 * 1024;
const FRAME: usize = 256 * 1024;

pub(super) async fn contract_of_sizes(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let (mut anns, mut bobs) = (ann.socket(&cluster).await?, bob.socket(&cluster).await?);
    let most = "ä".repeat(CONTENT / 2);
    // As Python writes it: six bytes for two. Filled up with space to the largest frame.
    let escaped = r"\u00e4".repeat(CONTENT / 2);
    let frame = format!(r#"{{"type": "send_message", "recipient_id": 2, "content": "{escaped}"}}"#);
    anns.send(format!("{frame}{}", " ".repeat(FRAME - frame.len()))).await?;
    findings.hold("kept: 256 KiB a frame", anns.next().await?["type"] == "message_sent", "it is refused");
    let received = bobs.next().await?;
    findings.hold("kept: 32 KiB, new_message", received["data"]["content"] == most, &received["type"]);
    ann.send(2, "", &most).await.context("kept: 32 KiB of content by form")?;
    ensure!(anns.next().await?["type"] == "message_sent");
    findings.hold("kept: 32 KiB by form", bobs.next().await?["data"]["content"] == most, "it is cut");

    let over = format!("{most}a");
    let send = json!({"type": "send_message", "recipient_id": 2, "content": over});
    let answer = ask(&mut anns, &send.to_string()).await?;
    findings.compare("kept: more is an error", &answer, &error_frame("content_too_large"));
    let answer = ann.post_form(&[("recipient", "2"), ("content", &over)], &[]).await?;
    findings.hold("kept: more is a 4xx by form", answer.status == 413, &answer.head);
    findings.compare("kept: more is a 4xx by form", &answer.json()?, &refusal("content_too_large"));
    check_quiet("kept: more of content, the connection stays", &mut anns).await?;
    // It may be refused before all of it is sent.
    let _ = anns.send(" ".repeat(FRAME + 1)).await;
    let answer = anns.next().await?;
    findings.compare("kept: more than 256 KiB is an error", &answer, &error_frame("frame_too_large"));
    let code = anns.close_code().await?;
    findings.hold("kept: more than 256 KiB, with a close frame", code == 1009, code);
    check_quiet("kept: what is too large is not sent", &mut bobs).await?;
    findings.finish()?;
    finish_with(cluster, 2).await
}
