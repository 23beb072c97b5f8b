//! Secrets: values that are planted in requests and in the environment are printed by nodes, carried by workers that are
//! killed, and recorded. They are found nowhere afterwards but in the processes that declared them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use millwork_e2e::process::binary;
use millwork_e2e::{Launch, Map, Request};
use nix::sys::signal::Signal;

use crate::Settings;
use crate::host::{Host, Reply, signal};
use crate::report::Row;

/// Planted in requests.
const SENT: &str = "canary-of-a-request-7f3a91";
/// Planted in the environment; one worker declares it.
const KEPT: &str = "canary-of-the-environment-c04e52";
const NAME: &str = "CANARY_API_KEY";

pub(crate) fn run(settings: &Settings) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (recording, worker) = (folder.path().join("session.jsonl"), binary("millwork-worker"));
    // The one that may know it says it as it starts.
    let script = format!("echo my key is ${NAME} >&2; exec {} --stdio --test-nodes", worker.display());
    let config = format!(
        "[restart]\nbackoff_ms = 10\nmax_backoff_ms = 50\nmax_crashes = 100000\n\
         [[worker]]\nname = \"trusted\"\npool = \"all\"\nsecrets = [\"{NAME}\"]\ncommand = [\"sh\", \"-c\", {script:?}]\n\
         [[worker]]\nname = \"other\"\npool = \"all\"\ncommand = [{worker:?}, \"--stdio\", \"--test-nodes\"]\n"
    );
    let launch = Launch::of("millwork").args(["inspect", "--full", "--record"]).arg(&recording).arg("--");
    let launch = launch.arg(binary("millwork")).args(["serve", "--stdio", "--log", "debug"]);
    let mut host = Host::start(launch.file("millwork.toml", config).env(NAME, KEPT));
    let (mut errors, mut places) = (String::new(), Vec::new());
    let mut environments = 0;
    for round in 0..settings.of(4, 40) {
        let workers = host.await_workers(|workers| workers.len() == 2 && workers.iter().all(|w| w.state == "ready"));
        for worker in workers.iter().filter(|worker| worker.name == "other") {
            environments += 1;
            let environ = fs::read(format!("/proc/{}/environ", worker.pid)).unwrap_or_default();
            places.extend(holds(&environ).map(|canary| format!("the environment of `other`: {canary}")));
        }
        for process in host.processes() {
            places.extend(holds(process.command.as_bytes()).map(|canary| format!("{}: {canary}", process.command)));
        }
        let ids: Vec<String> = requests(round).iter().map(|request| host.send("execute", request)).collect();
        // Some have said it and are answered, others die with it.
        let dies = &workers[round % 2];
        let (answered, dying) = ids.split_at(ids.len() / 2);
        errors.extend(told(host.terminals(answered)));
        let _ = signal(dies.pid, [Signal::SIGKILL, Signal::SIGABRT][round % 2]);
        dying.iter().for_each(|id| host.post("cancel", id, &Map::new()));
        errors.extend(told(host.terminals(dying)));
    }
    let log = host.stderr();
    let (_, left) = host.end();
    places.extend(
        errors.lines().filter(|line| holds(line.as_bytes()).next().is_some()).map(|line| format!("an error: {line}")),
    );
    places.extend(
        log.lines().filter(|line| holds(line.as_bytes()).next().is_some()).map(|line| format!("the log: {line}")),
    );
    let recorded = recorded(&recording);
    places.extend(holds(&recorded).map(|canary| format!("the recording: {canary}")));
    let said = log.matches("***").count();
    vec![
        Row::new(
            format!(
                "two values looked for in {} lines of log, {} bytes of errors, {} bytes of recording, {environments} environments, all arguments",
                log.lines().count(),
                errors.len(),
                recorded.len()
            ),
            places.first().map_or_else(|| "nowhere".to_owned(), |first| format!("{} places: {first}", places.len())),
            "nowhere",
            places.is_empty(),
        ),
        Row::new("places where one was said, and is blotted out", said.to_string(), "some", said > 0),
        Row::new("core files", cores(folder.path()).to_string(), "0", cores(folder.path()) == 0),
        Row::new("processes left", left.len().to_string(), "0", left.is_empty()),
    ]
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
    vec![
        with_secret(Request::node("test.StdoutNoise").field("text", said.clone())),
        with_secret(Request::node("test.NeedsSecret")),
        with_secret(Request::node("test.Fail").field("message", said.clone())),
        with_secret(Request::node("test.Panic").field("message", said.clone())),
        with_secret(Request::node("test.Sleep").field("ms", 600_000)),
        with_secret(Request::node("test.Sleep").field("ms", 600_000)),
        with_secret(Request::node("test.Sleep").field("ms", 600_000)),
        with_secret(Request::node("test.StdoutNoise").field("text", said)),
    ]
}

/// Which of the two are in these bytes.
fn holds(bytes: &[u8]) -> impl Iterator<Item = &'static str> + use<'_> {
    let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    [SENT, KEPT].into_iter().filter(move |canary| contains(canary))
}

/// The recording, with the payloads as they were on the pipe.
fn recorded(file: &Path) -> Vec<u8> {
    let text = fs::read_to_string(file).expect("there is a recording");
    let mut bytes = text.clone().into_bytes();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        bytes.extend(line["payload"].as_str().map(decode).unwrap_or_default());
    }
    bytes
}

/// Base64 (RFC 4648).
fn decode(text: &str) -> Vec<u8> {
    let value =
        |byte: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|b| *b == byte);
    let sextets: Vec<u32> = text.bytes().filter_map(|byte| value(byte).map(|at| at as u32)).collect();
    let triple = |four: &[u32]| {
        let word = four.iter().fold(0, |word, sextet| word << 6 | sextet) << (6 * (4 - four.len()));
        word.to_be_bytes()[1..four.len()].to_vec()
    };
    sextets.chunks(4).flat_map(triple).collect()
}

/// Core files, where a crash would leave them.
fn cores(folder: &Path) -> usize {
    let here = std::env::current_dir().unwrap_or_default();
    let files = [folder, &here].into_iter().flat_map(fs::read_dir).flatten().flatten();
    files.filter(|entry| entry.file_name().to_string_lossy().starts_with("core")).count()
}
