//! Traces of messages, across nodes.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use super::collector::{Collector, Seen};
use super::{end, open, talker};
use crate::harness::http::{bearer, send_json};
use crate::harness::socket::Socket;
use crate::harness::{Cluster, DEADLINE, eventually};

/// Sends what there is at once.
const AT_ONCE: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "50");
const ALL: (&str, &str) = ("SWITCHBOARD_LOG__OTLP_SAMPLE_RATIO", "1");
const NONE: (&str, &str) = ("SWITCHBOARD_LOG__OTLP_SAMPLE_RATIO", "0");

/// Sends a message of user 1 to user 2, from one node to the other, until it is there.
async fn deliver(ann: &mut Socket, bob: &mut Socket) -> anyhow::Result<()> {
    ann.send(r#"{"type":"send_message","recipient_id":2,"content":"a body"}"#).await?;
    let sent = ann.next().await?;
    ensure!(sent["type"] == "message_sent", "{sent}");
    let new = bob.next().await?;
    ensure!(new["type"] == "new_message", "{new}");
    Ok(())
}

fn find<'s>(seen: &'s [Seen], what: &str, is_it: impl Fn(&Seen) -> bool) -> anyhow::Result<&'s Seen> {
    let mut found = seen.iter().filter(|seen| is_it(seen));
    let only = found.next().with_context(|| format!("no {what}: {seen:#?}"))?;
    ensure!(found.next().is_none(), "more than one {what}: {seen:#?}");
    Ok(only)
}

fn is(seen: &Seen, name: &str, kind: SpanKind) -> bool {
    seen.span.name == name && seen.span.kind == kind as i32
}

pub(super) async fn a_message_is_one_trace(cluster: Cluster) -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()), AT_ONCE, ALL];
    let (a, b) = (talker(&cluster, &settings)?, talker(&cluster, &settings)?);
    let (mut ann, _) = open(a.address, 1, "").await?;
    let (mut bob, _) = open(b.address, 2, "").await?;
    deliver(&mut ann, &mut bob).await?;
    // The request and its commit, and a delivery on each node; and the handshakes, which are traces of their own.
    let all = async || {
        let seen = collector.seen();
        Ok((seen.iter().filter(|seen| seen.span.name != "http").count() == 4).then_some(seen))
    };
    let seen = eventually("the spans of a message", DEADLINE, all).await?;
    let root = find(&seen, "root", |seen| is(seen, "session", SpanKind::Server))?;
    let writer = find(&seen, "writer", |seen| is(seen, "writer", SpanKind::Internal))?;
    let is_delivery = |seen: &Seen| is(seen, "session", SpanKind::Consumer);
    let here = find(&seen, "delivery here", |seen| is_delivery(seen) && seen.instance == root.instance)?;
    let there = find(&seen, "delivery there", |seen| is_delivery(seen) && seen.instance != root.instance)?;
    ensure!(root.span.parent_span_id.is_empty(), "{root:?}");
    ensure!(writer.span.parent_span_id == root.span.span_id && writer.instance == root.instance, "{seen:#?}");
    ensure!(writer.number("batch") == Some(1), "{writer:?}");
    let took = writer.span.end_time_unix_nano - writer.span.start_time_unix_nano;
    ensure!(took > 100_000, "no commit is as fast as {took} ns");
    for part in [writer, here, there] {
        ensure!(part.span.trace_id == root.span.trace_id && part.service == "switchboard", "{part:?}");
        ensure!(part.span.end_time_unix_nano >= part.span.start_time_unix_nano, "{part:?}");
    }
    for delivery in [here, there] {
        ensure!(delivery.span.parent_span_id == writer.span.span_id, "{delivery:?}");
    }
    ensure!(!format!("{seen:?}").contains("a body"), "a trace has no bodies");
    for talker in [a, b] {
        let log = end(talker)?;
        ensure!(!log.contains("\"writer\"") && !log.contains("WARN"), "the log is as before: {log}");
    }
    cluster.finish().await
}

async fn post(address: SocketAddr, flags: &str) -> anyhow::Result<()> {
    let parent = format!("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let body = json!({"recipient_id": 2, "content": "hello"});
    let answer = send_json(address, "POST", "/api/v1/messages", &[bearer(1), parent], &body).await?;
    ensure!(answer.status == 201, "{} {}", answer.status, answer.body);
    Ok(())
}

pub(super) async fn a_request_joins_its_clients_trace(cluster: Cluster) -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let url = collector.url();
    let all = talker(&cluster, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), AT_ONCE, ALL])?;
    post(all.address, "00").await?;
    // What waits is sent at the end.
    end(all)?;
    let seen = collector.seen();
    let http = find(&seen, "request", |seen| is(seen, "http", SpanKind::Server))?;
    let writer = find(&seen, "writer", |seen| is(seen, "writer", SpanKind::Internal))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    ensure!(hex(&http.span.trace_id) == "0af7651916cd43dd8448eb211c80319c", "{http:?}");
    ensure!(hex(&http.span.parent_span_id) == "b7ad6b7169203331", "{http:?}");
    ensure!(http.number("http.response.status_code") == Some(201), "{http:?}");
    ensure!(writer.span.parent_span_id == http.span.span_id, "{writer:?}");
    // A client cannot make a node record what it would not.
    let none = talker(&cluster, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), AT_ONCE, NONE])?;
    post(none.address, "01").await?;
    end(none)?;
    ensure!(collector.seen().len() == seen.len(), "{:#?}", collector.seen());
    cluster.finish().await
}

pub(super) async fn without_a_collector_nothing_is_sent(cluster: Cluster) -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let a = talker(&cluster, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()), AT_ONCE, ALL])?;
    let b = talker(&cluster, &[AT_ONCE, ALL])?;
    let (mut ann, _) = open(a.address, 1, "").await?;
    let (mut bob, _) = open(b.address, 2, "").await?;
    deliver(&mut ann, &mut bob).await?;
    for talker in [b, a] {
        end(talker)?;
    }
    let mut instances: Vec<_> = collector.seen().into_iter().map(|seen| seen.instance).collect();
    instances.dedup();
    ensure!(instances.len() == 1, "only the one that has a collector sends: {instances:?}");
    cluster.finish().await
}

pub(super) async fn a_collector_that_is_not_there_disturbs_nothing(cluster: Cluster) -> anyhow::Result<()> {
    let nowhere = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), AT_ONCE, ALL];
    let (a, b) = (talker(&cluster, &nowhere)?, talker(&cluster, &nowhere)?);
    let (mut ann, _) = open(a.address, 1, "").await?;
    let (mut bob, _) = open(b.address, 2, "").await?;
    for _ in 0..20 {
        deliver(&mut ann, &mut bob).await?;
    }
    let log = end(a)?;
    let warnings = log.lines().filter(|line| line.contains("traces are lost")).count();
    ensure!(warnings == 1, "{warnings}: {log}");
    end(b)?;
    cluster.finish().await
}
