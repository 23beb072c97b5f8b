//! READY and the start.

use millwork_protocol::{Map, Value};

use super::raw::texts;
use crate::check::{Check, Outcome, ensure, fail, not_applicable};
use crate::session::Session;
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::launch("RDY-001", |session| {
        let w = session.spawn_with(|launch| launch)?;
        ensure!(
            w.wait_ready(session.start_limit()), "no such line came within {:.0} s", session.start_limit().as_secs_f64();
            "The line has to be NODETOOL_STDIO_READY alone, on stderr, and flushed."
        );
        Ok(())
    }).limit(60),
    Check::launch("RDY-002", |session| {
        let mut w = ready(session)?;
        w.call("discover", Map::new())?;
        w.is_well()?;
        w.close_stdin();
        w.exit(session.patience())?;
        ensure!(w.ready().len() == 1, "the line came {} times", w.ready().len());
        Ok(())
    }),
    Check::launch("RDY-003", |session| {
        let mut w = ready(session)?;
        let ready = w.ready().first().copied();
        w.is_well()?;
        let early = w.first_byte().zip(ready).is_some_and(|(first, ready)| first < ready);
        ensure!(!early, "bytes came on stdout before the line on stderr");
        Ok(())
    }),
    Check::launch("RDY-004", |session| {
        let mut w = session.spawn_with(|launch| launch)?;
        let ids = [w.send("discover", Map::new()), w.send("worker.status", Map::new())];
        w.await_ready()?;
        for id in &ids {
            w.terminal(id).map_err(|stop| stop.cause("What waits in the pipe seems to be thrown away at the start."))?;
        }
        Ok(())
    }),
    Check::launch("RDY-005", |session| {
        let mut w = ready(session)?;
        w.call("discover", Map::new())?.expect_kind("discover").map(|_| ())
    }),
    Check::launch("RDY-006", |session| {
        let (namespace, others) = namespaces(session)?;
        let mut w = session.start_with(|launch| launch.env("NODETOOL_WORKER_NAMESPACES", &namespace))?;
        only(&mut w, &namespace, &others)
    }),
    Check::launch("RDY-007", |session| {
        let (namespace, others) = namespaces(session)?;
        let mut w = session.start_with(|launch| launch.arg("--namespaces").arg(&namespace))?;
        only(&mut w, &namespace, &others)
    }),
];

fn ready(session: &Session) -> Outcome<Worker> {
    if session.facts().is_some_and(|facts| !facts.says_ready) {
        return Err(not_applicable("the worker never says that it is ready"));
    }
    session.start()
}

/// A namespace of its nodes, or one that it does not have; and all of them.
fn namespaces(session: &Session) -> Outcome<(String, Vec<String>)> {
    let nodes = session.facts().map(|facts| facts.nodes.clone()).unwrap_or_default();
    let mut all: Vec<String> = texts(&nodes, "node_type").iter().map(|name| first(name).to_owned()).collect();
    all.sort();
    all.dedup();
    match all.as_slice() {
        [] => Err(not_applicable("the worker has no nodes")),
        [only] => Ok((format!("not{only}"), all)),
        [.., last] => Ok((last.clone(), all.clone())),
    }
}

fn first(node_type: &str) -> &str {
    node_type.split('.').next().unwrap_or_default()
}

/// It lists nodes of this namespace, if it has any, and no others.
fn only(w: &mut Worker, namespace: &str, had: &[String]) -> Outcome {
    let answer = w.call("discover", Map::new())?;
    let nodes = answer.get("nodes")?.as_list().unwrap_or_default();
    let names = texts(nodes.iter().filter_map(Value::as_map), "node_type");
    if let Some(other) = names.iter().find(|name| first(name) != namespace) {
        return Err(fail(format!("only {namespace} was allowed, and {other} is listed")));
    }
    let expected = had.iter().any(|had| had == namespace);
    ensure!(expected != names.is_empty(), "of the namespace {namespace}, {} nodes are listed", names.len());
    Ok(())
}
