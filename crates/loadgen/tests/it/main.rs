//! The binary against a fleet that goes wrong as told: does it see that?

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

mod fake_fleet;

use std::io::Write as _;
use std::process::Command;

use fake_fleet::{FakeFleet, Fault};
use tempfile::NamedTempFile;

const RUN: [&str; 9] =
    ["run", "--users", "4", "--rate", "200", "--seconds", "0.6", "--warmup=0.1", "--settle=0.5"];

const GROUPS: [&str; 6] = ["groups", "--members", "2,4", "--seconds", "0.3", "--warmup=0.1"];

const PRESENCE: [&str; 9] =
    ["presence", "--members", "2", "--rate", "10", "--seconds", "0.5", "--settle", "0.5"];

const IDLE: [&str; 5] = ["idle", "--connections", "10", "--seconds", "0.1"];

/// Runs the binary; the result are its exit status and what it printed.
async fn load(fault: Fault, arguments: &'static [&str]) -> (i32, String) {
    let urls = FakeFleet::start(fault).await;
    let load = move || {
        let mut tokens = NamedTempFile::new().unwrap();
        for user in 1..=4 {
            writeln!(tokens, "{user}\tAuthorization: Bearer {user}").unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard-load"));
        command.args(arguments).arg("--tokens").arg(tokens.path());
        for url in urls {
            command.arg("--url").arg(url);
        }
        let output = command.args(["--pid", &std::process::id().to_string()]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), printed)
    };
    tokio::task::spawn_blocking(load).await.unwrap()
}

#[track_caller]
fn check(result: &(i32, String), status: i32, line: &str) {
    let (got, printed) = result;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(*got, status, "{printed}");
    assert!(printed.lines().any(|printed| words(printed).starts_with(&words(line))), "{line} in {printed}");
}

#[tokio::test]
async fn a_good_fleet_is_good() {
    let result = load(Fault::None, &RUN).await;
    check(&result, 0, "sends 140");
    check(&result, 0, "delivered 140");
    check(&load(Fault::None, &["flood", "--seconds", "0.3", "--warmup=0.1"]).await, 0, "lost 0");
    check(&load(Fault::None, &IDLE).await, 0, "opened 10 of 10 connections");
}

#[tokio::test]
async fn groups_are_made_and_written_to() {
    let result = load(Fault::None, &GROUPS).await;
    for line in ["groups of 2: 2", "groups of 4: 1", "deliveries/s", "lost 0"] {
        check(&result, 0, line);
    }
    check(
        &load(Fault::Lose, &["groups", "--members=4", "--seconds", "0.3", "--settle=0.5"]).await,
        1,
        "lost 1",
    );
}

#[tokio::test]
async fn presence_is_watched_and_changes() {
    let result = load(Fault::None, &PRESENCE).await;
    for line in ["4 users in groups of 2: 4 places", "some change, 0.5 s: 5 changes, 5 notices", "wrong 0"] {
        check(&result, 0, line);
    }
    // All four turn away, and one is back.
    check(&load(Fault::Lose, &PRESENCE).await, 1, "wrong 3");
}

#[tokio::test]
async fn what_goes_wrong_is_seen() {
    check(&load(Fault::Lose, &RUN).await, 1, "lost 1");
    check(&load(Fault::Double, &RUN).await, 1, "duplicates 1");
    check(&load(Fault::Delay, &RUN).await, 1, "out of order 1");
}

#[tokio::test]
async fn a_message_that_is_refused_for_the_moment_is_sent_again() {
    check(&load(Fault::Refuse, &RUN).await, 0, "retried 1");
}
