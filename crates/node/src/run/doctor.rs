//! `doctor`: looks at everything a node stands on, and says what to do about what is wrong.

use anyhow::bail;
use nix::sys::resource::{Resource, getrlimit};
use secrecy::ExposeSecret;
use switchboard_channel_layer::inspect_redis;
use switchboard_store::Store;

use super::{open_store, print};
use crate::cli::DoctorOptions;
use crate::config::Config;

/// Fewer descriptors than this are soon used up by clients.
const DESCRIPTORS: u64 = 8_192;
/// Redis cuts a subscriber that lags by this much; below it, a burst is enough.
const OUTPUT_BUFFER: u64 = 64 * 1024 * 1024;

/// With fewer messages, reading a whole table may be the quickest way.
const LARGE: i64 = 100_000;

/// What was found, line by line.
#[derive(Default)]
struct Report {
    problems: usize,
}

impl Report {
    fn good(&self, line: impl std::fmt::Display) -> anyhow::Result<()> {
        print(format_args!("ok       {line}"))
    }

    fn warn(&self, line: impl std::fmt::Display) -> anyhow::Result<()> {
        print(format_args!("warning  {line}"))
    }

    fn bad(&mut self, line: impl std::fmt::Display) -> anyhow::Result<()> {
        self.problems += 1;
        print(format_args!("problem  {line}"))
    }
}

/// Prints a line for each thing looked at; an error if one of them keeps a node from serving.
pub(super) async fn examine(config: &Config, options: &DoctorOptions) -> anyhow::Result<()> {
    let mut report = Report::default();
    report.good("the configuration can be read")?;
    for warning in config.warnings() {
        report.warn(warning)?;
    }
    match open_store(config).await {
        Ok(store) => examine_store(&store, &mut report, options).await?,
        Err(error) => report.bad(error)?,
    }
    examine_layer(config, &mut report).await?;
    let (soft, _hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < DESCRIPTORS {
        report.warn(format_args!(
            "the limit on open files is {soft}, and each connection takes one: raise it (ulimit -n)"
        ))?;
    } else {
        report.good(format_args!("the limit on open files is {soft}"))?;
    }
    match report.problems {
        0 => Ok(()),
        1 => bail!("there is a problem"),
        n => bail!("there are {n} problems"),
    }
}

async fn examine_store(store: &Store, report: &mut Report, options: &DoctorOptions) -> anyhow::Result<()> {
    let health = match store.health().await {
        Ok(health) => health,
        Err(error) => return report.bad(format_args!("{error}: check `store.database_url`")),
    };
    report.good(format_args!("the store answers: {}", health.version))?;
    for warning in health.warnings {
        report.warn(warning)?;
    }
    match store.pending_migrations().await?.as_slice() {
        [] => report.good("the schema is up to date")?,
        [first, ..] => {
            return report.bad(format_args!("the schema lacks `{first}`: run `switchboard migrate`"));
        }
    }
    if options.audit {
        for finding in store.audit().await? {
            match finding.violations {
                0 => report.good(finding.rule)?,
                n => report.bad(format_args!("{}: not so {n} times", finding.rule))?,
            }
        }
        let messages = store.count_messages().await?;
        report.good(format_args!("{messages} messages"))?;
        for plan in store.explain().await? {
            if plan.scans && messages > LARGE {
                report.bad(format_args!(
                    "{} reads a whole table: an index is missing, or run ANALYZE",
                    plan.reading
                ))?;
            }
        }
    }
    Ok(())
}

async fn examine_layer(config: &Config, report: &mut Report) -> anyhow::Result<()> {
    let Some(url) = config.redis_url() else {
        return report.good("the channel layer is within the process: right for a single node");
    };
    match inspect_redis(url.expose_secret()).await {
        // Sends go on without it, so it keeps no node from serving.
        Err(error) => report.warn(format_args!("{error}: check `channel_layer.redis_url`")),
        Ok(redis) => {
            report.good(format_args!("the channel layer answers: Redis {}", redis.version))?;
            match redis.output_buffer_limit {
                Some(limit) if (1..OUTPUT_BUFFER).contains(&limit.hard_bytes) => report.warn(format_args!(
                    "Redis cuts a subscriber that lags by {} bytes: \
                     set `client-output-buffer-limit pubsub 256mb 128mb 60`",
                    limit.hard_bytes
                )),
                _ => Ok(()),
            }
        }
    }
}
