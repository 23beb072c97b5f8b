//! A worker's stderr: always read, so that it never blocks; bounded in line length and in what is kept.

use std::io::{self, Read};
use std::process::ChildStderr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use millwork_protocol::READY_LINE;
use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc;

use super::log::Line;
use super::{Log, Notice, Secrets};

/// Longer lines are passed on in pieces.
const MAX_LINE: usize = 16 << 10;
/// So much of the end is kept for errors.
const TAIL: usize = 8 << 10;
const STACK: usize = 256 << 10;

/// The end of what a worker has said.
#[derive(Debug, Default)]
pub(super) struct Tail {
    state: Mutex<(Vec<u8>, bool)>,
    ended: Condvar,
}

impl Tail {
    fn add(&self, bytes: &[u8]) {
        let kept = &mut self.state.lock().0;
        kept.extend_from_slice(bytes);
        if kept.len() > 2 * TAIL {
            kept.drain(..kept.len() - TAIL);
        }
    }

    fn end(&self) {
        self.state.lock().1 = true;
        self.ended.notify_all();
    }

    /// The text, complete where the stream ends within `patience`: something else may hold the pipe open.
    pub(super) fn take(&self, patience: Duration) -> String {
        let until = Instant::now() + patience;
        let mut state = self.state.lock();
        while !state.1 && !self.ended.wait_until(&mut state, until).timed_out() {}
        let from = state.0.len().saturating_sub(TAIL);
        String::from_utf8_lossy(state.0.get(from..).unwrap_or_default()).into_owned()
    }
}

/// Who hears what a worker says.
pub(super) struct Ears {
    pub(super) worker: usize,
    pub(super) run: u32,
    pub(super) name: String,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) log: Log,
    pub(super) secrets: Secrets,
}

impl Ears {
    fn hear(&self, line: &[u8], end: &[u8], kept: &Tail) {
        let line = self.secrets.redact(line);
        let text = String::from_utf8_lossy(&line);
        let line = Line::read(&text);
        kept.add(line.to_string().as_bytes());
        kept.add(end);
        self.log.worker(&self.name, &line);
    }
}

/// Reads the stream to its end on a thread of its own.
pub(super) fn drain(mut stream: ChildStderr, ears: Ears) -> io::Result<Arc<Tail>> {
    let tail = Arc::new(Tail::default());
    let kept = tail.clone();
    thread::Builder::new().name("stderr".to_owned()).stack_size(STACK).spawn(move || {
        let mut lines = Lines::default();
        let mut buffer = vec![0; MAX_LINE];
        let mut is_ready = false;
        loop {
            let read = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let cut = |line: &[u8]| ears.secrets.cut(line);
            lines.feed(buffer.get(..read).unwrap_or_default(), cut, |line| {
                // The first counts; any other is a line as all are.
                if !is_ready && line.trim_ascii() == READY_LINE.as_bytes() {
                    is_ready = true;
                    let _ = ears.notices.send(Notice::Ready { worker: ears.worker, run: ears.run });
                } else {
                    ears.hear(line, b"\n", &kept);
                }
            });
        }
        lines.end(|line| ears.hear(line, b"", &kept));
        kept.end();
    })?;
    Ok(tail)
}

/// Cuts bytes into lines of at most [`MAX_LINE`].
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// `cut` says where a line that is too long may be cut: half a secret would not be found.
    fn feed(&mut self, bytes: &[u8], cut: impl Fn(&[u8]) -> usize, mut line: impl FnMut(&[u8])) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(mut piece) = pieces.next() {
            while let Some((part, more)) = piece.split_at_checked(MAX_LINE - self.rest.len()) {
                self.rest.extend_from_slice(part);
                // One secret that is longer than a line is cut all the same.
                let at = Some(cut(&self.rest)).filter(|at| *at > 0).unwrap_or(MAX_LINE);
                let next = self.rest.split_off(at);
                line(&std::mem::replace(&mut self.rest, next));
                piece = more;
            }
            self.rest.extend_from_slice(piece);
            if pieces.peek().is_some() {
                line(self.rest.strip_suffix(b"\r").unwrap_or(&self.rest));
                self.rest.clear();
            }
        }
    }

    fn end(self, line: impl FnOnce(&[u8])) {
        if !self.rest.is_empty() {
            line(&self.rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        chunks.iter().for_each(|chunk| lines.feed(chunk, <[u8]>::len, |line| out.push(line.to_vec())));
        lines.end(|line| out.push(line.to_vec()));
        out
    }

    #[test]
    fn lines_come_whole_and_bounded() {
        assert_eq!(lines(&[b"a\r\nb", b"c\n\nd"]), [b"a".to_vec(), b"bc".to_vec(), vec![], b"d".to_vec()]);
        let long = lines(&[&vec![b'x'; 40_000], b"\nend"]);
        assert!(long.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(long.iter().map(Vec::len).sum::<usize>(), 40_003);
        assert_eq!(long.last().unwrap(), b"end");
    }

    #[test]
    fn no_cut_goes_through_a_secret() {
        const SECRET: &str = "hunter2-and-then-some";
        let secrets = Secrets::default();
        secrets.learn(SECRET);
        for before in MAX_LINE - SECRET.len() - 1..=MAX_LINE + 1 {
            let said = format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(MAX_LINE));
            let (mut lines, mut told) = (Lines::default(), Vec::new());
            let mut hear = |line: &[u8]| {
                assert!(line.len() <= MAX_LINE);
                told.extend_from_slice(&secrets.redact(line));
            };
            said.as_bytes().chunks(1000).for_each(|part| lines.feed(part, |cut| secrets.cut(cut), &mut hear));
            lines.end(&mut hear);
            assert_eq!(told, said.replace(SECRET, "***").as_bytes(), "{before} bytes before it");
        }
    }

    #[test]
    fn only_the_tail_is_kept() {
        let tail = Tail::default();
        (0..100).for_each(|_| tail.add(&[b'a'; 1000]));
        tail.add(b"last words");
        tail.end();
        let text = tail.take(Duration::from_secs(60));
        assert!(text.len() == TAIL && text.ends_with("last words"));
    }
}
