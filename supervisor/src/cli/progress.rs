//! What `run` says on stderr while it waits: a bar on a terminal, at most a line a second in a pipe.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use millwork_protocol::{Map, Value};

/// The progress of one command.
pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
}

impl Progress {
    /// `what` is under way, for an unknown time.
    pub(crate) fn start(what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: Some(Instant::now()) };
        }
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Bar(bar)
    }

    /// Something else is under way now.
    pub(crate) fn phase(&self, what: &str) {
        if let Self::Bar(bar) = self {
            bar.set_message(what.to_owned());
        }
    }

    /// Takes the data of a `progress` frame: steps of a node, or bytes of a download.
    pub(crate) fn update(&mut self, data: &Map) {
        let number = |keys: [&str; 2]| keys.iter().find_map(|key| data.get(*key)?.as_f64()).unwrap_or(0.0).max(0.0);
        let (done, total) = (number(["progress", "downloaded_bytes"]), number(["total", "total_bytes"]));
        let message = data.get("message").and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Bar(bar) => {
                if total > 0.0 && bar.length().is_none() {
                    bar.set_style(style());
                }
                if total > 0.0 {
                    // Nodes count in steps of 1, or from 0 to 1: a thousandth of a step is fine enough for a bar.
                    bar.set_length((total * 1000.0) as u64);
                    bar.set_position((done * 1000.0) as u64);
                }
                if !message.is_empty() {
                    bar.set_message(message.to_owned());
                }
            }
            Self::Lines { last } => {
                if last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
                    *last = Some(Instant::now());
                    eprintln!("{}", line(done, total, message));
                }
            }
        }
    }

    /// Runs `f`, which writes to the terminal, without the bar in its way.
    pub(crate) fn aside<T>(&self, f: impl FnOnce() -> T) -> T {
        match self {
            Self::Bar(bar) => bar.suspend(f),
            _ => f(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {bar:40} {percent:>3} %  {elapsed}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn line(done: f64, total: f64, message: &str) -> String {
    let mut text = if total > 0.0 { format!("{:.0} %", 100.0 * done / total) } else { format!("{done}") };
    if !message.is_empty() {
        text += &format!("  {message}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short() {
        assert_eq!(line(1.0, 4.0, "band 1"), "25 %  band 1");
        assert_eq!(line(7.0, 0.0, ""), "7");
    }
}
