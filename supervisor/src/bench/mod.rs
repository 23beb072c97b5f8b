//! `millwork bench`: measures any worker command from outside, on raw pipes, beside a child that only echoes bytes.
//!
//! Rounds of the worker and of the reference take turns, so that noise of the machine meets both: read the ratios.

pub(crate) mod echo;
mod linux;
mod measure;
mod peer;
mod report;
mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millwork_protocol::{Bytes, Map, Value, map};

use linux::Memory;
pub(crate) use peer::NotStarted;
use peer::Peer;
pub(crate) use report::Report;
use report::{Row, Unit};

/// What to measure, and how long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) command: Vec<String>,
    pub(crate) other: Option<Vec<String>>,
    /// The node types that give back what they get in their field `value`.
    pub(crate) echo_node: String,
    pub(crate) other_echo_node: String,
    pub(crate) quick: bool,
    pub(crate) pin: Option<usize>,
}

/// A worker, the reference or the other worker; its child where one runs now.
struct Contestant {
    name: &'static str,
    command: Vec<String>,
    role: Role,
    echo_node: String,
    nodes: BTreeSet<String>,
    peer: Option<Peer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Worker,
    Reference,
    Other,
}

/// How many rounds, and how long each may take.
struct Effort {
    starts: usize,
    rounds: usize,
    round: Duration,
    blob_rounds: usize,
    blob_round: Duration,
    flood: u64,
    cancels: usize,
}

/// How long a node waits for its cancel. A worker that misses a cancel which comes early costs so much.
const WAIT_MS: i64 = 3000;
const BLOBS: [(&str, usize); 4] =
    [("64 KiB", 64 << 10), ("1 MiB", 1 << 20), ("16 MiB", 16 << 20), ("128 MiB", 128 << 20)];

impl Options {
    fn effort(&self) -> Effort {
        let ms = Duration::from_millis;
        if self.quick {
            return Effort {
                starts: 3,
                rounds: 4,
                round: ms(20),
                blob_rounds: 2,
                blob_round: ms(20),
                flood: 5_000,
                cancels: 10,
            };
        }
        let (round, blob_round) = (ms(60), ms(150));
        Effort { starts: 12, rounds: 12, round, blob_rounds: 4, blob_round, flood: 50_000, cancels: 50 }
    }
}

/// Measures everything that the worker can do. `say` is told what is being measured.
///
/// # Errors
/// Where a worker does not start or is lost, with the end of its stderr.
pub(crate) fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Report> {
    // Asked before pinning, which would leave one core to be seen.
    let machine = linux::machine();
    if let Some(cpu) = options.pin {
        linux::pin(cpu)?;
    }
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let reference = vec![this.display().to_string(), "bench-echo".to_owned()];
    let contestant = |name, command: &[String], role, echo_node: &str| Contestant {
        name,
        command: command.to_vec(),
        role,
        echo_node: echo_node.to_owned(),
        nodes: BTreeSet::new(),
        peer: None,
    };
    let mut all = vec![
        contestant("the worker", &options.command, Role::Worker, &options.echo_node),
        contestant("the reference", &reference, Role::Reference, &options.echo_node),
    ];
    if let Some(other) = &options.other {
        all.push(contestant("the other worker", other, Role::Other, &options.other_echo_node));
    }
    let mut bench = Bench { all, effort: options.effort(), rows: Vec::new() };
    say("start");
    bench.starts()?;
    bench.memory("memory, idle", "memory_idle", false);
    say("round trips");
    bench.round_trips()?;
    say("many requests at once");
    bench.pipelined()?;
    say("progress, chunks, cancel");
    bench.floods()?;
    bench.cancels()?;
    for (label, size) in BLOBS {
        say(&format!("blobs of {label}"));
        bench.blobs(label, size)?;
    }
    bench.memory("memory, peak after all that", "memory_peak", true);
    say("exit");
    bench.exits()?;
    Ok(Report {
        machine,
        pinned: options.pin,
        worker: shown(&options.command),
        other: options.other.as_deref().map(shown),
        rows: bench.rows,
    })
}

/// A command as it can be typed.
fn shown(command: &[String]) -> String {
    shlex::try_join(command.iter().map(String::as_str)).unwrap_or_else(|_| command.join(" "))
}

struct Bench {
    all: Vec<Contestant>,
    effort: Effort,
    rows: Vec<Row>,
}

