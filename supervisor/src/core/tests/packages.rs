//! Packages: what did not load before any process, workers that do not come up, and nodes that are none of theirs.

use std::sync::Arc;

use millwork_package::Place;

use super::*;
use crate::config::PackageSource;
use crate::core::{Changes, GroupPolicy, Policy, Unloaded};

fn package(name: &str, namespaces: &[&str]) -> WorkerConfig {
    let source = PackageSource {
        namespaces: namespaces.iter().map(|&namespace| namespace.to_owned()).collect(),
        build: Some("make".to_owned()),
        place: Some(Place { line: 6, column: 11 }),
        ..PackageSource::default()
    };
    WorkerConfig { package: Some(Arc::new(source)), ..group(name, 1, 1) }
}

fn unloaded(module: &str, namespaces: &[&str]) -> Unloaded {
    let error = map! {
        "module" => module, "phase" => "manifest", "error_type" => "UnknownKey", "error" => "unknown key `x`",
        "file" => "package.toml", "line" => 3, "column" => 5,
    };
    let namespaces = namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
    Unloaded { namespaces, error: error.into() }
}

fn configure(sim: &mut Sim, added: &[WorkerConfig], removed: Vec<usize>, unloaded: Vec<Unloaded>) {
    let added = added.iter().map(|worker| GroupPolicy::new(worker, &config())).collect();
    let policy = Policy::new(&config(), 1 << 20);
    sim.handle(Event::Configure(Box::new(Changes { policy, kept: Vec::new(), added, removed, unloaded })));
}

#[track_caller]
fn refused(sim: &mut Sim, id: &str, node: &str) -> ErrorData {
    sim.execute(id, node);
    match sim.end(id) {
        Answer::Error(error) => error.clone(),
        other => panic!("{node} was answered with {other:?}"),
    }
}

/// Sends what `sim.execute` would, for any namespace.
fn errors(sim: &Sim) -> Vec<Value> {
    sim.core.inventory.load_errors.clone()
}

#[test]
fn what_did_not_load_is_told_of_with_its_place() {
    let mut sim = Sim::ready_of([group("a", 1, 1)]);
    configure(&mut sim, &[], vec![], vec![unloaded("my-p", &["p", "q"])]);
    assert_eq!(errors(&sim).len(), 2);
    let error = refused(&mut sim, "x", "q");
    let why = "my-p did not load: unknown key `x`, package.toml line 3, column 5";
    assert_eq!(error.error, format!("Unknown node type: q.Node ({why})"));
    assert_eq!(error.kind, Some(ErrorKind::UnknownNode));
    assert_eq!(refused(&mut sim, "y", "r").error, "Unknown node type: r.Node");
    configure(&mut sim, &[], vec![], vec![]);
    assert_eq!(errors(&sim).len(), 1);
}

#[test]
fn a_package_that_does_not_start_is_a_load_error_of_its_namespaces_alone() {
    let mut sim = Sim::of([group("a", 1, 1), package("p", &["p"]), package("q", &["q"])], &config());
    sim.come_up(0);
    let exited = |worker, run| {
        let (exit, tail) = ("exit code 1".to_owned(), "ModuleNotFoundError".to_owned());
        Event::Exited { worker, run, exit, tail }
    };
    let run = sim.processes[1].run;
    sim.handle(exited(1, run));
    sim.spawn(2);
    sim.die(2);
    let told: Vec<_> = errors(&sim).into_iter().skip(1).collect();
    let key = |index: usize, key: &str| told[index].get(key).cloned().unwrap_or_default();
    assert_eq!((key(0, "phase"), key(0, "error_type")), ("spawn".into(), "SpawnFailed".into()));
    assert_eq!((key(1, "phase"), key(1, "error_type")), ("handshake".into(), "WorkerFailed".into()));
    assert_eq!((key(0, "line"), key(0, "file"), key(0, "package")), (6.into(), "package.toml".into(), "p".into()));
    assert_eq!((key(0, "hint"), key(0, "deterministic")), ("try `make`".into(), false.into()));
    let error = refused(&mut sim, "x", "p");
    assert_eq!(error.kind, Some(ErrorKind::Unavailable));
    assert!(error.error.contains("p did not load: ") && error.error.contains("ModuleNotFoundError"), "{}", error.error);
    assert_eq!(refused(&mut sim, "y", "b").kind, Some(ErrorKind::UnknownNode), "it is nobody's");
}

#[test]
fn a_node_outside_of_the_namespaces_is_dropped() {
    let mut sim = Sim::ready_of([group("a", 1, 1), package("p", &["other"])]);
    let told = errors(&sim);
    let stray = told.iter().find(|error| error.get("module") == Some(&"p.Node".into())).unwrap();
    assert_eq!(stray.get("error_type"), Some(&"WrongNamespace".into()));
    assert!(refused(&mut sim, "x", "p").error.contains("outside of the namespaces of package `p`: other"));
}

#[test]
fn a_successor_that_does_not_come_up_is_told_of_and_the_old_one_serves() {
    let mut sim = Sim::ready_of([package("p", &["p"])]);
    sim.replace(0);
    sim.spawn(1);
    sim.die(1);
    assert!(errors(&sim).iter().any(|error| error.get("error_type") == Some(&"WorkerFailed".into())));
    sim.execute("x", "p");
    assert_eq!(sim.sent.last().unwrap(), "execute x > 0");
    sim.reply(0, "result", "x", &map! {});
    sim.replace(0);
    sim.come_up(1);
    assert!(!errors(&sim).iter().any(|error| error.get("error_type") == Some(&"WorkerFailed".into())));
}
