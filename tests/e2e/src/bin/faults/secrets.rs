//! Secrets: values that are planted in requests and in the environment are printed by nodes, carried by workers that are
//! killed, and recorded. They are found nowhere afterwards but in the processes that may have them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millwork_e2e::descendants::MARK;
use millwork_e2e::process::binary;
use millwork_e2e::{Launch, Map, Request};
use nix::sys::signal::Signal;

use crate::Settings;
use crate::host::{Host, Reply, Worker, signal};
use crate::report::Row;

/// Planted in requests.
const SENT: &str = "canary-of-a-request-7f3a91";
/// Planted in the environment; one worker declares it.
const KEPT: &str = "canary-of-the-environment-c04e52";
const NAME: &str = "CANARY_API_KEY";
/// Planted there too; nobody declares it, and one worker is given nothing but what it is allowed.
const STRAY: &str = "canary-that-nobody-declared-5b18d6";

/// What was looked through, and where something was found that must not be there.
#[derive(Debug, Default)]
struct Search {
    environments: usize,
    places: BTreeSet<String>,
}

impl Search {
    fn look(&mut self, place: &str, bytes: &[u8]) {
        self.places.extend(holds(bytes).map(|canary| format!("{place}: {canary}")));
    }

    fn look_at_lines(&mut self, place: &str, text: &str) {
        text.lines().for_each(|line| self.look(&format!("{place}: {line}"), line.as_bytes()));
    }

    /// The arguments of everything that runs here, not of ours alone.
    fn look_at_arguments(&mut self) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            self.look(&format!("the arguments of {}", process.path().display()), &arguments);
        }
    }

    /// The environment of a worker, which one of the two may know.
    fn look_at_environment(&mut self, worker: &Worker) {
        let environ = fs::read(format!("/proc/{}/environ", worker.pid)).unwrap_or_default();
        let has = |text: &str| environ.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has(MARK), "the environment of {worker:?} cannot be read");
        assert_eq!(has(KEPT), worker.name == "trusted", "{NAME} in the environment of `{}`", worker.name);
        if worker.name == "other" {
            self.look("the environment of `other`", &environ);
        }
        self.environments += 1;
    }
}

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (recording, worker) = (folder.path().join("session.jsonl"), binary("millwork-worker"));
    // The one that may know it says it as it starts.
    let script = format!("echo my key is ${NAME} >&2; exec {} --stdio --test-nodes", worker.display());
    let config = format!(
        "[restart]\nbackoff_ms = 10\nmax_backoff_ms = 50\nmax_crashes = 100000\n\
         [[worker]]\nname = \"trusted\"\npool = \"all\"\nsecrets = [\"{NAME}\"]\ncommand = [\"sh\", \"-c\", {script:?}]\n\
         [[worker]]\nname = \"other\"\npool = \"all\"\nenv_allow = [\"{MARK}\"]\n\
         command = [{worker:?}, \"--stdio\", \"--test-nodes\"]\n"
    );
    let launch = Launch::of("millwork").args(["inspect", "--full", "--record"]).arg(&recording).arg("--");
    let launch = launch.arg(binary("millwork")).args(["serve", "--stdio", "--log", "debug"]);
    let (events, figures) = (folder.path().join("events.jsonl"), folder.path().join("figures"));
    let launch = launch.arg("--events").arg(&events).arg("--metrics").arg(format!("unix:{}", figures.display()));
    let launch = launch.file("millwork.toml", config).env(NAME, KEPT).env("STRAY_API_KEY", STRAY);
    let works_in = launch.folder().to_owned();
    let mut host = Host::start(launch);
    let (mut errors, mut search, mut may_dump) = (String::new(), Search::default(), 0);
    for round in 0..settings.of(4, 40) {
        let workers = host.await_workers(|workers| workers.len() == 2 && workers.iter().all(|w| w.state == "ready"));
        workers.iter().for_each(|worker| search.look_at_environment(worker));
        may_dump += workers.iter().filter(|worker| dumps_core(worker.pid)).count();
        let ids: Vec<String> = requests(round).iter().map(|request| host.send("execute", request)).collect();
        // Some have said it and are answered, others die with it.
        let dies = &workers[round % 2];
        let (answered, dying) = ids.split_at(ids.len() / 2);
        errors.extend(told(host.terminals(answered)));
        search.look_at_arguments();
        let _ = signal(dies.pid, [Signal::SIGKILL, Signal::SIGABRT][round / 2 % 2]);
        dying.iter().for_each(|id| host.post("cancel", id, &Map::new()));
        errors.extend(told(host.terminals(dying)));
        // How the last one died stands there, too.
        let status = host.send("worker.status", &Map::new());
        search.look_at_lines("the status", &format!("{:?}", host.terminal(&status).data()));
        ["metrics", "status"].iter().for_each(|of| search.look_at_lines(of, &get(&figures, of)));
    }
    let log = host.stderr();
    let cores = cores(&works_in);
    let (_, left) = host.end();
    search.look_at_lines("an error", &errors);
    search.look_at_lines("the log", &log);
    let recorded = recorded(&recording);
    search.look("the recording", &recorded);
    let events = fs::read_to_string(events).expect("there are events");
    search.look_at_lines("an event", &events);
    // Where nothing was said, nothing is found.
    let recording = String::from_utf8_lossy(&recorded);
    let said = [
        ("by a worker as it starts", log.contains("my key is ***")),
        ("in an error", errors.contains("the token is ***")),
        ("in an answer that is recorded", recording.contains("the token is ***")),
        ("in the event of a death", events.contains("the token is ***")),
    ];
    let silent: Vec<&str> = said.iter().filter(|(_, is_said)| !is_said).map(|(place, _)| *place).collect();
    vec![
        Row::new(
            format!(
                "three values looked for in {} lines of log, {} events, {} bytes of errors, {} bytes of recording, {} environments, the status, figures, all arguments",
                log.lines().count(),
                events.lines().count(),
                errors.len(),
                recorded.len(),
                search.environments
            ),
            search
                .places
                .first()
                .map_or_else(|| "nowhere".to_owned(), |first| format!("{} places: {first}", search.places.len())),
            "nowhere",
            search.places.is_empty(),
        ),
        Row::new(
            "where one is said, it is blotted out: by a worker as it starts, in errors, in recorded answers, in events",
            if silent.is_empty() { "yes".to_owned() } else { format!("not said {}", silent.join(", ")) },
            "yes",
            silent.is_empty(),
        ),
        Row::new(
            "core files; workers that may write one",
            format!("{cores}, {may_dump}"),
            "0, 0",
            cores == 0 && may_dump == 0,
        ),
        Row::new("processes left", left.len().to_string(), "0", left.is_empty()),
    ]
}

