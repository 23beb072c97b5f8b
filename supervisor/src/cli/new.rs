//! `millwork new`: writes a package to start from. What a package may be is described in `docs/package-toml.md`.
//!
//! The templates are files in `new/`, of a package with the name `my-nodes`.

mod templates;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use templates::{Kind, Template};

use super::failure::{Failure, Outcome};
use super::out;

/// Writes a new package of nodes that builds, passes its tests and runs.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork new my-nodes
  millwork new my-nodes --kind folder")]
pub(crate) struct Args {
    /// The folder to make. Its last part is the package's name.
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// What the package is.
    #[arg(long, value_enum, default_value_t = Kind::Crate)]
    kind: Kind,
    /// A checkout of Millwork for a Rust package to build with. Without it the one that this program was built in, else what
    /// is published.
    #[arg(long, value_name = "PATH", env = "MILLWORK_SDK")]
    sdk: Option<PathBuf>,
}

/// Namespaces of the stock nodes.
const STOCK: [&str; 9] = ["audio", "control", "gpu", "image", "json", "onnx", "tensor", "test", "text"];
/// What cargo or rustc takes for something else.
const RUST: [&str; 60] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "millwork-protocol",
    "millwork-worker",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
];

pub(crate) fn run(args: &Args) -> Outcome {
    let name = checked_name(&args.path, args.kind)?;
    let sdk = args.kind.sdk().map(|library| Sdk::find(args.sdk.as_deref(), library)).transpose()?;
    let words = [
        ("my-nodes", name),
        ("my_nodes", &name.replace('-', "_")),
        ("SDK", &sdk.as_ref().map_or_else(String::new, Sdk::dependency)),
    ];
    fs::create_dir(&args.path).map_err(|error| cannot_make(&args.path, &error))?;
    let mut written = write_all(&args.path, args.kind.files(), &words)?;
    if let Some(lock) = sdk.as_ref().and_then(Sdk::lock) {
        // The versions that Millwork is tested with, and that are here already where it was built.
        write(&args.path, "Cargo.lock", &lock)?;
        written.push("Cargo.lock");
    }
    let mut text = format!("{}, {}:\n", args.path.display(), args.kind.words());
    written.iter().for_each(|file| text += &format!("  {file}\n"));
    if let Some(sdk) = &sdk {
        text += &format!("It builds with {sdk}.\n");
    }
    text += &format!("Next:\n  cd {}\n", shlex::try_quote(&args.path.to_string_lossy()).unwrap_or_default());
    args.kind.next().iter().for_each(|command| text += &format!("  {}\n", fill(command, &words)));
    out::line(&text)
}

/// The last part of the path, where it can be the name of a package of this kind.
fn checked_name(path: &Path, kind: Kind) -> Outcome<&str> {
    let given = path.file_name().unwrap_or_default();
    let name = given.to_str().unwrap_or_default();
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if !is_word {
        let lower: String =
            name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let better = lower.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        let better = if better.is_empty() { "my-nodes" } else { better };
        return Err(Failure::usage(format!("{given:?} is no name for a package"))
            .hint(format!("a name is made of a to z, digits, - and _, and begins with a letter, such as {better}")));
    }
    if STOCK.contains(&name) {
        return Err(Failure::usage(format!("{name} is a namespace of the stock nodes"))
            .hint(format!("choose another name, such as my-{name}")));
    }
    if kind.sdk().is_some() && RUST.contains(&name.replace('_', "-").as_str()) {
        return Err(Failure::usage(format!("a Rust crate cannot be called {name}"))
            .hint(format!("choose another name, such as {name}-nodes")));
    }
    Ok(name)
}

fn cannot_make(path: &Path, error: &std::io::Error) -> Failure {
    let what = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::usage(format!("{what} exists already")).hint("nothing was written; choose another name")
        }
        ErrorKind::NotFound => Failure::usage(format!("there is no folder to make {what} in"))
            .hint(format!("make it first: mkdir -p {}", path.parent().unwrap_or(path).display())),
        _ => Failure::failed(format!("cannot make {what}: {error}")),
    }
}

fn write_all(folder: &Path, files: &[Template], words: &[(&str, &str)]) -> Outcome<Vec<&'static str>> {
    files.iter().map(|(path, text)| write(folder, path, fill(text, words).as_bytes()).map(|()| *path)).collect()
}

/// Writes a file that is not there yet.
fn write(folder: &Path, path: &str, bytes: &[u8]) -> Outcome {
    let path = folder.join(path);
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::File::create_new(&path))
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

/// The text with each of the words replaced, and nothing replaced in what has come in their place.
fn fill(text: &str, words: &[(&str, &str)]) -> String {
    match words {
        [] => text.to_owned(),
        [(from, to), rest @ ..] => text.split(from).map(|part| fill(part, rest)).collect::<Vec<_>>().join(to),
    }
}

