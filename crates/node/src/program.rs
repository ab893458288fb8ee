//! The program: reads the command line and the configuration, and does what they say.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Task};
use crate::config::{Config, Overrides};
use crate::{logging, run};

/// Runs it with the arguments and the environment of this process. Gives the status to exit with.
#[must_use]
pub fn main() -> ExitCode {
    let (task, overrides) = match Cli::parse().into_task() {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    match start(task, &overrides) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format!("switchboard: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Logging may be what could not start. A pipe that nobody reads must not keep the process from ending.
fn complain(line: String) {
    let (told, tells) = mpsc::channel();
    thread::spawn(move || told.send(io::stderr().write_all(line.as_bytes()).is_ok()));
    let _nobody_reads = tells.recv_timeout(Duration::from_secs(1));
}

fn start(task: Task, overrides: &Overrides) -> anyhow::Result<()> {
    let config = Config::load(overrides, std::env::vars_os())?;
    let log = logging::init(&config.log)?;
    // TLS to Redis and Postgres has no provider of its own. It is only refused if there is one already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    run::run(task, config, log)
}
