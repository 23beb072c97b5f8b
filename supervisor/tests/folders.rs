//! A folder of nodes under way: its model and its shader are edited while requests go on.
#![cfg(feature = "stock")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what was measured, for those who ask")]

use std::path::Path;
use std::time::{Duration, Instant};

use millwork::config::PackageConfig;
use millwork::{Client, Config, Fleet, Pending, RequestError, WorkerConfig};
use millwork_protocol::{Map, Value};

const PACKAGE: &str = r#"
[package]
name = "acme"
version = "1.0.0"

[[node]]
type = "acme.Model"
[[node.field]]
name = "x"
type = "float"
default = 0.0
[[node.step]]
onnx = "add.onnx"
[[node.step.input]]
name = "x"
from = "x"
[[node.output]]
name = "output"
from = "y"
as = "number"

[[node]]
type = "acme.Shader"
[[node.field]]
name = "n"
type = "int"
default = 1
[[node.buffer]]
name = "result"
length = "n"
format = "f32"
[[node.step]]
wgsl = "fill.wgsl"
dispatch = ["n"]
bind = { result = "result" }
[[node.output]]
name = "output"
from = "result"
as = "number"
"#;

/// A part of a protocol buffer: a number, or bytes of fewer than 128.
fn part(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
}

/// An ONNX model with y = x + `c`, for scalars.
fn model(c: f32) -> Vec<u8> {
    let scalar = |name: &str| {
        let tensor = [vec![1 << 3, 1], part(2, &[])].concat();
        [part(1, name.as_bytes()), part(2, &part(1, &tensor))].concat()
    };
    let add = [part(1, b"x"), part(1, b"c"), part(2, b"y"), part(4, b"Add")].concat();
    let constant = [vec![2 << 3, 1], part(8, b"c"), part(9, &c.to_le_bytes())].concat();
    let graph = [part(1, &add), part(2, b"g"), part(5, &constant), part(11, &scalar("x")), part(12, &scalar("y"))];
    [vec![1 << 3, 8], part(7, &graph.concat()), part(8, &[2 << 3, 13])].concat()
}

/// A shader that fills its buffer with this.
fn shader(value: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read_write> result: array<f32>;\n\n@compute @workgroup_size(64)\n\
         fn fill(@builtin(global_invocation_id) at: vec3u) {{ if at.x < arrayLength(&result) {{ result[at.x] = {value}; }} }}\n"
    )
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    // As editors do: whoever reads it meanwhile finds the one or the other.
    std::fs::write(folder.join(".edited"), content).unwrap();
    std::fs::rename(folder.join(".edited"), folder.join(name)).unwrap();
}

type Answer = Result<f64, String>;

fn answer(result: Result<Map, RequestError>) -> Answer {
    let number = |result: Map| result.get("outputs").unwrap().get("output").and_then(Value::as_f64).unwrap();
    result.map(number).map_err(|error| error.message)
}

/// Sends at least a hundred requests to each node, until `changed` answers otherwise than before; gives how many, and all
/// answers of each.
async fn during(
    client: &Client,
    nodes: &[&str],
    changed: &str,
    before: &Answer,
) -> (usize, Vec<(String, Vec<Answer>)>) {
    let mut all: Vec<(String, Vec<Answer>)> = nodes.iter().map(|&node| (node.to_owned(), Vec::new())).collect();
    let (mut sent, mut is_over) = (0, false);
    while !is_over || sent < 100 * nodes.len() {
        let pending: Vec<Vec<Pending>> = nodes
            .iter()
            .map(|&node| (0..4).map(|n| client.execute(node).option("node_id", format!("{sent}-{n}")).send()).collect())
            .collect();
        for ((node, answers), pending) in all.iter_mut().zip(pending) {
            for pending in pending {
                sent += 1;
                let answer = answer(pending.finish().await);
                is_over |= *node == changed && answer != *before;
                if !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
        }
    }
    (sent, all)
}

#[test]
fn requests_go_on_while_a_model_and_a_shader_are_edited() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    write(folder, "package.toml", PACKAGE);
    write(folder, "add.onnx", model(0.0));
    write(folder, "fill.wgsl", shader("0.0"));
    let idle = WorkerConfig::new("idle", ["sh", "-c", "exit 1"]);
    let config = Config {
        packages: vec![PackageConfig::new(folder)],
        watch: true,
        program: Some(env!("CARGO_BIN_EXE_millwork").into()),
        ..Config::with_workers([idle])
    };
    let fleet = Fleet::start(config).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = fleet.client();
        client.ready().await.unwrap();
        let limited = tokio::time::timeout(Duration::from_secs(240), edit(&client, folder));
        limited.await.expect("the test ends in time");
        fleet.shutdown().await;
    });
}

async fn edit(client: &Client, folder: &Path) {
    let inventory = client.inventory().await.unwrap();
    let has_shader = inventory.nodes.iter().any(|node| node.node_type == "acme.Shader");
    assert!(has_shader || inventory.load_errors.iter().any(|error| error.phase == "gpu_init"), "{inventory:?}");
    // Without a GPU it is the model alone.
    let nodes: &[&str] = if has_shader { &["acme.Model", "acme.Shader"] } else { &["acme.Model"] };
    let mut state: Vec<Answer> = nodes.iter().map(|_| Ok(0.0)).collect();
    let (mut sent, start) = (0, Instant::now());
    for edit in 1..=10_u8 {
        let which = usize::from(has_shader && edit % 2 == 0);
        let is_broken = edit == 6;
        match (which, is_broken) {
            (1, false) => write(folder, "fill.wgsl", shader(&format!("{edit}.0"))),
            (1, true) => write(folder, "fill.wgsl", shader("nothing")),
            (_, false) => write(folder, "add.onnx", model(edit.into())),
            (_, true) => write(folder, "add.onnx", &model(0.0)[..30]),
        }
        let (more, answers) = during(client, nodes, nodes[which], &state[which]).await;
        sent += more;
        for (index, (node, answers)) in answers.into_iter().enumerate() {
            let others: Vec<&Answer> = answers.iter().filter(|answer| **answer != state[index]).collect();
            match others.as_slice() {
                [] => assert_ne!(index, which),
                [Err(text)] if index == which && is_broken => {
                    let place = if which == 1 { "fill.wgsl line 4, column" } else { "add.onnx" };
                    assert!(text.contains("did not load: ") && text.contains(place), "{text}");
                    state[index] = Err(text.clone());
                }
                [Ok(value)] if index == which => {
                    assert_eq!(*value, f64::from(edit));
                    state[index] = Ok(*value);
                }
                others => panic!("edit {edit}: {node} answered {others:?}"),
            }
        }
    }
    assert!(sent >= 1000);
    println!("{sent} requests to {} nodes across ten edits in {:?}", nodes.len(), start.elapsed());
}