impl Bench {
    /// Takes turns between all who take part: `f` gives samples, or nothing from one who cannot.
    fn turns(
        &mut self,
        rounds: usize,
        mut f: impl FnMut(&mut Contestant, &Effort) -> Result<Option<Vec<f64>>>,
    ) -> Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..rounds {
            for contestant in &mut self.all {
                if let Some(more) = f(contestant, &self.effort)? {
                    samples.of(contestant.role).extend(more);
                }
            }
        }
        Ok(samples)
    }

    fn row(&mut self, key: &str, label: &str, unit: Unit, samples: &mut Samples, quantile: f64) {
        let mut pick = |role| percentile(samples.of(role), quantile);
        let (worker, reference, other) = (pick(Role::Worker), pick(Role::Reference), pick(Role::Other));
        let (key, label) = (key.to_owned(), label.to_owned());
        self.rows.push(Row { key, label, unit, worker, reference, other });
    }

    fn starts(&mut self) -> Result<()> {
        let (mut ready, mut discover) = (Samples::default(), Samples::default());
        for round in 0..self.effort.starts {
            for contestant in &mut self.all {
                // A slow starter is not waited for as often.
                if round >= 3 && percentile(ready.of(contestant.role), 0.5).is_some_and(|seconds| seconds > 0.3) {
                    continue;
                }
                contestant.peer = None;
                let (a, b) = contestant.start()?;
                ready.of(contestant.role).push(a);
                discover.of(contestant.role).push(b);
            }
        }
        self.row("ready", "spawn → READY", Unit::Time, &mut ready, 0.5);
        self.row("discover", "spawn → first answer", Unit::Time, &mut discover, 0.5);
        Ok(())
    }

    fn round_trips(&mut self) -> Result<()> {
        let mut execute = self.turns(self.effort.rounds, |c, effort| {
            let frame = measure::frame("execute", &measure::echo(&c.echo_node, None));
            let can = c.can_echo();
            c.with(can, |peer| measure::round_trips(peer, &frame, effort.round, 5))
        })?;
        let frame = measure::frame("worker.status", &Map::new());
        let mut status =
            self.turns(self.effort.rounds, |c, e| c.with(true, |p| measure::round_trips(p, &frame, e.round, 5)))?;
        self.row("execute_p50", "execute Echo, p50", Unit::Time, &mut execute, 0.5);
        self.row("execute_p99", "execute Echo, p99", Unit::Time, &mut execute, 0.99);
        self.row("status_p50", "worker.status, p50", Unit::Time, &mut status, 0.5);
        Ok(())
    }

    fn pipelined(&mut self) -> Result<()> {
        let mut rates = self.turns(self.effort.rounds, |c, effort| {
            let (kind, data) = match c.can_echo() {
                true => ("execute", measure::echo(&c.echo_node, None)),
                false => ("worker.status", Map::new()),
            };
            c.with(true, |peer| Ok(vec![measure::pipelined(peer, kind, &data, effort.round)?]))
        })?;
        let label = format!("pipelined, window {}", measure::WINDOW);
        self.row("pipelined", &label, Unit::Rate, &mut rates, 0.5);
        Ok(())
    }

    fn floods(&mut self) -> Result<()> {
        for (key, label, node, kind, wanted) in [
            ("progress", "progress frames", "test.Progress", "execute", "progress"),
            ("chunks", "stream chunks", "test.Stream", "execute.stream", "chunk"),
        ] {
            let rounds = self.effort.rounds.div_ceil(4);
            let mut rates = self.turns(rounds, |c, effort| {
                let data = map! { "node_type" => node, "fields" => map! { "n" => effort.flood } };
                let can = c.nodes.contains(node);
                c.with(can, |peer| Ok(vec![measure::flood(peer, kind, &data, wanted)?]))
            })?;
            self.row(key, label, Unit::Rate, &mut rates, 0.5);
        }
        Ok(())
    }

    fn cancels(&mut self) -> Result<()> {
        let waiting = map! { "node_type" => "test.Sleep", "fields" => map! { "ms" => WAIT_MS } };
        let mut seconds = self.turns(self.effort.cancels, |c, _| {
            let can = c.nodes.contains("test.Sleep");
            c.with(can, |peer| Ok(vec![measure::cancel(peer, &waiting)?]))
        })?;
        self.row("cancel", "cancel → terminal frame, p50", Unit::Time, &mut seconds, 0.5);
        Ok(())
    }

    fn blobs(&mut self, label: &str, size: usize) -> Result<()> {
        let blob = noise(size);
        for contestant in &mut self.all {
            let node = contestant.echo_node.clone();
            let can = contestant.role != Role::Reference && contestant.can_echo();
            contestant.with(can, |peer| measure::verify_echo(peer, &node, &blob).map(|()| Vec::new()))?;
        }
        let mut frames: Vec<(String, Bytes)> = Vec::new();
        let mut rates = self.turns(self.effort.blob_rounds, |c, effort| {
            if !frames.iter().any(|(node, _)| *node == c.echo_node) {
                let frame = measure::frame("execute", &measure::echo(&c.echo_node, Some(blob.clone())));
                frames.push((c.echo_node.clone(), frame));
            }
            let frame = frames.iter().find(|(node, _)| *node == c.echo_node).map(|(_, frame)| frame.clone());
            let can = c.can_echo();
            c.with(can, |peer| {
                let seconds = measure::round_trips(peer, &frame.unwrap_or_default(), effort.blob_round, 1)?;
                Ok(seconds.into_iter().map(|seconds| size as f64 / seconds).collect())
            })
        })?;
        let key = format!("blob_{size}");
        self.row(&key, &format!("blob echo, {label}"), Unit::Throughput, &mut rates, 0.5);
        Ok(())
    }

    fn memory(&mut self, label: &str, key: &str, peak: bool) {
        let (mut own, mut children) = (Samples::default(), Samples::default());
        for contestant in &self.all {
            let Some(memory) = contestant.peer.as_ref().and_then(|peer| Memory::of(peer.pid())) else { continue };
            let (own_bytes, children_bytes) =
                if peak { (memory.own_peak, memory.children_peak) } else { (memory.own, memory.children) };
            own.of(contestant.role).push(own_bytes as f64);
            if memory.count > 0 {
                children.of(contestant.role).push(children_bytes as f64);
            }
        }
        self.row(key, label, Unit::Memory, &mut own, 0.5);
        if !(children.worker.is_empty() && children.other.is_empty()) {
            self.row(&format!("{key}_children"), "  of its own children", Unit::Memory, &mut children, 0.5);
        }
    }

    fn exits(&mut self) -> Result<()> {
        let mut seconds = Samples::default();
        for contestant in &mut self.all {
            let Some(peer) = contestant.peer.take() else { continue };
            if let Some(taken) = peer.close()? {
                seconds.of(contestant.role).push(taken.as_secs_f64());
            }
        }
        self.row("exit", "stdin closed → gone", Unit::Time, &mut seconds, 0.5);
        Ok(())
    }
}

