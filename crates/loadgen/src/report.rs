//! What is printed, and the verdict behind it.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use crate::process::Spent;
use crate::tally::{Counts, Latencies};
use crate::user::{Outcome, Record};

/// What the users of one part counted, and of all parts together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Over the whole run.
    pub(crate) whole: Counts,
    /// In the measured window.
    pub(crate) window: Counts,
    pub(crate) latencies: Latencies,
    pub(crate) verdict: Verdict,
}

impl Totals {
    /// With those of another part.
    pub(crate) fn with(self, other: Self) -> Self {
        self.latencies.add(&other.latencies);
        Self {
            whole: self.whole.with(other.whole, u64::wrapping_add),
            window: self.window.with(other.window, u64::wrapping_add),
            latencies: self.latencies,
            verdict: self.verdict.with(other.verdict),
        }
    }
}

/// What the measured window cost.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) totals: Totals,
    /// How many each message has.
    pub(crate) n_recipients: u64,
    pub(crate) spent: Spent,
}

/// Whether everything arrived as it should, over the whole run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) acknowledged: u64,
    pub(crate) unacknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    pub(crate) gaps: u64,
    pub(crate) retries: u64,
    pub(crate) overtaken: u64,
    last_refusal: Option<String>,
}

impl Verdict {
    /// Partners are neighbours: 0 and 1, 2 and 3, and so on.
    pub(crate) fn of_pairs(records: &[Record]) -> Self {
        let mut verdict = Self::default();
        for (index, sender) in records.iter().enumerate() {
            verdict.add(sender);
            verdict.compare(sender, &records[index ^ 1]);
        }
        verdict
    }

    /// The first of so many sends to the others, the next of as many to theirs, and so on.
    pub(crate) fn of_groups(records: &[Record], size: usize) -> Self {
        let mut verdict = Self::default();
        records.iter().for_each(|record| verdict.add(record));
        for group in records.chunks(size) {
            for recipient in &group[1..] {
                verdict.compare(&group[0], recipient);
            }
        }
        verdict
    }

    pub(crate) fn is_good(&self) -> bool {
        let bad =
            [self.unacknowledged, self.refused, self.lost, self.duplicates, self.out_of_order, self.gaps];
        bad.iter().all(|count| *count == 0)
    }

    fn with(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            unacknowledged: self.unacknowledged + other.unacknowledged,
            refused: self.refused + other.refused,
            lost: self.lost + other.lost,
            duplicates: self.duplicates + other.duplicates,
            out_of_order: self.out_of_order + other.out_of_order,
            gaps: self.gaps + other.gaps,
            retries: self.retries + other.retries,
            overtaken: self.overtaken + other.overtaken,
            last_refusal: self.last_refusal.or(other.last_refusal),
        }
    }

    fn add(&mut self, user: &Record) {
        for outcome in &user.sends {
            match outcome {
                Outcome::Unknown => self.unacknowledged += 1,
                Outcome::Refused => self.refused += 1,
                Outcome::Acknowledged | Outcome::AcknowledgedLate => self.acknowledged += 1,
            }
        }
        self.duplicates += user.wire_duplicates;
        self.gaps += user.wire_gaps;
        self.retries += user.retries;
        if self.last_refusal.is_none() {
            self.last_refusal.clone_from(&user.last_refusal);
        }
    }

    fn compare(&mut self, sender: &Record, recipient: &Record) {
        let inbox = &recipient.inbox;
        for (number, outcome) in (0_u64..).zip(&sender.sends) {
            let is_stored = matches!(outcome, Outcome::Acknowledged | Outcome::AcknowledgedLate);
            self.lost += u64::from(is_stored && !inbox.has(number));
        }
        for number in &inbox.late {
            let outcome = usize::try_from(*number).ok().and_then(|number| sender.sends.get(number));
            if outcome == Some(&Outcome::AcknowledgedLate) {
                self.overtaken += 1;
            } else {
                self.out_of_order += 1;
            }
        }
        self.duplicates += inbox.duplicates;
    }
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Writes to standard error what goes on: nobody has to read it.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The report of `run` and `flood`, and of `groups` of one size.
pub(crate) fn traffic(usage: &Usage) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write_traffic(&mut text, usage);
    text
}