/// Where a crate finds the library that it builds with.
enum Sdk {
    /// In a checkout of Millwork.
    Checkout { root: PathBuf, folder: &'static str },
    /// Where crates are published.
    Published { library: &'static str },
}

impl Sdk {
    fn find(given: Option<&Path>, library: &'static str) -> Outcome<Self> {
        let folder = library.strip_prefix("millwork-").unwrap_or(library);
        let is_in = |root: &Path| {
            let manifest = fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap_or_default();
            manifest.lines().any(|line| line == format!("name = \"{library}\""))
        };
        if let Some(given) = given {
            let root = given.canonicalize().ok().filter(|root| is_in(root)).ok_or_else(|| {
                Failure::usage(format!("{} has no {folder}/Cargo.toml of {library}", given.display()))
                    .hint("--sdk takes a checkout of Millwork")
            })?;
            return Ok(Self::Checkout { root, folder });
        }
        let program = std::env::current_exe().ok();
        let found = program.as_deref().and_then(|program| program.ancestors().find(|root| is_in(root)));
        Ok(match found {
            Some(root) => Self::Checkout { root: root.to_owned(), folder },
            None => Self::Published { library },
        })
    }

    /// Where Cargo.toml says that the library is: keys of an inline table.
    fn dependency(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match self {
            // JSON's texts are TOML's.
            Self::Checkout { root, folder } => {
                let path = serde_json::Value::from(root.join(folder).to_string_lossy());
                format!("path = {path}, version = \"{version}\"")
            }
            Self::Published { .. } => format!("version = \"{version}\""),
        }
    }

    fn lock(&self) -> Option<Vec<u8>> {
        match self {
            Self::Checkout { root, .. } => fs::read(root.join("Cargo.lock")).ok(),
            Self::Published { .. } => None,
        }
    }
}

impl std::fmt::Display for Sdk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checkout { root, folder } => write!(f, "{}", root.join(folder).display()),
            Self::Published { library } => write!(f, "{library} {} from crates.io", env!("CARGO_PKG_VERSION")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    fn new(folder: &Path, name: &str, kind: Kind) -> Outcome {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
        run(&Args { path: folder.join(name), kind, sdk: root })
    }

    fn all_files(folder: &Path) -> Vec<(String, String)> {
        let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
        files
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| (entry.path().display().to_string(), fs::read_to_string(entry.path()).unwrap()))
            .collect()
    }

    #[test]
    fn no_trace_of_the_templates_is_left() {
        let folder = tempfile::tempdir().unwrap();
        for kind in Kind::value_variants() {
            let name = format!("acme-{}", all_files(folder.path()).len());
            new(folder.path(), &name, *kind).unwrap();
        }
        for (path, text) in all_files(folder.path()) {
            assert!(
                !text.contains("my-nodes") && !text.contains("my_nodes") && !text.contains("SDK"),
                "{path}: {text}"
            );
            if path.ends_with(".toml") {
                let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
                assert_eq!(table["package"]["version"].as_str(), Some("0.1.0"), "{path}");
            }
        }
    }

    #[test]
    fn a_name_may_contain_that_of_the_templates() {
        let words = [("my-nodes", "my_nodes-my-nodes"), ("my_nodes", "my_nodes_my_nodes")];
        assert_eq!(fill("my-nodes = my_nodes.X", &words), "my_nodes-my-nodes = my_nodes_my_nodes.X");
    }

    #[test]
    fn the_templates_ask_for_this_version() {
        let asked = format!("millwork = \">={}\"", env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0);
        for kind in Kind::value_variants() {
            let (_, manifest) = kind.files().iter().find(|(path, _)| *path == "package.toml").unwrap();
            assert!(manifest.contains(&asked), "{kind:?}: {asked}");
        }
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("acme")).unwrap();
        let failure = new(folder.path(), "acme", Kind::Folder).unwrap_err();
        assert!(failure.message().ends_with("acme exists already"), "{failure:?}");
        assert_eq!(all_files(folder.path()), []);
        let failure = new(folder.path(), "not/there/acme", Kind::Folder).unwrap_err();
        assert!(failure.message().contains("no folder to make"), "{failure:?}");
    }

    #[test]
    fn names_are_checked() {
        for (name, kind, hint) in [
            ("Acme", Kind::Folder, "such as acme"),
            ("2 nodes", Kind::Folder, "such as nodes"),
            ("ä", Kind::Folder, "such as my-nodes"),
            ("image", Kind::Folder, "my-image"),
            ("core", Kind::Crate, "core-nodes"),
            ("millwork_worker", Kind::ProgramRust, "millwork_worker-nodes"),
        ] {
            let failure = checked_name(Path::new(name), kind).unwrap_err();
            assert!(format!("{failure:?}").contains(hint), "{failure:?}");
        }
        assert_eq!(checked_name(Path::new("some/where/core-nodes"), Kind::Crate).unwrap(), "core-nodes");
        assert_eq!(checked_name(Path::new("core"), Kind::Folder).unwrap(), "core");
    }

    #[test]
    fn a_checkout_is_one_or_an_error() {
        let failure = Sdk::find(Some(Path::new("/")), "millwork-worker").err().unwrap();
        assert!(failure.message().contains("worker/Cargo.toml"), "{failure:?}");
        assert_eq!(
            Sdk::Published { library: "millwork-worker" }.dependency(),
            format!("version = {:?}", env!("CARGO_PKG_VERSION"))
        );
    }

    #[test]
    fn the_example_in_the_docs_is_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        new(folder.path(), "acme", Kind::ProgramPython).unwrap();
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/python_package");
        for (path, text) in all_files(&folder.path().join("acme")) {
            let name = Path::new(&path).file_name().unwrap();
            let there = fs::read_to_string(docs.join(name)).unwrap_or_default();
            assert_eq!(
                there, text,
                "docs/examples/python_package: make it again with `millwork new acme --kind program-python`"
            );
        }
    }
}
