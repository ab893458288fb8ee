//! The binary `switchboard`: reads the command line and the configuration, and does what they say.

use std::process::ExitCode;

use clap::Parser;
use switchboard_node::{cli::Cli, config::Config, logging, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (task, overrides) = match Cli::parse().into_task() {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    match start(task, &overrides) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may be what could not start.
            let _closed = std::io::Write::write_fmt(
                &mut std::io::stderr().lock(),
                format_args!("switchboard: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

fn start(
    task: switchboard_node::cli::Task,
    overrides: &switchboard_node::config::Overrides,
) -> anyhow::Result<()> {
    let config = Config::load(overrides, std::env::vars_os())?;
    let log = logging::init(&config.log)?;
    // TLS to Redis and Postgres has no provider of its own. It is only refused if there is one already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    run::run(task, config)?;
    // Not after an error: a second signal is not made to wait for a collector.
    log.finish();
    Ok(())
}
