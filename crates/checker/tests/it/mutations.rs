//! Every line of the clean history dropped or doubled, and neighbours swapped: what must be seen is seen.

use std::collections::BTreeMap;

use switchboard_checker::Property::{self, *};
use switchboard_checker::history::{Event, Line, StoredEntry};

use crate::judge;
use crate::world::clean;

/// What dropping such a line breaks at least; nothing if the history is then incomplete. None: it may be dropped.
fn dropped(event: &Event) -> Option<&'static [Property]> {
    Some(match event {
        Event::Begin(_) | Event::Healed | Event::StoreEnd => &[],
        Event::Send(_) | Event::Read { .. } | Event::Delete { .. } => &[],
        // Who left is owed nothing.
        Event::Entry(entry) if entry.device != "gone" => &[D1, D7],
        Event::StoredMessage(_) => &[S7],
        Event::StoredEntry(_) | Event::StoredMailbox { .. } => &[S4, S6],
        _ => return None,
    })
}

/// The same of a line that is there twice.
fn doubled(event: &Event) -> Option<&'static [Property]> {
    Some(match event {
        Event::Begin(_) | Event::Healed | Event::StoreEnd | Event::StoredMailbox { .. } => &[],
        Event::Send(_) | Event::Read { .. } | Event::Delete { .. } | Event::Outcome { .. } => &[],
        Event::Entry(_) => &[D2],
        // Its number is its own, and its client id.
        Event::StoredMessage(_) => &[S3],
        Event::StoredEntry(_) => &[S4, S6],
        _ => return None,
    })
}

#[track_caller]
fn assert_seen(lines: &[Line], expected: &[Property], what: &str) {
    let Ok(verdict) = judge(lines) else {
        return assert!(expected.is_empty(), "{what}: not judged at all");
    };
    let broken: Vec<_> = verdict.broken().collect();
    let is_seen = !expected.is_empty() && expected.iter().all(|property| broken.contains(property));
    assert!(is_seen, "{what}: {expected:?} are broken\n{verdict}");
}

#[test]
fn what_is_dropped_or_doubled_is_seen() {
    let lines = clean();
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        if let Some(expected) = dropped(&line.event) {
            let mut lines = lines.clone();
            lines.remove(number);
            assert_seen(&lines, expected, &format!("without {line:?}"));
            *tried.entry("dropped").or_default() += 1;
        }
        if let Some(expected) = doubled(&line.event) {
            let mut lines = lines.clone();
            lines.insert(number, line.clone());
            assert_seen(&lines, expected, &format!("with a second {line:?}"));
            *tried.entry("doubled").or_default() += 1;
        }
    }
    assert!(tried.values().all(|times| *times > 70), "{tried:?}");
}

/// Swaps what `part` gives of each two neighbours among the lines that have it.
fn swap<T: Clone>(expected: &[Property], part: impl Fn(&mut Event) -> Option<&mut T>) {
    let mut history = clean();
    let has_it: Vec<_> = (0..history.len()).filter(|at| part(&mut history[*at].event).is_some()).collect();
    assert!(has_it.len() > 1);
    for pair in has_it.windows(2) {
        let mut lines = history.clone();
        let [first, second] = [pair[0], pair[1]].map(|at| part(&mut lines[at].event).unwrap().clone());
        *part(&mut lines[pair[0]].event).unwrap() = second;
        *part(&mut lines[pair[1]].event).unwrap() = first;
        assert_seen(&lines, expected, &format!("lines {pair:?} are swapped"));
    }
}

#[test]
fn what_is_swapped_is_seen() {
    swap(&[D3], |event| match event {
        Event::Entry(entry) if entry.device == "c" => Some(&mut entry.seq),
        _ => None,
    });
    swap(&[D1], |event| match event {
        Event::StoredEntry(StoredEntry { user: 1, messages, seq: 6.., .. }) => Some(messages),
        _ => None,
    });
    swap(&[S1, D4], |event| match event {
        Event::StoredMessage(stored) if !stored.deleted => Some(&mut stored.body),
        _ => None,
    });
}
