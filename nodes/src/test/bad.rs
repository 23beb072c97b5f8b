//! Test nodes that misbehave: they hang, fail, panic, die, eat memory, or print where they must not.
#![allow(unsafe_code, clippy::panic, clippy::print_stdout, reason = "misbehaving is what these nodes are for")]

use std::io::Write;
use std::time::{Duration, Instant};

use millwork_worker::prelude::*;

/// Keeps a core busy and ignores cancellation.
#[derive(Node)]
#[node("test.Spin")]
pub(super) struct Spin {
    /// How long, in milliseconds; 0 is for ever.
    #[node(default = 1000.0, min = 0.0)]
    ms: f64,
}

impl Run for Spin {
    type Output = f64;

    fn run(self, ctx: &Context) -> Result<f64> {
        // Who waits for this knows that a thread is stuck from now on.
        ctx.progress(0.0, 1.0);
        let start = Instant::now();
        let limit = Duration::try_from_secs_f64(self.ms / 1000.0).unwrap_or(Duration::MAX);
        while self.ms == 0.0 || start.elapsed() < limit {
            std::hint::spin_loop();
        }
        Ok(self.ms)
    }
}

/// Fails.
#[derive(Node)]
#[node("test.Fail")]
pub(super) struct Fail {
    /// The error's text.
    #[node(default = "failed on purpose")]
    message: String,
    /// Its kind.
    #[node(default = "failed")]
    kind: String,
}

impl Run for Fail {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        Err(Error::new(ErrorKind::from(self.kind.as_str()), self.message))
    }
}

/// Panics.
#[derive(Node)]
#[node("test.Panic")]
pub(super) struct Panic {
    /// What it says.
    #[node(default = "panicked on purpose")]
    message: String,
}

impl Run for Panic {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        panic!("{}", self.message)
    }
}

/// Ends the worker's process.
#[derive(Node)]
#[node("test.Abort")]
pub(super) struct Abort {
    /// By this signal (6 is SIGABRT, 9 SIGKILL, 11 SIGSEGV).
    signal: Option<i32>,
    /// Or with this exit code.
    exit_code: Option<i32>,
}

impl Run for Abort {
    type Output = Value;

    fn run(self, _: &Context) -> Result<Value> {
        if let Some(code) = self.exit_code {
            std::process::exit(code);
        }
        let signal = self.signal.unwrap_or(nix::libc::SIGABRT);
        // SAFETY: both calls touch no memory of ours; what they do to this process is the point. Rust's own handler of
        // SIGSEGV would swallow the first one.
        let failed = unsafe {
            nix::libc::signal(signal, nix::libc::SIG_DFL);
            nix::libc::kill(nix::libc::getpid(), signal) != 0
        };
        if failed {
            return Err(Error::invalid(format!("field `signal`: {signal} is no signal")));
        }
        // A signal sent to the process may reach another thread first.
        std::thread::sleep(Duration::from_secs(60));
        Err(Error::failed(format!("signal {signal} did not end the process")))
    }
}

/// Takes memory, touches it, and gives it back.
#[derive(Node)]
#[node("test.Alloc")]
pub(super) struct Alloc {
    /// How much, in MiB.
    #[node(default = 64, max = 1_048_576)]
    mb: usize,
}

impl Run for Alloc {
    type Output = usize;

    fn run(self, cx: &Context) -> Result<usize> {
        let mut blocks = Vec::new();
        for _ in 0..self.mb {
            cx.check()?;
            blocks.push(std::hint::black_box(vec![1u8; 1 << 20]));
        }
        Ok(blocks.len())
    }
}

/// How [`StdoutNoise`] prints.
#[derive(Clone, Copy, Choice)]
pub(super) enum Via {
    Rust,
    Libc,
    Child,
}

/// Prints to standard output, which is the host's pipe if nobody guards it.
#[derive(Node)]
#[node("test.StdoutNoise")]
pub(super) struct StdoutNoise {
    /// What it prints.
    #[node(default = "noise on stdout")]
    text: String,
    /// How: `println!`, the C library's write, or a child process that inherits descriptor 1.
    #[node(default = Via::Rust)]
    via: Via,
}

impl Run for StdoutNoise {
    type Output = String;

    fn run(self, _: &Context) -> Result<String> {
        match self.via {
            Via::Rust => {
                println!("{}", self.text);
                std::io::stdout().flush()?;
            }
            Via::Libc => {
                let line = format!("{}\n", self.text);
                // SAFETY: the pointer and the length are those of a living buffer.
                unsafe { nix::libc::write(1, line.as_ptr().cast(), line.len()) };
            }
            Via::Child => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a node that starts a child on its own is what is tested"
                )]
                let status = std::process::Command::new("printf").arg("%s\\n").arg(&self.text).status()?;
                if !status.success() {
                    return Err(Error::failed(format!("printf ended with {status}")));
                }
            }
        }
        Ok(self.text)
    }
}

/// Starts a child process that outlives the request, as a careless library does, and gives its process id.
#[derive(Node)]
#[node("test.Child")]
pub(super) struct Child {
    /// How long the child lives, in seconds.
    #[node(default = 60)]
    seconds: u32,
}

impl Run for Child {
    type Output = u32;

    fn run(self, _: &Context) -> Result<u32> {
        #[expect(clippy::disallowed_methods, reason = "a node that leaves a child behind is what is tested")]
        let child = std::process::Command::new("sleep").arg(self.seconds.to_string()).spawn()?;
        Ok(child.id())
    }
}

#[cfg(test)]
mod tests {
    use millwork_worker::testing::NodeTest;

    use super::*;

    #[test]
    fn failures_have_the_kind_that_is_asked_for() {
        let error = NodeTest::new::<Fail>().field("kind", "unavailable").field("message", "no").run().unwrap_err();
        assert_eq!((error.kind(), error.message()), (&ErrorKind::Unavailable, "no"));
    }

    #[test]
    fn spin_ends_when_it_has_a_limit() {
        assert_eq!(NodeTest::new::<Spin>().field("ms", 1.0).run().unwrap().outputs["output"], Value::Float(1.0));
    }
}
