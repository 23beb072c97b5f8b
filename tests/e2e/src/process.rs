//! Starting a program with everything around it under control: folder, configuration, mark. The one module that may.
#![allow(clippy::disallowed_methods, reason = "tests start the programs that they are about")]

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::descendants::MARK;
use crate::peer::Peer;

/// Where the programs are, if not beside the tests.
pub const BIN_DIR: &str = "MILLWORK_BIN_DIR";

/// The programs that answer to a host, with the nodes that are for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `millwork-worker --stdio --test-nodes`.
    Worker,
    /// `millwork serve --stdio --test-nodes`.
    Supervisor,
}

impl Program {
    /// Both: a host cannot tell them apart, so most tests are about both.
    pub const BOTH: [Self; 2] = [Self::Worker, Self::Supervisor];

    /// Itself with its arguments.
    #[must_use]
    pub fn launch(self) -> Launch {
        match self {
            Self::Worker => Launch::of("millwork-worker").args(["--stdio", "--test-nodes"]),
            Self::Supervisor => Launch::of("millwork").args(["serve", "--stdio", "--test-nodes"]),
        }
    }

    /// Starts it and waits until it is ready.
    #[must_use]
    pub fn start(self) -> Peer {
        eprintln!("with {self:?}:");
        self.launch().start().ready()
    }
}

/// The path of one of our programs.
///
/// # Panics
/// Where it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os(BIN_DIR).map_or_else(beside_the_tests, PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build --workspace --bins` first, or set {BIN_DIR}",
        path.display()
    );
    path
}

/// Test executables are in `target/PROFILE/deps`.
fn beside_the_tests() -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its path");
    let folder = this.parent().expect("it is in a folder");
    let up = if folder.ends_with("deps") { folder.parent().expect("deps is in a folder") } else { folder };
    up.to_owned()
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// Starts a worker behind one that passes its frames on, with its stderr shown.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn start_behind_shim(command: &[OsString]) -> Child {
    let (program, arguments) = command.split_first().expect("a command has a program");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// A program to be started.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    mark: String,
    folder: TempDir,
    sockets: bool,
}

impl Launch {
    /// One of our programs without arguments.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self::path(&binary(name))
    }

    /// Any program. It gets a folder of its own to work in, and none of the user's configuration.
    ///
    /// # Panics
    /// Where no folder can be made.
    #[must_use]
    pub fn path(path: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = || format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().expect("a folder can be made");
        // The host that tests kill has a mark already, and passes it on.
        let mark = std::env::var(MARK).unwrap_or_else(|_| own());
        let mut command = Command::new(path);
        command.current_dir(folder.path()).env(MARK, &mark).env("XDG_CONFIG_HOME", folder.path());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("NODETOOL_") || (text.starts_with("MILLWORK_") && text != MARK && text != BIN_DIR) {
                command.env_remove(&name);
            }
        }
        if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            command.env("XDG_RUNTIME_DIR", folder.path());
        }
        Self { command, mark, folder, sockets: false }
    }

    /// With an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.arg(arg.into());
        self
    }

    /// With arguments.
    #[must_use]
    pub fn args(self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// With a file in its folder.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("the file can be written");
        self
    }

    /// With sockets for stdin and stdout, as hosts on Node and Electron have them, in the place of pipes.
    #[must_use]
    pub fn sockets(mut self) -> Self {
        self.sockets = true;
        self
    }

    /// The folder that it will work in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The mark that it and its descendants carry.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Starts it on three pipes, to be talked to in frames.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(mut self) -> Peer {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let pair = || UnixStream::pair().expect("the system has sockets");
        let pairs = self.sockets.then(|| (pair(), pair()));
        let ours = pairs.map(|((input, its_input), (output, its_output))| {
            self.command.stdin(OwnedFd::from(its_input)).stdout(OwnedFd::from(its_output));
            (OwnedFd::from(input), OwnedFd::from(output))
        });
        let mut child = self.spawn();
        if let Some((input, output)) = ours {
            (child.stdin, child.stdout) = (Some(input.into()), Some(output.into()));
        }
        Peer::new(child, self.mark, self.folder)
    }

    /// Starts it on three pipes, in the caller's hands.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_piped(mut self) -> (Child, TempDir) {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.spawn();
        (child, self.folder)
    }

    /// Runs it to its end without input.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn run(mut self) -> Output {
        self.command.stdin(Stdio::null()).output().expect("the program starts")
    }

    /// Starts it with its stdout on a pipe and its stderr shown; ending it is the caller's business.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_plain(mut self) -> (Child, TempDir) {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = self.spawn();
        (child, self.folder)
    }

    fn spawn(&mut self) -> Child {
        match self.command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{:?} does not start: {error}", self.command),
        }
    }
}
