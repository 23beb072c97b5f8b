//! How hosts start a worker: the arguments of `python -m nodetool.worker`, namespaces, help, mistakes.

use millwork_e2e::{Launch, Map, Peer, Program, Request, Value};

fn namespaces(peer: &mut Peer) -> Vec<String> {
    let discover = peer.ask("discover", Map::new());
    let mut names: Vec<String> = discover.data["nodes"]
        .as_list()
        .unwrap()
        .iter()
        .map(|node| node.get("node_type").and_then(Value::as_str).unwrap().split('.').next().unwrap().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Promise 11: an unmodified host can be pointed at either program.
#[test]
fn p11_the_python_workers_arguments_start_both_programs() {
    for name in ["millwork-worker", "millwork"] {
        let arguments = ["-m", "nodetool.worker", "--stdio", "--namespaces", "control,absent"];
        let mut peer = Launch::of(name).args(arguments).start().ready();
        assert_eq!(namespaces(&mut peer), ["control"]);
        let errors = format!("{:?}", peer.ask("discover", Map::new()).data["load_errors"]);
        assert!(errors.contains("\"absent\"") && errors.contains("it has audio, control,"), "{errors}");
        let refused = peer.execute(Request::node("text.Concat"));
        assert_eq!(refused.error(), "Unknown node type: text.Concat");
        let mut peer = Launch::of(name).args(["-m", "nodetool.worker", "--stdio"]).start().ready();
        let status = peer.ask("worker.status", Map::new());
        assert_eq!(status.data["transport"], Value::from("stdio"));
        assert!(!namespaces(&mut peer).contains(&"test".to_owned()), "test nodes only where asked for");
    }
}

/// The allowlist by the environment, as hosts set it.
#[test]
fn p11_namespaces_may_come_from_the_environment() {
    for program in Program::BOTH {
        let mut peer = program.launch().env("NODETOOL_WORKER_NAMESPACES", "test").start().ready();
        assert_eq!(namespaces(&mut peer), ["test"]);
        peer.is_well();
    }
}

/// Promise 11: the worker announces what old hosts do not know under `extensions` alone.
#[test]
fn p11_the_status_has_the_keys_that_hosts_read() {
    for program in Program::BOTH {
        let mut peer = program.start();
        let status = peer.ask("worker.status", Map::new()).data;
        let known = [
            "protocol_version",
            "node_count",
            "provider_count",
            "namespaces",
            "load_errors",
            "transport",
            "max_frame_size",
            "comfy",
            "blender",
            "model_prepare_backends",
        ];
        for key in known {
            assert!(status.contains_key(key), "{key}: {status:?}");
        }
        let other: Vec<&String> = status.keys().filter(|key| !known.contains(&key.as_str())).collect();
        assert_eq!(other, ["extensions"]);
        assert_eq!(status["protocol_version"].as_i64(), Some(6));
        assert_eq!(status["max_frame_size"].as_i64(), Some(256 << 20));
    }
}

/// A mistake in the arguments is said on stderr, with exit code 2 and nothing on stdout.
#[test]
fn p03_wrong_arguments_are_told_on_stderr() {
    for name in ["millwork-worker", "millwork"] {
        let output = Launch::of(name).args(["--no-such-option"]).run();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("--no-such-option"));
    }
    for slip in [["--workspace", "/no/such/place"], ["--allow-path", "/no/such/place"], ["--log", "banana"]] {
        let output = Launch::of("millwork-worker").arg("--stdio").args(slip).run();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(slip[0]) && text.contains(slip[1]), "{text}");
    }
}
