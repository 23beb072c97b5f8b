//! Packages that are folders and programs: what is wrong with the broken ones, and what the healthy ones answer.

mod answers;
mod corpus;

use std::time::{Duration, Instant};

use corpus::{Corpus, NO_GPU};
use millwork_e2e::process::repository;
use millwork_e2e::{Bytes, Launch, Map, Peer, Program, Request, Value, skipped, within};
use serde_json::Value as Json;

use crate::stock::has_vulkan;

/// How long all workers together may take to come up, or not to.
const LONG: Duration = Duration::from_secs(180);

fn serve(paths: &[std::path::PathBuf]) -> Launch {
    let launch = Program::Supervisor.launch().env("MILLWORK_READY_TIMEOUT_MS", "30000");
    let launch = launch.env("MILLWORK_HANDSHAKE_TIMEOUT_MS", "30000");
    paths.iter().fold(launch, |launch, path| launch.arg("--package").arg(path))
}

fn json(value: &Value) -> Vec<Json> {
    value.as_list().unwrap().iter().map(Value::to_json).collect()
}

/// The node types and the load errors, once no worker is still starting.
fn settled(peer: &mut Peer) -> (Vec<String>, Vec<Json>) {
    let mut last = (Vec::new(), Vec::new());
    let is_settled = within(LONG, || {
        let discover = peer.ask("discover", Map::new());
        let nodes = discover.data["nodes"].as_list().unwrap().iter();
        let name = |node: &Value| node.get("node_type").and_then(Value::as_str).unwrap().to_owned();
        last = (nodes.map(name).collect(), json(&discover.data["load_errors"]));
        last.1.iter().all(|error| error["error_type"] != "StillStarting")
    });
    assert!(is_settled, "{:#?}", last.1);
    last
}

/// Promise 5: each broken package has its own load error, with file and line, and hides nothing: neither its other nodes nor
/// any other package.
#[test]
fn p05_every_broken_package_says_what_is_wrong_and_hides_nothing() {
    let corpus = Corpus::new();
    let begin = Instant::now();
    let mut peer = serve(&corpus.paths()).start().ready();
    let (nodes, errors) = settled(&mut peer);
    eprintln!("{} packages settled within {:?}", corpus.paths().len(), begin.elapsed());

    let mut wrong = Vec::new();
    for package in &corpus.broken {
        let own: Vec<Json> =
            errors.iter().filter(|error| package.has(error["module"].as_str().unwrap())).cloned().collect();
        if package.name == NO_GPU {
            assert_eq!(own, Vec::<Json>::new());
            continue;
        }
        wrong.extend(package.complaints(&own));
        let missing = package.expected["module"].as_str().unwrap();
        if missing.contains('.') && !nodes.iter().any(|node| node == missing) {
            let answer = peer.execute(Request::node(missing));
            let text = answer.data.get("error").and_then(Value::as_str).unwrap_or_default();
            if !text.contains(package.expected["error"].as_str().unwrap()) {
                wrong.push(format!("{}: execute of {missing} says {text:?}", package.name));
            }
        }
        for node in &package.healthy {
            let answer = peer.execute(Request::node(node).field("x", 21));
            if answer.data.get("outputs").and_then(|outputs| outputs.get("y")) != Some(&Value::Float(42.0)) {
                wrong.push(format!("{}: {node} is healthy: {answer:?}", package.name));
            }
        }
    }
    let is_known = |error: &&Json| {
        let module = error["module"].as_str().unwrap();
        module == "test.Broken" || corpus.broken.iter().any(|package| package.has(module))
    };
    wrong.extend(errors.iter().filter(|error| !is_known(error)).map(|error| format!("nobody's: {error}")));
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));

    let status = peer.ask("worker.status", Map::new());
    assert_eq!(json(&status.data["load_errors"]), errors, "the status tells the same story");
    peer.is_well();
}

