//! What the compiler says of nodes: the files of `compile_fail/` are mistakes, each beside what it must say; the Rust of
//! `docs/node-packages.md` is none.
//!
//! `trybuild` does the same, and for it builds this crate with all that it needs once more. Here the files are compiled
//! against the build that this test belongs to. `BLESS=1` writes down what the compiler says of mistakes now.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::{env, fs, thread};

#[test]
fn mistakes_are_told_with_the_field_and_the_fix() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(files.len() > 5, "they are in {}", folder.display());
    let wrong: Vec<String> = thread::scope(|scope| {
        let compiled: Vec<_> = files.iter().map(|file| scope.spawn(|| check(file))).collect();
        compiled.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_page_shows_compiles() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/node-packages.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> =
        page.split("\n```rust\n").skip(1).filter_map(|block| block.split("\n```\n").next()).collect();
    assert!(blocks.len() > 5);
    let folder = tempfile::tempdir().unwrap();
    for (number, block) in blocks.into_iter().enumerate() {
        // As tests, with their own and without a `main`.
        let file = folder.path().join(format!("block{number}.rs"));
        fs::write(&file, block).unwrap();
        let said = compile(&file, &["--test"]);
        assert!(!said.contains("error"), "{said}");
    }
}

/// Compiles one file and compares what is said with what should be.
fn check(file: &Path) -> Result<(), String> {
    let said = errors(&compile(file, &[]));
    let stderr = file.with_extension("stderr");
    if env::var_os("BLESS").is_some() {
        fs::write(&stderr, &said).unwrap();
    }
    let expected = fs::read_to_string(&stderr).unwrap_or_default();
    if !said.is_empty() && said == expected {
        return Ok(());
    }
    let name = file.file_name().unwrap_or_default().display();
    Err(format!("== {name} should say\n{expected}\n== and says\n{said}\n== BLESS=1 takes that over"))
}

/// What the compiler says of a file.
fn compile(file: &Path, arguments: &[&str]) -> String {
    let deps = env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let metadata = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a compiler in a test, and nothing that a worker starts")]
    let mut rustc = std::process::Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let output = rustc
        .current_dir(file.parent().unwrap())
        .args(["--edition=2024", "--emit=metadata", "--cap-lints=allow", "--color=never", "--out-dir"])
        .arg(metadata.path())
        .args(arguments)
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("millwork_worker={}", library(&deps).display()))
        .arg(file.file_name().unwrap())
        .output()
        .expect("rustc is there, it compiled this");
    String::from_utf8(output.stderr).unwrap()
}

/// The library that was built last: the one that this test was linked with, or the same in another selection of features.
fn library(deps: &Path) -> PathBuf {
    let entries = fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libmillwork_worker-") && name.ends_with(".rlib")
    };
    let built = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).unwrap();
    entries.filter(is_library).max_by_key(built).expect("the library is beside its tests")
}

/// The errors, each with its place, its label and its notes. What the compiler adds of its own, such as all types that
/// implement a trait, changes with its versions.
fn errors(stderr: &str) -> String {
    let mut said = String::new();
    for paragraph in stderr.split("\n\n") {
        let is_last = paragraph.starts_with("error: aborting") || paragraph.starts_with("Some errors");
        if !paragraph.starts_with("error") || is_last {
            continue;
        }
        let mut keeps = true;
        for line in paragraph.lines() {
            let is_own = |line: &str| line.starts_with("= help") || line.starts_with("= note: this error originates");
            match line.trim_start() {
                _ if line.starts_with("note: ") || line.starts_with("help: ") => keeps = false,
                own if is_own(own) => keeps = false,
                other if other.starts_with("= note: ") => keeps = true,
                _ => {}
            }
            if keeps {
                said.push_str(line.trim_end());
                said.push('\n');
            }
        }
        said.push('\n');
    }
    said
}
