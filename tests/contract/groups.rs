//! What groups are to clients of the former system, who know none: sections, and messages whose recipient is a title.

use anyhow::ensure;
use serde_json::{Value, json};
use switchboard_protocol::{Role, UserId};

use super::pattern::{Findings, check, listed};
use super::script::Script;
use crate::harness::Cluster;
use crate::harness::http::{Answer, bearer, send_json};

pub(super) const ONLY_IN_GROUPS: &[(&str, &str)] = &[("SWITCHBOARD_MESSAGES__ONLY_IN_GROUPS", "true")];

/// Groups that an operator has made: titles and members. Gives their ids.
async fn import(cluster: &Cluster, groups: &[(&str, &[i64])]) -> anyhow::Result<Vec<i64>> {
    let mut ids = Vec::new();
    for (title, members) in groups {
        let members: Vec<_> = members.iter().map(|user| (UserId(*user), Role::Member)).collect();
        let made = cluster.store.import_group(title, &members).await?;
        ids.push(made.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?.0);
    }
    Ok(ids)
}

/// The sections of those users who have any, and of `user`; none if they are not listed.
fn sections(users: &Value, user: i64) -> Option<Vec<&str>> {
    let users = users["users"].as_array()?;
    let found = users.iter().find(|it| it["id"] == user)?["sections"].as_array()?;
    Some(found.iter().filter_map(Value::as_str).collect())
}

pub(super) async fn contract_of_sections(cluster: Cluster) -> anyhow::Result<()> {
    import(&cluster, &[("Choir", &[1, 2, 3]), ("Band", &[2, 1]), ("Elsewhere", &[2, 4])]).await?;
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let users = ann.json("/api/users/").await?;
    for (user, expect) in
        [(1, &["Band", "Choir"][..]), (2, &["Band", "Choir"]), (3, &["Choir"]), (4, &[]), (5, &[])]
    {
        let found = sections(&users, user);
        ensure!(found.as_deref() == Some(expect), "HTTP: sections of {user}: {found:?}");
    }
    cluster.finish().await
}

pub(super) async fn contract_of_group_messages(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let group = import(&cluster, &[("Choir", &[1, 2, 3])]).await?[0];
    let (ann, bob) = (Script::log_in(&cluster, 0, 1).await?, Script::log_in(&cluster, 1, 2).await?);
    let body = json!({"conversation_id": group, "content": "to all"});
    let sent = send_json(cluster.address(0), "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    let id = sent.json()?["message_id"].take();
    let line = |is_read, kind| {
        let mut line = listed(&id, (1, 0), ("No Subject", "to all"), is_read, kind);
        line["recipient"] = json!("Choir");
        line.as_object_mut().map(|fields| fields.remove("recipient_id"));
        line
    };
    let sent = |is_read| {
        let line = line(is_read, "sent");
        json!({"received": [], "sent": [line], "archive": [line], "unread_count": 0})
    };
    findings.compare("/messages/get/, sent to a group", &ann.json("/messages/get/").await?, &sent(false));
    let bell = bob.json("/dashboard/notifications/").await?;
    let from = &bell["latest_notifications"][0]["title"];
    findings.hold("notifications, of a group", from == "User 1" && bell["unread_messages"] == 1, &bell);
    let received = line(false, "received");
    let received = json!({"received": [received], "sent": [], "archive": [received], "unread_count": 0});
    findings.compare("/messages/get/, of a group", &bob.json("/messages/get/").await?, &received);
    findings.compare("/messages/get/, somebody read it", &ann.json("/messages/get/").await?, &sent(true));
    ensure!(bob.unread().await? == 0, "/messages/unread/");
    findings.finish()?;
    cluster.finish().await
}

pub(super) async fn contract_of_the_policy(cluster: Cluster) -> anyhow::Result<()> {
    import(&cluster, &[("Choir", &[1, 2, 3])]).await?;
    let ann = Script::log_in(&cluster, 0, 1).await?;
    let listed = ann.json("/api/users/").await?;
    let ids: Vec<_> = listed["users"].as_array().into_iter().flatten().map(|it| it["id"].clone()).collect();
    ensure!(ids == [1, 2, 3], "HTTP: /api/users/ under the policy: {ids:?}");
    let form = |recipients: &'static [&str]| {
        let mut fields: Vec<_> = recipients.iter().map(|user| ("recipients", *user)).collect();
        fields.push(("content", "x"));
        fields
    };
    let refused = "Selected recipients are not connected to your sections.";
    // Whether somebody is there is not told either.
    for recipients in [&["4"][..], &["4", "5"], &["999999"]] {
        let answer: Answer = ann.post_form(&form(recipients), &[("attachments", "a", b"a")]).await?;
        ensure!(answer.status == 403, "{recipients:?}: {} {}", answer.status, answer.body);
        let pattern = json!({"error": refused, "code": "unknown_recipient"});
        check("HTTP: recipient not allowed", &answer.json()?, &pattern)?;
    }
    let sent = ann.send_form(&form(&["2", "4", "3", "1"]), &[]).await?;
    let n_sent = sent["message_ids"].as_array().map_or(0, Vec::len);
    ensure!(n_sent == 3, "HTTP: a mix is sent to the allowed ones: {sent}");
    ensure!(cluster.store.count_messages().await? == 3);
    cluster.finish().await
}
