//! The targets, and what became of them: one row each.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use super::results::Results;
use super::statistics::Spread;

/// What can be measured by itself, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measure {
    /// The highest rate of two nodes, and what a message costs there
    Rate,
    /// Latency at 300 and 7,000 messages a second, and at half the highest rate
    Latency,
    /// Memory of 10,000 connections
    Memory,
    /// One message to 1,000 sessions of a user
    Fanout,
    /// 5,000 clients come back at once
    Storm,
    /// What reading costs in short and in long mailboxes
    Mailbox,
    /// What a message costs with one, two and four nodes
    Nodes,
    /// One node by itself, on SQLite
    Sqlite,
    /// What Postgres and Redis do by themselves
    Limits,
    /// What a message costs beside idle connections: a plot
    Connections,
}

/// Which side of a value is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// A limit of something else, measured beside.
    Beside,
}

use Bound::{AtLeast, AtMost, Beside};
use Measure::{Fanout, Latency, Limits, Mailbox, Memory, Nodes, Rate, Sqlite, Storm};

/// A row of the table.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Target {
    /// What samples of it are recorded under.
    pub(crate) id: &'static str,
    pub(crate) measure: Measure,
    what: &'static str,
    unit: &'static str,
    bound: Bound,
}

const fn row(
    id: &'static str,
    measure: Measure,
    what: &'static str,
    unit: &'static str,
    bound: Bound,
) -> Target {
    Target { id, measure, what, unit, bound }
}

/// All of them. "The same" at two sizes is: within a fifth.
pub(crate) const TARGETS: &[Target] = &[
    row(
        "rate",
        Rate,
        "durable messages, two nodes, 200 clients in cross-node pairs, window 8",
        "/s",
        AtLeast(14e3),
    ),
    row("cpu_nodes", Rate, "CPU of the two nodes a delivered message, at that rate", "µs", AtMost(30.0)),
    row("cpu_all", Rate, "CPU of everything but the generator, at that rate", "µs", AtMost(90.0)),
    row("out_of_order", Rate, "out of order, then and at the rates below", "messages", AtMost(0.0)),
    row("lost", Rate, "lost", "messages", AtMost(0.0)),
    row("duplicates", Rate, "doubled", "messages", AtMost(0.0)),
    row("low_p50", Latency, "deliver latency at 300 messages/s, p50", "ms", AtMost(1.5)),
    row("low_p99", Latency, "deliver latency at 300 messages/s, p99", "ms", AtMost(5.0)),
    row("middle_p99", Latency, "deliver latency at 7,000 messages/s, p99", "ms", AtMost(15.0)),
    row("half_p99", Latency, "deliver latency at half the highest rate, p99", "ms", AtMost(15.0)),
    row("memory_idle", Memory, "memory a connection, 10,000 on one node, idle", "KiB", AtMost(4.0)),
    row("memory_busy", Memory, "memory a connection after 200 frames in and as many out", "KiB", AtMost(4.0)),
    row(
        "fanout_1",
        Fanout,
        "CPU of the nodes a delivery, 1,000 sessions of a user, one frame at a time",
        "µs",
        AtMost(6.0),
    ),
    row("fanout_16", Fanout, "the same, sixteen frames queued", "µs", AtMost(1.0)),
    row(
        "storm_rate",
        Storm,
        "reconnects with resume, 5,000 clients, each 10 messages behind",
        "/s",
        AtLeast(2e3),
    ),
    row("storm_wrong", Storm, "missed or doubled by them", "messages", AtMost(0.0)),
    row("storm_bystanders", Storm, "p99 of bystanders meanwhile, against before", "times", AtMost(1.2)),
    row("page_1e2", Mailbox, "last page of a conversation of 10² messages, p50", "ms", AtMost(1.0)),
    row("page_1e6", Mailbox, "last page of a conversation of 10⁶ messages, p50", "ms", AtMost(1.0)),
    row("page_ratio", Mailbox, "the latter against the former", "times", AtMost(1.2)),
    row("unread_1e2", Mailbox, "unread count of a mailbox of 10² entries, p50", "ms", AtMost(1.0)),
    row("unread_1e6", Mailbox, "unread count of a mailbox of 10⁶ entries, p50", "ms", AtMost(1.0)),
    row("unread_ratio", Mailbox, "the latter against the former", "times", AtMost(1.2)),
    row("resume_1e2", Mailbox, "resume by cursor in a mailbox of 10² entries, p50", "ms", AtMost(1.0)),
    row("resume_1e6", Mailbox, "resume by cursor in a mailbox of 10⁶ entries, p50", "ms", AtMost(1.0)),
    row("resume_ratio", Mailbox, "the latter against the former", "times", AtMost(1.2)),
    row("nodes_ratio", Nodes, "CPU of everything a message with 4 nodes, against 1", "times", AtMost(1.1)),
    row("sqlite_rate", Sqlite, "durable messages, one node by itself on SQLite", "/s", AtLeast(4e3)),
    row(
        "postgres_limit",
        Limits,
        "beside: Postgres commits the same in batches of 256, no node",
        "/s",
        Beside,
    ),
    row(
        "redis_limit",
        Limits,
        "beside: Redis publishes 200 bytes, pipelines of 64 (`redis-benchmark`)",
        "/s",
        Beside,
    ),
];

/// What became of a target.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    Met,
    /// How many times beyond the bound; none if the bound is 0.
    Missed(Option<f64>),
    /// It has no bound.
    Beside,
}

