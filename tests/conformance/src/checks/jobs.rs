//! JOB: the boundaries of a run.

use std::time::Duration;

use millwork_protocol::{Map, Value, map};

use super::common::{found, is_number, json, list_in, node, with};
use crate::check::{Check, Outcome, ensure};
use crate::session::Session;
use crate::worker::Worker;

const TTL: &str = "NODETOOL_WORKER_JOB_TTL_SECONDS";

pub(super) const CHECKS: &[Check] = &[
    Check::new("JOB-001", |w| {
        start(w, "job-001")?;
        end(w, "job-001").map(|_| ())
    }),
    Check::new("JOB-002", |w| {
        start(w, "job-002")?;
        start(w, "job-002")?;
        end(w, "job-002").map(|_| ())
    }),
    Check::new("JOB-003", |w| {
        start(w, "job-003")?;
        knows(w, "job-003", true)
    }),
    Check::new("JOB-004", |w| {
        let data = map! { "job_id" => "job-nobody-started" };
        let answer = w.call("job.end", data)?;
        answer.expect_kind("result")?;
        let released = list_in(&answer, "released_nodes")?;
        ensure!(
            released.is_empty(),
            "nodes were released for a job that is not known: {}",
            json(&Value::List(released.to_vec()))
        );
        let known = answer.get("known")?;
        ensure!(known.as_bool() == Some(false), "`known` of a job that nobody started is {}", json(known));
        Ok(())
    }),
    Check::new("JOB-005", |w| {
        start(w, "job-005")?;
        end(w, "job-005")?;
        knows(w, "job-005", false)
    }),
    Check::new("JOB-006", |w| {
        for reason in ["completed", "failed", "cancelled", "abandoned"] {
            start(w, "job-006")?;
            let answer = w.call("job.end", map! { "job_id" => "job-006", "reason" => reason })?;
            ensure!(answer.get("known")?.as_bool() == Some(true), "with the reason `{reason}` the job is not known");
        }
        Ok(())
    }),
    Check::new("JOB-007", |w| {
        for reason in [Value::from("bored"), 7.into(), Value::Nil] {
            start(w, "job-007")?;
            let answer = w.call("job.end", map! { "job_id" => "job-007", "reason" => reason.clone() })?;
            answer.expect_kind("result")?;
            knows(w, "job-007", false)?;
        }
        Ok(())
    }),
    Check::new("JOB-008", |w| {
        for kind in ["job.start", "job.end"] {
            for data in [map! {}, map! { "job_id" => 5 }, map! { "job_id" => Value::Nil }] {
                w.call(kind, data)?.expect_error()?;
            }
        }
        Ok(())
    }),
    Check::new("JOB-009", |w| w.call("job.start", map! { "job_id" => "" })?.expect_error().map(|_| ())),
    Check::new("JOB-010", |w| {
        let data = map! { "job_id" => "job-010", "workflow_id" => 5, "user_id" => vec![1] };
        w.call("job.start", data)?.expect_kind("result")?;
        end(w, "job-010").map(|_| ())
    }),
    Check::new("JOB-011", |w| {
        start(w, "job-011-a")?;
        start(w, "job-011-b")?;
        end(w, "job-011-a")?;
        knows(w, "job-011-b", true)
    }),
    Check::launch("JOB-012", |session| idle(session, "1", false)),
    Check::launch("JOB-013", |session| idle(session, "0", true)),
    Check::new("JOB-014", |w| {
        w.node("test.Echo")?;
        let data = with(with(node("test.Echo", map! { "value" => 7 }), "job_id", "job-014"), "node_id", "n1");
        w.call("execute", data)?.expect_kind("result")?;
        knows(w, "job-014", true)
    }),
    Check::new("JOB-015", |w| {
        w.node("test.Sleep")?;
        start(w, "job-015")?;
        let id = w.send("execute", with(node("test.Sleep", map! { "ms" => 200 }), "job_id", "job-015"));
        end(w, "job-015")?;
        let answer = w.terminal(&id)?;
        is_number(&answer, "output", 200.0)
    }),
    Check::new("JOB-016", |w| {
        let answer = w.call("job.dance", map! { "job_id" => "job-016" })?;
        let text = answer.expect_error()?;
        ensure!(text.contains("job.dance"), "the error does not name job.dance: {text:?}");
        Ok(())
    }),
];

fn start(w: &mut Worker, job: &str) -> Outcome {
    let answer = w.call("job.start", map! { "job_id" => job })?;
    answer.expect_kind("result")?;
    is_about(&answer.data, job)?;
    let started = answer.get("started")?;
    ensure!(started.as_bool() == Some(true), "`started` is {}", json(started));
    Ok(())
}

/// Ends a job, and says whether it was known.
fn end(w: &mut Worker, job: &str) -> Outcome<bool> {
    let answer = w.call("job.end", map! { "job_id" => job })?;
    answer.expect_kind("result")?;
    is_about(&answer.data, job)?;
    let released = list_in(&answer, "released_nodes")?;
    ensure!(released.iter().all(|node| node.as_str().is_some()), "`released_nodes` holds what is no text");
    let known = answer.get("known")?;
    known.as_bool().ok_or_else(|| crate::check::fail(format!("`known` is {}", json(known))))
}

fn is_about(data: &Map, job: &str) -> Outcome {
    let id = data.get("job_id");
    let same = id.and_then(Value::as_str) == Some(job);
    ensure!(same, "`job_id` of the answer is {}, and the request has {job:?}", found(id));
    Ok(())
}

fn knows(w: &mut Worker, job: &str, due: bool) -> Outcome {
    let known = end(w, job)?;
    ensure!(known == due, "`known` of the job {job} is {known}, and has to be {due}");
    Ok(())
}

/// Whether a job is still known after it was idle for a while, with this time to live.
fn idle(session: &Session, ttl: &str, due: bool) -> Outcome {
    let mut w = session.start_with(|launch| launch.env(TTL, ttl))?;
    start(&mut w, "idle")?;
    // The variable counts in real seconds, so this does not stretch with the time scale.
    std::thread::sleep(Duration::from_millis(2500));
    // A worker without a timer may look for idle jobs when another one starts.
    start(&mut w, "another")?;
    knows(&mut w, "idle", due)
}
