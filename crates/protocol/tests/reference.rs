//! Holds the README, which is the wire reference, to the code: each example parses, each field and code has its row.
//!
//! A fenced block says by its info string what it is; one that says nothing known fails. A `###` heading that is
//! one name in backticks, under `## Client frames` or `## Server frames`, is the section of that frame.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_protocol::events::Events;
use switchboard_protocol::history::HistoryPage;
use switchboard_protocol::limits;
use switchboard_protocol::problem::Problem;
use switchboard_protocol::{CloseCode, Envelope, ErrorCode, Incoming, Reaction};

const README: &str = include_str!("../README.md");

/// Names the variants of an enum of frames and their fields. It has no `..` and no `_`, so that a new variant or
/// field fails to compile until it stands here; then the tests ask for it in the README.
macro_rules! frames {
    ($module:ident uses $($import:ident)::+ in $frame:ident {
        $($name:literal $variant:ident $({ $($field:ident),* })? $(($inner:ident { $($of_inner:ident),* }))?;)*
    }) => {
        mod $module {
            use switchboard_protocol::$($import)::+::*;

            pub(super) const FRAMES: &[(&str, &[&str])] = &[
                $(($name, &[$($(stringify!($field)),*)? $($(stringify!($of_inner)),*)?])),*
            ];

            pub(super) fn name_of(frame: &$frame) -> &'static str {
                match frame {
                    $($frame::$variant $({ $($field: _),* })? $(($inner { $($of_inner: _),* }))? => $name,)*
                }
            }
        }
    };
}

frames!(client uses client_frame in ClientFrame {
    "send_message" SendMessage(SendMessage { recipient_id, subject, content, client_message_id });
    "mark_as_read" MarkAsRead { message_id };
    "get_unread_count" GetUnreadCount;
    "ping" Ping;
});

frames!(server uses server_frame in ServerFrame {
    "welcome" Welcome(Welcome {
        user, connection_id, epoch, cursor, unread_count, server_time, heartbeat_interval_ms, limits
    });
    "new_message" NewMessage { seq, data };
    "message_sent" MessageSent { seq, message_id, status, client_message_id, repeat, request_id, data };
    "message_read" MessageRead { seq, message_id, status, unread_count, repeat, request_id };
    "read_receipt" ReadReceipt { seq, message_id, reader_id, read_at };
    "unread_count" UnreadCount { unread_count, request_id };
    "reset" Reset { cursor, epoch };
    "reconnect" Reconnect { after_ms };
    "pong" Pong { request_id };
    "error" Error(ErrorFrame { code, error, request_id, client_message_id, retry_after_ms });
    "" Unknown;
});

/// What stands between two headings.
struct Section {
    /// The `##` heading that it is under.
    chapter: String,
    /// Its own heading: the same, or a `###`.
    heading: String,
    line: usize,
    /// Rows of its tables without their heads, cells without backticks.
    rows: Vec<Vec<String>>,
    examples: Vec<Example>,
}

struct Example {
    line: usize,
    info: String,
    text: String,
}

fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut chapter = "";
    let mut lines = README.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            if line.starts_with("## ") {
                chapter = heading;
            }
            sections.push(Section {
                chapter: chapter.to_owned(),
                heading: heading.to_owned(),
                line: number,
                rows: Vec::new(),
                examples: Vec::new(),
            });
            continue;
        }
        let Some(section) = sections.last_mut() else {
            assert!(!line.starts_with("```"), "README.md:{number}: an example needs a heading before it");
            continue;
        };
        if let Some(info) = line.strip_prefix("```") {
            let body: Vec<_> =
                lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
            section.examples.push(Example { line: number, info: info.to_owned(), text: body.join("\n") });
        } else if line.starts_with('|') && !line.starts_with("| ---") {
            // The head of a table stands above its rule.
            if !lines.peek().is_some_and(|(next, _)| next.starts_with("| ---")) {
                let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', ""));
                section.rows.push(cells.collect());
            }
        }
    }
    sections
}

#[track_caller]
fn section(heading: &str) -> Section {
    let found = sections().into_iter().find(|section| section.heading == heading);
    found.unwrap_or_else(|| panic!("README.md has no section {heading}: write it"))
}

impl Section {
    /// The frame that the section is about.
    fn frame(&self) -> Option<&str> {
        let name = self.heading.strip_prefix('`')?.strip_suffix('`')?;
        self.chapter.ends_with(" frames").then_some(name)
    }

    /// The first cells of its rows.
    fn names(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row[0].clone()).collect()
    }
}

impl Example {
    fn fail(&self, what: impl std::fmt::Display) -> ! {
        panic!("README.md:{}: the example `{}` {what}", self.line, self.info)
    }

    /// The whole example, or a part of it, as a value.
    fn read<'a, T: Deserialize<'a>>(&self, text: &'a str) -> T {
        serde_json::from_str(text).unwrap_or_else(|error| self.fail(format!("is not what it says: {error}")))
    }

    fn write(&self, parsed: impl Serialize) -> Value {
        serde_json::to_value(parsed).unwrap_or_else(|error| self.fail(error))
    }

    fn assert_same(&self, parsed: impl Serialize, example: &Value) {
        let parsed = self.write(parsed);
        assert_eq!(parsed, *example, "README.md:{}: left is what the code makes of the example", self.line);
    }

