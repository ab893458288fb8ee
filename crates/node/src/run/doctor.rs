//! `doctor`: looks at everything a node stands on, and says what to do about what is wrong.
//!
//! Each line is `ok`, `warning` or `problem`, what was found, and after a colon what to do. A problem keeps a node from
//! serving, or from keeping what it acknowledged. What may not answer is asked at the same time, each with a deadline of
//! its own, so that the whole takes some seconds even if nothing answers.

mod clock;
mod layer;
mod machine;
mod report;
mod store;

use anyhow::bail;
use secrecy::ExposeSecret;
use switchboard_store::Store;
use tokio::join;

use self::report::Report;
use super::{open_store, print};
use crate::cli::DoctorOptions;
use crate::config::Config;

/// Prints a line for each thing looked at; an error if there is a problem.
pub(super) async fn examine(config: &Config, options: &DoctorOptions) -> anyhow::Result<()> {
    let mut report = examine_config(config);
    let mut n_problems = report.print()?;
    let store = match open_store(config).await {
        Ok(store) => Some(store),
        Err(error) => {
            report.problem(error);
            None
        }
    };
    // Boxed: they are large, and made once.
    let of_store = Box::pin(async {
        match &store {
            Some(store) => store::examine(store, config).await,
            None => Report::default(),
        }
    });
    let of_layer = Box::pin(layer::examine(config, store.as_ref()));
    let of_files = Box::pin(machine::examine_files(config));
    let (of_store, of_layer, of_files) = join!(of_store, of_layer, of_files);
    let is_sound = store.is_some() && !of_store.has_problem();
    for mut report in [report, of_store, of_layer, of_files, machine::examine_limits(config)?] {
        n_problems += report.print()?;
    }
    if options.audit
        && is_sound
        && let Some(store) = &store
    {
        n_problems += store::audit(store).await?;
    }
    match n_problems {
        0 => Ok(()),
        1 => bail!("there is a problem"),
        n => bail!("there are {n} problems"),
    }
}

fn examine_config(config: &Config) -> Report {
    let mut report = Report::default();
    report.ok("the configuration can be read");
    for warning in config.warnings() {
        report.warning(warning);
    }
    if config.auth.jwt_secret.expose_secret().is_empty() {
        report.ok("there is no secret for tokens, so those of `switchboard token` do not count: set \
                   SWITCHBOARD_JWT_SECRET if they should");
    } else {
        report.ok("there is a secret for tokens: it must be the same on every node");
    }
    report
}

/// The id of the deployment, if the store tells it.
async fn deployment(store: Option<&Store>) -> Option<String> {
    store?.deployment().await.ok()
}
