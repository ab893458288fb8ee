//! Holds the README, which is the wire reference, to the code: each example parses, each field and code has its row.
//!
//! A fenced block says by its info string what it is; one that says nothing known fails. A `###` heading that is
//! one name in backticks, under `## Client frames` or `## Server frames`, is the section of that frame; one that is a
//! method and a path is the section of that endpoint, and its tables together list the fields of its query and bodies.

#[path = "reference/bodies.rs"]
mod bodies;
#[path = "reference/frames.rs"]
mod frames;
#[path = "reference/page.rs"]
mod page;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use switchboard_protocol::limits;
use switchboard_protocol::{CloseCode, ErrorCode, Reaction};

use frames::{OBJECTS, client, server};
use page::{README, fields, frame_section, paths, section, sections};

#[test]
fn every_example_is_what_it_says() {
    let mut n_examples = 0;
    for section in sections() {
        for example in &section.examples {
            n_examples += 1;
            let words: Vec<_> = example.info.split(' ').collect();
            let frame = match words[..] {
                ["json", "client"] => Some(example.check_client_frame()),
                ["json", "server"] => Some(example.check_server_frame(&example.text).0),
                _ => None,
            };
            assert!(frame.is_none() || frame == section.frame(), "README.md:{}: wrong section", example.line);
            match words[..] {
                ["json", "client" | "server"] => {}
                ["json", "client-error", code] => example.check_refusal(code),
                ["json", "http", kind] => example.check_body(kind),
                ["json", "token"] => example.check_token(&section.names()),
                ["text", "sse"] => example.check_stream(),
                ["http"] => example.check_request(),
                _ => example.fail("has an info string that this test does not know"),
            }
        }
    }
    assert!(n_examples > 60, "only {n_examples} examples were found");
}

#[test]
fn every_frame_has_its_section_with_fields_and_examples() {
    for (kind, frames) in [("client", client::FRAMES), ("server", server::FRAMES)] {
        for (name, expected) in frames.iter().filter(|(name, _)| !name.is_empty()) {
            let section = frame_section(kind, name);
            let place = format!("README.md:{}: `{name}`", section.line);
            let listed = section.names();
            let tops: BTreeSet<_> = listed.iter().filter_map(|path| path.split('.').next()).collect();
            let expected: BTreeSet<_> = expected.iter().flat_map(|fields| fields.split(' ')).collect();
            assert_eq!(tops, expected, "{place}: left are the fields of its table, right those of the code");
            let info = format!("json {kind}");
            let examples = section.examples.iter().filter(|example| example.info == info);
            let mut shown: BTreeSet<_> =
                examples.flat_map(|example| paths(&example.read(&example.text), &listed)).collect();
            assert!(shown.remove("type"), "{place}: write an example");
            if kind == "client" {
                // It stands in the table of all client frames.
                shown.remove("request_id");
            }
            assert_eq!(
                shown, listed,
                "{place}: left are the fields of its examples, right those of its table"
            );
        }
    }
    let known: Vec<_> = client::FRAMES.iter().chain(server::FRAMES).map(|(name, _)| *name).collect();
    for section in sections() {
        let stray = section.frame().filter(|name| !known.contains(name));
        assert_eq!(stray, None, "README.md:{}: there is no such frame: take it out", section.line);
    }
}

#[test]
fn every_endpoint_has_its_fields_and_every_body_its_example() {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for section in sections() {
        let place = format!("README.md:{}: {}", section.line, section.heading);
        let listed = section.names();
        let mut expected: BTreeSet<String> = bodies::QUERIES
            .iter()
            .chain(bodies::FORMS)
            .filter(|(heading, _)| *heading == section.heading)
            .flat_map(|(_, fields)| fields.iter().map(|&field| field.to_owned()))
            .collect();
        let kinds = section.examples.iter().filter_map(|example| {
            Some((
                example,
                example
                    .info
                    .strip_prefix("json http ")
                    .filter(|kind| !["health", "change"].contains(kind))?,
            ))
        });
        let is_body = kinds.clone().next().is_some();
        for (example, kind) in kinds {
            let body: Value = example.read(&example.text);
            expected.extend(paths(&body, &listed));
            shown.entry(kind.to_owned()).or_default().extend(fields(&body));
        }
        if is_body || !expected.is_empty() {
            assert_eq!(listed, expected, "{place}: left are the fields of its tables");
        }
    }
    for (name, fields) in bodies::BODIES {
        let fields = fields.iter().flat_map(|field| field.split(' ')).map(str::to_owned).collect();
        assert_eq!(
            shown.remove(*name),
            Some(fields),
            "`json http {name}`: left are the fields of its examples"
        );
    }
}

#[test]
fn every_type_of_a_body_is_named() {
    let named: BTreeSet<_> =
        [bodies::BODY_TYPES, bodies::QUERY_TYPES, bodies::INNER_TYPES].concat().into_iter().collect();
    for (module, source) in [
        ("api", include_str!("../src/api.rs")),
        ("api", include_str!("../src/api/changes.rs")),
        ("api", include_str!("../src/api/conversations.rs")),
        ("api", include_str!("../src/api/people.rs")),
        ("former", include_str!("../src/former.rs")),
    ] {
        for line in source.lines() {
            if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.split(' ').next()) {
                assert!(named.contains(format!("{module}::{name}").as_str()), "name {name} in bodies.rs");
            }
        }
    }
}

