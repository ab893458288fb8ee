use std::io::Write;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use opentelemetry_http::{Bytes, HttpClient, Request};

use super::otlp::Client;
use super::*;
use crate::config::{Config, Overrides};
use crate::trace::TraceContext;

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

fn config(format: LogFormat, level: &str) -> LogConfig {
    let defaults = Config::load(&Overrides::default(), []).unwrap().log;
    LogConfig { format, level: level.to_owned(), ..defaults }
}

/// Does something under a log of its own, and gives the lines.
fn logged(config: &LogConfig, traces: Option<&Traces>, work: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = subscriber(config, false, move || writer.clone(), traces).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn written(format: LogFormat, level: &str) -> String {
    logged(&config(format, level), None, || {
        tracing::debug!(user.id = 7, "joined");
        tracing::info!(user.id = 7, "left \u{1b}[31m");
    })
}

/// Sends the part `ratio` to where nobody listens.
fn traces(ratio: f64) -> Traces {
    Traces::start(&"http://127.0.0.1:1".parse().unwrap(), ratio).unwrap()
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

#[test]
fn a_span_that_nobody_collects_is_none() {
    for level in ["info", "trace"] {
        logged(&config(LogFormat::Json, level), None, || {
            assert!(!tracing::span_enabled!(tracing::Level::DEBUG), "at {level}");
            let span = tracing::debug_span!("writer");
            assert!(span.is_disabled() && TraceContext::of(&span).is_none(), "at {level}");
        });
    }
}

#[test]
fn traces_make_the_log_no_more_talkative() {
    let traces = traces(1.0);
    let text = logged(&config(LogFormat::Json, "info"), Some(&traces), || {
        assert!(tracing::span_enabled!(tracing::Level::DEBUG));
        assert!(!tracing::span_enabled!(tracing::Level::TRACE), "more than is needed");
        assert!(!tracing::span_enabled!(target: "somebody_else", tracing::Level::ERROR), "not ours");
        assert!(!tracing::event_enabled!(tracing::Level::DEBUG), "only spans are more");
        tracing::debug_span!("session", secret = 1).in_scope(|| {
            tracing::debug!("quiet");
            tracing::info!("loud");
        });
    });
    assert!(text.contains("loud") && text.lines().count() == 1 && !text.contains("session"), "{text}");
}

/// The trace of a span with that cause, if it is recorded.
fn recorded(ratio: f64, cause: Option<TraceContext>) -> Option<TraceContext> {
    let (traces, mut found) = (traces(ratio), None);
    logged(&config(LogFormat::Json, "off"), Some(&traces), || {
        let span = tracing::debug_span!("http");
        cause.inspect(|cause| cause.cause(&span));
        found = TraceContext::of(&span);
        let inner = span.in_scope(|| tracing::debug_span!("writer").in_scope(TraceContext::current));
        assert_eq!(inner.map(|inner| inner.trace), found.map(|found| found.trace), "a trace is whole");
    });
    found
}

#[test]
fn a_node_decides_for_others_and_a_client_does_not() {
    let of_client = TraceContext::of_client("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let of_node = Some(TraceContext { trace: [7; 16], span: [8; 8], flags: 1 });
    assert!(of_client.is_some());
    assert_eq!(recorded(0.0, None), None);
    assert_eq!(recorded(0.0, of_client), None);
    assert_eq!(recorded(0.0, of_node).map(|found| found.trace), Some([7; 16]));
    assert!(recorded(1.0, None).is_some());
    let joined = recorded(1.0, of_client);
    assert_eq!(joined.map(|found| found.trace), of_client.map(|client| client.trace));
}

#[test]
fn a_collector_that_is_not_there_is_one_line() {
    let text = logged(&config(LogFormat::Pretty, "info"), None, || {
        let client = Client::new("http://127.0.0.1:1/v1/traces").unwrap();
        for _ in 0..3 {
            let sent =
                client.send_bytes(Request::post("http://127.0.0.1:1/v1/traces").body(Bytes::new()).unwrap());
            assert!(sent.now_or_never().unwrap().is_err());
        }
    });
    assert!(text.contains("WARN") && text.contains("traces are lost"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
