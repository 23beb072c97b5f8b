//! The files of each kind of package, as they are written for the name `my-nodes`.

/// A path in the package, and what stands in it.
pub(super) type Template = (&'static str, &'static str);

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Nodes in Rust, with pictures, sounds, tensors, models and the GPU at hand.
    Crate,
    /// Nodes without code: ONNX models and WGSL shaders.
    Folder,
    /// A program in Python that speaks the protocol; it needs msgpack only.
    ProgramPython,
    /// A program in Rust that speaks the protocol; it builds in seconds.
    ProgramRust,
}

const RUST_IGNORED: &str = "/target\n";

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Crate => "a crate of nodes",
            Self::Folder => "a folder of nodes without code",
            Self::ProgramPython => "a program in Python",
            Self::ProgramRust => "a program in Rust",
        }
    }

    /// The library that it builds with.
    pub(super) fn sdk(self) -> Option<&'static str> {
        match self {
            Self::Crate => Some("millwork-worker"),
            Self::ProgramRust => Some("millwork-protocol"),
            Self::Folder | Self::ProgramPython => None,
        }
    }

    /// What to type in its folder.
    pub(super) fn next(self) -> [&'static str; 2] {
        const RUN: &str = "millwork run --package . my_nodes.Repeat text=ho times=3";
        match self {
            Self::Crate | Self::ProgramRust => ["cargo test --release && cargo build --release", RUN],
            Self::Folder => {
                ["millwork check .", "millwork run --package . my_nodes.Brighten photo=PICTURE factor=2 -o bright.png"]
            }
            Self::ProgramPython => ["pip install -r requirements.txt && python3 test_worker.py", RUN],
        }
    }

    pub(super) fn files(self) -> &'static [Template] {
        match self {
            Self::Crate => &[
                ("package.toml", include_str!("crate/package.toml")),
                ("Cargo.toml", include_str!("crate/Cargo.in.toml")),
                ("src/main.rs", include_str!("crate/main.rs")),
                ("src/lib.rs", include_str!("crate/lib.rs")),
                ("src/repeat.rs", include_str!("crate/repeat.rs")),
                ("README.md", include_str!("crate/README.md")),
                (".gitignore", RUST_IGNORED),
            ],
            Self::Folder => &[
                ("package.toml", include_str!("folder/package.toml")),
                ("brighten.wgsl", include_str!("folder/brighten.wgsl")),
                ("README.md", include_str!("folder/README.md")),
            ],
            Self::ProgramPython => &[
                ("package.toml", include_str!("program-python/package.toml")),
                ("worker.py", include_str!("program-python/worker.py")),
                ("bridge.py", include_str!("program-python/bridge.py")),
                ("test_worker.py", include_str!("program-python/test_worker.py")),
                ("requirements.txt", include_str!("program-python/requirements.txt")),
                ("README.md", include_str!("program-python/README.md")),
                (".gitignore", "__pycache__\n"),
            ],
            Self::ProgramRust => &[
                ("package.toml", include_str!("program-rust/package.toml")),
                ("Cargo.toml", include_str!("program-rust/Cargo.in.toml")),
                ("src/main.rs", include_str!("program-rust/main.rs")),
                ("src/bridge.rs", include_str!("program-rust/bridge.rs")),
                ("README.md", include_str!("program-rust/README.md")),
                (".gitignore", RUST_IGNORED),
            ],
        }
    }
}
