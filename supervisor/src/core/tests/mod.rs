//! The state machine in virtual time. [`Sim`] stands in for the shell: it does what actions say, to workers made of data.

mod health;
mod idempotent;
mod lives;
mod packages;
mod pools;
mod random;
mod recycling;
mod reload;
mod requests;

use std::collections::{BTreeMap, HashSet};

use millwork_protocol::message::ErrorKind;
use millwork_protocol::{Bytes, Envelope, Frame, Map, Value, map};

use super::*;
use crate::config::{Config, RestartConfig, WorkerConfig};

const HOST: HostId = HostId(1);

/// A worker's process.
#[derive(Debug, Default)]
struct Process {
    run: u32,
    is_alive: bool,
    /// Its stdin has been closed.
    closed: bool,
    terminated: bool,
    killed: bool,
    /// Bytes handed to its pipe.
    sent: u64,
    /// What it has been sent and has not answered: type and id.
    inbox: Vec<(String, String)>,
}

#[derive(Debug)]
struct Sim {
    core: Core,
    now: Millis,
    processes: Vec<Process>,
    sent: Vec<String>,
    ended: BTreeMap<(HostId, String), Answer>,
    emitted: Vec<String>,
    is_stopped: bool,
    /// Whether pipes take everything at once.
    pipes_flow: bool,
    /// How many processes were asked for, and how many of them are gone.
    started: usize,
    reaped: usize,
    events: u64,
}

fn config() -> Config {
    let restart =
        RestartConfig { backoff_ms: 100, max_backoff_ms: 1000, max_crashes: 3, open_ms: 60_000, stable_ms: 5000 };
    let timings = Config { cancel_grace_ms: 1000, kill_grace_ms: 100, health_interval_ms: 0, ..Config::default() };
    Config { max_queued: 4, restart, ..timings }
}

/// A worker of the configuration.
fn group(name: &str, instances: usize, max_in_flight: usize) -> WorkerConfig {
    let worker = WorkerConfig::new(name, ["x"]);
    WorkerConfig { instances: instances.into(), max_in_flight: Some(max_in_flight), ..worker }
}

impl Sim {
    /// Groups as name, instances, `max_in_flight`.
    fn new(groups: &[(&str, usize, usize)], config: &Config) -> Self {
        Self::of(groups.iter().map(|(name, n, max)| group(name, *n, *max)), config)
    }

    fn of(groups: impl IntoIterator<Item = WorkerConfig>, config: &Config) -> Self {
        let groups = groups.into_iter().map(|worker| GroupPolicy::new(&worker, config));
        let core = Core::new(Policy::new(config, 1 << 20), groups, "own-".to_owned());
        let mut sim = Self {
            core,
            now: 0,
            processes: Vec::new(),
            sent: Vec::new(),
            ended: BTreeMap::new(),
            emitted: Vec::new(),
            is_stopped: false,
            pipes_flow: true,
            started: 0,
            reaped: 0,
            events: 0,
        };
        sim.handle(Event::Start);
        sim
    }

    /// A fleet in which every worker `name` has the node `name.Node` and is ready.
    fn ready(groups: &[(&str, usize, usize)]) -> Self {
        Self::ready_of(groups.iter().map(|(name, n, max)| group(name, *n, *max)))
    }

    fn ready_of(groups: impl IntoIterator<Item = WorkerConfig>) -> Self {
        let mut sim = Self::of(groups, &config());
        (0..sim.processes.len()).for_each(|worker| sim.come_up(worker));
        sim
    }

