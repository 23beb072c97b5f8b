//! `gpu.SelfTest`.

use std::time::Duration;

use millwork_worker::prelude::*;

use super::device::{Device, Ran};
use super::kernels::selftest::{self, Report};

/// Runs each kernel on the GPU and on the CPU, over many sizes, and compares. Fails where one is further off than it may
/// be. Without a GPU only the CPU path runs, and the answer says so.
#[derive(Node)]
#[node("gpu.SelfTest", title = "GPU Self Test")]
pub(super) struct SelfTest {
    /// Who computes: auto takes the GPU where there is one, cpu runs that path alone.
    #[node(default = Device::Auto)]
    device: Device,
}

/// What came out.
#[derive(Outputs)]
pub(super) struct Outcome {
    /// One entry a kernel: kernel, cases, error, tolerance, worst_case, gpu_ms, cpu_ms, passed. Errors and GPU times
    /// are nil where only the CPU path ran.
    output: Vec<Map>,
    /// The same as text.
    table: String,
    /// `gpu` or `cpu`.
    device: String,
    /// The adapter, or why it was the CPU.
    detail: String,
}

impl Run for SelfTest {
    type Output = Outcome;

    fn run(self, cx: &Context) -> Result<Outcome> {
        let (reports, Ran { device, detail }) = self.device.run(
            cx,
            |gpu, control| selftest::run(Some(gpu), control),
            |control| selftest::run(None, control),
        )?;
        let table = table(&reports, &device, &detail);
        if reports.iter().all(Report::passed) {
            return Ok(Outcome { output: reports.iter().map(entry).collect(), table, device, detail });
        }
        Err(Error::failed(format!("GPU and CPU disagree\n{table}")))
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

fn entry(report: &Report) -> Map {
    let worst = report.worst.as_ref();
    map! {
        "kernel" => report.kernel,
        "cases" => report.cases,
        "error" => worst.map(|(error, _)| f64::from(*error)),
        "tolerance" => f64::from(report.tolerance),
        "worst_case" => worst.map(|(_, case)| case.as_str()),
        "gpu_ms" => worst.map(|_| milliseconds(report.gpu)),
        "cpu_ms" => milliseconds(report.cpu),
        "passed" => report.passed(),
    }
}

/// A line a kernel, under what it ran on.
fn table(reports: &[Report], device: &str, detail: &str) -> String {
    let mut text = match device {
        "gpu" => format!("GPU against CPU on {detail}\n"),
        _ => format!("CPU path only: {detail}\n"),
    };
    text += &format!(
        "{:<11} {:>5}  {:>9}  {:>9}  {:>9}  {:>9}  {}\n",
        "kernel", "cases", "error", "tolerance", "GPU ms", "CPU ms", "worst case"
    );
    for report in reports {
        let (error, gpu, case) = match &report.worst {
            Some((error, case)) => (format!("{error:.1e}"), format!("{:.1}", milliseconds(report.gpu)), case.as_str()),
            None => ("-".to_owned(), "-".to_owned(), "-"),
        };
        let verdict = if report.passed() { "" } else { "  FAILED" };
        text += &format!(
            "{:<11} {:>5}  {error:>9}  {:>9.0e}  {gpu:>9}  {:>9.1}  {case}{verdict}\n",
            report.kernel,
            report.cases,
            report.tolerance,
            milliseconds(report.cpu),
        );
    }
    text
}
