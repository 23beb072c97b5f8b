//! Through the real service. Where no adapter exists the GPU half says that it was skipped.

use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;

/// One service for all tests, like the nodes of a worker.
static GPU: LazyLock<Gpu> = LazyLock::new(Gpu::from_env);

const PLENTY: Duration = Duration::from_secs(60);

const DOUBLE: &str = "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;
@group(0) @binding(2) var<uniform> factor: f32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x < arrayLength(&output) { output[id.x] = input[id.x] * factor; }
}";

/// The device, or `None` with a line that says so.
fn gpu() -> Option<&'static Gpu> {
    match GPU.info() {
        GpuState::Ready(_) => Some(&GPU),
        state => {
            println!("skipped: no adapter ({state:?})");
            None
        }
    }
}

fn bytes(numbers: &[f32]) -> Bytes {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn double(numbers: &[f32]) -> Job {
    let groups = numbers.len().div_ceil(64) as u32;
    Job {
        buffers: vec![Buffer::Input(bytes(numbers)), Buffer::Output(4 * numbers.len() as u64)],
        steps: vec![Step::new(Kernel::new(DOUBLE), 0..2, [groups, 1, 1]).params(bytes(&[2.0]))],
    }
}

fn run(gpu: &Gpu, job: Job) -> Result<Vec<Vec<u8>>, GpuError> {
    gpu.run(job, &Control::timeout(PLENTY))
}

/// One step of a shader over one buffer of four words.
fn small(source: &'static str) -> Job {
    Job { buffers: vec![Buffer::InOut(bytes(&[1.0; 4]))], steps: vec![Step::new(Kernel::new(source), 0..1, [1, 1, 1])] }
}

/// Each case: what is wrong, the source, line and column of the place meant.
const BAD: &[(&str, &str, usize, usize)] = &[
    ("expected", "fn main( {}", 1, 10),
    ("no definition in scope", "@compute @workgroup_size(1)\nfn main() {\n    let a = missing + 1;\n}", 3, 13),
    ("type", "@compute @workgroup_size(1)\nfn main() {\n\tvar a: i32 = 1.5;\n}", 3, 6),
    ("é is one column", "const é = 1; const b = oops;", 1, 24),
    ("not enough", "fn f() -> f32 {\n  return vec3f(1.0, 2.0).x;\n}", 2, 10),
    ("recursion", "fn f() -> i32 { return f(); }", 1, 4),
    (
        "store",
        "@group(0) @binding(0) var<storage, read> a: array<f32>;\n@compute @workgroup_size(1)\nfn main() { a[0] = 1.0; }",
        3,
        13,
    ),
    ("return", "fn f() -> f32 {\n  let a = 1.0;\n}", 1, 1),
    (
        "group",
        "@group(1) @binding(0) var<storage, read_write> a: array<f32>;\n@compute @workgroup_size(1)\nfn main() { a[0] = 1.0; }",
        1,
        23,
    ),
    (
        "texture",
        "@group(0) @binding(0) var t: texture_2d<f32>;\n@compute @workgroup_size(1)\nfn main() { _ = textureDimensions(t); }",
        1,
        23,
    ),
    ("unterminated", "/* never closed", 1, 1),
    ("empty array", "var<private> a: array<f32, 0>;", 1, 28),
];

#[test]
fn bad_wgsl_says_where() {
    let mut wrong = Vec::new();
    for &(what, source, line, column) in BAD {
        match Shader::check(source) {
            Ok(_) => wrong.push(format!("{what}: compiles")),
            Err(error) => {
                println!("{what}: {error}\n");
                let found = error.location.as_ref().map(|at| (at.line, at.column));
                if found != Some((line, column)) {
                    wrong.push(format!("{what}: {found:?}, not {line}:{column}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_caret_is_under_the_place() {
    let error = Shader::check("@compute @workgroup_size(1)\nfn main() {\n\tlet a = missing + 1;\n}").unwrap_err();
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("WGSL line 3, column 10: "), "{text}");
    assert_eq!(lines[1], " 3 | \tlet a = missing + 1;");
    assert_eq!(lines[2], "   | \t        ^^^^^^^");
}

#[test]
fn no_source_crashes_the_compiler() {
    for source in [
        String::new(),
        "\0".to_owned(),
        "(".repeat(100_000),
        format!("fn f() {{ let a = {}1{}; }}", "(".repeat(15_000), ")".repeat(15_000)),
        format!("fn f() {{ let a = 1{}; }}", "+1".repeat(30_000)),
        format!("fn f(b: i32) {{ let a = b{}; }}", "+b".repeat(30_000)),
        format!("fn f(b: bool) {{ let a = {}b; }}", "!".repeat(60_000)),
        format!("fn f(b: bool) {{ let a = b{}; }}", "&&b".repeat(20_000)),
        format!("fn f() {{ {} {} }}", "{".repeat(15_000), "}".repeat(15_000)),
        format!("fn f() {{ {} }}", "if true {} else ".repeat(4_000)),
        format!("alias a = {}f32{};", "array<".repeat(9_000), ">".repeat(9_000)),
        "x".repeat(MAX_SOURCE + 1),
    ] {
        let start = Instant::now();
        let outcome = Shader::check(&source);
        let took = start.elapsed();
        println!("{:.40} ({took:?}): {:.200}", source, outcome.map_or_else(|e| e.message, |_| "compiles".to_owned()));
    }
}

#[test]
fn entry_points_are_named() {
    let shader =
        Shader::check("@compute @workgroup_size(2) fn a() {} @compute @workgroup_size(3, 4) fn b() {}").unwrap();
    assert_eq!(shader.entry_point(Some("b")).unwrap().workgroup_size, [3, 4, 1]);
    let text = shader.entry_point(Some("c")).unwrap_err().to_string();
    assert_eq!(text, "there is no compute entry point `c`; the shader's compute entry points are: a, b");
    assert!(shader.entry_point(None).is_err());
    assert!(Shader::check("fn a() {}").unwrap().entry_point(None).unwrap_err().to_string().ends_with("none"));
}

#[test]
fn peek_starts_nothing() {
    let gpu = Gpu::new(Choice::Auto);
    assert_eq!(gpu.peek(), GpuState::NotStarted);
    assert!(!gpu.wedged());
}

#[test]
fn off_is_unavailable() {
    let gpu = Gpu::new(Choice::Off);
    assert!(matches!(gpu.info(), GpuState::Unavailable { reason } if reason.contains("MILLWORK_GPU=off")));
    assert!(matches!(run(&gpu, double(&[1.0])), Err(GpuError::Unavailable { .. })));
    let gpu = Gpu::new(Choice::parse("No Such Card"));
    assert!(matches!(gpu.info(), GpuState::Unavailable { .. }));
}

#[test]
fn a_job_gives_its_numbers() {
    let Some(gpu) = gpu() else { return };
    println!("{:#?}", gpu.info());
    for length in [1, 2, 63, 64, 65, 1000, 100_003] {
        let numbers: Vec<f32> = (0..length).map(|i| i as f32 * 0.5).collect();
        let results = run(gpu, double(&numbers)).unwrap();
        assert_eq!(results.len(), 1);
        assert_eq!(floats(&results[0]), numbers.iter().map(|x| x * 2.0).collect::<Vec<_>>(), "{length}");
    }
}

#[test]
fn sizes_need_not_be_whole_words() {
    let Some(gpu) = gpu() else { return };
    let nothing = "@group(0) @binding(0) var<storage, read_write> a: array<u32>;
        @compute @workgroup_size(1) fn main() { _ = a[0]; }";
    for length in [1usize, 2, 3, 5, 1023] {
        let data: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let step = Step::new(Kernel::new(nothing), 0..1, [1, 1, 1]);
        let job = Job { buffers: vec![Buffer::InOut(data.clone().into())], steps: vec![step] };
        assert_eq!(run(gpu, job).unwrap(), [data]);
    }
}

#[test]
fn steps_share_buffers_and_report_progress() {
    let Some(gpu) = gpu() else { return };
    let add = "@group(0) @binding(0) var<storage, read_write> a: array<f32>;
        @group(0) @binding(1) var<uniform> by: f32;
        @compute @workgroup_size(1) fn main() { a[0] += by; }";
    let step = |by: f32| Step::new(Kernel::new(add), 0..1, [1, 1, 1]).params(bytes(&[by]));
    let job = Job { buffers: vec![Buffer::Output(4)], steps: (1..=10).map(|i| step(i as f32)).collect() };
    let seen = parking_lot::Mutex::new(Vec::new());
    let control = Control { progress: &|done, total| seen.lock().push((done, total)), ..Control::timeout(PLENTY) };
    assert_eq!(floats(&gpu.run(job, &control).unwrap()[0]), [55.0]);
    assert_eq!(*seen.lock(), (1..=10).map(|i| (i, 10)).collect::<Vec<_>>());
}

#[test]
fn jobs_from_many_threads_take_turns() {
    let Some(gpu) = gpu() else { return };
    std::thread::scope(|scope| {
        for i in 0..8 {
            scope.spawn(move || {
                let numbers = vec![i as f32; 1000];
                for _ in 0..5 {
                    assert_eq!(floats(&run(gpu, double(&numbers)).unwrap()[0]), vec![2.0 * i as f32; 1000]);
                }
            });
        }
    });
}

#[test]
fn sizes_are_checked_before_anything_is_allocated() {
    let Some(gpu) = gpu() else { return };
    let limits = gpu.info().ready().unwrap().limits;
    let mut job = double(&[1.0]);
    job.buffers[1] = Buffer::Output(1 << 60);
    match run(gpu, job).unwrap_err() {
        GpuError::TooLarge { bytes, limit, .. } => {
            assert_eq!((bytes, limit), (1 << 60, limits.max_buffer.min(limits.max_storage_binding)));
        }
        other => panic!("{other}"),
    }
    let mut job = double(&[1.0]);
    job.buffers.resize(1000, Buffer::Output(limits.max_storage_binding.min(64 << 20)));
    let text = run(gpu, job).unwrap_err().to_string();
    assert!(text.starts_with("the job takes") && text.ends_with(&MAX_JOB_BYTES.to_string()), "{text}");
    for groups in [[0, 1, 1], [1, 1_000_000, 1]] {
        let mut job = double(&[1.0]);
        job.steps[0].workgroups = groups;
        assert!(matches!(run(gpu, job), Err(GpuError::Workgroups { .. })));
    }
}

#[test]
fn buffers_and_bindings_must_go_together() {
    let Some(gpu) = gpu() else { return };
    let mut job = double(&[1.0]);
    job.steps[0].bind.pop();
    let text = run(gpu, job).unwrap_err().to_string();
    assert_eq!(text, "`factor` is @binding(2), and only 2 are given (0 to 1)");

    let mut job = double(&[1.0]);
    job.buffers[1] = Buffer::Input(bytes(&[1.0]));
    assert!(run(gpu, job).unwrap_err().to_string().contains("`output` at @binding(1) is an input"));

    let mut job = double(&[1.0]);
    job.steps[0].bind[1] = Bind::Buffer(0);
    assert!(run(gpu, job).unwrap_err().to_string().contains("bound twice"));

    let mut job = double(&[1.0]);
    job.steps[0].bind[1] = Bind::Buffer(7);
    assert!(run(gpu, job).unwrap_err().to_string().contains("buffer 7"));

    // A buffer that is smaller than the shader's type is the library's own check.
    let wide = "@group(0) @binding(0) var<storage, read_write> a: array<f32, 64>;
        @compute @workgroup_size(1) fn main() { a[63] = 1.0; }";
    assert!(matches!(run(gpu, small(wide)), Err(GpuError::Validation(_))), "{:?}", run(gpu, small(wide)));
    let huge = "@group(0) @binding(0) var<storage, read_write> a: array<f32>;
        @compute @workgroup_size(4096) fn main() { a[0] = 1.0; }";
    assert!(matches!(run(gpu, small(huge)), Err(GpuError::Validation(_))), "{:?}", run(gpu, small(huge)));
    // And the device is as good as before.
    assert!(run(gpu, double(&[1.0])).is_ok());
}

#[test]
fn a_shader_that_does_not_compile_is_the_requests_error() {
    let Some(gpu) = gpu() else { return };
    assert!(matches!(run(gpu, small("fn main( {}")), Err(GpuError::Shader(_))));
    assert!(matches!(run(gpu, small("fn main() {}")), Err(GpuError::EntryPoint { .. })));
    assert!(run(gpu, double(&[1.0])).is_ok());
}

#[test]
fn long_expressions_get_through_the_driver() {
    let Some(gpu) = gpu() else { return };
    let sum = "+a[0]".repeat(2_000);
    let source = format!(
        "@group(0) @binding(0) var<storage, read_write> a: array<f32>;
        @compute @workgroup_size(1) fn main() {{ a[1] = 0.0{sum}; }}"
    );
    let kernel = Kernel { source: source.into(), entry: None };
    let step = Step::new(kernel, 0..1, [1, 1, 1]);
    let job = Job { buffers: vec![Buffer::InOut(bytes(&[1.0; 4]))], steps: vec![step] };
    assert_eq!(floats(&run(gpu, job).unwrap()[0]), [1.0, 2000.0, 1.0, 1.0]);
}

#[test]
fn a_lost_device_is_opened_anew() {
    if gpu().is_none() {
        return;
    }
    let gpu = Gpu::from_env();
    assert!(run(&gpu, double(&[1.0])).is_ok());
    gpu.0.lose_device();
    let lost = run(&gpu, double(&[1.0])).unwrap_err();
    assert!(matches!(lost, GpuError::DeviceLost(_)), "{lost}");
    assert_eq!(floats(&run(&gpu, double(&[3.0])).unwrap()[0]), [6.0]);
    assert!(!gpu.wedged());
}

/// Works for about `loops` times two million iterations; each invocation stays below the number of iterations at
/// which Mesa's software driver silently stops a shader.
const BUSY: &str = "
@group(0) @binding(0) var<storage, read_write> a: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var x = id.x + a[0];
    for (var i = 0u; i < 32768u; i++) { x = x * 1664525u + 1013904223u; }
    if x == 42u { a[0] = x; }
}";

fn busy(steps: usize, groups: [u32; 3]) -> Job {
    let step = Step::new(Kernel::new(BUSY), 0..1, groups);
    Job { buffers: vec![Buffer::Output(4)], steps: vec![step; steps] }
}

#[test]
fn a_cancel_is_answered_at_once() {
    let Some(gpu) = gpu() else { return };
    let cancelled = AtomicBool::new(false);
    let at = parking_lot::Mutex::new(None);
    let control = Control {
        cancelled: &|| cancelled.load(Ordering::Relaxed),
        progress: &|done, _| {
            if done == 2 {
                cancelled.store(true, Ordering::Relaxed);
                *at.lock() = Some(Instant::now());
            }
        },
        timeout: PLENTY,
    };
    assert!(matches!(gpu.run(busy(1_000_000, [4, 1, 1]), &control), Err(GpuError::Cancelled)));
    let took = at.lock().unwrap().elapsed();
    println!("cancelled after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    // The next job does not wait for the other 999,998 steps.
    assert!(run(gpu, double(&[1.0])).is_ok());
}

#[test]
fn a_timeout_between_steps_leaves_the_device_alone() {
    if gpu().is_none() {
        return;
    }
    let gpu = Gpu::from_env();
    let late = gpu.run(busy(1_000_000, [4, 1, 1]), &Control::timeout(Duration::from_millis(300))).unwrap_err();
    assert!(matches!(late, GpuError::Timeout { total: 1_000_000, .. }), "{late}");
    assert!(!gpu.wedged());
    assert!(run(&gpu, double(&[1.0])).is_ok());
}

/// Runs one ignored test of this file alone in a process, with these variables set.
fn child(test: &str, environment: &[(&str, &str)]) -> std::process::Output {
    #[expect(clippy::disallowed_methods, reason = "a test that needs a process of its own")]
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("gpu::tests::{test}"), "--exact", "--ignored", "--nocapture"])
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn without_a_driver_there_is_a_reason_and_no_panic() {
    let nowhere = [("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent")];
    let output = child("child_without_a_driver", &nowhere);
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "started by without_a_driver_there_is_a_reason_and_no_panic"]
fn child_without_a_driver() {
    let gpu = Gpu::new(Choice::Auto);
    match gpu.info() {
        GpuState::Unavailable { reason } => println!("{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(run(&gpu, double(&[1.0])), Err(GpuError::Unavailable { .. })));
}

#[test]
fn a_job_that_hangs_wedges_the_service_and_not_the_caller() {
    if gpu().is_none() {
        return;
    }
    let output = child("child_that_hangs", &[]);
    // The child ends itself the hard way: an orderly exit would wait for the device.
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("all as it should be"), "{output:?}");
}

#[test]
#[ignore = "started by a_job_that_hangs_wedges_the_service_and_not_the_caller"]
fn child_that_hangs() {
    let gpu = Gpu::from_env();
    let timeout = Duration::from_millis(500);
    gpu.info();
    let start = Instant::now();
    let late = gpu.run(busy(3, [65535, 1000, 1]), &Control::timeout(timeout)).unwrap_err();
    assert!(matches!(late, GpuError::Timeout { done: 0, total: 3, .. }), "{late}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(gpu.wedged());
    assert!(matches!(run(&gpu, double(&[1.0])), Err(GpuError::Wedged)));
    println!("all as it should be");
    std::process::abort();
}