    fn handle(&mut self, event: Event) {
        self.events += 1;
        self.core.handle(self.now, event);
        for action in std::mem::take(self.core.actions()) {
            self.act(action);
        }
        check_invariants(&self.core);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn { worker, run } => {
                if self.processes.len() <= worker {
                    self.processes.resize_with(worker + 1, Process::default);
                }
                assert!(!self.processes[worker].is_alive, "a process is reaped before its successor starts");
                self.processes[worker] = Process { run, ..Process::default() };
                self.started += 1;
            }
            Action::Send { worker, frame } => {
                let process = &mut self.processes[worker];
                assert!(process.is_alive, "frames go to living workers only");
                process.sent += frame.len() as u64;
                let payload = frame.to_payload();
                let envelope = Envelope::peek(&payload).unwrap();
                let (kind, id) = (envelope.kind.unwrap().to_owned(), envelope.request_id.unwrap().to_owned());
                self.sent.push(format!("{kind} {id} > {worker}"));
                process.inbox.push((kind, id));
                if self.pipes_flow {
                    let (run, total) = (process.run, process.sent);
                    self.handle(Event::Wrote { worker, run, total });
                }
            }
            Action::CloseStdin { worker } => self.processes[worker].closed = true,
            Action::Changed { .. } => {}
            Action::Terminate { worker } => self.processes[worker].terminated = true,
            Action::Kill { worker } => self.processes[worker].killed = true,
            Action::Emit { host, id, .. } => {
                assert!(!self.ended.contains_key(&(host, id.to_string())), "{id}: a frame after its end");
                self.emitted.push(id.to_string());
            }
            Action::End { host, id, answer, .. } => {
                let before = self.ended.insert((host, id.to_string()), answer);
                assert!(before.is_none(), "{id} has ended twice");
            }
            Action::Stopped => self.is_stopped = true,
        }
    }

    /// Other settings for the processes of a group.
    fn replace(&mut self, group: usize) {
        let Some(policy) = self.core.groups.get(group).map(|group| group.policy.clone()) else { return };
        let kept = vec![(group, policy, Some("its settings have changed".to_owned()))];
        let changes = Changes {
            policy: self.core.policy.clone(),
            kept,
            added: Vec::new(),
            removed: Vec::new(),
            unloaded: Vec::new(),
        };
        self.handle(Event::Configure(Box::new(changes)));
    }

    fn advance(&mut self, ms: Millis) {
        let until = self.now + ms;
        while let Some(due) = self.core.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.handle(Event::Tick);
        }
        self.now = until;
        self.handle(Event::Tick);
    }

    fn spawn(&mut self, worker: WorkerId) {
        self.processes[worker].is_alive = true;
        let run = self.processes[worker].run;
        self.handle(Event::Spawned { worker, run, pid: 100 });
    }

    /// Starts and answers the whole handshake.
    fn come_up(&mut self, worker: WorkerId) {
        self.spawn(worker);
        let run = self.processes[worker].run;
        self.handle(Event::Ready { worker, run });
        for kind in ["discover", "worker.status", "provider.list"] {
            self.answer_handshake(worker, kind);
        }
    }

    fn answer_handshake(&mut self, worker: WorkerId, kind: &str) {
        let policy = &self.core.groups[self.core.group(worker)].policy;
        let name = policy.pool.clone().unwrap_or_else(|| policy.name.clone());
        let nodes = vec![Value::Map(map! { "node_type" => format!("{name}.Node") })];
        let load_errors = vec![Value::Map(map! { "module" => format!("pkg.{name}.lost"), "error" => "no disk" })];
        let data = match kind {
            "discover" => map! { "protocol_version" => 4, "nodes" => nodes, "load_errors" => load_errors },
            "worker.status" => map! {
                "extensions" => map! { "idempotent_nodes" => vec![format!("{name}.Node")] },
                "namespaces" => vec![name],
                "protocol_version" => 4,
            },
            _ => map! { "providers" => vec![Value::Map(map! { "id" => format!("{name}-ai") })] },
        };
        let id = self.take_id(worker, kind);
        self.reply(worker, if kind == "discover" { kind } else { "result" }, &id, &data);
    }

    /// The id of the first unanswered message of a type in a worker.
    fn take_id(&mut self, worker: WorkerId, kind: &str) -> String {
        let inbox = &mut self.processes[worker].inbox;
        let at = inbox.iter().position(|(k, _)| k == kind).expect("the worker has been asked");
        inbox.remove(at).1
    }

    fn reply(&mut self, worker: WorkerId, kind: &str, id: &str, data: &Map) {
        let run = self.processes[worker].run;
        let payload = Frame::message(kind, Some(id), data).to_payload();
        self.handle(Event::Frame { worker, run, payload });
    }

    fn die(&mut self, worker: WorkerId) {
        let process = &mut self.processes[worker];
        let run = process.run;
        *process = Process { run, ..Process::default() };
        self.reaped += 1;
        self.handle(Event::Exited { worker, run, exit: "signal 11 (SIGSEGV)".into(), tail: "last words\n".into() });
    }

    fn request(&mut self, id: &str, kind: &str, data: Map) {
        self.request_from(HOST, id, kind, data);
    }

    fn request_from(&mut self, host: HostId, id: &str, kind: &str, data: Map) {
        let route = Route::of(&data);
        let frame = Frame::message(kind, Some(id), &data);
        let fingerprint = fingerprint(kind, format!("{data:?}").as_bytes());
        let incoming = Incoming { host, id: id.into(), kind: kind.into(), route, fingerprint, frame };
        self.handle(Event::Request(incoming));
    }

    fn execute(&mut self, id: &str, worker: &str) {
        self.request(id, "execute", map! { "node_type" => format!("{worker}.Node"), "fields" => map! { "id" => id } });
    }

    fn cancel(&mut self, id: &str) {
        self.handle(Event::Cancel { host: HOST, id: id.into() });
    }

    fn end(&self, id: &str) -> &Answer {
        self.ended.get(&(HOST, id.to_owned())).unwrap_or_else(|| panic!("{id} has not ended"))
    }

    fn is_open(&self, id: &str) -> bool {
        !self.ended.contains_key(&(HOST, id.to_owned()))
    }

    fn error(&self, id: &str) -> (ErrorKind, &str) {
        match self.end(id) {
            Answer::Error(error) => (error.kind.clone().unwrap(), &error.error),
            other => panic!("{id} ended with {other:?}"),
        }
    }

    fn is_retryable(&self, id: &str) -> bool {
        matches!(self.end(id), Answer::Error(error) if error.retryable == Some(true))
    }

    fn message(&self, id: &str) -> &Map {
        match self.end(id) {
            Answer::Message(_, data) => data,
            other => panic!("{id} ended with {other:?}"),
        }
    }

    fn state(&self, worker: WorkerId) -> WorkerState {
        self.core.workers[worker].state
    }
}

