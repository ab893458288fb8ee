//! The OpenAPI document: it names every route, what it names is there, and answers are as it says.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::attachments::kit::upload_one;
use crate::harness::Cluster;
use crate::harness::http::{bearer, get, send, send_json};

async fn document(cluster: &Cluster) -> anyhow::Result<Value> {
    get(cluster.address(1), "/api/v1/openapi.json", &[]).await?.json()
}

/// Every method and path of the document.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods =
        paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |it| (path, it.0)));
    methods.map(|(path, method)| (method.to_uppercase(), path.clone())).collect()
}

pub(super) async fn every_route_is_described(cluster: Cluster) -> anyhow::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http.rs");
    let source = std::fs::read_to_string(source)?;
    let mut routes = BTreeSet::new();
    for service in source.split(".service(").filter(|service| service.contains("\"/api/v1/")) {
        let path = service.split('"').nth(1).context("no path")?;
        let takes = |method: &&str| service.contains(&format!("web::{method}()"));
        let methods: Vec<_> = ["get", "post", "put", "patch", "delete"].into_iter().filter(takes).collect();
        ensure!(!methods.is_empty(), "this test cannot read the route `{service}`");
        routes.extend(methods.iter().map(|method| (method.to_uppercase(), path.to_owned())));
    }
    // The document itself.
    routes.remove(&("GET".to_owned(), "/api/v1/openapi.json".to_owned()));
    ensure!(routes.len() > 10, "{routes:?}");
    let described = operations(&document(&cluster).await?);
    ensure!(routes == described, "{:?}", routes.symmetric_difference(&described).collect::<Vec<_>>());
    cluster.finish().await
}

pub(super) async fn what_is_described_is_there(cluster: Cluster) -> anyhow::Result<()> {
    let document = document(&cluster).await?;
    ensure!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    for key in ["title", "version"] {
        ensure!(document["info"][key].as_str().is_some_and(|text| !text.is_empty()), "{}", document["info"]);
    }
    let (mut wrong, mut ids) = (Vec::new(), BTreeSet::new());
    for (method, path) in operations(&document) {
        let answer = send(cluster.address(0), &method, &path_with(&path, "1"), &[], &[]).await?;
        ensure!(
            ![404, 405].contains(&answer.status) && answer.status < 500,
            "{method} {path}: {}",
            answer.status
        );
        let operation = &document["paths"][&path][method.to_lowercase()];
        wrong
            .extend(check_operation(&path, operation).err().map(|error| format!("{method} {path}: {error}")));
        let id = operation["operationId"].as_str().unwrap_or_default();
        if !ids.insert(id) {
            wrong.push(format!("{method} {path}: another operation is called `{id}`"));
        }
    }
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    ensure!(references.len() > 5, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').context("a reference to another document")?;
        ensure!(document.pointer(pointer).is_some_and(Value::is_object), "{reference} leads nowhere");
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    cluster.finish().await
}

/// A path with the same in every place.
fn path_with(path: &str, value: &str) -> String {
    ["{id}", "{user_id}", "{reaction}"].iter().fold(path.to_owned(), |path, name| path.replace(name, value))
}

fn check_operation(path: &str, operation: &Value) -> anyhow::Result<()> {
    let responses = operation["responses"].as_object().context("no responses")?;
    let is_status = |status: &str| status.len() == 3 && status.starts_with(['2', '4', '5']);
    ensure!(responses.keys().all(|status| is_status(status)), "{responses:?}");
    ensure!(responses.keys().any(|status| status.starts_with('2')), "{responses:?}");
    for (status, response) in responses {
        ensure!(response["description"].is_string(), "{status} has no description");
    }
    ensure!(operation["operationId"].is_string());
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let in_path: Vec<_> = parameters.iter().filter(|it| it["in"] == "path").map(|it| &it["name"]).collect();
    let expect: Vec<_> = path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
    ensure!(in_path == expect, "{in_path:?}");
    for parameter in parameters {
        ensure!(parameter["schema"].is_object() && parameter["name"].is_string(), "{parameter}");
        ensure!(parameter["in"] != "query" || parameter["required"] != true, "{parameter}");
    }
    Ok(())
}

fn collect_references<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect_references(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect_references(value, references)),
        _ => {}
    }
}

