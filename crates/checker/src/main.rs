//! `switchboard-check`: says of a recorded history what it keeps and what it breaks.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use switchboard_checker::{Verdict, check, history};

/// Judges the recorded history of a run.
///
/// Exit status 0 if nothing is broken, 1 if something is, 2 if nothing can be said.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The history, a JSON object a line.
    history: PathBuf,
    /// Prints the verdict as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match judge(&Arguments::parse()) {
        Ok(verdict) if verdict.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // If nobody reads standard error, the status still says it.
            let _ = writeln!(io::stderr(), "switchboard-check: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn judge(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let path = arguments.history.display();
    let file = File::open(&arguments.history).with_context(|| format!("{path}"))?;
    let verdict = check(history::read(BufReader::new(file))).with_context(|| format!("{path}"))?;
    let mut output = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut output, &verdict)?;
        writeln!(output)?;
    } else {
        writeln!(output, "{verdict}")?;
    }
    Ok(verdict)
}