/// What healthy packages answer is what others have computed.
#[test]
fn p01_healthy_packages_answer_as_they_should() {
    let corpus = Corpus::new();
    let paths: Vec<_> = corpus.healthy.iter().map(|package| package.path.clone()).collect();
    let mut peer = serve(&paths).start().ready();
    let (_, errors) = settled(&mut peer);
    let mut wrong: Vec<String> = errors.iter().filter(|e| e["module"] != "test.Broken").map(Json::to_string).collect();
    let has_gpu = has_vulkan();
    if !has_gpu {
        skipped("no Vulkan driver: shaders of packages");
    }
    for package in &corpus.healthy {
        for case in &package.cases {
            if has_gpu || !case.contains_key("gpu") {
                let answer = peer.execute(answers::request(case, &package.folder));
                wrong.extend(answers::complaints(case, &answer));
            }
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

/// `millwork check` finds the same, and is not content.
#[test]
fn p05_check_finds_what_a_worker_finds() {
    let corpus = Corpus::new();
    let output = Launch::of("millwork").args(["check", "--json"]).args(corpus.paths()).run();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    let packages = found["packages"].as_array().unwrap();
    let mut wrong = Vec::new();
    for package in &corpus.broken {
        let own = packages.iter().flat_map(|found| found["problems"].as_array().unwrap());
        let own = own.filter(|problem| package.has(problem["module"].as_str().unwrap()));
        if package.name == NO_GPU {
            assert_eq!(own.count(), 0);
        } else {
            wrong.extend(package.complaints(&own.cloned().collect::<Vec<_>>()));
        }
    }
    for package in &corpus.healthy {
        let name = package.folder.file_name().unwrap().to_string_lossy();
        match packages.iter().find(|found| found["name"].as_str() == Some(&name)) {
            Some(found) if found["problems"].as_array().is_some_and(Vec::is_empty) => {}
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));

    let fine = corpus.healthy.iter().map(|package| &package.path);
    let output = Launch::of("millwork").arg("check").args(fine).run();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn example(name: &str) -> std::path::PathBuf {
    repository().join("docs/examples").join(name)
}

fn file(path: &str) -> Bytes {
    std::fs::read(repository().join(path)).unwrap().into()
}

/// The example of a model: one of each digit.
#[test]
fn p01_the_digits_package_reads_digits() {
    let mut peer = serve(&[example("digits_package")]).start().ready();
    for digit in 0..10 {
        let picture = file(&format!("nodes/models/digits/examples/{digit}.png"));
        let digit = digit.to_string();
        let answer = peer.execute(Request::node("digits.Read").blob("image", picture.clone()));
        assert_eq!(answer.output("digit").as_str(), Some(digit.as_str()), "{answer:?}");
        assert!(answer.output("score").as_f64().is_some_and(|score| score > 0.5), "{answer:?}");
        let ink = peer.execute(Request::node("image.Invert").blob("image", picture)).blob("output");
        let answer = peer.execute(Request::node("digits.ReadInk").blob("image", ink).field("count", 2));
        let digits = answer.output("digits").as_list().unwrap();
        assert_eq!((digits.len(), digits[0].get("label").and_then(Value::as_str)), (2, Some(digit.as_str())));
    }
}

/// The example of shaders computes what its fallback does; without a GPU that is what answers.
#[test]
fn p01_the_filter_package_sharpens_as_the_stock_node_does() {
    let nowhere = "/no/such/driver.json";
    let without =
        || serve(&[example("filter_package")]).env("VK_DRIVER_FILES", nowhere).env("VK_ICD_FILENAMES", nowhere);
    let mut fleets = vec![without()];
    if has_vulkan() {
        fleets.push(serve(&[example("filter_package")]));
    } else {
        skipped("no Vulkan driver: the filter package on a GPU");
    }
    let picture = file("nodes/models/digits/test.png");
    for launch in fleets {
        let mut peer = launch.start().ready();
        for (sigma, amount, threshold) in [(1.5, 1.0, 0.0), (0.4, 3.0, 0.1), (6.0, 0.5, 0.02)] {
            let sharpened = |peer: &mut Peer, node: &str, field: &str, slot: &str| {
                let request = Request::node(node).blob(field, picture.clone()).field("sigma", sigma);
                let answer = peer.execute(request.field("amount", amount).field("threshold", threshold));
                image::load_from_memory(&answer.blob(slot)).unwrap().into_rgb8()
            };
            let (ours, stock) = (
                sharpened(&mut peer, "filter.Sharpen", "photo", "picture"),
                sharpened(&mut peer, "image.Sharpen", "image", "output"),
            );
            assert_eq!(ours.dimensions(), stock.dimensions());
            // Where a difference is just at the threshold, rounding decides.
            let far = ours.iter().zip(stock.iter()).filter(|(a, b)| a.abs_diff(**b) > 1).count();
            assert!(far <= ours.len() / 1000, "{far} of {} differ at {sigma}, {amount}, {threshold}", ours.len());
        }
    }
}

/// Without a GPU a shader node without a fallback is a load error where that is known, and one with a fallback answers.
#[test]
fn p05_without_a_gpu_shaders_say_so_or_fall_back() {
    let corpus = Corpus::new();
    let package = corpus.broken.iter().find(|package| package.name == NO_GPU).unwrap();
    let shaders = corpus.healthy.iter().find(|package| package.folder.ends_with("shaders")).unwrap();
    let launch = serve(&[package.path.clone(), shaders.path.clone()]);
    let mut peer = launch.env("MILLWORK_GPU", "off").start().ready();
    let (_, errors) = settled(&mut peer);
    let own: Vec<Json> =
        errors.iter().filter(|error| package.has(error["module"].as_str().unwrap())).cloned().collect();
    let mut wrong = package.complaints(&own);
    for node in &package.healthy {
        assert_eq!(peer.execute(Request::node(node).field("x", 21)).output("y"), &Value::Float(42.0));
    }
    for case in shaders.cases.iter().filter(|case| !case.contains_key("gpu")) {
        wrong.extend(answers::complaints(case, &peer.execute(answers::request(case, &shaders.folder))));
    }
    let missing = peer.execute(Request::node("no_gpu.Broken"));
    assert!(missing.error().contains("GPU"), "{missing:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
