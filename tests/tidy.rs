//! Invariants of the tree, as tests: what a review would have to look for each time.
//!
//! They read files line by line and know no more of TOML and Rust than that takes. Each failure names the place and
//! says what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate with those of ours that it may depend on outside its tests.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("channel-layer", &[]),
    ("web", &[]),
    ("store", &["protocol"]),
    ("client", &["protocol"]),
    ("node", &["protocol", "channel-layer", "store", "web"]),
    ("loadgen", &["protocol", "client", "store"]),
    ("checker", &[]),
];

/// What begins with the first may be named by the second alone.
const BELONGS_TO: &[(&str, &str)] = &[("diesel", "store"), ("redis", "channel-layer"), ("actix", "node")];

/// A longer file has more than one subject.
const MAX_LINES: usize = 500;

/// The top of the tree.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", root.display()))
}

/// A file of text, by its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Lines of Rust that are neither comments nor tests, by the way rustfmt indents: an item under `#[cfg(test)]`
    /// ends with the first brace as deep as it, or with its semicolon.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        let mut lines = self.lines();
        while let Some((number, line)) = lines.next() {
            let indent = &line[..line.len() - line.trim_start().len()];
            if line.trim() == "#[cfg(test)]" {
                let brace = format!("{indent}}}");
                let _end =
                    lines.find(|(_, line)| *line == brace || line.ends_with(';') && is_at(indent, line));
            } else if !line.trim_start().starts_with("//") {
                code.push((number, line));
            }
        }
        code
    }

    /// The dependencies that a manifest names outside its tests.
    fn dependencies(&self) -> Vec<(usize, &str)> {
        let mut within = false;
        let mut names = Vec::new();
        for (number, line) in self.lines() {
            if let Some(table) = line.strip_prefix('[') {
                let table = table.trim_end_matches(']');
                within = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
                assert!(!table.contains("dependencies."), "{}:{number}: write it on one line", self.path);
            } else if within && line.starts_with(|first: char| first.is_ascii_alphanumeric()) {
                names.push((number, name_of(line)));
            }
        }
        names
    }
}

/// The name of a dependency, before `.workspace = true` or ` = "1"`.
fn name_of(line: &str) -> &str {
    line.split(['.', ' ', '=']).next().unwrap_or(line)
}

fn is_at(indent: &str, line: &str) -> bool {
    line.strip_prefix(indent).is_some_and(|rest| !rest.starts_with(' '))
}

/// What is wrong, gathered, so that one run shows it all.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, path: &str, line: usize, what: impl std::fmt::Display) {
        self.0.push(format!("{path}:{line}: {what}"));
    }

    #[track_caller]
    fn assert_none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

/// Names in a folder, in order; none if there is no such folder.
fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The files under a folder whose text is UTF-8. Folders that `.gitignore` names are left out.
fn files_under(folder: &str, extension: &str) -> Vec<File> {
    let ignored = File::read(".gitignore").text;
    let ignored: Vec<_> = ignored.lines().map(|line| line.trim_end_matches('/')).collect();
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for name in names_in(&folder) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let is_ignored =
                ignored.contains(&name.as_str()) || ignored.contains(&format!("/{path}").as_str());
            let full = root().join(&path);
            if is_ignored || name == ".git" || full.is_symlink() {
                continue;
            } else if full.is_dir() {
                folders.push(path);
            } else if name.ends_with(extension)
                && let Ok(text) = fs::read_to_string(&full)
            {
                files.push(File { path, text });
            }
        }
    }
    files
}

/// The Rust files of the crates, without those that are tests as a whole.
fn sources() -> Vec<File> {
    let mut files: Vec<_> = names_in("crates")
        .iter()
        .flat_map(|name| files_under(&format!("crates/{name}/src"), ".rs"))
        .collect();
    files.retain(|file| !file.path.ends_with("/tests.rs") && !file.path.contains("/tests/"));
    assert!(files.len() > 50, "crates/*/src: this test does not find the sources");
    files
}

fn manifests() -> Vec<(String, File)> {
    let names = names_in("crates").into_iter();
    names
        .filter(|name| root().join("crates").join(name).join("Cargo.toml").is_file())
        .map(|name| (name.clone(), File::read(&format!("crates/{name}/Cargo.toml"))))
        .collect()
}

#[test]
fn dependencies_run_one_way() {
    let mut findings = Findings::default();
    for (name, manifest) in manifests() {
        let Some((_, allowed)) = MAY_DEPEND.iter().find(|(of, _)| *of == name) else {
            findings.add(
                &manifest.path,
                1,
                "a new crate: say in MAY_DEPEND of tests/tidy.rs what it may depend on",
            );
            continue;
        };
        for (line, dependency) in manifest.dependencies() {
            if let Some(own) = dependency.strip_prefix("switchboard-")
                && !allowed.contains(&own)
            {
                findings.add(
                    &manifest.path,
                    line,
                    format!("`{name}` may not depend on `{own}`: turn it around"),
                );
            }
        }
    }
    findings.assert_none();
}

