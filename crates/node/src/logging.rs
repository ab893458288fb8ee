//! The log: lines on standard error, since standard output is for what a command prints.
//!
//! [`init`] is called once, by the binary. The rest of the code only uses the macros of `tracing`.

use std::io::IsTerminal;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogConfig, LogFormat};

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
    /// There was one already.
    #[error("the log has been set up before")]
    Twice,
}

/// Sends what is logged in this process to standard error, from now on.
///
/// # Errors
/// If the filter cannot be read, or this was done before.
pub fn init(config: &LogConfig) -> Result<(), LoggingError> {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = !is_plain && std::io::stderr().is_terminal();
    let subscriber = subscriber(config, colours, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_set_before| LoggingError::Twice)
}

fn subscriber<W>(
    config: &LogConfig,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Pretty => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines).with(filter(&config.level)?))
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str) -> String {
        let lines = Lines::default();
        let config = LogConfig { format, level: level.to_owned() };
        let writer = lines.clone();
        let subscriber = subscriber(&config, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(user.id = 7, "joined");
            tracing::info!(user.id = 7, "left \u{1b}[31m");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn pretty_is_a_line_for_people() {
        let text = written(LogFormat::Pretty, "info");
        assert!(text.contains("INFO") && text.contains("user.id=7") && text.ends_with('\n'), "{text}");
        assert!(!text.contains("joined") && text.lines().count() == 1, "{text}");
        assert!(!text.contains('\u{1b}'), "control characters are escaped: {text}");
    }

    #[test]
    fn json_is_an_object_a_line() {
        let text = written(LogFormat::Json, "warn,switchboard_node=debug");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["message"], &lines[0]["user.id"]), (&"joined".into(), &7.into()));
        assert_eq!(lines[1]["level"], "INFO");
    }

    #[test]
    fn a_bad_filter_is_refused_by_name() {
        for level in ["", "inof", "info,switchboard_node", "switchboard_node=loud", "info;debug"] {
            let error = filter(level).err().map(|error| error.to_string()).unwrap();
            assert!(error.starts_with(&format!("`log.level` is `{level}`: ")), "{error}");
        }
        for level in ["off", "INFO", "info, actix_server=warn", "trace,a::b=off"] {
            assert!(filter(level).is_ok(), "{level}");
        }
    }
}
