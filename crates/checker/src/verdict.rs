//! The verdict: for each property on how much it was judged and where it is broken, and what the run was like.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::property::Property;

/// Violations of a property that are told one by one; the others are counted.
const KEPT: usize = 20;

/// A place where a property does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which property.
    pub property: Property,
    /// When, in microseconds since the history began.
    pub t: u64,
    /// What happened, naming what is needed to find it in the history.
    pub sentence: String,
}

/// What was found of one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which property.
    pub property: Property,
    /// How many things it was judged on; of 0 things nothing is known.
    pub judged: u64,
    /// How often it is broken.
    pub broken: u64,
    /// The first 20 of these.
    pub violations: Vec<Violation>,
}

/// What became of the operations of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Done, or sent.
    pub ok: u64,
    /// Refused.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
    /// Without any outcome: judged like those of which nobody knows.
    pub open: u64,
}

/// What a run was like.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Until the last line.
    pub seconds: f64,
    /// How often each fault began.
    pub faults: BTreeMap<String, u64>,
    /// Operations by kind: `send`, `read`, `delete`.
    pub operations: BTreeMap<&'static str, Outcomes>,
    /// Different messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages in the store.
    pub stored: u64,
    /// Entries that devices applied.
    pub applied: u64,
    /// Devices.
    pub devices: u64,
    /// Devices of which it is known what they did not apply.
    pub devices_with_wire: u64,
    /// Entries that came to devices a second time.
    pub duplicates: u64,
    /// Entries that came to devices too early.
    pub gaps: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Counts of unread messages that were read.
    pub counts: u64,
}

/// What is to be said of a history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    findings: Vec<Finding>,
    summary: Summary,
}

impl Verdict {
    /// Whether no property is broken. One that was judged on nothing is not broken: see [`Verdict::not_judged`].
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The properties that are broken.
    pub fn broken(&self) -> impl Iterator<Item = Property> {
        self.findings.iter().filter(|finding| finding.broken > 0).map(|finding| finding.property)
    }

    /// The properties of which nothing is known, since nothing in the history concerned them.
    pub fn not_judged(&self) -> impl Iterator<Item = Property> {
        self.findings.iter().filter(|finding| finding.judged == 0).map(|finding| finding.property)
    }

    /// What was found, a property each, in the order of [`Property::ALL`].
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// All violations that were kept.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.findings.iter().flat_map(|finding| &finding.violations)
    }

    /// What the run was like.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl fmt::Display for Verdict {
    /// A line a property, the violations under it, and the summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { property, judged, broken, violations } in &self.findings {
            let verdict = match (broken, judged) {
                (0, 0) => "not judged".to_owned(),
                (0, _) => format!("holds on {judged}"),
                (_, _) => format!("BROKEN {broken} of {judged}"),
            };
            writeln!(f, "{property:<3} {verdict:<22} {}", property.sentence())?;
            for Violation { t, sentence, .. } in violations {
                writeln!(f, "      {:>12.6} s  {sentence}", *t as f64 / 1e6)?;
            }
            if let Some(more) = broken.checked_sub(violations.len() as u64).filter(|more| *more > 0) {
                writeln!(f, "      and {more} more")?;
            }
        }
        write!(f, "{}", self.summary)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "in {:.1} s", self.seconds)?;
        for (kind, Outcomes { ok, fail, info, open }) in &self.operations {
            writeln!(f, "  {kind:<8} {ok} done, {fail} refused, {info} unknown, {open} without an outcome")?;
        }
        writeln!(f, "  messages {} acknowledged, {} stored", self.acknowledged, self.stored)?;
        writeln!(f, "  entries  {} applied on {} devices", self.applied, self.devices)?;
        write!(f, "  wire     {} duplicates, {} gaps", self.duplicates, self.gaps)?;
        writeln!(f, ", as counted by {} devices", self.devices_with_wire)?;
        writeln!(f, "  reading  {} pages, {} counts of unread messages", self.pages, self.counts)?;
        write!(f, "  faults   {}", self.faults.values().sum::<u64>())?;
        for (number, (name, times)) in self.faults.iter().enumerate() {
            write!(f, "{} {name} {times}", if number == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// Gathers the findings.
pub(crate) struct Judge {
    findings: Vec<Finding>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        let finding = |property: &Property| Finding {
            property: *property,
            judged: 0,
            broken: 0,
            violations: Vec::new(),
        };
        Self { findings: Property::ALL.iter().map(finding).collect() }
    }

    /// The property was judged on so many things.
    pub(crate) fn judged(&mut self, property: Property, things: u64) {
        self.finding(property).judged += things;
    }

    /// The property does not hold there.
    pub(crate) fn broken(&mut self, property: Property, t: u64, sentence: impl FnOnce() -> String) {
        let finding = self.finding(property);
        finding.broken += 1;
        if finding.violations.len() < KEPT {
            finding.violations.push(Violation { property, t, sentence: sentence() });
        }
    }

    /// The property was judged on one more thing, and holds there if `holds`.
    pub(crate) fn hold(
        &mut self,
        property: Property,
        holds: bool,
        t: u64,
        sentence: impl FnOnce() -> String,
    ) {
        self.judged(property, 1);
        if !holds {
            self.broken(property, t, sentence);
        }
    }

    /// With wrong clocks about, what breaks S4, S5 or D3 breaks S6.
    pub(crate) fn blame_clocks(&mut self, entries: u64) {
        for property in [Property::S4, Property::S5, Property::D3] {
            let finding = self.finding(property).clone();
            let clock_free = self.finding(Property::S6);
            clock_free.broken += finding.broken;
            for Violation { t, sentence, .. } in finding.violations {
                if clock_free.violations.len() < KEPT {
                    let sentence = format!("{property}: {sentence}");
                    clock_free.violations.push(Violation { property: Property::S6, t, sentence });
                }
            }
        }
        self.finding(Property::S6).judged = entries;
    }

    pub(crate) fn verdict(self, summary: Summary) -> Verdict {
        Verdict { findings: self.findings, summary }
    }

    fn finding(&mut self, property: Property) -> &mut Finding {
        &mut self.findings[property as usize]
    }
}