#[test]
fn each_foreign_system_has_one_crate() {
    let mut findings = Findings::default();
    for (name, manifest) in manifests() {
        for (line, dependency) in manifest.dependencies() {
            for (prefix, owner) in BELONGS_TO {
                if dependency.starts_with(prefix) && name != *owner {
                    let what = format!("only `{owner}` names `{dependency}`: put what needs it there");
                    findings.add(&manifest.path, line, what);
                }
            }
        }
    }
    findings.assert_none();
}

#[test]
fn dependencies_say_what_they_are_for() {
    let mut findings = Findings::default();
    let manifest = File::read("Cargo.toml");
    let lines: Vec<_> = manifest.text.lines().collect();
    let dependencies = manifest.dependencies();
    assert!(dependencies.len() > 10, "Cargo.toml: this test does not find the dependencies");
    for (number, name) in dependencies {
        let above = if number > 1 { lines[number - 2] } else { "" };
        let is_own = name.starts_with("switchboard-");
        if !above.starts_with('#') && !is_own {
            findings.add(&manifest.path, number, format!("write above `{name}` what it is for"));
        }
    }
    findings.assert_none();
}

#[test]
fn migrations_are_alike_on_both_back_ends() {
    let mut findings = Findings::default();
    let (postgres, sqlite) = (names_in("migrations/postgres"), names_in("migrations/sqlite"));
    assert!(!postgres.is_empty(), "migrations/postgres is empty: this test looks in the wrong place");
    for (back_end, of_other, own) in [("postgres", &sqlite, &postgres), ("sqlite", &postgres, &sqlite)] {
        for name in of_other.difference(own) {
            findings.add(
                &format!("migrations/{back_end}/{name}"),
                1,
                "is missing: the other back end has it",
            );
        }
        for name in own {
            for half in ["up.sql", "down.sql"] {
                let path = format!("migrations/{back_end}/{name}/{half}");
                if fs::read_to_string(root().join(&path)).is_ok_and(|text| !text.trim().is_empty()) {
                    continue;
                }
                findings.add(&path, 1, "is missing or empty: every migration can be undone");
            }
        }
    }
    findings.assert_none();
}

#[test]
fn sources_are_short_and_open_with_what_they_are() {
    let mut findings = Findings::default();
    for file in sources() {
        let n_lines = file.text.lines().count();
        if n_lines > MAX_LINES {
            let what = format!("{n_lines} lines, over {MAX_LINES}: give a part of it a file of its own");
            findings.add(&file.path, n_lines, what);
        }
        if !file.text.starts_with("//!") {
            findings.add(
                &file.path,
                1,
                "open with `//!`: what this file is, and how it meets its neighbours",
            );
        }
    }
    findings.assert_none();
}

#[test]
fn sources_are_free_of_what_we_do_without() {
    let mut findings = Findings::default();
    for file in sources() {
        for (line, code) in file.code() {
            for (pattern, instead) in [
                (".unwrap()", "return an error, or `expect` with why it cannot fail"),
                ("unbounded_channel", "bound it, and say in its doc what happens when it is full"),
                ("todo!(", "do it, or leave it out"),
                ("unimplemented!(", "do it, or leave it out"),
            ] {
                if code.contains(pattern) {
                    findings.add(&file.path, line, format!("`{pattern}`: {instead}"));
                }
            }
        }
    }
    findings.assert_none();
}

#[test]
fn time_can_be_paused_in_tests() {
    let mut findings = Findings::default();
    let of_concern = ["crates/node/", "crates/channel-layer/"];
    for file in sources().iter().filter(|file| of_concern.iter().any(|path| file.path.starts_with(path))) {
        let mut is_import_of_time = false;
        for (line, code) in file.code() {
            is_import_of_time |= code.contains("std::time::{") || code.contains("use std::{");
            let is_word = |word: &str| word == "Instant";
            let names_it = code.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_word);
            if code.contains("std::time::Instant") || is_import_of_time && names_it {
                findings.add(&file.path, line, "use `tokio::time::Instant`, which tests can pause");
            }
            is_import_of_time &= !code.contains('}');
        }
    }
    findings.assert_none();
}

#[test]
fn no_file_knows_the_machine_that_it_was_written_on() {
    // Put together here, since this file is read too.
    let folders = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let hosts = [
        ["index.crates", "io"],
        ["static.crates", "io"],
        ["registry.npmjs", "org"],
        ["registry.yarnpkg", "com"],
        ["pypi.org", "simple"],
        ["files.pythonhosted", "org"],
        ["proxy.golang", "org"],
    ]
    .map(|[name, end]| if end == "simple" { format!("{name}/{end}") } else { format!("{name}.{end}") });
    let mut findings = Findings::default();
    for file in files_under("", "").iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.lines() {
            for folder in &folders {
                // `name/work/` and `./work/` are relative; so is what follows a variable.
                let is_relative = |before: char| before.is_alphanumeric() || "._-}*".contains(before);
                let mut found = line.match_indices(folder.as_str());
                if found.any(|(at, _)| !line[..at].ends_with(is_relative)) {
                    findings.add(
                        &file.path,
                        number,
                        format!("`{folder}` is a path of one machine: make it relative"),
                    );
                }
            }
            for host in &hosts {
                if line.contains(host.as_str()) {
                    let what =
                        format!("`{host}`: which registry is used is for the machine's configuration to say");
                    findings.add(&file.path, number, what);
                }
            }
        }
    }
    findings.assert_none();
}
