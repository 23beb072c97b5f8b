//! The examples as they run. Their workers are stock ones: the program in `MILLWORK_BIN`, or one beside these tests.
#![allow(clippy::disallowed_methods, reason = "whole programs are what is tested")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Far above what anything here needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/seven.png");

/// `target/PROFILE`.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_millwork")).parent().unwrap().to_owned()
}

/// A stock worker with the test nodes, as a command. This very `millwork` may have been built without one.
fn stock_worker() -> Option<Vec<String>> {
    let named = std::env::var_os("MILLWORK_BIN").map(PathBuf::from);
    let beside = ["millwork-worker", "millwork"].map(|name| programs().join(name));
    let command = |path: PathBuf| {
        let program = path.to_str()?.to_owned();
        let own = if path.file_name()? == "millwork" { vec![program, "worker".to_owned()] } else { vec![program] };
        let (first, rest) = own.split_first()?;
        let works = Command::new(first).args(rest).arg("--help").output().is_ok_and(|output| output.status.success());
        works.then(|| [own, vec!["--stdio".to_owned(), "--test-nodes".to_owned()]].concat())
    };
    let found = named.into_iter().chain(beside).find_map(command);
    if found.is_none() {
        eprintln!(
            "skipped: the examples: no stock worker is here (build with the feature `stock`, or set MILLWORK_BIN)"
        );
    }
    found
}

/// An example in a folder of its own, with a fleet of one stock worker.
fn example(name: &str) -> Option<(Command, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let worker = toml::Value::from(stock_worker()?);
    let config = folder.path().join("millwork.toml");
    std::fs::write(&config, format!("[[worker]]\nname = \"stock\"\ncommand = {worker}\n")).unwrap();
    let mut command = Command::new(programs().join("examples").join(name));
    command.current_dir(folder.path()).env("MILLWORK_CONFIG", config).env("MILLWORK_GPU", "off");
    Some((command, folder))
}

/// Ends it when a test fails, so that nothing outlives the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// What it prints, line by line; the end too, where none comes for long.
    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let (send, lines) = std::sync::mpsc::channel();
        let output = BufReader::new(self.0.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        std::iter::from_fn(move || lines.recv_timeout(PATIENCE).ok())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n")
}

#[test]
fn a_folder_of_pictures_is_blurred() {
    let Some((mut command, folder)) = example("batch_folder") else { return };
    let from = folder.path().join("from");
    std::fs::create_dir(&from).unwrap();
    for name in ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"] {
        std::fs::copy(PICTURE, from.join(name)).unwrap();
    }
    std::fs::write(from.join("g.png"), "no picture").unwrap();
    let output = command.args(["from", "to"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && text.contains("from/g.png: "), "{text}");
    let made: Vec<Vec<u8>> = std::fs::read_dir(folder.path().join("to"))
        .unwrap()
        .map(|e| std::fs::read(e.unwrap().path()).unwrap())
        .collect();
    let picture = std::fs::read(PICTURE).unwrap();
    assert!(made.len() == 6 && made.iter().all(|bytes| is_png(bytes) && *bytes != picture), "{text}");
}

/// Sends one request and gives the status and the body of the answer.
fn http(address: &str, request: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head =
        format!("{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

#[test]
fn a_server_blurs_what_is_posted_and_ends_when_it_is_told() {
    let Some((mut command, _folder)) = example("axum_server") else { return };
    let mut server = Running::start(command.arg("127.0.0.1:0"));
    let mut lines = server.lines();
    let address = lines.next().unwrap().trim_start_matches("http://").to_owned();
    let picture = std::fs::read(PICTURE).unwrap();
    let (status, blurred) = http(&address, "POST /blur?sigma=3", &picture);
    assert!(status == 200 && is_png(&blurred) && blurred != picture, "{}", String::from_utf8_lossy(&blurred));
    let (status, text) = http(&address, "POST /blur", b"no picture");
    assert_eq!(status, 422, "{}", String::from_utf8_lossy(&text));
    assert_eq!(http(&address, "POST /blur?sigma=much", &picture).0, 400);
    assert_eq!(http(&address, "GET /health", b""), (200, b"stock ready\n".to_vec()));
    kill(Pid::from_raw(server.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(lines.next().as_deref(), Some("stopped"));
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn a_window_runs_cancels_and_closes() {
    let Some((mut command, _folder)) = example("desktop_app") else { return };
    let mut app = Running::start(&mut command);
    let mut buttons = app.0.stdin.take().unwrap();
    let mut press = |line: &str| writeln!(buttons, "{line}").unwrap();
    let mut lines = app.lines();
    let mut until = |wanted: &str| {
        let mut seen = Vec::new();
        loop {
            match lines.next() {
                Some(line) if line.starts_with(wanted) => return seen,
                Some(line) => seen.push(line),
                None => panic!("no {wanted} in {seen:?}"),
            }
        }
    };
    until("worker: stock is ready");
    press(&format!("run image.Blur image=@{PICTURE} sigma=3"));
    until("done: {\"output\":{\"$bytes\":");
    press("run test.Progress n=3");
    assert!(until("done: ").iter().any(|line| line.starts_with("progress: ") && line.ends_with(" of 3")));
    press("run test.Sleep ms=600000");
    press("run test.Echo value=1");
    until("failed: a node is running");
    press("cancel");
    until("cancelled");
    press("run test.Nothing");
    until("failed: Unknown node type: test.Nothing");
    // Closed in the middle of a call.
    press("run test.Sleep ms=600000");
    press("close");
    assert!(until("closed").iter().any(|line| line == "worker: stock is stopped"));
    assert!(app.0.wait().unwrap().success());
}
