//! `doctor`: looks at everything a node stands on, and says what to do about what is wrong.
//!
//! Each line is `ok`, `warning` or `problem`, what was found, and after a colon what to do. A problem keeps a node from
//! serving, or from keeping what it acknowledged. What may not answer is asked at the same time, each with a deadline of
//! its own, so that the whole takes some seconds even if nothing answers.

mod clock;
mod files;
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
use crate::auth::Tokens;
use crate::cli::DoctorOptions;
use crate::config::Config;

/// Prints a line for each thing looked at; an error if there is a problem.
pub(super) async fn examine(config: &Config, options: &DoctorOptions) -> anyhow::Result<()> {
    let mut report = examine_config(config);
    let mut n_problems = report.print()?;
    let store = if store::is_there(&mut report, config) {
        open_store(config).await.inspect_err(|error| report.problem(error)).ok()
    } else {
        None
    };
    // Boxed: they are large, and made once.
    let of_store = Box::pin(async {
        match &store {
            Some(store) => store::examine(store, config).await,
            None => Report::default(),
        }
    });
    let of_layer = Box::pin(layer::examine(config, store.as_ref()));
    let of_files = Box::pin(files::examine(config));
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
        0 if options.audit && store.is_none() => bail!("there is no database to audit"),
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
    if let Some(file) = &config.auth.jwks_file {
        match Tokens::from_config(&config.auth) {
            Ok(_tokens) => report.ok(format_args!("the keys of tokens in `{}` can be read", file.display())),
            Err(error) => report.problem(format_args!(
                "the keys of tokens cannot be read ({error}): check `auth.jwks_file` and the rights of the file"
            )),
        }
    }
    report
}

/// The id of the deployment, if the store tells it.
async fn deployment(store: Option<&Store>) -> Option<String> {
    store?.deployment().await.ok()
}
