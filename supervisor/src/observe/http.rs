//! So much of HTTP/1.1 (RFC 9112) that a GET has an answer. One request a connection, a few connections at a time.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millwork_protocol::{Value, map};

use super::{Asker, prometheus};
use crate::core::Snapshot;

/// How long one who asks may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A question is not longer.
const LONGEST: usize = 16 << 10;
/// So many are answered at once, each on a small thread.
const AT_ONCE: usize = 16;
const STACK: usize = 128 << 10;

/// Answers on a thread of its own, which ends with the process.
pub(super) fn serve_tcp(listener: TcpListener, asker: Asker) -> io::Result<()> {
    serve("millwork-metrics", asker, move || {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
        Ok(stream)
    })
}

/// The same on a socket in the file system.
pub(super) fn serve_unix(listener: UnixListener, asker: Asker) -> io::Result<()> {
    serve("millwork-status", asker, move || {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
        Ok(stream)
    })
}

fn serve<S: Read + Write + Send + 'static>(
    name: &str,
    asker: Asker,
    accept: impl Fn() -> io::Result<S> + Send + 'static,
) -> io::Result<()> {
    let being_answered = Arc::new(AtomicUsize::new(0));
    let serve = move || {
        loop {
            let Ok(mut stream) = accept() else {
                // No descriptor is left, most likely: there will be one again.
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            // One who is slow holds up nobody else, and many who are slow are sent away.
            let (asker, count) = (asker.clone(), being_answered.clone());
            if count.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
                count.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let answered = move || {
                // One who has gone wants no answer.
                let _ = answer(&mut stream, &asker);
                count.fetch_sub(1, Ordering::Relaxed);
            };
            if std::thread::Builder::new().stack_size(STACK).spawn(answered).is_err() {
                being_answered.fetch_sub(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(serve).map(drop)
}

fn answer(stream: &mut (impl Read + Write), asker: &Asker) -> io::Result<()> {
    let request = question(stream)?;
    let (status, kind, body) = respond(&request, || asker.ask());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

/// What is asked, once all of it is there: a peer that is not listened to to the end may see its connection reset.
fn question(stream: &mut impl Read) -> io::Result<String> {
    let end = Instant::now() + PATIENCE;
    let (mut head, mut chunk) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && !head.windows(2).any(|two| two == b"\n\n") {
        let n = stream.read(&mut chunk)?;
        head.extend_from_slice(chunk.get(..n).unwrap_or_default());
        if n == 0 || head.len() > LONGEST || Instant::now() >= end {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned())
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
