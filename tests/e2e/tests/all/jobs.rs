//! Run identity: jobs begin and end, and what they used is let go.

use millwork_e2e::{Map, Program, Request, Value, map};

/// Version 4: `job.start`, nodes of the job, `job.end`, and each of them again.
#[test]
fn p01_jobs_begin_and_end() {
    for program in Program::BOTH {
        let mut peer = program.start();
        for _ in 0..2 {
            let started = peer.ask("job.start", map! { "job_id" => "j1", "workflow_id" => "w" });
            assert_eq!(started.data["job_id"], Value::from("j1"));
            assert_eq!(started.data["started"], Value::Bool(true));
        }
        let used = Request::node("test.Sleep").field("ms", 1).with("job_id", "j1").with("node_id", "n1");
        assert_eq!(peer.execute(used).kind, "result");
        let ended = peer.ask("job.end", map! { "job_id" => "j1", "reason" => "completed" });
        assert_eq!(ended.data["known"], Value::Bool(true), "{ended:?}");
        let again = peer.ask("job.end", map! { "job_id" => "j1" });
        assert_eq!((&again.data["known"], &again.data["released_nodes"]), (&Value::Bool(false), &Value::List(vec![])));
        let evicted = peer.ask("models.evict", map! { "job_id" => "nobody" });
        assert_eq!(evicted.data["evicted"], Value::List(vec![]));
        assert_eq!(peer.ask("models.evict", Map::new()).kind, "result");
        assert_eq!(peer.ask("job.start", Map::new()).kind, "error", "a job without an id");
        peer.is_well();
    }
}