/// What is true after every event, whatever it was.
fn check_invariants(core: &Core) {
    let queued: usize = core.pools.iter().map(|pool| pool.queue.len()).sum();
    // Requests that had not begun may come back to a queue that is full.
    let returned: usize = core.workers.iter().map(|worker| worker.max_in_flight).sum();
    assert!(queued + core.waiting.len() <= core.policy.max_queued + returned, "the queue is bounded");
    let (mut bytes, mut waiting) = (0, 0);
    let keys: HashSet<RequestKey> = core.requests.of_hosts().into_iter().collect();
    for key in &keys {
        let request = core.requests.get(*key).unwrap();
        bytes += request.size();
        match &request.place {
            Place::Sent { worker, .. } => {
                let worker = &core.workers[*worker];
                assert!(worker.state.is_alive(), "no request waits on a dead worker");
                assert_eq!(worker.in_flight.get(&request.id), Some(key));
            }
            Place::Queued => {
                assert!(core.hopeless(request.home).is_none(), "no request waits for workers that will not come");
                let comes = |worker: &Worker| worker.state.is_alive() || worker.state == WorkerState::BackingOff;
                let mut members = core.groups_of(request.home).flat_map(|(_, group)| group.members(&core.workers));
                assert!(members.any(comes), "no request waits for workers that nobody starts");
                assert!(request.frame.is_some());
                waiting += 1;
            }
            Place::Waiting => assert!(core.waiting.contains(key) && !core.all_attempted()),
            Place::Gathering(parts) => assert!(parts.iter().any(|(_, answer)| answer.is_none())),
        }
    }
    for (id, group) in core.groups.iter().enumerate() {
        let alive = group.members(&core.workers).filter(|worker| worker.state.is_alive()).count();
        // Other settings may have allowed three, which are on their way out.
        assert!(alive <= group.policy.max.max(3) + 1, "one more than there may be, at most: {alive} of {id}");
    }
    assert_eq!(queued, waiting, "the queues hold what waits and nothing else");
    assert!(core.requests.bytes() >= bytes);
    for worker in &core.workers {
        assert!(worker.in_flight.is_empty() || worker.state.is_alive());
        for (id, key) in &worker.in_flight {
            assert_eq!(&core.requests.get(*key).unwrap().id, id);
        }
    }
}

fn payload(kind: &str, id: &str, data: &Map) -> Bytes {
    Frame::message(kind, Some(id), data).to_payload()
}
