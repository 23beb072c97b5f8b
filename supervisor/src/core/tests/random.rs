//! Random lives: whatever happens in whatever order, every request ends exactly once and every process is reaped.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Execute {
        group: usize,
        timeout: Option<u16>,
    },
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
    Pipes(bool),
    Wrote(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..3_usize;
    prop_oneof![
        6 => (0..3_usize, proptest::option::weighted(0.3, 1..3000_u16))
            .prop_map(|(group, timeout)| Step::Execute { group, timeout }),
        2 => (0..7_usize).prop_map(Step::Message),
        2 => any::<prop::sample::Index>().prop_map(|i| Step::Cancel(i.index(1000))),
        4 => prop_oneof![0..50_u16, 0..5000_u16, any::<u16>()].prop_map(Step::Advance),
        6 => worker.clone().prop_map(Step::Live),
        1 => (worker.clone(), 0..8_usize).prop_map(|(w, i)| Step::Progress(w, i)),
        6 => (worker.clone(), 0..8_usize).prop_map(|(w, i)| Step::Answer(w, i)),
        1 => (worker.clone(), 0..1000_usize).prop_map(|(w, i)| Step::Late(w, i)),
        2 => worker.clone().prop_map(Step::Die),
        1 => worker.clone().prop_map(Step::Garbage),
        1 => worker.clone().prop_map(Step::CloseStdout),
        1 => any::<bool>().prop_map(Step::Pipes),
        2 => (worker, any::<u8>()).prop_map(|(w, part)| Step::Wrote(w, part)),
    ]
}

const MESSAGES: [&str; 7] =
    ["discover", "worker.status", "provider.list", "job.start", "models.evict", "models.download", "nonsense"];

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
        if self.processes[worker].killed || self.processes[worker].terminated {
            return self.die(worker);
        }
        let asked = |kind: &str| self.processes[worker].inbox.iter().any(|(k, _)| k == kind);
        if let Some(kind) = ["discover", "worker.status", "provider.list"].into_iter().find(|kind| asked(kind)) {
            self.answer_handshake(worker, kind);
        }
    }

    fn step(&mut self, step: Step, sent: &mut usize) {
        match step {
            Step::Execute { group, timeout } => {
                let name = ["a", "b", "missing"][group];
                let mut data = map! { "node_type" => format!("{name}.Node") };
                data.extend(timeout.map(|ms| ("timeout_ms".to_owned(), Value::from(i32::from(ms)))));
                self.request(&format!("r{sent}"), "execute", data);
                *sent += 1;
            }
            Step::Message(index) => {
                self.request(&format!("r{sent}"), MESSAGES[index], map! {});
                *sent += 1;
            }
            Step::Cancel(index) => self.cancel(&format!("r{}", index % (*sent).max(1))),
            Step::Advance(ms) => self.advance(ms.into()),
            Step::Live(worker) => self.live(worker),
            Step::Progress(worker, index) => {
                if let Some((_, id)) = self.processes[worker].inbox.get(index).cloned() {
                    self.reply(worker, "progress", &id, &map! {});
                }
            }
            Step::Answer(worker, index) => {
                if index < self.processes[worker].inbox.len() {
                    let (kind, id) = self.processes[worker].inbox.remove(index);
                    self.reply(
                        worker,
                        if kind == "cancel" { "error" } else { "result" },
                        &id,
                        &map! { "error" => "x" },
                    );
                }
            }
            Step::Late(worker, index) => self.reply(worker, "result", &format!("r{index}"), &map! {}),
            Step::Die(worker) if self.processes[worker].is_alive || self.is_due(worker) => self.die(worker),
            Step::Garbage(worker) if self.processes[worker].is_alive => {
                let run = self.processes[worker].run;
                self.handle(Event::Frame { worker, run, payload: Bytes::from_static(b"\xc1") });
            }
            Step::CloseStdout(worker) if self.processes[worker].is_alive => {
                let run = self.processes[worker].run;
                self.handle(Event::Closed { worker, run });
            }
            Step::Pipes(flow) => self.pipes_flow = flow,
            Step::Wrote(worker, part) if self.processes[worker].is_alive => {
                let (run, sent) = (self.processes[worker].run, self.processes[worker].sent);
                self.handle(Event::Wrote { worker, run, total: sent * u64::from(part) / 255 });
            }
            Step::Die(_) | Step::Garbage(_) | Step::CloseStdout(_) | Step::Wrote(..) => {}
        }
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

/// `PROPTEST_CASES` scales it.
fn config_of_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases * 8, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config_of_cases())]

    #[test]
    fn every_request_ends_exactly_once(steps in prop::collection::vec(step(), 0..150)) {
        let mut sim = Sim::new(&[("a", 2, 2), ("b", 1, 3)], &config());
        let mut sent = 0;
        steps.into_iter().for_each(|step| sim.step(step, &mut sent));
        sim.finish();
        // Twice, and frames after the end, are caught where they happen.
        prop_assert_eq!(sim.ended.len(), sent);
        prop_assert!(sim.processes.iter().all(|process| !process.is_alive));
        prop_assert_eq!(sim.core.requests.bytes(), 0);
    }
}