/// What is answered to who asks for figures.
fn get(socket: &Path, of: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("figures are given there");
    stream.write_all(format!("GET /{of} HTTP/1.1\r\n\r\n").as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// What the errors among these say. What a node gives is its host's own affair.
fn told(replies: HashMap<String, Reply>) -> impl Iterator<Item = String> {
    replies.into_values().filter(|reply| reply.kind == "error").map(|reply| format!("{:?}\n", reply.data()))
}

/// Nodes that say the secret, fail with it, panic with it, and hold it when they die.
fn requests(round: usize) -> Vec<Map> {
    let with_secret =
        |request: Request| -> Map { request.secret("TEST_SECRET", SENT).with("nonce", round as i64).into() };
    let said = format!("the token is {SENT}.");
    // A line of many pieces, whose ends fall anywhere.
    let endless = SENT.repeat(2_000);
    vec![
        with_secret(Request::node("test.StdoutNoise").field("text", said.clone())),
        with_secret(Request::node("test.NeedsSecret")),
        with_secret(Request::node("test.Fail").field("message", said.clone())),
        with_secret(Request::node("test.Panic").field("message", said.clone())),
        with_secret(Request::node("test.Sleep").field("ms", 600_000)),
        with_secret(Request::node("test.Sleep").field("ms", 600_000)),
        with_secret(Request::node("test.StdoutNoise").field("text", endless)),
    ]
}

/// Which of them are in these bytes. Half of one counts: it may have been cut.
fn holds(bytes: &[u8]) -> impl Iterator<Item = &'static str> + use<'_> {
    let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    [SENT, KEPT, STRAY].into_iter().filter(move |canary| {
        let (begin, end) = canary.split_at(canary.len() / 2);
        contains(begin) || contains(end)
    })
}

/// The recording, with the payloads as they were on the pipe.
fn recorded(file: &Path) -> Vec<u8> {
    let text = fs::read_to_string(file).expect("there is a recording");
    let mut bytes = text.clone().into_bytes();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        bytes.extend(line["payload"].as_str().map(|text| STANDARD.decode(text).expect("base64")).unwrap_or_default());
    }
    bytes
}

/// Whether a crash of this process may write its memory to a file, or to a program that the system has for it: from 2
/// bytes on (core(5)).
fn dumps_core(pid: i32) -> bool {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let soft = line.and_then(|line| line.split_whitespace().next()).unwrap_or("unknown");
    soft.parse::<u64>().map_or(true, |limit| limit > 1)
}

/// Core files in the folder that workers work in.
fn cores(folder: &Path) -> usize {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|entry| entry.file_name().to_string_lossy().starts_with("core")).count()
}
