//! Random lives: whatever happens in whatever order, every request ends exactly once and every process is reaped.
//! `PROPTEST_CASES` scales it.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::config::{Instances, Labels, Range, RecycleConfig};
use crate::core::{Changes, GroupPolicy, Policy};

#[derive(Debug, Clone)]
enum Step {
    Execute(Execute),
    Model(usize),
    Message(usize),
    Cancel(usize),
    Advance(u16),
    /// A worker does its next natural thing.
    Live(usize),
    Progress(usize, usize),
    Answer(usize, usize),
    Late(usize, usize),
    Die(usize),
    Garbage(usize),
    CloseStdout(usize),
    CloseStdin(usize),
    Pipes(bool),
    Wrote(usize, u8),
    Weigh(usize, u8),
    /// Other settings: so many instances at least and more at most, for one entry; or it goes, or comes again.
    Configure(usize, usize, usize, Configured),
    Excuse(usize),
}

#[derive(Debug, Clone, Copy)]
enum Configured {
    Adjusted,
    Replaced,
    Removed,
    Added,
}

#[derive(Debug, Clone)]
struct Execute {
    host: u32,
    group: usize,
    timeout: Option<u16>,
    job: usize,
    node: usize,
    vram_gb: Option<u8>,
}

fn execute() -> impl Strategy<Value = Execute> {
    let timeout = proptest::option::weighted(0.3, 1..3000_u16);
    let vram = proptest::option::weighted(0.2, 1..40_u8);
    (1..3_u32, 0..4_usize, timeout, 0..3_usize, 0..4_usize, vram)
        .prop_map(|(host, group, timeout, job, node, vram_gb)| Execute { host, group, timeout, job, node, vram_gb })
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..12_usize;
    prop_oneof![
        8 => execute().prop_map(Step::Execute),
        1 => (0..3_usize).prop_map(Step::Model),
        2 => (0..MESSAGES.len()).prop_map(Step::Message),
        2 => any::<prop::sample::Index>().prop_map(|i| Step::Cancel(i.index(1000))),
        5 => prop_oneof![0..50_u16, 0..5000_u16, any::<u16>()].prop_map(Step::Advance),
        14 => worker.clone().prop_map(Step::Live),
        1 => (worker.clone(), 0..8_usize).prop_map(|(w, i)| Step::Progress(w, i)),
        8 => (worker.clone(), 0..8_usize).prop_map(|(w, i)| Step::Answer(w, i)),
        1 => (worker.clone(), 0..1000_usize).prop_map(|(w, i)| Step::Late(w, i)),
        2 => worker.clone().prop_map(Step::Die),
        1 => worker.clone().prop_map(Step::Garbage),
        1 => worker.clone().prop_map(Step::CloseStdout),
        1 => worker.clone().prop_map(Step::CloseStdin),
        1 => any::<bool>().prop_map(Step::Pipes),
        2 => (worker.clone(), any::<u8>()).prop_map(|(w, part)| Step::Wrote(w, part)),
        1 => (worker.clone(), any::<u8>()).prop_map(|(w, weight)| Step::Weigh(w, weight)),
        1 => (0..4_usize, 0..2_usize, 1..3_usize, configured()).prop_map(|(g, min, more, c)| Step::Configure(g, min, more, c)),
        1 => worker.prop_map(Step::Excuse),
    ]
}

fn configured() -> impl Strategy<Value = Configured> {
    prop_oneof![
        3 => Just(Configured::Adjusted),
        2 => Just(Configured::Replaced),
        1 => Just(Configured::Removed),
        1 => Just(Configured::Added),
    ]
}

const MESSAGES: [&str; 7] =
    ["discover", "worker.status", "provider.list", "job.start", "models.evict", "models.download", "nonsense"];

/// A fixed one, one that varies and is recycled, and a pool of two that differ and may rest.
fn fleet() -> [WorkerConfig; 4] {
    let range = |min, max| Instances::Range(Range { min, max });
    let recycle = RecycleConfig { max_requests: 3, max_age_ms: 20_000, max_rss_bytes: 200, stop_first: false };
    let pool = |name: &str, vram_gb: f64| WorkerConfig {
        pool: Some("p".into()),
        labels: Labels { vram_gb: Some(vram_gb), ..Labels::default() },
        instances: range(0, 2),
        idle_stop_ms: 3000,
        retry_idempotent: true,
        ..group(name, 1, 2)
    };
    [
        group("a", 2, 2),
        WorkerConfig { instances: range(1, 3), idle_stop_ms: 5000, recycle: recycle.clone(), ..group("b", 1, 2) },
        WorkerConfig { health_while_busy: Some(true), ..pool("small", 8.0) },
        WorkerConfig { recycle: RecycleConfig { stop_first: true, ..recycle }, ..pool("large", 24.0) },
    ]
}

