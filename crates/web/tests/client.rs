//! The browser client: its own tests, which are JavaScript and need `node`, and its types, which `tsc` checks; those of the page too.
//!
//! What is not installed is ignored; with `SWITCHBOARD_TEST=all` it fails instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let (node, tsc) = (is_there("node"), compiler().is_file());
    let is_required = env::var("SWITCHBOARD_TEST").is_ok_and(|what| what == "all");
    let trials = vec![
        Trial::test("state_machine", tests_pass).with_ignored_flag(!(is_required || node)),
        Trial::test("types", types_are_right).with_ignored_flag(!(is_required || node && tsc)),
        Trial::test("types_of_the_page", page_is_typed).with_ignored_flag(!(is_required || node && tsc)),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("client")
}

/// What `npm ci` installs for the browser's tests.
fn compiler() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/node_modules/typescript/bin/tsc")
}

fn is_there(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn run(command: &mut Command) -> Result<(), Failed> {
    let output = command.output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(said.into()) }
}

fn tests_pass() -> Result<(), Failed> {
    run(Command::new("node").arg("--test").current_dir(folder()))
}

/// They are, and the declarations that are published say so.
fn types_are_right() -> Result<(), Failed> {
    let fresh = tempfile::tempdir()?;
    let mut emit = Command::new("node");
    run(emit.arg(compiler()).arg("--project").arg(folder()).arg("--outDir").arg(fresh.path()))?;
    if declarations(fresh.path())? != declarations(&folder().join("types"))? {
        return Err("`types` is not what `tsc --project crates/web/client` makes: run it".into());
    }
    Ok(())
}

fn page_is_typed() -> Result<(), Failed> {
    let page = folder().join("../page");
    run(Command::new("node").arg(compiler()).arg("--project").arg(page))
}

fn declarations(folder: &Path) -> Result<BTreeMap<String, String>, Failed> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let texts = entries.into_iter().map(|entry| {
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?))
    });
    texts.collect()
}
