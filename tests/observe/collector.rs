//! A collector of traces: it takes what is sent to it, as OTLP over HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A span, and the process that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) service: String,
    pub(super) instance: String,
    pub(super) span: Span,
}

impl Seen {
    /// A number that was recorded with it.
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        match attribute(&self.span.attributes, key)? {
            Value::IntValue(number) => Some(*number),
            _ => None,
        }
    }
}

/// Spans in the order in which they came. It ends when it is dropped.
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Collector {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let into = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let into = Arc::clone(&into);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while take(&mut stream, &into).await.is_ok() {}
                });
            }
        });
        Ok(Self { address, seen, task })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes one request.
async fn take(stream: &mut BufReader<TcpStream>, seen: &Mutex<Vec<Seen>>) -> anyhow::Result<()> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "the connection ended");
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse()?,
            _ if first.is_empty() => first.clone_from(&line),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    ensure!(first.starts_with("post /v1/traces "), "{first}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    for spans in ExportTraceServiceRequest::decode(&*body)?.resource_spans {
        let resource = spans.resource.context("a resource")?.attributes;
        let text = |key| match attribute(&resource, key) {
            Some(Value::StringValue(text)) => text.clone(),
            _ => String::new(),
        };
        let (service, instance) = (text("service.name"), text("service.instance.id"));
        let new = spans.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let new = new.map(|span| Seen { service: service.clone(), instance: instance.clone(), span });
        seen.lock().expect("nobody panics with it").extend(new);
    }
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    Ok(stream.write_all(answer.as_bytes()).await?)
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref().and_then(|AnyValue { value }| value.as_ref())
}