impl Sim {
    /// Whether the shell has been asked for a process that is not there yet.
    fn is_due(&self, worker: WorkerId) -> bool {
        let process = &self.processes[worker];
        process.run > 0 && !process.is_alive && self.core.workers[worker].state.is_alive()
    }

    fn live(&mut self, worker: WorkerId) {
        if self.is_due(worker) {
            return self.spawn(worker);
        }
        let process = &self.processes[worker];
        if process.killed || process.terminated || process.closed {
            return self.die(worker);
        }
        let asked = |kind: &str| process.inbox.iter().any(|(k, _)| k == kind);
        if let Some(kind) = ["discover", "worker.status", "provider.list"].into_iter().find(|kind| asked(kind)) {
            self.answer_handshake(worker, kind);
        }
    }

    fn answer(&mut self, worker: WorkerId, index: usize) {
        let (kind, id) = self.processes[worker].inbox.remove(index);
        let kind = if kind == "cancel" { "error" } else { "result" };
        self.reply(worker, kind, &id, &map! { "error" => "x" });
    }

    /// A death, after which nothing may have failed that was not begun: only where nobody is left can it not go on.
    fn die_and_check(&mut self, worker: WorkerId) {
        let keys = self.core.workers[worker].in_flight.values().copied();
        let requests = keys.filter_map(|key| self.core.requests.get(key));
        let unbegun = requests.filter(|r| !r.has_begun && r.cancel.is_none());
        let unbegun: Vec<_> = unbegun
            .filter_map(|r| match r.owner {
                Owner::Host(host) => Some((host, r.id.to_string(), r.home)),
                _ => None,
            })
            .collect();
        self.die(worker);
        for (host, id, home) in unbegun {
            let is_open = !self.ended.contains_key(&(host, id));
            assert!(is_open || self.core.hopeless(home).is_some(), "what was not begun fails by no death");
        }
    }

    fn step(&mut self, step: Step, sent: &mut usize) {
        let count = self.processes.len();
        match step {
            Step::Execute(Execute { host, group, timeout, job, node, vram_gb }) => {
                let name = ["a", "b", "p", "missing"][group];
                let mut data = map! { "node_type" => format!("{name}.Node") };
                data.extend(timeout.map(|ms| ("timeout_ms".to_owned(), Value::from(i32::from(ms)))));
                data.extend(vram_gb.map(|gb| ("requires_vram_gb".to_owned(), Value::from(i32::from(gb)))));
                let id = |n: usize| Some(n).filter(|n| *n > 0).map(|n| Value::from(format!("{n}")));
                data.extend(id(job).map(|id| ("job_id".to_owned(), id)));
                data.extend(id(node).map(|id| ("node_id".to_owned(), id)));
                self.request_from(HostId(host), &format!("r{sent}"), "execute", data);
                *sent += 1;
            }
            Step::Model(model) => {
                let data = map! { "provider" => "p-ai", "model" => format!("m{model}") };
                self.request(&format!("r{sent}"), "provider.generate", data);
                *sent += 1;
            }
            Step::Message(index) => {
                self.request(&format!("r{sent}"), MESSAGES[index], map! {});
                *sent += 1;
            }
            Step::Cancel(index) => self.cancel(&format!("r{}", index % (*sent).max(1))),
            Step::Advance(ms) => self.advance(ms.into()),
            Step::Pipes(flow) => self.pipes_flow = flow,
            Step::Configure(group, min, more, how) => self.configure(group, Range { min, max: min + more }, how),
            Step::Live(worker) => self.live(worker % count),
            Step::Late(worker, index) => self.reply(worker % count, "result", &format!("r{index}"), &map! {}),
            Step::Die(worker) if self.processes[worker % count].is_alive || self.is_due(worker % count) => {
                self.die_and_check(worker % count);
            }
            Step::Excuse(worker) => self.core.excuse(self.now, worker % count),
            Step::Weigh(worker, weight) => {
                let (worker, rss_bytes) = (worker % count, weight.into());
                let run = self.processes[worker].run;
                self.handle(Event::Usage { worker, run, rss_bytes });
            }
            Step::Progress(worker, _)
            | Step::Answer(worker, _)
            | Step::Garbage(worker)
            | Step::CloseStdout(worker)
            | Step::CloseStdin(worker)
            | Step::Wrote(worker, _)
                if self.processes[worker % count].is_alive =>
            {
                self.worker_step(worker % count, &step);
            }
            _ => {}
        }
    }

