//! A server that behaves like the hub, as far as fetching models goes: an API, files that it sends itself, large ones at another
//! host, and everything that goes wrong on the way, at a test's word.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code: what goes wrong here ends the test")]

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millwork_local::{Patience, Settings};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

/// The commit of every repository.
pub(crate) const COMMIT: &str = "5f4dcc3b5aa765d61d8327deb882cf995f4dcc3b";

/// A file of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    /// Its tag: the digest that git or Git LFS gives it.
    pub(crate) etag: String,
    /// Whether it lies at the other host.
    pub(crate) is_large: bool,
}

/// What goes wrong with one request for a file's contents.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing comes any more after so many bytes.
    Stall(usize),
    /// This status, with these headers.
    Status(u16, &'static str),
    /// Other bytes of the same length.
    Corrupt,
    /// All of it, whatever part was asked for.
    NoRange,
    /// More than was told.
    Longer,
    /// Less than was told, and a length that says so.
    Shorter,
    /// A redirect to itself.
    Circle,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at_cdn: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Stored>,
    faults: HashMap<String, VecDeque<Fault>>,
    /// The answer to everything but the list.
    gate: Option<(u16, &'static str)>,
    /// The answer to the list.
    refusal: Option<(u16, &'static str)>,
    /// Replaces the list.
    list: Option<String>,
    says_blobs: bool,
    seen: Vec<Seen>,
}

/// The hub and its other host, until it is dropped.
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
    port: u16,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Bytes that look like weights, the same for the same seed.
pub(crate) fn weights(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

impl Hub {
    /// A hub with one repository, `org/tiny`.
    pub(crate) fn start() -> Self {
        let (site, cdn) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (port, cdn_port) = (site.local_addr().unwrap().port(), cdn.local_addr().unwrap().port());
        let state = Arc::new(Mutex::new(State { says_blobs: true, ..State::default() }));
        let hub = Self { state, ended: Arc::default(), port };
        for (listener, at_cdn) in [(site, false), (cdn, true)] {
            let (state, ended) = (Arc::clone(&hub.state), Arc::clone(&hub.ended));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (state, ended) = (Arc::clone(&state), Arc::clone(&ended));
                    // A client that goes away is what some tests are about.
                    std::thread::spawn(move || drop(serve(&stream.unwrap(), &state, &ended, at_cdn, cdn_port)));
                }
            });
        }
        hub
    }

    /// With a small file, whose git digest is given.
    pub(crate) fn small(self, path: &str, text: &str, git: &str) -> Self {
        let file = Stored { path: path.into(), bytes: text.into(), etag: git.into(), is_large: false };
        self.state.lock().files.push(file);
        self
    }

    /// With a large file.
    pub(crate) fn large(self, path: &str, bytes: Vec<u8>) -> Self {
        let file = Stored { path: path.into(), etag: sha256(&bytes), bytes, is_large: true };
        self.state.lock().files.push(file);
        self
    }

    /// The next request for a file's contents goes wrong in this way; more of them for later ones.
    pub(crate) fn fault(&self, path: &str, fault: Fault) {
        self.state.lock().faults.entry(path.to_owned()).or_default().push_back(fault);
    }

    /// Files are answered in this way.
    pub(crate) fn gate(&self, status: u16, headers: &'static str) {
        self.state.lock().gate = Some((status, headers));
    }

    /// The list of files is answered in this way.
    pub(crate) fn refuse(&self, status: u16, headers: &'static str) {
        self.state.lock().refusal = Some((status, headers));
    }

    /// The list of files is this.
    pub(crate) fn list(&self, list: &str) {
        self.state.lock().list = Some(list.to_owned());
    }

    /// The list of files says no sizes and digests, as mirrors do.
    pub(crate) fn hide_blobs(&self) {
        self.state.lock().says_blobs = false;
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// Forgets them.
    pub(crate) fn forget(&self) {
        self.state.lock().seen.clear();
    }

    /// The requests for contents at the other host.
    pub(crate) fn fetched(&self) -> Vec<Option<String>> {
        self.seen().into_iter().filter(|seen| seen.at_cdn && seen.method == "GET").map(|seen| seen.range).collect()
    }

    /// The tag of a file.
    pub(crate) fn etag(&self, path: &str) -> String {
        self.state.lock().files.iter().find(|file| file.path == path).unwrap().etag.clone()
    }

    /// How to reach it, without much patience.
    pub(crate) fn settings(&self) -> Settings {
        let patience = Patience {
            attempts: 4,
            pause: Duration::from_millis(20),
            longest_pause: Duration::from_secs(5),
            stall: Duration::from_millis(400),
        };
        Settings { endpoint: format!("http://127.0.0.1:{}", self.port), patience, ..Settings::default() }
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>, ended: &AtomicBool, at_cdn: bool, cdn: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let (authorization, range) = (headers.get("authorization").cloned(), headers.get("range").cloned());
        let seen = Seen { at_cdn, method: method.clone(), path: path.clone(), authorization, range };
        state.lock().seen.push(seen.clone());
        if !answer(stream, state, ended, &seen, cdn)? {
            return Ok(());
        }
    }
}

/// Answers a request, and says whether another may follow.
fn answer(
    stream: &TcpStream,
    state: &Mutex<State>,
    ended: &AtomicBool,
    seen: &Seen,
    cdn: u16,
) -> std::io::Result<bool> {
    let path = seen.path.split('?').next().unwrap_or_default();
    if path.starts_with("/api/models/org/tiny/revision/") {
        let state = state.lock();
        if let Some((status, headers)) = state.refusal {
            return plain(stream, status, headers, "{}");
        }
        return plain(
            stream,
            200,
            "Content-Type: application/json\r\n",
            &state.list.clone().unwrap_or_else(|| state.listing()),
        );
    }
    if path.starts_with("/api/models/") {
        return plain(stream, 404, "X-Error-Code: RepoNotFound\r\nX-Error-Message: Repository not found\r\n", "{}");
    }
    let gate = state.lock().gate;
    if let Some((status, headers)) = gate.filter(|_| !seen.at_cdn) {
        return plain(stream, status, headers, "");
    }
    let name = path.replace("%20", " ");
    let file = state
        .lock()
        .files
        .iter()
        .find(|file| match seen.at_cdn {
            true => name == format!("/blob/{}", file.etag),
            false => [format!("/org/tiny/resolve/{COMMIT}/"), "/api/resolve-cache/".to_owned()]
                .iter()
                .any(|start| name.strip_prefix(start) == Some(&file.path)),
        })
        .cloned();
    let Some(file) = file else {
        return plain(stream, 404, "X-Error-Code: EntryNotFound\r\n", "Entry not found");
    };
    let is_contents = seen.method == "GET" && (seen.at_cdn || path.starts_with("/api/resolve-cache/"));
    let fault = if is_contents { state.lock().faults.get_mut(&file.path).and_then(VecDeque::pop_front) } else { None };
    if is_contents {
        return contents(stream, ended, &file, fault, seen.range.as_deref());
    }
    let common = format!("X-Repo-Commit: {COMMIT}\r\nAccept-Ranges: bytes\r\n");
    if file.is_large {
        let headers = format!(
            "{common}X-Linked-Size: {}\r\nX-Linked-Etag: \"{}\"\r\nLocation: http://127.0.0.1:{cdn}/blob/{}?signature=x\r\n",
            file.bytes.len(),
            file.etag,
            file.etag
        );
        return plain(stream, 302, &headers, "Found. Redirecting to the other host");
    }
    if !path.starts_with("/api/resolve-cache/") {
        let headers = format!("{common}Location: /api/resolve-cache/{}\r\n", file.path.replace(' ', "%20"));
        return plain(stream, 307, &headers, "Temporary Redirect");
    }
    let head =
        format!("HTTP/1.1 200 OK\r\n{common}ETag: W/\"{}\"\r\nContent-Length: {}\r\n\r\n", file.etag, file.bytes.len());
    { stream }.write_all(head.as_bytes())?;
    Ok(true)
}

fn contents(
    mut stream: &TcpStream,
    ended: &AtomicBool,
    file: &Stored,
    fault: Option<Fault>,
    range: Option<&str>,
) -> std::io::Result<bool> {
    let mut bytes = file.bytes.clone();
    let total = bytes.len();
    let mut start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    match &fault {
        Some(Fault::Status(status, headers)) => return plain(stream, *status, headers, ""),
        Some(Fault::Circle) => return plain(stream, 302, &format!("Location: /blob/{}\r\n", file.etag), ""),
        Some(Fault::Corrupt) => bytes.iter_mut().for_each(|byte| *byte ^= 1),
        Some(Fault::NoRange) => start = 0,
        Some(Fault::Longer) => bytes.extend([0; 100]),
        Some(Fault::Shorter) => bytes.truncate(total / 2),
        _ => {}
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let status = if start > 0 {
        format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}", total - 1)
    } else {
        "200 OK".into()
    };
    let head = format!("HTTP/1.1 {status}\r\nETag: \"the-other-hosts-own\"\r\nContent-Length: {}\r\n\r\n", rest.len());
    stream.write_all(head.as_bytes())?;
    match fault {
        Some(Fault::Cut(after)) => {
            stream.write_all(rest.get(..after).unwrap_or(rest))?;
            stream.shutdown(std::net::Shutdown::Both)?;
            Ok(false)
        }
        Some(Fault::Stall(after)) => {
            stream.write_all(rest.get(..after).unwrap_or(rest))?;
            // Until the client goes.
            let end = Instant::now() + Duration::from_secs(60);
            stream.set_read_timeout(Some(Duration::from_millis(100)))?;
            let mut byte = [0];
            while !ended.load(Ordering::Relaxed) && Instant::now() < end && !matches!(stream.read(&mut byte), Ok(0)) {}
            Ok(false)
        }
        _ => stream.write_all(rest).map(|()| true),
    }
}

fn plain(mut stream: &TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<bool> {
    let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes())?;
    Ok(true)
}

impl State {
    fn listing(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|file| {
            let Stored { path, bytes, etag, is_large } = file;
            match (self.says_blobs, is_large) {
                (false, _) => format!("{{\"rfilename\":{path:?}}}"),
                (true, false) => format!("{{\"rfilename\":{path:?},\"size\":{},\"blobId\":{etag:?}}}", bytes.len()),
                (true, true) => format!(
                    "{{\"rfilename\":{path:?},\"size\":{0},\"blobId\":\"0123\",\"lfs\":{{\"sha256\":{etag:?},\"size\":{0},\"pointerSize\":134}}}}",
                    bytes.len()
                ),
            }
        }).collect();
        format!("{{\"id\":\"org/tiny\",\"sha\":\"{COMMIT}\",\"private\":false,\"siblings\":[{}]}}", files.join(","))
    }
}
