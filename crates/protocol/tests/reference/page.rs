//! The page as its sections, with their tables and examples.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const README: &str = include_str!("../../README.md");

/// The name of a field on the wire, or the names of those that it is flattened into.
macro_rules! wire {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $wire:literal) => {
        $wire
    };
}
pub(crate) use wire;

/// What stands between two headings.
pub(crate) struct Section {
    /// The `##` heading that it is under.
    pub(crate) chapter: String,
    /// Its own heading: the same, or a `###`.
    pub(crate) heading: String,
    pub(crate) line: usize,
    /// Rows of its tables without their heads, cells without backticks.
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) examples: Vec<Example>,
}

pub(crate) struct Example {
    pub(crate) line: usize,
    pub(crate) info: String,
    pub(crate) text: String,
}

pub(crate) fn sections() -> Vec<Section> {
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

/// The section of a frame, in the chapter of those that a client or a node says.
#[track_caller]
pub(crate) fn frame_section(kind: &str, name: &str) -> Section {
    let is_it = |section: &Section| {
        section.frame() == Some(name) && section.chapter.to_lowercase() == format!("{kind} frames")
    };
    let found = sections().into_iter().find(is_it);
    found.unwrap_or_else(|| panic!("README.md has no section of the {kind} frame `{name}`: write it"))
}

#[track_caller]
pub(crate) fn section(heading: &str) -> Section {
    let found = sections().into_iter().find(|section| section.heading == heading);
    found.unwrap_or_else(|| panic!("README.md has no section {heading}: write it"))
}

impl Section {
    /// The frame that the section is about.
    pub(crate) fn frame(&self) -> Option<&str> {
        let name = self.heading.strip_prefix('`')?.strip_suffix('`')?;
        self.chapter.ends_with(" frames").then_some(name)
    }

    /// The endpoint that the section is about: its method and path.
    pub(crate) fn endpoint(&self) -> Option<(&str, &str)> {
        let (method, path) = self.heading.strip_prefix('`')?.strip_suffix('`')?.split_once(' ')?;
        path.starts_with('/').then_some((method, path))
    }

    /// The first cells of its rows.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row[0].clone()).collect()
    }
}

impl Example {
    pub(crate) fn fail(&self, what: impl std::fmt::Display) -> ! {
        panic!("README.md:{}: the example `{}` {what}", self.line, self.info)
    }

    /// A request as it is on the wire: of a handshake, or of an endpoint that has a section.
    pub(crate) fn check_request(&self) {
        let target = self.text.split(" HTTP/1.1\n").next().unwrap_or_default();
        let target = target.split('?').next().unwrap_or_default();
        if target != "GET /ws/messages/" {
            section(&format!("`{target}`"));
        }
    }

    /// The whole example, or a part of it, as a value.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&self, text: &'a str) -> T {
        serde_json::from_str(text).unwrap_or_else(|error| self.fail(format!("is not what it says: {error}")))
    }

    pub(crate) fn write(&self, parsed: impl Serialize) -> Value {
        serde_json::to_value(parsed).unwrap_or_else(|error| self.fail(error))
    }

    pub(crate) fn assert_same(&self, parsed: impl Serialize, example: &Value) {
        let parsed = self.write(parsed);
        assert_eq!(parsed, *example, "README.md:{}: left is what the code makes of the example", self.line);
    }
}

/// The names of an object's fields.
pub(crate) fn fields(object: &Value) -> BTreeSet<String> {
    object.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
}

/// The same, but a field that is not `listed` itself counts by the fields of its object or objects.
pub(crate) fn paths(object: &Value, listed: &BTreeSet<String>) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let inner: BTreeSet<_> = match value {
            Value::Array(items) => items.iter().flat_map(fields).collect(),
            value => fields(value),
        };
        if listed.contains(name) || inner.is_empty() {
            paths.insert(name.clone());
        } else {
            paths.extend(inner.into_iter().map(|field| format!("{name}.{field}")));
        }
    }
    paths
}
