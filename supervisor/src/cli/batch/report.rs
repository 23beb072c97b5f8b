//! What a batch says: a line a file on stdout, and on stderr how far it has come.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use super::super::failure::Outcome;
use super::super::{out, table};
use super::one::Done;
use super::scan::File;

/// How often a line about the progress comes where there is no terminal for a bar.
const EVERY: Duration = Duration::from_secs(1);

/// Counts and tells.
pub(super) struct Report {
    json: bool,
    pub(super) total: usize,
    pub(super) ok: usize,
    pub(super) skipped: usize,
    pub(super) failed: usize,
    start: Instant,
    /// On a terminal.
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Report {
    pub(super) fn start(total: usize, json: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64).with_style(style());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        Self { json, total, ok: 0, skipped: 0, failed: 0, start: now, bar, last_line: now }
    }

    /// How many files need nothing more.
    pub(super) fn finished(&self) -> usize {
        self.ok + self.skipped
    }

    /// A file whose outputs are there already.
    pub(super) fn skipped(&mut self, file: &File) -> Outcome {
        self.skipped += 1;
        let json = self.json.then(|| json!({ "file": file.name, "status": "skipped" }));
        self.line(json, || format!("{}\tskipped\t\tits outputs are there", file.name))?;
        // What takes no time says nothing about the rest.
        self.bar.iter().for_each(ProgressBar::reset_eta);
        Ok(())
    }

    /// A file that is through.
    pub(super) fn done(&mut self, done: Done) -> Outcome {
        let ms = u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX);
        let (name, attempts) = (done.file.name, done.attempts);
        match done.result {
            Ok(made) => {
                self.ok += 1;
                let json = self.json.then(
                    || json!({ "file": name, "status": "ok", "ms": ms, "attempts": attempts, "outputs": made.outputs }),
                );
                let files: Vec<String> = made.files.iter().map(|path| path.display().to_string()).collect();
                let what = if files.is_empty() { "no output".to_owned() } else { files.join(", ") };
                self.line(json, || format!("{name}\tok\t{ms} ms\t{what}"))
            }
            Err(failure) => {
                self.failed += 1;
                let (error, kind) = (failure.message(), failure.kind());
                let json = self.json.then(|| {
                    json!({ "file": name, "status": "failed", "ms": ms, "attempts": attempts, "error": error, "kind": kind })
                });
                let first = error.lines().next().unwrap_or_default();
                self.line(json, || format!("{name}\tfailed\t{ms} ms\t{first}"))
            }
        }
    }

    fn line(&mut self, json: Option<Json>, text: impl FnOnce() -> String) -> Outcome {
        let text = json.map_or_else(text, |json| json.to_string());
        match &self.bar {
            Some(bar) => {
                bar.suspend(|| out::line(&text))?;
                bar.set_message(table::count(self.failed, "failure"));
                bar.set_position((self.ok + self.skipped + self.failed) as u64);
            }
            None => {
                out::line(&text)?;
                if self.last_line.elapsed() >= EVERY {
                    self.last_line = Instant::now();
                    eprintln!("{}", self.state());
                }
            }
        }
        Ok(())
    }

    /// `120 of 400 files, 31.5/s, 9 s left, 2 failures`.
    fn state(&self) -> String {
        let worked = self.ok + self.failed;
        let rate = worked as f64 / self.start.elapsed().as_secs_f64().max(0.001);
        let left = self.total - worked - self.skipped;
        let eta = if worked > 0 { format!(", {:.0} s left", left as f64 / rate) } else { String::new() };
        let files = table::count(self.total, "file");
        format!("{} of {files}, {rate:.1}/s{eta}, {}", worked + self.skipped, table::count(self.failed, "failure"))
    }

    /// Takes the bar away and sums up.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}", self.sum());
    }

    fn sum(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let files = table::count(self.total, "file");
        format!("{files}: {} ok, {} failed, {} skipped, in {seconds:.1} s", self.ok, self.failed, self.skipped)
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {bar:40} {pos}/{len} files  {per_sec}  {eta} left  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_counts_what_is_left() {
        let now = Instant::now();
        let start = now.checked_sub(Duration::from_secs(10)).unwrap_or(now);
        let report =
            Report { json: false, total: 30, ok: 9, skipped: 10, failed: 1, start, bar: None, last_line: start };
        assert!(report.state().starts_with("20 of 30 files, "), "{}", report.state());
        assert!(report.state().ends_with(" s left, 1 failure"), "{}", report.state());
        assert!(report.sum().starts_with("30 files: 9 ok, 1 failed, 10 skipped, in "), "{}", report.sum());
        assert_eq!(report.finished(), 19);
    }
}
