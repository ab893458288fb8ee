//! Rows of the section `HTTP` that hold for all endpoints: who is not logged in, and wrong methods.

use serde_json::{Value, json};

use super::finish_with;
use super::pattern::{Findings, refusal};
use super::script::Script;
use crate::harness::Cluster;
use crate::harness::http::{self, multipart, origin};

/// Method and path of each.
const ENDPOINTS: &[(&str, &str)] = &[
    ("GET", "/api/users/"),
    ("GET", "/messages/get/"),
    ("GET", "/messages/unread/"),
    ("POST", "/messages/send/"),
    ("POST", "/messages/delete/1/"),
    ("GET", "/messages/download/1/"),
    ("GET", "/dashboard/notifications/"),
];

pub(super) async fn contract_of_strangers(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let address = cluster.address(0);
    let (kind, form) = multipart(&[("recipient", "2"), ("content", "x")], &[("attachments", "a.txt", b"x")]);
    let script = "X-Requested-With: XMLHttpRequest".to_owned();
    for cookie in [None, Some("Cookie: sessionid=abc; csrftoken=abc"), Some("Cookie: switchboard=abc")] {
        for (method, path) in ENDPOINTS {
            let mut headers = vec![kind.clone(), origin(address), script.clone()];
            headers.extend(cookie.map(str::to_owned));
            let body: &[u8] = if *method == "POST" { &form } else { &[] };
            let answer = http::send(address, method, path, &headers, body).await?;
            let row = format!("HTTP: without the session, {method} {path}, {cookie:?}");
            let error = if path.contains("download") { "Unauthorized" } else { "Not authenticated" };
            findings.hold(&row, answer.status == 401, &answer.head);
            let expect = json!({"error": error, "code": "unauthorized"});
            findings.compare(&row, &answer.json().unwrap_or(Value::Null), &expect);
        }
    }
    findings.finish()?;
    finish_with(cluster, 0).await
}

/// It was 405 without a body, or 500; all that is refused is JSON now.
pub(super) async fn contract_of_methods(cluster: Cluster) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ann = Script::log_in(&cluster, 0, 1).await?;
    for (right, path) in ENDPOINTS {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if method == *right {
                continue;
            }
            let headers = [ann.cookie.clone(), origin(ann.address)];
            let answer = http::send(ann.address, method, path, &headers, &[]).await?;
            let row = format!("HTTP: a wrong method, {method} {path}");
            findings.hold(&row, answer.status == 405, &answer.head);
            let allowed = answer.header("allow").unwrap_or_default();
            findings.hold(&row, allowed.split(", ").any(|method| method == *right), allowed);
            findings.compare(&row, &answer.json().unwrap_or(Value::Null), &refusal("method_not_allowed"));
        }
    }
    for path in ["/messages/delete/abc/", "/messages/delete/-1/", "/messages/delete/99999999999999999999/"] {
        let answer = ann.post(path, &[], &[]).await?;
        findings.hold(path, answer.status == 404, &answer.head);
        findings.compare(path, &answer.json().unwrap_or(Value::Null), &refusal("not_found"));
    }
    for path in ["/messages/download/abc/", "/messages/download/0/", "/messages/download/9007199254740992/"] {
        let answer = ann.get(path).await?;
        findings.hold(path, answer.status == 404, &answer.head);
        findings.compare(path, &answer.json().unwrap_or(Value::Null), &refusal("not_found"));
    }
    for path in ["/messages/", "/messages/get", "/messages/nothing/", "/nothing"] {
        let answer = ann.get(path).await?;
        findings.hold(path, answer.status == 404, &answer.head);
        let code = answer.json().unwrap_or(Value::Null)["code"].take();
        findings.hold(&format!("suffered: 33, {path}"), code == "not_found", &answer.body);
    }
    findings.finish()?;
    finish_with(cluster, 0).await
}
