//! So much of HTTP/1.1 (RFC 9112) that a GET has an answer. One request a connection, one connection at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use millwork_protocol::{Value, map};

use super::{Asker, prometheus};
use crate::core::Snapshot;

/// How long one who asks may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A question is not longer.
const LONGEST: u64 = 16 << 10;

/// Answers on a thread of its own, which ends with the process.
pub(super) fn serve_tcp(listener: TcpListener, asker: Asker) -> io::Result<()> {
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
            // One who has gone wants no answer.
            let _ = answer(&stream, &stream, &asker);
        }
    };
    std::thread::Builder::new().name("millwork-metrics".to_owned()).spawn(serve).map(drop)
}

/// The same on a socket in the file system.
pub(super) fn serve_unix(listener: UnixListener, asker: Asker) -> io::Result<()> {
    let serve = move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
            let _ = answer(&stream, &stream, &asker);
        }
    };
    std::thread::Builder::new().name("millwork-status".to_owned()).spawn(serve).map(drop)
}

fn answer(input: impl Read, mut output: impl Write, asker: &Asker) -> io::Result<()> {
    let mut input = BufReader::new(input.take(LONGEST));
    let mut request = String::new();
    input.read_line(&mut request)?;
    // A peer that is not listened to to the end may see its connection reset.
    let mut header = String::new();
    while input.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, kind, body) = respond(&request, || asker.ask());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    output.write_all(head.as_bytes())?;
    output.write_all(body.as_bytes())?;
    output.flush()
}

fn respond(request: &str, ask: impl FnOnce() -> Option<Snapshot>) -> (&'static str, &'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    if method != "GET" {
        return ("405 Method Not Allowed", TEXT, "only GET\n".to_owned());
    }
    if !matches!(path, "/metrics" | "/status") {
        return ("404 Not Found", TEXT, "there are /metrics and /status\n".to_owned());
    }
    let Some(snapshot) = ask() else {
        return ("503 Service Unavailable", TEXT, "the fleet is stopping\n".to_owned());
    };
    match path {
        "/metrics" => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", prometheus::text(&snapshot)),
        _ => ("200 OK", "application/json", format!("{}\n", status(&snapshot).to_json())),
    }
}

/// As `extensions.supervisor` of `worker.status` has it, and a little more.
fn status(snapshot: &Snapshot) -> Value {
    let rows: Vec<Value> = snapshot.rows.iter().cloned().map(Value::Map).collect();
    map! {
        "version" => env!("CARGO_PKG_VERSION"),
        "pid" => std::process::id(),
        "open" => snapshot.open,
        "queued" => snapshot.queued,
        "dropped_frames" => snapshot.dropped,
        "workers" => rows,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Option<Snapshot> {
        Some(Snapshot { rows: vec![map! { "name" => "a" }], figures: Vec::new(), open: 2, queued: 1, dropped: 0 })
    }

    #[test]
    fn what_is_asked_is_answered_and_nothing_else() {
        let (status, kind, body) = respond("GET /status HTTP/1.1\r\n", snapshot);
        assert!(status.starts_with("200") && kind == "application/json" && body.contains("\"open\":2"), "{body}");
        assert!(respond("GET /metrics?x=1 HTTP/1.0\r\n", snapshot).2.contains("millwork_queue_length 1"));
        for (request, due) in
            [("POST /metrics HTTP/1.1", "405"), ("GET / HTTP/1.1", "404"), ("", "405"), ("\u{0}", "405")]
        {
            assert!(respond(request, snapshot).0.starts_with(due), "{request}");
        }
        assert!(respond("GET /status HTTP/1.1", || None).0.starts_with("503"));
    }
}
