//! JSON against what the contract says of it.

use serde_json::{Value, json};

/// What was found to be otherwise, row by row: all of it is told at the end.
#[derive(Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    /// Compares a value with a pattern: the same fields, no more and no fewer. In a pattern `<number>` stands for any
    /// number that can be counted, `<time>` for any time of RFC 3339 in UTC, `<text>` for any text that is not empty.
    pub(super) fn compare(&mut self, row: &str, value: &Value, pattern: &Value) {
        let mut differences = Vec::new();
        differ("", value, pattern, &mut differences);
        let shown: String = value.to_string().chars().take(600).collect();
        self.0.extend(differences.iter().map(|difference| format!("{row}: {difference} in {shown}")));
    }

    /// Notes a row that does not hold.
    pub(super) fn hold(&mut self, row: &str, holds: bool, what: impl std::fmt::Display) {
        if !holds {
            self.0.push(format!("{row}: {what:.600}"));
        }
    }

    /// Fails if there are any.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.is_empty(), "{} rows do not hold:\n{}", self.0.len(), self.0.join("\n"));
        Ok(())
    }
}

/// Fails at once if a value is not as a pattern says.
pub(super) fn check(row: &str, value: &Value, pattern: &Value) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    findings.compare(row, value, pattern);
    findings.finish()
}

fn differ(place: &str, value: &Value, pattern: &Value, differences: &mut Vec<String>) {
    match (value, pattern) {
        (Value::Object(fields), Value::Object(patterns)) => {
            for (name, pattern) in patterns {
                match fields.get(name) {
                    Some(value) => differ(&format!("{place}.{name}"), value, pattern, differences),
                    None => differences.push(format!("{place}.{name} is missing")),
                }
            }
            let unknown = fields.keys().filter(|name| !patterns.contains_key(*name));
            differences.extend(unknown.map(|name| format!("{place}.{name} is in no contract")));
        }
        (Value::Array(values), Value::Array(patterns)) if values.len() == patterns.len() => {
            for (n, (value, pattern)) in values.iter().zip(patterns).enumerate() {
                differ(&format!("{place}[{n}]"), value, pattern, differences);
            }
        }
        (value, Value::String(kind)) if fits(value, kind) => {}
        (value, pattern) if value == pattern => {}
        _ => differences.push(format!("{place} should be {pattern:.200}")),
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match kind {
        "<number>" => value.is_u64(),
        "<text>" => value.as_str().is_some_and(|text| !text.is_empty()),
        "<time>" => value.as_str().is_some_and(is_time),
        _ => false,
    }
}

/// With its zone, which is UTC, and with seconds.
fn is_time(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "0000-00-00T00:00:00.000000Z"
}

/// An `error` frame.
pub(super) fn error_frame(code: &str) -> Value {
    json!({"type": "error", "code": code, "error": "<text>"})
}

/// What an endpoint refuses with.
pub(super) fn refusal(code: &str) -> Value {
    json!({"code": code, "error": "<text>"})
}

/// A message of one user of the harness to another: the `data` of frames.
pub(super) fn data(from: i64, to: i64, subject: &str, content: &str) -> Value {
    json!({
        // The former system's.
        "type": "new_message", "message_id": "<number>", "sender": format!("User {from}"), "sender_id": from,
        "subject": subject, "content": content, "created_at": "<time>", "is_read": from == to, "attachments": [],
        // Ours.
        "conversation_id": "<number>", "recipient_id": to,
    })
}

/// A message in `received`, `sent` or `archive`: `kind` says which it is or would be in.
pub(super) fn listed(
    id: &Value,
    (from, to): (i64, i64),
    (subject, content): (&str, &str),
    is_read: bool,
    kind: &str,
) -> Value {
    json!({
        "id": id, "sender": format!("User {from}"), "sender_id": from, "recipient": format!("User {to}"),
        "recipient_id": to, "subject": subject, "content": content, "created_at": "<time>", "is_read": is_read,
        "attachments": [], "type": kind,
    })
}

/// A file of a message.
pub(super) fn attachment(filename: &str, file_size: usize) -> Value {
    json!({
        "id": "<number>", "filename": filename, "file_size": file_size, "url": "<text>", "download_url": "<text>",
        // Ours.
        "media_type": "<text>",
    })
}