    fn check_client_frame(&self) -> &'static str {
        let envelope =
            Envelope::parse(&self.text).unwrap_or_else(|error| self.fail(format!("is refused: {error}")));
        let known = fields(&self.write(&envelope));
        let unknown: Vec<_> = fields(&self.read(&self.text)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "README.md:{}: no node reads {unknown:?}", self.line);
        client::name_of(&envelope.frame)
    }

    fn check_refusal(&self, code: &str) {
        match Envelope::parse(&self.text) {
            Ok(_) => self.fail("is not refused"),
            Err(error) => assert_eq!(error.code.as_str(), code, "README.md:{}: left is the code", self.line),
        }
    }

    fn check_server_frame(&self, text: &str) -> (&'static str, Incoming) {
        let incoming =
            Incoming::parse(text).unwrap_or_else(|error| self.fail(format!("is no frame: {error}")));
        let name = server::name_of(&incoming.frame);
        if name.is_empty() {
            self.fail("lacks a field, or has a type that no node sends");
        }
        self.assert_same(&incoming.frame, &self.read(text));
        (name, incoming)
    }

    fn check_body(&self, kind: &str) {
        let example: Value = self.read(&self.text);
        match kind {
            "problem" => {
                let problem: Problem = self.read(&self.text);
                assert_eq!(problem.status, problem.code.http_status(), "README.md:{}", self.line);
                self.assert_same(problem, &example);
            }
            "events" => {
                let events: Events<Value> = self.read(&self.text);
                for event in &events.events {
                    self.check_server_frame(&event.to_string());
                }
                self.assert_same(events, &example);
            }
            "history" => self.assert_same(self.read::<HistoryPage>(&self.text), &example),
            "health" => {
                let Health { status, reason } = self.read(&self.text);
                let fits = match status.as_str() {
                    "live" | "ready" | "draining" => reason.is_none(),
                    "degraded" | "unavailable" => reason.is_some(),
                    _ => false,
                };
                if !fits {
                    self.fail("has an unknown status, or a reason where there is none");
                }
            }
            _ => self.fail("names no body that this test knows"),
        }
    }

    /// Events are set apart by empty lines; what begins with a colon is a comment.
    fn check_stream(&self) {
        for (index, event) in self.text.split("\n\n").filter(|event| !event.starts_with(':')).enumerate() {
            let parts = event.split_once('\n').and_then(|(id, data)| {
                let (seq, _epoch) = id.strip_prefix("id: ")?.split_once('-')?;
                Some((seq.parse::<i64>().ok()?, data.strip_prefix("data: ")?))
            });
            let Some((id, data)) = parts else {
                self.fail(format!("has an event without id and data: {event}"))
            };
            let (name, incoming) = self.check_server_frame(data);
            assert_eq!(name == "welcome", index == 0, "README.md:{}: welcome is the first", self.line);
            if incoming.seq.is_some_and(|seq| seq.0 != id) {
                self.fail(format!("has an entry whose id is not its seq: {event}"));
            }
        }
    }

    fn check_token(&self) {
        let Token { iss, sub, exp, iat } = self.read(&self.text);
        assert_eq!(iss, "switchboard", "README.md:{}", self.line);
        assert!(sub.bytes().all(|byte| byte.is_ascii_digit()) && iat < exp, "README.md:{}", self.line);
    }
}

/// The body of `/live` and `/ready`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Health {
    status: String,
    reason: Option<String>,
}

/// The claims of a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    iss: String,
    sub: String,
    exp: u64,
    iat: u64,
}

/// The names of an object's fields.
fn fields(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
}

/// The same, with the fields of inner objects by their path; but a message has a table of its own.
fn paths(object: &Value) -> BTreeSet<String> {
    let fields = object.as_object().into_iter().flatten();
    let paths = fields.flat_map(|(name, value)| match value {
        Value::Object(inner) if name != "data" => inner.keys().map(|key| format!("{name}.{key}")).collect(),
        _ => vec![name.clone()],
    });
    paths.collect()
}

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
                ["json", "token"] => example.check_token(),
                ["text", "sse"] => example.check_stream(),
                ["http"] if example.text.starts_with("GET /ws/messages/?") => {}
                _ => example.fail("has an info string that this test does not know"),
            }
        }
    }
    assert!(n_examples > 30, "only {n_examples} examples were found");
}

#[test]
fn every_frame_has_its_section_with_fields_and_examples() {
    for (kind, frames) in [("client", client::FRAMES), ("server", server::FRAMES)] {
        for (name, expected) in frames.iter().filter(|(name, _)| !name.is_empty()) {
            let section = section(&format!("`{name}`"));
            let place = format!("README.md:{}: `{name}`", section.line);
            let listed = section.names();
            let tops: BTreeSet<_> = listed.iter().filter_map(|path| path.split('.').next()).collect();
            let expected: BTreeSet<_> = expected.iter().copied().collect();
            assert_eq!(tops, expected, "{place}: left are the fields of its table, right those of the code");
            let info = format!("json {kind}");
            let examples = section.examples.iter().filter(|example| example.info == info);
            let mut shown: BTreeSet<_> =
                examples.flat_map(|example| paths(&example.read(&example.text))).collect();
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
fn a_message_has_each_of_its_fields_in_the_table() {
    let example = &section("`new_message`").examples[0];
    let frame: Value = example.read(&example.text);
    assert_eq!(section("A message").names(), fields(&frame["data"]), "left is the table");
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
        ("client_message_id", limits::CLIENT_MESSAGE_ID_BYTES),
        ("request_id", limits::REQUEST_ID_BYTES),
    ];
    assert_eq!(listed, expected, "left is the table");
}