impl Contestant {
    /// Starts its child, and gives the seconds to READY and to the first answer.
    fn start(&mut self) -> Result<(f64, f64)> {
        if self.role == Role::Reference {
            let begun = Instant::now();
            millwork::spawn_piped(&["/bin/true".to_owned()])
                .and_then(|mut child| child.wait())
                .context("cannot run /bin/true")?;
            let hello = begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            let mut peer = Peer::start(self.name, &self.command, false)?;
            peer.begin_step();
            peer.call("worker.status", &Map::new())?;
            peer.end_step();
            self.peer = Some(peer);
            return Ok((hello, begun.elapsed().as_secs_f64()));
        }
        let begun = Instant::now();
        let mut peer = Peer::start(self.name, &self.command, true)?;
        peer.begin_step();
        let inventory = peer.ask("discover", &Map::new())?;
        let taken = begun.elapsed().as_secs_f64();
        peer.end_step();
        let nodes = inventory.get("nodes").and_then(Value::as_list).unwrap_or_default();
        self.nodes = nodes.iter().filter_map(|node| node.get("node_type")?.as_str()).map(str::to_owned).collect();
        let ready = peer.ready.as_secs_f64();
        self.peer = Some(peer);
        Ok((ready, taken))
    }

    fn can_echo(&self) -> bool {
        self.role == Role::Reference || self.nodes.contains(&self.echo_node)
    }

    fn with(&mut self, can: bool, f: impl FnOnce(&mut Peer) -> Result<Vec<f64>>) -> Result<Option<Vec<f64>>> {
        match &mut self.peer {
            Some(peer) if can => {
                let taken = f(peer).map(Some).with_context(|| format!("while measuring {}", self.name));
                peer.end_step();
                taken
            }
            _ => Ok(None),
        }
    }
}

/// What was measured of each.
#[derive(Default)]
struct Samples {
    worker: Vec<f64>,
    reference: Vec<f64>,
    other: Vec<f64>,
}

impl Samples {
    fn of(&mut self, role: Role) -> &mut Vec<f64> {
        match role {
            Role::Worker => &mut self.worker,
            Role::Reference => &mut self.reference,
            Role::Other => &mut self.other,
        }
    }
}

/// The sample that `quantile` of all lie at or below.
fn percentile(samples: &mut [f64], quantile: f64) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().checked_sub(1)?;
    samples.get((last as f64 * quantile).round() as usize).copied()
}

/// Bytes that do not compress: a linear congruential generator (Knuth, MMIX).
fn noise(size: usize) -> Bytes {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.5), Some(50.0));
        assert_eq!(percentile(&mut samples, 0.99), Some(99.0));
        assert_eq!(percentile(&mut [], 0.5), None);
    }

    #[test]
    fn noise_has_its_size() {
        assert_eq!(noise(1003).len(), 1003);
    }
}
