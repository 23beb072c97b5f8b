//! Where workers' stderr and the fleet's own news go. Never blocks: a host that does not read its logs must not stop us.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What a server writes on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logs {
    /// How its lines look.
    pub format: LogFormat,
    /// How much the fleet tells of itself. Workers decide for themselves, unless this is off.
    pub level: LevelFilter,
}

impl Default for Logs {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: LevelFilter::INFO }
    }
}

/// The destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Events of `tracing`, for a host in this process to filter.
    Tracing,
    /// Lines on this process's stderr.
    Stderr(Logs),
}

/// A pipe that polls as writable takes so much at once.
const ATOMIC: usize = 4096;

/// An event of `tracing` whose level is known only when it happens.
macro_rules! event {
    ($level:expr, $($event:tt)*) => {
        match $level {
            Level::ERROR => tracing::error!($($event)*),
            Level::WARN => tracing::warn!($($event)*),
            Level::INFO => tracing::info!($($event)*),
            Level::DEBUG => tracing::debug!($($event)*),
            Level::TRACE => tracing::trace!($($event)*),
        }
    };
}

impl Log {
    /// How workers of ours are to write their logs, so that they are understood here.
    pub(crate) fn format_of_workers(self) -> &'static str {
        match self {
            Self::Stderr(Logs { format: LogFormat::Human, .. }) => "human",
            Self::Stderr(_) | Self::Tracing => "json",
        }
    }

    /// A line of a worker's stderr.
    pub(crate) fn worker(self, name: &str, line: &Line<'_>) {
        match self {
            Self::Tracing => {
                let level = line.level.unwrap_or(Level::INFO);
                event!(level, target: "millwork::worker", worker = name, "{}", line.text);
            }
            Self::Stderr(logs) if logs.level == LevelFilter::OFF => {}
            Self::Stderr(logs) => write_line(&line.told(logs.format, name)),
        }
    }

    /// Something about a worker that operators should know.
    pub(crate) fn news(self, level: Level, worker: &str, text: &str) {
        match self {
            Self::Tracing => event!(level, target: "millwork::fleet", worker, "{text}"),
            Self::Stderr(logs) if level > logs.level => {}
            Self::Stderr(Logs { format: LogFormat::Json, .. }) => {
                write_line(&record(level, "millwork::fleet", worker, text));
            }
            Self::Stderr(_) => text.lines().for_each(|line| write_line(&format!("millwork: {line}\n"))),
        }
    }
}

/// A line of a worker's stderr, understood where it is an event of `tracing` as JSON.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    raw: &'a str,
    /// Nothing where the line is just text.
    level: Option<Level>,
    text: Cow<'a, str>,
}

impl<'a> Line<'a> {
    pub(crate) fn read(raw: &'a str) -> Self {
        match event(raw) {
            Some((level, text)) => Self { raw, level: Some(level), text: text.into() },
            None => Self { raw, level: None, text: raw.into() },
        }
    }

    /// The line as a server passes it on.
    fn told(&self, format: LogFormat, worker: &str) -> String {
        match (format, self.level, self.raw.strip_prefix('{')) {
            (LogFormat::Human, ..) => format!("[{worker}] {}\n", visible(self.raw)),
            // Nothing of what the worker said is lost.
            (LogFormat::Json, Some(_), Some(rest)) => format!("{{\"worker\":{},{rest}\n", Value::from(worker)),
            (LogFormat::Json, ..) => record(Level::INFO, "millwork::worker", worker, &self.text),
        }
    }
}

impl fmt::Display for Line<'_> {
    /// As it stands in errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{level} {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// A line without what a terminal would obey.
fn visible(line: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\t';
    if !line.contains(obeyed) {
        return line.into();
    }
    line.chars()
        .map(|c| if obeyed(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect::<String>()
        .into()
}

/// The level of an event, and its message with its fields.
fn event(line: &str) -> Option<(Level, String)> {
    if !line.starts_with('{') {
        return None;
    }
    let event: Value = serde_json::from_str(line).ok()?;
    let level = event.get("level")?.as_str()?.parse().ok()?;
    let fields = event.get("fields")?.as_object()?;
    let mut text = fields.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "message") {
        text.push_str(&format!(" {name}={value}"));
    }
    Some((level, text))
}

/// A line of JSON in the shape that `tracing` gives it.
fn record(level: Level, target: &str, worker: &str, text: &str) -> String {
    let mut timestamp = String::new();
    // A time that cannot be written is left out.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let event = json!({
        "timestamp": timestamp,
        "level": level.as_str(),
        "worker": worker,
        "fields": { "message": text },
        "target": target,
    });
    format!("{event}\n")
}

/// Writes as much as stderr takes without waiting, and drops the rest.
fn write_line(text: &str) {
    let stream = io::stderr();
    let mut stderr = stream.lock();
    for piece in text.as_bytes().chunks(ATOMIC) {
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        let is_writable = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        if !is_writable || stderr.write_all(piece).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"timestamp":"t","level":"WARN","fields":{"message":"did not load","module":"a.b"}}"#;

    #[test]
    fn events_are_told_with_their_own_level_and_fields() {
        let line = Line::read(EVENT);
        assert_eq!(line.to_string(), "WARN did not load module=\"a.b\"");
        let told: Value = serde_json::from_str(&line.told(LogFormat::Json, "stock \"1\"")).unwrap();
        assert_eq!((&told["worker"], &told["level"]), (&json!("stock \"1\""), &json!("WARN")));
        assert_eq!(told["fields"]["module"], "a.b");
        assert_eq!(line.told(LogFormat::Human, "stock"), format!("[stock] {EVENT}\n"));
        let painted = Line::read("\u{1b}[2Jno\tscreen").told(LogFormat::Human, "w");
        assert_eq!(painted, "[w] \\u{1b}[2Jno\tscreen\n");
    }

    #[test]
    fn everything_else_is_text() {
        for text in ["a word", "{not json", r#"{"level":"WARN"}"#, r#"{"level":7,"fields":{}}"#, "{}", ""] {
            let line = Line::read(text);
            assert_eq!((line.level, line.to_string().as_str()), (None, text));
            let told = line.told(LogFormat::Json, "w");
            assert!(told.ends_with('\n') && told.lines().count() == 1);
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!((&told["fields"]["message"], &told["worker"]), (&json!(text), &json!("w")));
        }
    }
}
