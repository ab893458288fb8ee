//! Switchboard under faults: a whole stack of processes, clients who never rest, faults of every kind, and a checker that
//! reads what was recorded and says whether a promise was broken.
//!
//! Called by a test runner it does the short form, each fault once; `tests/faults --help` has the others.

mod arguments;
mod fault;
mod figures;
#[expect(dead_code, reason = "the harness serves another binary too")]
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod look;
mod proxy;
mod run;
mod sabotages;
mod schedule;
mod stack;
mod token;
mod trials;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

use arguments::Arguments;

pub(crate) use harness::dice::Dice;

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    if first == "proxy" {
        return proxy::serve();
    }
    fault::with_own_mounts();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = Arc::new(runtime);
    // Anything else is what a test runner asks for.
    if first == "--help" || Arguments::command().find_subcommand(&first).is_some() {
        let arguments = Arguments::parse();
        return runtime.block_on(arguments.carry_out()).unwrap_or_else(|error| {
            tell(format_args!("{error:#}"));
            ExitCode::from(2)
        });
    }
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials::all(&runtime)).exit_code()
}

/// A figure that somebody may want to write down, or a verdict: on standard output.
pub(crate) fn tell(line: std::fmt::Arguments<'_>) {
    // Nobody listens if it is closed.
    let _ = std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!("  {line}\n"));
}
