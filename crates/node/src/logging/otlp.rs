//! Traces, as OTLP over HTTP to a collector.
//!
//! Spans wait in a bounded queue; what does not fit is dropped. A thread of its own sends them, so that a collector that
//! does not answer disturbs nothing: it is told to the log now and then.

use std::fmt;
use std::future::ready;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use tokio::time::Instant;
use tracing_subscriber::{Layer, Registry};
use ureq::Agent;
use url::Url;

use crate::agent::agent;

/// What sending a batch may take: below what stopping may.
const DEADLINE: Duration = Duration::from_secs(2);
/// What sending may take that waits when the process ends, if there is so much time.
const STOP: Duration = Duration::from_secs(3);
/// Between two lines about a collector that does not answer.
const SILENCE: Duration = Duration::from_secs(60);
/// An answer of a collector is a few bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Where spans go.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send to the collector at `endpoint`, of the traces that begin here the part `ratio`.
    pub(super) fn start(endpoint: &Url, ratio: f64) -> Result<Self, String> {
        let endpoint = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(&endpoint).map_err(|error| error.to_string())?)
            .with_endpoint(endpoint)
            .with_timeout(DEADLINE)
            .build()
            .map_err(|error| error.to_string())?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Self(provider.with_sampler(sampler(ratio)).with_resource(resource()).build()))
    }

    /// Sends what waits, and no more.
    pub(super) fn finish(self, within: Duration) {
        if let Err(error) = self.0.shutdown_with_timeout(within.min(STOP)) {
            tracing::warn!("the last traces could not be sent: {error}");
        }
    }

    pub(super) fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        // The names of spans and what we give them say enough.
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("switchboard"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    }
}

/// What tells this process from the others. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` may say more.
fn resource() -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name("switchboard")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", format!("{:032x}", rand::random::<u128>())))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// What was begun on a node is recorded on all of them or on none. A client that names a trace as the cause of what it asks
/// decides nothing: see [`TraceContext::of_client`](crate::trace::TraceContext::of_client).
fn sampler(ratio: f64) -> impl ShouldSample + 'static {
    Sampler::parent_based(Part(ratio)).with_remote_parent_not_sampled(Part(ratio))
}

/// Records this part of the traces. By chance, and not by the trace's id, which a client may have made up.
#[derive(Clone, Debug)]
struct Part(f64);

impl ShouldSample for Part {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace: TraceId,
        _name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let is_chosen = rand::random::<f64>() < self.0;
        SamplingResult {
            decision: if is_chosen { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent
                .map(|parent| parent.span().span_context().trace_state().clone())
                .unwrap_or_default(),
        }
    }
}

/// Sends over `ureq`, which blocks: only the exporter's own thread calls it.
pub(super) struct Client {
    agent: Agent,
    /// When it was last said that the collector does not answer. Held for a look.
    said: Mutex<Option<Instant>>,
}

impl Client {
    pub(super) fn new(endpoint: &str) -> Result<Self, url::ParseError> {
        Ok(Self { agent: agent(&Url::parse(endpoint)?, DEADLINE), said: Mutex::default() })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let request =
            self.agent.configure_request(request.map(Vec::from)).http_status_as_error(false).build();
        let (head, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    fn complain(&self, why: impl fmt::Display) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() > SILENCE) {
            *said = Some(Instant::now());
            tracing::warn!("traces are lost, since the collector does not take them: {why}");
        }
    }
}

impl HttpClient for Client {
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> BoxFuture<'f, Result<Response<Bytes>, HttpError>>
    where
        'c: 'f,
        Self: 'f,
    {
        let result = self.send(request);
        match &result {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.complain(format_args!("it answers with {}", response.status())),
            Err(error) => self.complain(error),
        }
        Box::pin(ready(result.map_err(HttpError::from)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
