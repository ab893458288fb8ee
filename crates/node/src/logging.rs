//! The log: lines on standard error, since standard output is for what a command prints. And, where a collector is
//! configured, traces that go there (`otlp`).
//!
//! [`init`] is called once, by the binary. The rest of the code only uses the macros of `tracing`: events become lines,
//! spans become traces. A span that nobody collects is disabled where it is made, so that it costs nothing.

mod otlp;

#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;
use tracing::{Metadata, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::otlp::Traces;
use crate::config::{LogConfig, LogFormat};

/// Lines that may wait to be written; more are dropped, and counted.
const LINES: usize = 8_192;

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error("`log.level` is `{level}`: {reason}")]
    Filter {
        /// What it is.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Traces cannot be exported.
    #[error("traces cannot be sent to `log.otlp_endpoint`: {0}")]
    Traces(String),
    /// There was one already.
    #[error("the log has been set up before")]
    Twice,
}

/// What is to be done at the end. Without it, the last traces are lost.
#[must_use = "the last traces and lines are written when it finishes"]
pub struct LogGuard {
    traces: Option<Traces>,
    /// Dropped, it writes the lines that wait, and gives up within a second or so.
    _lines: WorkerGuard,
}

impl LogGuard {
    /// Sends the traces and writes the lines that wait: the traces within this time.
    pub fn finish(self, within: Duration) {
        if let Some(traces) = self.traces {
            traces.finish(within);
        }
    }
}

/// What was dropped because nobody read the log for so long.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Lines that were dropped since the process started: nobody read the log, and no more of them may wait.
#[must_use]
pub fn dropped_lines() -> usize {
    DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

/// Sends what is logged in this process to standard error, and traces to the collector, from now on.
///
/// # Errors
/// If the filter cannot be read, traces cannot be exported, or this was done before.
pub fn init(config: &LogConfig) -> Result<LogGuard, LoggingError> {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = !is_plain && std::io::stderr().is_terminal();
    let traces = config.otlp_endpoint.as_ref().map(|url| Traces::start(url, config.otlp_sample_ratio));
    let traces = traces.transpose().map_err(LoggingError::Traces)?;
    // Whoever writes a line does not wait for its reader: a session or a stop must not hang on a full pipe.
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES);
    let (lines, guard) = lines.thread_name("log").finish(std::io::stderr());
    let dropped = lines.error_counter();
    let subscriber = subscriber(config, colours, lines, traces.as_ref())?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_set_before| LoggingError::Twice)?;
    let _once = DROPPED.set(dropped);
    Ok(LogGuard { traces, _lines: guard })
}

type Part = Box<dyn Layer<Registry> + Send + Sync>;

fn subscriber<W>(
    config: &LogConfig,
    colours: bool,
    writer: W,
    traces: Option<&Traces>,
) -> Result<impl Subscriber + Send + Sync + use<W>, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines: Part = match config.format {
        LogFormat::Pretty => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Each part has a filter of its own: what one wants makes the other no more talkative. A line says all that it has
    // to say by itself, so that it needs no span.
    let wanted = filter(&config.level)?.and(only(|metadata| metadata.is_event(), LevelFilter::TRACE));
    let mut parts: Vec<Part> = vec![lines.with_filter(wanted).boxed()];
    if let Some(traces) = traces {
        parts.push(traces.layer().with_filter(only(is_our_span, LevelFilter::DEBUG)).boxed());
    }
    Ok(tracing_subscriber::registry().with(parts))
}

/// What is known by what it is alone, and never above a level: so it is decided once for each place in the code.
fn only(is_wanted: fn(&Metadata<'_>) -> bool, most: LevelFilter) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(move |metadata| *metadata.level() <= most && is_wanted(metadata)).with_max_level_hint(most)
}

fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("switchboard_")
}

fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    let refuse = |reason: String| LoggingError::Filter { level: level.to_owned(), reason };
    // The parser takes nothing for `error`, and a word that is no level for a module, so that `inof` would
    // silence all else.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let directives: Vec<&str> = level.split(',').map(str::trim).collect();
    for directive in &directives {
        if !directive.contains(['=', '[']) && !is_level(directive) {
            return Err(refuse(format!(
                "`{directive}` is no level: expected error, warn, info, debug, trace or off, \
                 or a module with its level, such as switchboard_node=debug"
            )));
        }
    }
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| refuse(error.to_string()))
}