#[test]
fn queries_and_forms_are_those_of_endpoints() {
    for (heading, _) in bodies::QUERIES.iter().chain(bodies::FORMS) {
        assert!(section(heading).endpoint().is_some());
    }
}

#[test]
fn shared_objects_have_each_of_their_fields_in_the_table() {
    let lists = section("`GET /messages/get/`").examples.remove(0);
    let listed = fields(&lists.read::<Value>(&lists.text)["received"][0]);
    assert_eq!(section("A listed message").names(), listed, "A listed message: left is the table");
    for (heading, expected) in OBJECTS {
        let expected: BTreeSet<_> = expected.iter().map(|&field| field.to_owned()).collect();
        assert_eq!(section(heading).names(), expected, "{heading}: left is the table");
    }
}

/// Each field of a message stands in some example.
#[test]
fn a_message_is_shown_with_each_of_its_fields() {
    fn collect(value: &Value, shown: &mut BTreeSet<String>) {
        if value["type"] == "new_message" && value["seq"].is_null() {
            shown.extend(fields(value));
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|value| collect(value, shown)),
            Value::Array(items) => items.iter().for_each(|item| collect(item, shown)),
            _ => {}
        }
    }
    let mut shown = BTreeSet::new();
    for example in sections().iter().flat_map(|section| &section.examples) {
        if let Ok(value) = serde_json::from_str(&example.text) {
            collect(&value, &mut shown);
        }
    }
    assert_eq!(shown, section("A message").names(), "left are the fields of the examples");
}

#[test]
fn what_an_endpoint_refuses_with_is_a_code() {
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let mut n_codes = 0;
    for paragraph in README.split("\n\n").filter(|paragraph| paragraph.starts_with("Refused with ")) {
        for code in paragraph.split('`').skip(1).step_by(2) {
            n_codes += 1;
            assert!(codes.contains(&code), "there is no code `{code}`: {paragraph}");
        }
    }
    assert!(n_codes > 30, "only {n_codes} codes were found");
}

#[test]
fn links_lead_to_headings() {
    let is_kept = |letter: &char| letter.is_alphanumeric() || ['-', '_'].contains(letter);
    let slug =
        |heading: &str| heading.to_lowercase().replace(' ', "-").chars().filter(is_kept).collect::<String>();
    let slugs: BTreeSet<_> = sections().iter().map(|section| slug(&section.heading)).collect();
    for link in README.split("](#").skip(1) {
        let link = link.split(')').next().unwrap_or_default();
        assert!(slugs.contains(link), "there is no heading for #{link}");
    }
}

#[test]
fn error_codes_are_those_of_the_code() {
    let rows = section("Error codes").rows;
    assert!(rows.iter().all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty())));
    let listed: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].parse().unwrap_or(0))).collect();
    let expected: Vec<_> = ErrorCode::ALL.iter().map(|code| (code.as_str(), code.http_status())).collect();
    assert_eq!(listed, expected, "left is the table");
}

#[test]
fn close_codes_are_those_of_the_code() {
    let reaction = |code: &CloseCode| match code.reaction() {
        Reaction::Reconnect => "reconnect",
        Reaction::Refresh => "refresh",
        Reaction::Stop => "stop",
    };
    let rows = section("Close codes").rows;
    assert!(rows.iter().all(|row| row.len() == 4 && row.iter().all(|cell| !cell.is_empty())));
    let listed: Vec<_> =
        rows.iter().map(|row| (row[0].parse().unwrap_or(0), row[1].as_str(), row[3].as_str())).collect();
    let expected: Vec<_> =
        CloseCode::ALL.iter().map(|code| (code.code(), code.reason(), reaction(code))).collect();
    assert_eq!(listed, expected, "left is the table");
}

#[test]
fn limits_are_those_of_the_code() {
    let rows = section("Limits").rows;
    let listed: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].parse().unwrap_or(0))).collect();
    let expected = [
        ("frame_bytes", limits::FRAME_BYTES),
        ("content_bytes", limits::CONTENT_BYTES),
        ("subject_chars", limits::SUBJECT_CHARS),
        ("attachments", limits::ATTACHMENTS),
        ("members", limits::GROUP_MEMBERS),
        ("groups", usize::try_from(limits::GROUPS).expect("a small number")),
        ("blocks", usize::try_from(limits::BLOCKS).expect("a small number")),
        ("title", limits::TITLE_CHARS),
        ("reaction", limits::REACTION_BYTES),
        ("reaction", usize::try_from(limits::REACTIONS).expect("a small number")),
        ("versions", usize::try_from(limits::VERSIONS).expect("a small number")),
        ("user_ids", limits::WATCHED),
        ("filename", limits::FILENAME_CHARS),
        ("username, full_name", limits::NAME_CHARS),
        ("password", limits::PASSWORD_MIN_CHARS),
        ("password", limits::PASSWORD_BYTES),
        ("client_message_id, client_conversation_id", limits::CLIENT_MESSAGE_ID_BYTES),
        ("request_id", limits::REQUEST_ID_BYTES),
    ];
    assert_eq!(listed, expected, "left is the table");
}
