//! `millwork inspect`: starts the worker in the host's place, passes bytes on as they are, and shows what they say.

use std::fs::File;
use std::io::{self, LineWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use millwork_protocol::Limits;
use millwork_protocol::limits::MAX_FRAME_ENV;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::recording::Recorder;
use super::redact::{Redactor, Shown};
use super::tap::{Outlet, Seen, Side, Sight, Tap};
use super::trace::Trace;
use super::{LookError, show};
use crate::pipes;

/// How long the end of a dead worker's stdout may take: something else may hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);
const CHUNK: usize = 256 << 10;

/// Shows what a host and a worker say to each other.
///
/// Put it before the worker's command in the host's configuration. Every byte passes through unchanged and waits for no
/// showing: that is another thread's work. Frames are shown on stderr, beside the worker's own log; secrets are never shown or recorded.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork inspect -- python -m nodetool.worker --stdio
  millwork inspect --filter execute --filter r7 --full -- ./worker
  millwork inspect --quiet --record session.jsonl --chrome-trace trace.json -- ./worker")]
pub struct Args {
    /// Shows the whole data of each frame, not only its beginning.
    #[arg(long)]
    full: bool,
    /// Shows only frames of this type, or of this request id; may be given again for more.
    #[arg(long, value_name = "TYPE|ID")]
    filter: Vec<String>,
    /// Shows nothing; for recording alone.
    #[arg(long, short)]
    quiet: bool,
    /// Writes the session to a file that `millwork replay` reads.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Has blobs shown and recorded as their SHA-256 alone. Such a recording is small, and can only be read.
    #[arg(long)]
    hash_blobs: bool,
    /// Writes a timeline that Perfetto and chrome://tracing open.
    #[arg(long, value_name = "FILE")]
    chrome_trace: Option<PathBuf>,
    /// The worker and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command until the worker has ended; its exit status.
///
/// # Errors
/// [`LookError`], where the worker does not start or a file cannot be written.
pub fn run(args: &Args) -> Result<u8, LookError> {
    // Before there is a worker that would have to be ended again.
    let viewer = Viewer::new(args)?;
    // Hosts end workers with SIGTERM: the worker gets it, and ends this process by its own end.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    let mut child = start(&args.command)?;
    signals.thread_block().map_err(io::Error::from)?;
    let (stdin, stdout) = pipes::take()?;
    let (sights, seen) = channel();
    let outlet = Outlet { start: Instant::now(), sights, waiting: Arc::default() };
    let waiting = outlet.waiting.clone();
    let viewer = spawn("viewer", move || viewer.view(&seen, &waiting))?;
    let max_frame = Limits::from_values(std::env::var(MAX_FRAME_ENV).ok().as_deref(), None).max_frame;
    let done = start_pumps(&mut child, stdin, stdout, &outlet, max_frame)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    spawn("signals", move || {
        while signals.wait() == Ok(Signal::SIGTERM) {
            // It may have ended just now.
            let _ = kill(pid, Signal::SIGTERM);
        }
    })?;
    let status = child.wait()?;
    let _ = done.recv_timeout(LAST_WORDS);
    outlet.send(Side::Worker, Sight::Over);
    if let Ok(seen) = viewer.join() {
        seen?;
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(u8::try_from(code).unwrap_or(1))
}

#[allow(clippy::disallowed_methods, reason = "it starts the worker in the host's place; the host ends it")]
fn start(command: &[String]) -> Result<Child, LookError> {
    let (program, arguments) = command.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|source| LookError::NotStarted { command: program.to_owned(), source })
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Starts both directions. A message comes when the worker's has ended.
fn start_pumps(
    child: &mut Child,
    stdin: File,
    stdout: File,
    outlet: &Outlet,
    max_frame: usize,
) -> io::Result<Receiver<()>> {
    let (done, is_done) = channel();
    let (Some(to_worker), Some(from_worker)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the worker has no pipes"));
    };
    let tap = Tap::new(Side::Host, outlet.clone(), max_frame);
    spawn("host to worker", move || pump(stdin, to_worker, tap))?;
    let tap = Tap::new(Side::Worker, outlet.clone(), max_frame);
    spawn("worker to host", move || {
        pump(from_worker, stdout, tap);
        let _ = done.send(());
    })?;
    Ok(is_done)
}

/// Passes bytes on until either side closes; then both ends of this direction are closed.
fn pump(mut from: impl Read, mut to: impl Write, mut tap: Tap) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        // Taken note of first, so that no answer is seen before its question; looking at it is another thread's.
        tap.feed(bytes);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    drop((from, to));
    tap.end();
}

/// Does everything with frames that takes time.
struct Viewer {
    redactor: Redactor,
    recorder: Option<(PathBuf, Recorder<LineWriter<File>>)>,
    trace: Option<(PathBuf, Trace<LineWriter<File>>)>,
    filter: Vec<String>,
    full: bool,
    quiet: bool,
}

impl Viewer {
    fn new(args: &Args) -> Result<Self, LookError> {
        let create = |path: &Path| File::create(path).map(LineWriter::new);
        let recorder = args.record.as_deref().map(|path| {
            let recorder = create(path).and_then(|file| Recorder::new(file, &args.command, args.hash_blobs));
            in_file(path, recorder).map(|recorder| (path.to_owned(), recorder))
        });
        let trace = args
            .chrome_trace
            .as_deref()
            .map(|path| in_file(path, create(path).and_then(Trace::new)).map(|trace| (path.to_owned(), trace)));
        Ok(Self {
            redactor: Redactor::new(args.hash_blobs),
            recorder: recorder.transpose()?,
            trace: trace.transpose()?,
            filter: args.filter.clone(),
            full: args.full,
            quiet: args.quiet,
        })
    }

    fn view(mut self, seen: &Receiver<Seen>, waiting: &std::sync::atomic::AtomicUsize) -> Result<(), LookError> {
        for Seen { at, from, sight } in seen {
            match sight {
                Sight::Frame(payload) => {
                    let shown = self.redactor.frame(&payload);
                    self.frame(at, from, &shown)?;
                    waiting.fetch_sub(payload.len(), std::sync::atomic::Ordering::Relaxed);
                }
                Sight::Stray(claimed, head) => {
                    let text = String::from_utf8_lossy(&head).into_owned();
                    let text = format!("no frame: {text:?} (as a length {claimed} bytes); what follows is not shown");
                    self.note(at, from, &text)?;
                }
                Sight::Missed(frames) => {
                    self.note(at, from, &format!("{frames} frames not shown: too many at once"))?
                }
                Sight::End(0) => self.note(at, from, "end of the stream")?,
                Sight::End(torn) => {
                    self.note(at, from, &format!("end of the stream inside a frame, of which {torn} bytes came"))?;
                }
                Sight::Over => break,
            }
        }
        if let Some((path, recorder)) = self.recorder {
            in_file(&path, recorder.end())?;
        }
        if let Some((path, trace)) = self.trace {
            in_file(&path, trace.end())?;
        }
        Ok(())
    }

    fn frame(&mut self, at: Duration, from: Side, shown: &Shown) -> Result<(), LookError> {
        if let Some((path, recorder)) = &mut self.recorder {
            in_file(path, recorder.frame(at, from, shown))?;
        }
        if let Some((path, trace)) = &mut self.trace {
            in_file(path, trace.frame(at, from, shown))?;
        }
        let is_wanted = |wanted: &String| *wanted == shown.kind || shown.id.as_ref() == Some(wanted);
        if !self.quiet && (self.filter.is_empty() || self.filter.iter().any(is_wanted)) {
            eprintln!("{}", show::frame(at, from, shown, self.full));
        }
        Ok(())
    }

    fn note(&mut self, at: Duration, from: Side, text: &str) -> Result<(), LookError> {
        if let Some((path, recorder)) = &mut self.recorder {
            in_file(path, recorder.note(at, from, text))?;
        }
        if !self.quiet {
            eprintln!("{}", show::note(at, from, text));
        }
        Ok(())
    }
}

fn in_file<T>(path: &Path, result: io::Result<T>) -> Result<T, LookError> {
    result.map_err(|source| LookError::Unwritable { path: path.to_owned(), source })
}