impl Bound {
    /// By the median; what must never be, by the worst run.
    fn judge(self, Spread { median, most, .. }: Spread) -> Verdict {
        let (is_met, times) = match self {
            AtLeast(bound) => (median >= bound, Some(bound / median)),
            AtMost(0.0) => (most == 0.0, None),
            AtMost(bound) => (median <= bound, Some(median / bound)),
            Beside => return Verdict::Beside,
        };
        if is_met { Verdict::Met } else { Verdict::Missed(times) }
    }

    fn as_text(self, unit: &str) -> String {
        match self {
            AtLeast(bound) => format!("at least {} {unit}", number(bound)),
            AtMost(0.0) => "0".to_owned(),
            AtMost(bound) => format!("at most {} {unit}", number(bound)),
            Beside => String::new(),
        }
    }
}

impl Verdict {
    fn as_text(&self) -> String {
        match self {
            Self::Met => "met".to_owned(),
            Self::Missed(Some(times)) if times.is_finite() => format!("**missed**, by {times:.2} times"),
            Self::Missed(_) => "**missed**".to_owned(),
            Self::Beside => String::new(),
        }
    }
}

/// The table in Markdown, which people can read as it is: what was measured, and what should have been.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text =
        String::from("| what | target | median | least to most | |\n| --- | --- | ---: | ---: | --- |\n");
    for target in TARGETS {
        let (bound, what) = (target.bound.as_text(target.unit), target.what);
        let failure = results.failures().get(&target.measure);
        // Writing to a text cannot fail.
        let _ = match (results.measured(target), failure) {
            (Some(spread @ Spread { median, least, most }), failure) => {
                let verdict = target.bound.judge(spread).as_text();
                let failure = failure.map_or(String::new(), |why| format!("; not all runs: {why}"));
                let (median, least, most) = (number(median), number(least), number(most));
                let (unit, verdict) = (target.unit, verdict + &failure);
                writeln!(text, "| {what} | {bound} | {median} {unit} | {least} to {most} | {verdict} |")
            }
            (None, Some(why)) => writeln!(text, "| {what} | {bound} | | | not measured: {why} |"),
            (None, None) => Ok(()),
        };
    }
    for (measure, why) in results.failures() {
        if TARGETS.iter().all(|target| target.measure != *measure) {
            let _ = writeln!(text, "| {measure:?} | | | | not measured: {why} |");
        }
    }
    text
}

/// Whether all that was asked for was measured, and every target of it met.
pub(crate) fn is_good(results: &Results) -> bool {
    let is_missed = |target: &Target| {
        let measured = results.measured(target);
        measured.is_some_and(|spread| matches!(target.bound.judge(spread), Verdict::Missed(_)))
    };
    results.failures().is_empty() && !TARGETS.iter().any(is_missed)
}

/// With three digits that count, or more before the point, those in threes.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        size if size < 0.1 => 4,
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, rest) = text.split_once('.').map_or((text, ""), |(whole, _)| (whole, &text[whole.len()..]));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let first = digits.len() % 3;
    let mut parts: Vec<&str> = if first > 0 { vec![&digits[..first]] } else { Vec::new() };
    parts.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    format!("{sign}{}{rest}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_one_row_each() {
        let mut ids: Vec<_> = TARGETS.iter().map(|target| target.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), TARGETS.len());
    }

    #[test]
    fn verdicts() {
        let check = |bound: Bound, values: [f64; 3], verdict| {
            assert_eq!(bound.judge(Spread::of(&values).unwrap()), verdict, "{bound:?} of {values:?}");
        };
        check(AtLeast(10.0), [1.0, 10.0, 11.0], Verdict::Met);
        check(AtLeast(10.0), [5.0, 5.0, 11.0], Verdict::Missed(Some(2.0)));
        check(AtMost(10.0), [1.0, 10.0, 11.0], Verdict::Met);
        check(AtMost(10.0), [1.0, 15.0, 15.0], Verdict::Missed(Some(1.5)));
        // Once is once too often.
        check(AtMost(0.0), [0.0, 0.0, 1.0], Verdict::Missed(None));
        check(AtMost(0.0), [0.0; 3], Verdict::Met);
        check(Beside, [1.0; 3], Verdict::Beside);
    }

    #[test]
    fn numbers() {
        for (value, text) in [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (0.5, "0.5"),
            (1.5, "1.5"),
            (1.004, "1"),
            (29.96, "30"),
            (999.6, "1,000"),
            (14_000.0, "14,000"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_row_says_what_became_of_it() {
        let mut results = Results::default();
        results.record("cpu_nodes", 20.0);
        assert!(is_good(&results));
        for rate in [13_000.0, 7_000.0, 6_000.0] {
            results.record("rate", rate);
        }
        assert!(!is_good(&results));
        results.fail(Latency, "no such mode".to_owned());
        results.fail(Measure::Connections, "no more ports".to_owned());
        results.record("fanout_1", 5.0);
        results.fail(Fanout, "it ended".to_owned());
        let table = markdown(&results);
        let line = |what: &str| table.lines().find(|line| line.contains(what)).unwrap_or_default();
        assert!(
            line("messages, two").ends_with("| 7,000 /s | 6,000 to 13,000 | **missed**, by 2.00 times |")
        );
        assert!(line("CPU of the two nodes").ends_with("| 20 µs | 20 to 20 | met |"));
        assert!(line("p50").ends_with("not measured: no such mode |"));
        assert!(line("one frame").ends_with("| met; not all runs: it ended |"));
        assert!(line("Connections").ends_with("not measured: no more ports |"));
        assert_eq!(line("SQLite"), "");
    }

    #[test]
    fn what_could_not_be_measured_is_not_good() {
        let mut results = Results::default();
        results.fail(Latency, "no such mode".to_owned());
        assert!(!is_good(&results));
    }
}
