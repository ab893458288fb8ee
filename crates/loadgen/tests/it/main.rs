//! The binary against a fleet that goes wrong as told: does it see that?

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

mod fake_fleet;

use std::fs;
use std::io::Write as _;
use std::process::Command;

use fake_fleet::{FakeFleet, Fault};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const RUN: [&str; 8] = ["run", "--users", "4", "--rate", "200", "--seconds", "0.6", "--warmup=0.1"];

/// Where something is waited for that never comes.
const LOSE: [&str; 9] =
    ["run", "--users", "4", "--rate", "200", "--seconds", "0.6", "--warmup=0.1", "--settle=1"];

const GROUPS: [&str; 6] = ["groups", "--members", "2,4", "--seconds", "0.3", "--warmup=0.1"];

const PRESENCE: [&str; 9] =
    ["presence", "--members", "2", "--rate", "10", "--seconds", "0.5", "--settle", "1"];

const IDLE: [&str; 6] = ["idle", "--busy", "--connections", "10", "--seconds", "0.1"];

const FANOUT: [&str; 7] = ["fanout", "--sessions=10", "--messages", "40", "--queued", "4", "--settle=1"];

const STORM: [&str; 6] =
    ["storm", "--clients=2", "--behind=20", "--bystanders=2", "--before=0.3", "--settle=1"];

/// What a run of the binary came to.
struct Outcome {
    status: i32,
    printed: String,
    /// What it wrote as JSON, in the end.
    json: Value,
}

