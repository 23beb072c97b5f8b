//! Promise 5: load errors are complete and true, and told the same way everywhere.

use millwork_e2e::{Map, Program, Request, Value};

/// Promise 5: `discover`, `worker.status` and `execute` agree about a node that did not load, and it hides no other.
#[test]
fn p05_discover_status_and_execute_tell_the_same_story() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let discover = peer.ask("discover", Map::new());
        let errors = discover.data["load_errors"].as_list().unwrap().to_vec();
        let broken: Vec<&Value> =
            errors.iter().filter(|e| e.get("module").and_then(Value::as_str) == Some("test.Broken")).collect();
        let [broken] = broken.as_slice() else { panic!("one error about test.Broken: {errors:?}") };
        for key in ["module", "phase", "error_type", "error"] {
            assert!(broken.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{key}: {broken:?}");
        }
        let status = peer.ask("worker.status", Map::new());
        assert_eq!(status.data["load_errors"].as_list().unwrap(), errors);
        let missing = peer.execute(Request::node("test.Broken"));
        let reason = broken.get("error").and_then(Value::as_str).unwrap();
        assert!(missing.error().contains(reason), "{missing:?} does not say {reason}");

        let nodes = discover.data["nodes"].as_list().unwrap();
        let has = |name: &str| nodes.iter().any(|n| n.get("node_type").and_then(Value::as_str) == Some(name));
        assert!(!has("test.Broken") && has("test.Echo") && has("test.Spin"));
        assert_eq!(status.data["node_count"].as_i64(), Some(nodes.len() as i64));
    }
}
