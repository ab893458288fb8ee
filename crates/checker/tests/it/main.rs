//! The checker against histories that are right, and against each way to be wrong.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

mod broken;
mod edit;
mod mutations;

mod world;

use std::collections::BTreeSet;
use std::process::Command;

use switchboard_checker::Property::{D3, S4, S5, S6};
use switchboard_checker::history::{Event, Line};
use switchboard_checker::{CheckError, Property, Verdict, check};

fn judge(lines: &[Line]) -> Result<Verdict, CheckError> {
    check(lines.iter().cloned().map(Ok))
}

/// Exactly these are broken; with the wrong clock of the clean history, S6 with what it stands on.
#[track_caller]
fn assert_breaks(lines: &[Line], expected: &[Property]) {
    let verdict = judge(lines).unwrap();
    let mut expected: BTreeSet<Property> = expected.iter().copied().collect();
    if [S4, S5, D3].iter().any(|property| expected.contains(property)) {
        expected.insert(S6);
    }
    assert_eq!(verdict.broken().collect::<BTreeSet<_>>(), expected, "\n{verdict}");
}

#[test]
fn the_clean_history_is_clean_and_judges_everything() {
    let verdict = judge(&world::clean()).unwrap();
    assert!(verdict.is_clean(), "\n{verdict}");
    assert_eq!(verdict.not_judged().collect::<Vec<_>>(), [], "\n{verdict}");
}

#[test]
fn what_is_incomplete_is_not_judged() {
    let is_needed: [fn(&Event) -> bool; 6] = [
        |event| matches!(event, Event::Begin(_)),
        |event| matches!(event, Event::Healed),
        |event| matches!(event, Event::StoreEnd),
        |event| matches!(event, Event::Send(_)),
        |event| matches!(event, Event::Read { .. }),
        |event| matches!(event, Event::Connected { .. }),
    ];
    for is_needed in is_needed {
        let mut lines = world::clean();
        lines.retain(|line| !is_needed(&line.event));
        assert!(matches!(judge(&lines), Err(CheckError::Incomplete(_))));
    }
}

#[test]
fn the_binary_says_so_by_its_status() {
    let folder = std::env::temp_dir().join(format!("switchboard-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let status = |name: &str, lines: &[Line], tail: &str| {
        let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        let path = folder.join(name);
        std::fs::write(&path, text + tail).unwrap();
        let output =
            Command::new(env!("CARGO_BIN_EXE_switchboard-check")).arg("--json").arg(path).output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok())
    };
    let clean = world::clean();
    let mut broken = clean.clone();
    broken.retain(|line| !matches!(line.event, Event::StoredMessage(_)));
    assert_eq!(status("clean", &clean, ""), (0, true));
    assert_eq!(status("broken", &broken, ""), (1, true));
    assert_eq!(status("cut", &clean, "{\"t\":1"), (2, false));
    std::fs::remove_dir_all(folder).unwrap();
}