fn write_traffic(text: &mut String, usage: &Usage) -> fmt::Result {
    let Totals { whole, window, latencies, verdict } = &usage.totals;
    let seconds = usage.spent.elapsed.as_secs_f64();
    writeln!(text, "whole run")?;
    writeln!(text, "  sends            {}", whole.sent)?;
    writeln!(text, "  acknowledged     {}", verdict.acknowledged)?;
    writeln!(text, "  unacknowledged   {}", verdict.unacknowledged)?;
    writeln!(text, "  refused          {}", verdict.refused)?;
    writeln!(text, "  delivered        {}", whole.delivered)?;
    writeln!(text, "  lost             {}", verdict.lost)?;
    writeln!(text, "  duplicates       {}", verdict.duplicates)?;
    writeln!(text, "  out of order     {}", verdict.out_of_order)?;
    writeln!(text, "  gaps             {}", verdict.gaps)?;
    writeln!(text, "  retried          {} ({} overtaken meanwhile)", verdict.retries, verdict.overtaken)?;
    writeln!(text, "  disconnects      {}", whole.disconnects)?;
    let [p50, _, p99, max] = latencies.reconnect.summary();
    write!(text, "  reconnects       {}", latencies.reconnect.count())?;
    writeln!(text, " (ms away: p50 {p50:.1}, p99 {p99:.1}, max {max:.1})")?;
    writeln!(text, "  skipped          {}", whole.skipped)?;
    if let Some(refusal) = &verdict.last_refusal {
        writeln!(text, "  for example      {refusal}")?;
    }
    writeln!(text, "measured {seconds:.1} s")?;
    let deliveries = window.delivered as f64 / seconds;
    writeln!(text, "  messages/s       {:.1}", deliveries / usage.n_recipients as f64)?;
    if usage.n_recipients > 1 {
        writeln!(text, "  deliveries/s     {deliveries:.1}")?;
    }
    writeln!(text, "  latency, ms           p50       p90       p99       max")?;
    let latencies = [
        ("delivery", &latencies.delivery),
        ("acknowledgement", &latencies.acknowledgement),
        ("generator", &latencies.lag),
    ];
    for (name, latency) in latencies {
        let [p50, p90, p99, max] = latency.summary();
        writeln!(text, "  {name:<16} {p50:>9.2} {p90:>9.2} {p99:>9.2} {max:>9.2}")?;
    }
    write_usage(text, usage)
}

/// A line for each process and the generator: how many hundredths of a core it took, and of a process its memory.
pub(crate) fn cores(spent: &Spent) -> String {
    let percent = |cpu: Duration| 100.0 * cpu.as_secs_f64() / spent.elapsed.as_secs_f64();
    let mut text = String::new();
    // Writing to a text cannot fail.
    for (pid, cpu, memory) in &spent.processes {
        let _ = match (cpu, memory) {
            (Some(cpu), Some(memory)) => {
                let megabytes = memory.resident as f64 / 1e6;
                writeln!(text, "  pid {pid:<12} {:>6.1} % of a core, {megabytes:.1} MB", percent(*cpu))
            }
            _ => writeln!(text, "  pid {pid:<12} is gone"),
        };
    }
    if let Some(cpu) = spent.own_cpu {
        let _ = writeln!(text, "  generator        {:>6.1} % of a core", percent(cpu));
    }
    text
}

fn write_usage(text: &mut String, usage: &Usage) -> fmt::Result {
    for (pid, cpu, memory) in &usage.spent.processes {
        let (Some(cpu), Some(memory)) = (cpu, memory) else {
            writeln!(text, "  pid {pid:<12} is gone")?;
            continue;
        };
        let peak = memory.peak as f64 / 1e6;
        writeln!(text, "  pid {pid:<12} {}, {peak:.1} MB peak", usage.share(*cpu))?;
    }
    if !usage.spent.processes.is_empty() {
        writeln!(text, "  all of these     {}", usage.share(usage.spent.cpu()))?;
    }
    if let Some(cpu) = usage.spent.own_cpu {
        let cores = cpu.as_secs_f64() / usage.spent.elapsed.as_secs_f64();
        writeln!(text, "  generator        {}, {cores:.2} cores", usage.share(cpu))?;
        if let Some(rest) = usage.spent.machine_cpu.map(|machine| machine.saturating_sub(cpu)) {
            writeln!(text, "  all the rest     {}", usage.share(rest))?;
        }
    }
    Ok(())
}

impl Usage {
    /// What a message costs of this, and what a delivery, if it has several.
    fn share(&self, cpu: Duration) -> String {
        let delivery = cpu.as_secs_f64() * 1e6 / self.totals.window.delivered.max(1) as f64;
        let message = format!("{:>9.1} µs CPU a message", delivery * self.n_recipients as f64);
        if self.n_recipients > 1 { format!("{message}, {delivery:.1} a delivery") } else { message }
    }
}
