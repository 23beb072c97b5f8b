//! LEK: what one request leaves for the next: values, secrets, memory, files, threads.

use millwork_protocol::{Value, map};

use super::common::{blob_returns, echo, echo_blob, echoes, error_names, json, node, noise, with};
use crate::check::{Check, Outcome, ensure, not_applicable};
use crate::worker::Worker;

pub(super) const CHECKS: &[Check] = &[
    Check::new("LEK-001", |w| {
        w.node("test.Echo")?;
        w.execute("no.such.Node", map! {})?.expect_error()?;
        echoes(w, 1)?;
        if w.node("test.Fail").is_ok() {
            w.execute("test.Fail", map! {})?.expect_error()?;
            echoes(w, 2)?;
        }
        w.call("execute", echo_blob(5))?.expect_error()?;
        echoes(w, 3)
    }),
    Check::new("LEK-002", |w| {
        w.node("test.Sleep")?;
        for ms in [20, 30, 40] {
            let id = w.send("execute", node("test.Sleep", map! { "ms" => 600_000 }));
            w.is_well()?;
            w.cancel(&id);
            w.terminal(&id)?;
            let answer = w.execute("test.Sleep", map! { "ms" => ms })?;
            super::common::is_number(&answer, "output", f64::from(ms))?;
        }
        Ok(())
    }),
    Check::new("LEK-003", |w| {
        w.node("test.Panic")?;
        for value in 0..5 {
            w.execute("test.Panic", map! {})?.expect_error()?;
            echoes(w, value)?;
        }
        Ok(())
    }),
    Check::new("LEK-004", |w| {
        echoes(w, "of the first request")?;
        let answer = w.execute("test.Echo", map! {})?;
        let given = answer.output("output")?;
        ensure!(given.is_nil(), "a request without a value answers {}, the value of the one before it", json(given));
        Ok(())
    }),
    Check::new("LEK-005", |w| {
        blob_returns(w, &noise(1000, 5))?;
        let answer = echo(w, 7)?;
        let blobs = answer.get("blobs")?.as_map().map_or(0, millwork_protocol::Map::len);
        ensure!(
            answer.output("output")?.as_i64() == Some(7) && blobs == 0,
            "a blob of the request before is in the answer"
        );
        Ok(())
    }),
    Check::new("LEK-006", |w| {
        w.node("test.NeedsSecret")?;
        let data = with(node("test.NeedsSecret", map! {}), "secrets", map! { "TEST_SECRET" => "abc" });
        w.call("execute", data)?.expect_kind("result")?;
        let answer = w.execute("test.NeedsSecret", map! {})?;
        error_names(&answer, "TEST_SECRET")
            .map_err(|stop| stop.cause("The secret of a request stays in the process, where any later one finds it."))
    }),
    Check::fresh("LEK-007", |w| {
        w.node("test.Child")?;
        let secret = "hunter2-in-the-environment";
        let data = with(node("test.Child", map! { "seconds" => 30 }), "secrets", map! { "TEST_SECRET" => secret });
        let answer = w.call("execute", data)?;
        let pid = answer.output("output")?.as_i64().unwrap_or_default();
        let environment = std::fs::read(format!("/proc/{pid}/environ"))
            .map_err(|error| not_applicable(format!("the environment of a child cannot be read: {error}")))?;
        let told = environment.windows(secret.len()).any(|part| part == secret.as_bytes());
        ensure!(!told, "a process that a node started has the secret of the request in its environment");
        Ok(())
    }),
    Check::fresh("LEK-008", |w| {
        let round = |w: &mut Worker, seed| blob_returns(w, &noise(8 << 20, seed));
        (0..3).try_for_each(|seed| round(w, seed))?;
        let before = tree(w).memory_kib;
        (3..9).try_for_each(|seed| round(w, seed))?;
        let after = tree(w).memory_kib;
        ensure!(before > 0, "its memory cannot be read");
        let grown = after.saturating_sub(before) >> 10;
        ensure!(grown < 32, "6 more blobs of 8 MiB made the worker {grown} MiB larger");
        Ok(())
    }),
    Check::fresh("LEK-009", |w| {
        let (before, after) = around_2000_requests(w)?;
        ensure!(after.files <= before.files + 3, "{} files are open, and {} were", after.files, before.files);
        Ok(())
    }),
    Check::fresh("LEK-010", |w| {
        let (before, after) = around_2000_requests(w)?;
        ensure!(after.threads <= before.threads + 3, "{} threads run, and {} did", after.threads, before.threads);
        Ok(())
    }),
    Check::new("LEK-011", |w| {
        w.node("test.Echo")?;
        let mut asked = Vec::new();
        for i in 0..100 {
            let id = w.send("execute", node("test.Echo", map! { "value" => i }));
            let wrong = w.send("execute", if i % 2 == 0 { node("no.such.Node", map! {}) } else { echo_blob(5) });
            asked.push((id, wrong, i));
        }
        for (id, wrong, i) in asked {
            let answer = w.terminal(&id)?;
            super::common::is_number(&answer, "output", f64::from(i))?;
            w.terminal(&wrong)?.expect_error()?;
        }
        Ok(())
    }),
];

/// What the worker and all that it has started hold together.
#[derive(Debug, Default)]
struct Held {
    memory_kib: u64,
    threads: u64,
    files: usize,
}

fn tree(w: &Worker) -> Held {
    let mut held = Held::default();
    for pid in w.leftovers().iter().map(|process| process.pid).chain([w.pid()]) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        held.memory_kib += number("VmRSS:").unwrap_or_default();
        held.threads += number("Threads:").unwrap_or_default();
        held.files += std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().count();
    }
    held
}

/// What it holds after its first requests, and after 2000 more of several fates.
fn around_2000_requests(w: &mut Worker) -> Outcome<(Held, Held)> {
    w.node("test.Echo")?;
    requests(w, 4)?;
    let before = tree(w);
    if before.threads == 0 {
        return Err(not_applicable("there is no /proc to look into"));
    }
    requests(w, 40)?;
    Ok((before, tree(w)))
}

/// So many rounds of 50.
fn requests(w: &mut Worker, rounds: u32) -> Outcome {
    for _ in 0..rounds {
        let request = |i: u32| {
            if i.is_multiple_of(10) {
                node("no.such.Node", map! {})
            } else {
                node("test.Echo", map! { "value" => Value::from(i) })
            }
        };
        let ids: Vec<_> = (0..50).map(|i| w.send("execute", request(i))).collect();
        ids.iter().try_for_each(|id| w.terminal(id).map(|_| ()))?;
    }
    Ok(())
}