pub(super) async fn answers_are_as_described(cluster: Cluster) -> anyhow::Result<()> {
    let (one, two) = (cluster.address(0), cluster.address(1));
    let document = document(&cluster).await?;
    let file = upload_one(one, 1, "a").await?.id;
    let body = json!({"recipient_id": 2, "content": "x", "client_message_id": "c", "attachment_ids": [file]});
    let sent = send_json(one, "POST", "/api/v1/messages", &[bearer(1)], &body).await?;
    let (media_type, form) = crate::harness::http::multipart(&[], &[("f", "x", b"x")]);
    let group = json!({"title": "t", "member_ids": [2]});
    let group = send_json(one, "POST", "/api/v1/conversations", &[bearer(1)], &group).await?;
    let of_group = format!("/api/v1/conversations/{}", group.json()?["conversation_id"]);
    for (method, path, asked, answer) in [
        ("post", "/api/v1/messages", "/api/v1/messages", sent),
        ("get", "/api/v1/me", "/api/v1/me", get(two, "/api/v1/me", &[bearer(2)]).await?),
        ("get", "/api/v1/users", "?limit=3", get(two, "/api/v1/users?limit=3", &[bearer(2)]).await?),
        ("get", "/api/v1/conversations", "", get(two, "/api/v1/conversations", &[bearer(2)]).await?),
        ("get", "/api/v1/conversations", "group", get(two, "/api/v1/conversations", &[bearer(1)]).await?),
        ("get", "/api/v1/conversations/{id}", "group", get(two, &of_group, &[bearer(2)]).await?),
        ("post", "/api/v1/conversations", "", group),
        (
            "patch",
            "/api/v1/messages/{id}",
            "1",
            send_json(one, "PATCH", "/api/v1/messages/1", &[bearer(1)], &json!({"content": "y"})).await?,
        ),
        (
            "put",
            "/api/v1/messages/{id}/reactions/{reaction}",
            "1",
            send(two, "PUT", "/api/v1/messages/1/reactions/x", &[bearer(2)], &[]).await?,
        ),
        (
            "get",
            "/api/v1/messages/{id}/versions",
            "1",
            get(two, "/api/v1/messages/1/versions", &[bearer(2)]).await?,
        ),
        ("get", "/api/v1/messages", "", get(two, "/api/v1/messages?box=received", &[bearer(2)]).await?),
        ("get", "/api/v1/search", "y", get(two, "/api/v1/search?query=y", &[bearer(2)]).await?),
        ("get", "/api/v1/presence", "1", get(two, "/api/v1/presence?user_ids=1", &[bearer(2)]).await?),
        (
            "put",
            "/api/v1/blocks/{user_id}",
            "",
            send(one, "PUT", "/api/v1/blocks/9", &[bearer(1)], &[]).await?,
        ),
        ("get", "/api/v1/blocks", "", get(two, "/api/v1/blocks", &[bearer(1)]).await?),
        ("get", "/api/v1/settings", "", get(two, "/api/v1/settings", &[bearer(1)]).await?),
        (
            "get",
            "/api/v1/conversations/{id}/messages",
            "1",
            get(two, "/api/v1/conversations/1/messages", &[bearer(2)]).await?,
        ),
        ("get", "/api/v1/events", "cursor=0", get(two, "/api/v1/events?cursor=0", &[bearer(2)]).await?),
        (
            "post",
            "/api/v1/auth/ticket",
            "",
            send(one, "POST", "/api/v1/auth/ticket", &[bearer(1)], &[]).await?,
        ),
        (
            "post",
            "/api/v1/messages/{id}/read",
            "1",
            send(two, "POST", "/api/v1/messages/1/read", &[bearer(2)], &[]).await?,
        ),
        (
            "post",
            "/api/v1/attachments",
            "",
            send(two, "POST", "/api/v1/attachments", &[bearer(2), media_type], &form).await?,
        ),
        (
            "get",
            "/api/v1/conversations/{id}/messages",
            "9",
            get(two, "/api/v1/conversations/9/messages", &[bearer(2)]).await?,
        ),
        ("get", "/api/v1/users", "limit=x", get(two, "/api/v1/users?limit=x", &[bearer(2)]).await?),
    ] {
        let responses = &document["paths"][path][method]["responses"];
        let response = responses.get(answer.status.to_string()).or(responses.get("4XX"));
        let response = response.with_context(|| format!("{path} {asked} has no {}", answer.status))?;
        let media_type = answer.header("content-type").unwrap_or_default();
        let schema = &response["content"][media_type]["schema"];
        ensure!(schema.is_object(), "{path} {asked}: nothing is said of {media_type}");
        let place = format!("{path} {asked} {}", answer.status);
        check_value(&document, schema, &answer.json()?, &place)?;
    }
    cluster.finish().await
}

/// A small part of JSON Schema: references, `allOf`, `oneOf`, `type`, `enum`, `required`, `properties`, `items`.
fn check_value(document: &Value, schema: &Value, value: &Value, place: &str) -> anyhow::Result<()> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).context("no such reference")?;
        return check_value(document, schema, value, place);
    }
    for schema in schema["allOf"].as_array().into_iter().flatten() {
        check_value(document, schema, value, place)?;
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = |schema: &&Value| check_value(document, schema, value, place).is_ok();
        ensure!(choices.iter().any(|schema| fits(&schema)), "{place}: {value} is none of {choices:?}");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    ensure!(types.is_empty() || types.iter().any(|it| is_of(value, it)), "{place}: {value} is no {types:?}");
    if let Some(names) = schema["enum"].as_array() {
        ensure!(names.contains(value), "{place}: {value} is none of {names:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().context("a name")?;
        ensure!(value.get(name).is_some(), "{place}: `{name}` is missing in {value}");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        if let Some(schema) = schema["properties"].get(name) {
            check_value(document, schema, field, &format!("{place}.{name}"))?;
        }
    }
    for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            check_value(document, &schema["items"], item, &format!("{place}[{nth}]"))?;
        }
    }
    Ok(())
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}