/// Runs the binary.
async fn load(fault: Fault, arguments: &[&str]) -> Outcome {
    let urls = FakeFleet::start(fault).await;
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let load = move || {
        let (mut tokens, json) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        for user in 1..=4 {
            writeln!(tokens, "{user}\tAuthorization: Bearer {user}").unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard-load"));
        command.args(arguments).arg("--tokens").arg(tokens.path()).arg("--json").arg(json.path());
        for url in urls {
            command.arg("--url").arg(url);
        }
        let output = command.args(["--pid", &std::process::id().to_string()]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        let written = fs::read_to_string(json.path()).unwrap();
        let json = written.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
        Outcome { status: output.status.code().unwrap(), printed, json }
    };
    tokio::task::spawn_blocking(load).await.unwrap()
}

#[track_caller]
fn check(outcome: &Outcome, status: i32, line: &str) {
    let printed = &outcome.printed;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(outcome.status, status, "{printed}");
    assert!(printed.lines().any(|printed| words(printed).starts_with(&words(line))), "{line} in {printed}");
    assert_eq!(outcome.json["good"], status == 0, "{}", outcome.json);
}

/// What must be in the JSON, besides what is there for every mode.
#[track_caller]
fn check_json(outcome: &Outcome, expected: &Value) {
    let json = &outcome.json;
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(json[key], *value, "{key} in {json}");
    }
    assert_eq!(json["processes"][0]["pid"], std::process::id());
    assert!(json["processes"][0]["peak"].as_u64() >= json["processes"][0]["resident"].as_u64());
    for key in ["seconds", "own_cpu_us", "machine_cpu_us"] {
        assert!(json[key].is_number(), "{key} in {json}");
    }
}

#[tokio::test]
async fn a_good_fleet_is_good() {
    let outcome = load(Fault::None, &RUN).await;
    check(&outcome, 0, "sends 140");
    check(&outcome, 0, "delivered 140");
    check_json(&outcome, &json!({"mode": "run", "lost": 0, "duplicates": 0, "out_of_order": 0, "gaps": 0}));
    assert!(outcome.json["delivery_ms"]["p99"].as_f64() > Some(0.0), "{}", outcome.json);
    check(&load(Fault::None, &["flood", "--seconds", "0.3", "--warmup=0.1"]).await, 0, "lost 0");
}

#[tokio::test]
async fn several_processes_put_on_the_load_of_one() {
    let outcome = load(Fault::None, &[RUN.as_slice(), &["--processes", "2"]].concat()).await;
    check(&outcome, 0, "sends 140");
    check(&outcome, 0, "delivered 140");
    // The fault strikes in one of them.
    let outcome = load(Fault::Lose, &[LOSE.as_slice(), &["--processes", "2"]].concat()).await;
    check(&outcome, 1, "lost 1");
    check_json(&outcome, &json!({"lost": 1, "duplicates": 0, "unacknowledged": 0}));
}

#[tokio::test]
async fn connections_stand_and_talk() {
    let outcome = load(Fault::None, &[IDLE.as_slice(), &["--processes", "2"]].concat()).await;
    check(&outcome, 0, "opened 10 of 10 connections");
    check_json(&outcome, &json!({"mode": "idle", "opened": 10, "dropped": 0}));
    assert!(outcome.json["bytes_per_connection_busy"].is_u64(), "{}", outcome.json);
}

#[tokio::test]
async fn all_sessions_of_a_user_are_looked_at() {
    let outcome = load(Fault::None, &FANOUT).await;
    check(&outcome, 0, "lost 0");
    check_json(&outcome, &json!({"mode": "fanout", "delivered": 400, "queued": 4, "lost": 0}));
    assert!(outcome.json["cpu_us_per_delivery"].is_number(), "{}", outcome.json);
    check(&load(Fault::Lose, &FANOUT).await, 1, "lost 10");
    check(&load(Fault::Double, &FANOUT).await, 1, "duplicates 10");
    check(&load(Fault::Repeat, &FANOUT).await, 1, "duplicates 10");
    check(&load(Fault::Delay, &FANOUT).await, 1, "out of order 10");
    check(&load(Fault::Refuse, &FANOUT).await, 0, "lost 0");
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed() {
    let outcome = load(Fault::None, &STORM).await;
    check(&outcome, 0, "2 of 2 clients back");
    check_json(&outcome, &json!({"mode": "storm", "clients": 2, "behind": 20, "missed": 0, "duplicates": 0}));
    for key in ["resume_ms", "bystanders_before_ms", "bystanders_during_ms"] {
        assert!(outcome.json[key]["p99"].is_number(), "{}", outcome.json);
    }
    let outcome = load(Fault::Lose, &STORM).await;
    check(&outcome, 1, "lost 1");
    check_json(&outcome, &json!({"missed": 1, "duplicates": 0}));
    check(&outcome, 1, "1 of 2 clients back");
    check(&load(Fault::Double, &STORM).await, 1, "duplicates 1");
    check(&load(Fault::Delay, &STORM).await, 1, "out of order 1");
    // A sender has to wait: what it sends later may overtake, and nothing is wrong.
    check(&load(Fault::Refuse, &STORM).await, 0, "2 of 2 clients back");
}

#[tokio::test]
async fn groups_are_made_and_written_to() {
    let result = load(Fault::None, &GROUPS).await;
    for line in ["groups of 2: 2", "groups of 4: 1", "deliveries/s", "lost 0"] {
        check(&result, 0, line);
    }
    check(
        &load(Fault::Lose, &["groups", "--members=4", "--seconds", "0.3", "--settle=1"]).await,
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
    check(&load(Fault::Lose, &LOSE).await, 1, "lost 1");
    check(&load(Fault::Double, &RUN).await, 1, "duplicates 1");
    check(&load(Fault::Repeat, &RUN).await, 1, "duplicates 1");
    check(&load(Fault::Delay, &RUN).await, 1, "out of order 1");
}

#[tokio::test]
async fn a_message_that_is_refused_for_the_moment_is_sent_again() {
    check(&load(Fault::Refuse, &RUN).await, 0, "retried 1");
}

#[tokio::test]
async fn what_is_missing_is_fetched_and_counted() {
    let outcome = load(Fault::Skip, &RUN).await;
    check(&outcome, 1, "gaps 1");
    check(&outcome, 1, "lost 0");
    check(&outcome, 1, "delivered 140");
}

#[tokio::test]
async fn a_connection_that_ends_is_followed_by_another() {
    let outcome = load(Fault::Cut, &RUN).await;
    for line in ["disconnects 1", "reconnects 1", "acknowledged 140", "delivered 140", "duplicates 0"] {
        check(&outcome, 0, line);
    }
}
