//! A shader that runs on beyond its time, in a real worker: the request gets `timeout`, the process ends and says why.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millwork_worker::gpu::Gpu;
use millwork_worker::prelude::*;
use millwork_worker::protocol::codec::decode;
use millwork_worker::protocol::frame::Frame;
use millwork_worker::protocol::limits::Limits;

/// The exit code of a worker whose GPU does not answer.
const WEDGED: i32 = 86;

/// Minutes of work on a software adapter; no invocation loops longer than such a one allows.
const BUSY: &str = "
@group(0) @binding(0) var<storage, read_write> a: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var x = id.x + a[0];
    for (var i = 0u; i < 32768u; i++) { x = x * 1664525u + 1013904223u; }
    if x == 42u { a[0] = x; }
}";

fn send(worker: &mut Child, id: &str, node: &str, fields: Map) {
    let data = map! { "node_type" => node, "fields" => fields };
    let frame = Frame::message("execute", Some(id), &data).to_bytes();
    worker.stdin.as_mut().unwrap().write_all(&frame).unwrap();
}

/// The next frame that ends a request.
fn terminal(worker: &mut Child) -> Map {
    loop {
        let pipe = worker.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        pipe.read_exact(&mut length).unwrap();
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        pipe.read_exact(&mut payload).unwrap();
        let frame = decode(&payload.into(), &Limits::default()).unwrap().as_map().unwrap().clone();
        if matches!(frame["type"].as_str(), Some("result" | "error")) {
            return frame;
        }
    }
}

#[test]
fn a_hung_dispatch_ends_the_worker_and_not_the_host() {
    let software = Gpu::from_env().require().is_ok_and(|info| info.software);
    if !software {
        println!("skipped: on no adapter there is nothing to hang, and a real GPU might take the display with it");
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "a test that needs a worker process")]
    let mut worker = Command::new(env!("CARGO_BIN_EXE_millwork-worker"))
        .arg("--stdio")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let fields = |groups: Vec<u32>| map! { "source" => BUSY, "shape" => vec![1], "dtype" => "uint32", "timeout" => 0.5, "workgroups" => groups };

    send(&mut worker, "short", "gpu.Compute", fields(vec![1]));
    assert_eq!(terminal(&mut worker)["type"], Value::from("result"));

    let start = Instant::now();
    send(&mut worker, "long", "gpu.Compute", fields(vec![65535, 1000]));
    let answer = terminal(&mut worker);
    let data = answer["data"].as_map().unwrap();
    assert_eq!(answer["request_id"], Value::from("long"), "{answer:?}");
    assert_eq!(data["kind"], Value::from("timeout"), "{answer:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());

    let status = worker.wait().unwrap();
    assert_eq!(status.code(), Some(WEDGED), "{status:?}");
}