    fn configure(&mut self, which: usize, range: Range, how: Configured) {
        // So many entries at most, those that have gone included.
        const MOST: usize = 8;
        let entry = WorkerConfig { instances: Instances::Range(range), ..fleet()[which].clone() };
        let policy = GroupPolicy::new(&entry, &config());
        let group = (0..self.core.groups.len()).find(|id| {
            let group = &self.core.groups[*id];
            group.policy.name == entry.name && !group.is_removed
        });
        let (mut kept, mut added, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        match (how, group) {
            (Configured::Adjusted, Some(group)) => kept.push((group, policy, None)),
            (Configured::Replaced, Some(group)) => kept.push((group, policy, Some("new settings".to_owned()))),
            (Configured::Removed, Some(group)) => removed.push(group),
            (Configured::Added, None) if self.core.groups.len() < MOST => added.push(policy),
            _ => return,
        }
        let policy = Policy::new(&Config { health_interval_ms: 2000, health_timeout_ms: 1000, ..config() }, 1 << 20);
        self.handle(Event::Configure(Box::new(Changes { policy, kept, added, removed, unloaded: Vec::new() })));
    }

    /// What only a process that lives does.
    fn worker_step(&mut self, worker: WorkerId, step: &Step) {
        let (run, sent) = (self.processes[worker].run, self.processes[worker].sent);
        match *step {
            Step::Progress(_, index) => {
                if let Some((_, id)) = self.processes[worker].inbox.get(index).cloned() {
                    self.reply(worker, "progress", &id, &map! {});
                }
            }
            Step::Answer(_, index) if index < self.processes[worker].inbox.len() => self.answer(worker, index),
            Step::Garbage(_) => self.handle(Event::Frame { worker, run, payload: Bytes::from_static(b"\xc1") }),
            Step::CloseStdout(_) => self.handle(Event::Closed { worker, run }),
            Step::CloseStdin(_) => self.handle(Event::Deaf { worker, run }),
            Step::Wrote(_, part) => self.handle(Event::Wrote { worker, run, total: sent * u64::from(part) / 255 }),
            _ => {}
        }
    }

    /// From now on everybody does what they should: every request ends by that alone, without the end of the fleet.
    fn calm_down(&mut self) {
        self.pipes_flow = true;
        for _ in 0..400 {
            for worker in 0..self.processes.len() {
                let (run, total) = (self.processes[worker].run, self.processes[worker].sent);
                if self.processes[worker].is_alive {
                    self.handle(Event::Wrote { worker, run, total });
                }
                (0..4).for_each(|_| self.live(worker));
                while self.processes[worker].is_alive && !self.processes[worker].inbox.is_empty() {
                    self.answer(worker, 0);
                }
            }
            if self.core.requests.open() == 0 {
                return;
            }
            self.advance(500);
        }
        panic!("requests are left: {:?}", self.core);
    }

    /// Ends the fleet; processes obey signals.
    fn finish(&mut self) {
        self.handle(Event::Shutdown { at_once: false });
        for _ in 0..200 {
            if self.is_stopped {
                return;
            }
            for worker in 0..self.processes.len() {
                if self.is_due(worker) {
                    self.spawn(worker);
                }
                if self.processes[worker].killed {
                    self.die(worker);
                }
            }
            self.advance(50);
        }
        panic!("the fleet does not stop: {:?}", self.core);
    }
}

#[test]
fn every_request_ends_exactly_once() {
    let usual = ProptestConfig::default();
    let cases = usual.cases * 64;
    let config = ProptestConfig { cases, failure_persistence: None, ..usual };
    let events = std::cell::Cell::new(0);
    let lives = (prop::collection::vec(step(), 0..200), any::<bool>());
    let outcome = TestRunner::new(config).run(&lives, |(steps, is_calm)| {
        let config = Config { health_interval_ms: 2000, health_timeout_ms: 1000, ..super::config() };
        let mut sim = Sim::of(fleet(), &config);
        let mut sent = 0;
        steps.into_iter().for_each(|step| sim.step(step, &mut sent));
        if is_calm {
            sim.calm_down();
        }
        sim.finish();
        // Twice, and frames after the end, are caught where they happen.
        prop_assert_eq!(sim.ended.len(), sent);
        prop_assert!(sim.processes.iter().all(|process| !process.is_alive));
        prop_assert_eq!(sim.reaped, sim.started, "every process that was asked for is reaped");
        prop_assert_eq!(sim.core.requests.bytes(), 0);
        events.set(events.get() + sim.events);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let events = events.get();
    eprintln!("{events} events in {cases} lives");
    assert!(events >= u64::from(cases) * 125, "a million in as many lives as usual: {events}");
}
