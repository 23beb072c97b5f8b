//! Spans to an OpenTelemetry collector: OTLP 1.x over HTTP, as JSON (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//! One span for each request, and in it one for its time on a worker. Never blocks: what the collector does not take is dropped.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::RequestEnd;
use super::outlet::Outlet;

/// So many go in one message, or what there is after this time.
const BATCH: usize = 512;
const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said that the collector is not there.
const SAID: Duration = Duration::from_secs(60);

/// A collector's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    /// Host and port.
    authority: String,
    path: String,
}

impl Collector {
    /// From `http://HOST[:PORT][/PATH]`; the port is 4318 where none is given.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(format!(
                "{url:?} is no address of the form http://localhost:4318 (a collector nearby speaks TLS)"
            ));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || authority.contains(['@', ' ']) {
            return Err(format!("{url:?} names no host"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:4318") };
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { "/v1/traces".to_owned() } else { format!("/{path}/v1/traces") };
        Ok(Self { authority, path })
    }

    fn post(&self, body: &str) -> io::Result<()> {
        let addresses: Vec<_> = self.authority.to_socket_addrs()?.collect();
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        let stream = addresses
            .iter()
            .find_map(|address| TcpStream::connect_timeout(address, PATIENCE).map_err(|error| refused = error).ok());
        let Some(mut stream) = stream else { return Err(refused) };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.authority,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = [0; 64];
        let n = stream.read(&mut answer)?;
        let line = String::from_utf8_lossy(answer.get(..n).unwrap_or_default()).into_owned();
        match line.split_whitespace().nth(1) {
            Some(code) if code.starts_with('2') => Ok(()),
            _ => Err(io::Error::other(format!("it answers {:?}", line.lines().next().unwrap_or_default()))),
        }
    }
}

/// Where spans go; nowhere by default.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    outbox: Option<Outlet<[Option<Value>; 2]>>,
}

impl Spans {
    /// To this collector, on a thread of its own.
    pub(crate) fn to(collector: Option<Collector>) -> io::Result<Self> {
        let Some(collector) = collector else { return Ok(Self::default()) };
        let outbox = Outlet::start("millwork-otlp", move |spans| deliver(&collector, spans))?;
        Ok(Self { outbox: Some(outbox) })
    }

    /// Whether anybody takes them.
    pub(crate) fn is_on(&self) -> bool {
        self.outbox.is_some()
    }

    /// A request has ended just now.
    pub(crate) fn request(&mut self, end: &RequestEnd<'_>) {
        if let Some(outbox) = &self.outbox {
            // One that does not fit is missing, and nothing waits for it.
            let _ = outbox.give(spans_of(end, SystemTime::now()));
        }
    }
}

/// The span of a request, and that of its time on a worker.
fn spans_of(end: &RequestEnd<'_>, now: SystemTime) -> [Option<Value>; 2] {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let random = || *uuid::Uuid::new_v4().as_bytes();
    let (trace, whole, part) = (hex(&random()), hex(&random()[8..]), hex(&random()[8..]));
    let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let before = |ms: u64| nanos(now.checked_sub(Duration::from_millis(ms)).unwrap_or(now));
    let run_ms = end.run_ms.unwrap_or_default();
    let text =
        |key: &str, value: Option<&str>| value.map(|value| json!({ "key": key, "value": { "stringValue": value } }));
    // 1 is "ok", 2 an error.
    let status = if end.outcome == "ok" { json!({ "code": 1 }) } else { json!({ "code": 2, "message": end.outcome }) };
    let attributes: Vec<Value> = [
        text("millwork.request_id", Some(end.id)),
        text("millwork.type", Some(end.kind)),
        text("millwork.target", end.target),
        text("millwork.worker", end.worker),
        text("millwork.outcome", Some(end.outcome)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let request = json!({
        "traceId": trace, "spanId": whole, "name": end.target.unwrap_or(end.kind), "kind": 2,
        "startTimeUnixNano": before(end.queue_ms + run_ms), "endTimeUnixNano": nanos(now),
        "attributes": attributes, "status": status,
    });
    let run = end.worker.map(|worker| {
        json!({
            "traceId": trace, "spanId": part, "parentSpanId": whole, "name": format!("worker {worker}"), "kind": 3,
            "startTimeUnixNano": before(run_ms), "endTimeUnixNano": nanos(now), "status": status,
        })
    });
    [Some(request), run]
}

fn message(spans: &[Value]) -> String {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "millwork" } }] },
        "scopeSpans": [{
            "scope": { "name": "millwork", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    }] })
    .to_string()
}

fn deliver(collector: &Collector, outbox: &Receiver<[Option<Value>; 2]>) {
    let mut said: Option<Instant> = None;
    let mut is_over = false;
    while !is_over {
        let mut batch = Vec::new();
        let end = Instant::now() + EVERY;
        while batch.len() < BATCH {
            match outbox.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(spans) => batch.extend(spans.into_iter().flatten()),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    is_over = true;
                    break;
                }
            }
        }
        if batch.is_empty() {
            continue;
        }
        if let Err(error) = collector.post(&message(&batch))
            && said.is_none_or(|said| said.elapsed() >= SAID)
        {
            said = Some(Instant::now());
            tracing::warn!("spans are lost: {}: {error}", collector.authority);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let parse = |url: &str| Collector::parse(url).map(|c| (c.authority, c.path));
        let fine = |authority: &str, path: &str| Ok((authority.to_owned(), path.to_owned()));
        assert_eq!(parse("http://localhost"), fine("localhost:4318", "/v1/traces"));
        assert_eq!(parse("http://[::1]:99/a/"), fine("[::1]:99", "/a/v1/traces"));
        for wrong in ["", "https://x", "localhost:4318", "http://", "http://user@x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_collector_is_sent_both_spans_of_a_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut spans = Spans::to(Some(Collector::parse(&url).unwrap())).unwrap();
        let end = RequestEnd {
            id: "r1",
            kind: "execute",
            target: Some("image.Blur"),
            worker: Some("stock"),
            queue_ms: 5,
            run_ms: Some(40),
            outcome: "timeout",
        };
        spans.request(&end);
        let (mut stream, _) = listener.accept().unwrap();
        let (mut text, mut chunk) = (Vec::new(), [0; 4096]);
        let body = loop {
            let n = stream.read(&mut chunk).unwrap();
            text.extend_from_slice(&chunk[..n]);
            let all = String::from_utf8_lossy(&text).into_owned();
            if let Some(body) =
                all.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str::<Value>(body).ok())
            {
                assert!(all.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{all}");
                break body;
            }
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let sent = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let nanos = |span: usize, key: &str| sent[span][key].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!((&sent[0]["name"], &sent[1]["name"]), (&json!("image.Blur"), &json!("worker stock")));
        assert_eq!((&sent[0]["spanId"], &sent[0]["traceId"]), (&sent[1]["parentSpanId"], &sent[1]["traceId"]));
        assert_eq!(sent[0]["status"], json!({ "code": 2, "message": "timeout" }));
        assert_eq!(nanos(0, "endTimeUnixNano") - nanos(0, "startTimeUnixNano"), 45_000_000);
        assert_eq!(nanos(1, "endTimeUnixNano") - nanos(1, "startTimeUnixNano"), 40_000_000);
        assert_eq!((sent[0]["traceId"].as_str().unwrap().len(), sent[0]["spanId"].as_str().unwrap().len()), (32, 16));
    }
}
