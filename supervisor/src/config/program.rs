//! `[program]` of a package.toml as a worker's settings, and what of it cannot be used. Starting it is not done here.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millwork_package::{Kind, MANIFEST, Manifest, Problem, Program, nearest};
use serde::Deserialize;
use toml::{Table, Value};

use super::keys::WORKER_KEYS;
use super::{PackageSource, WorkerConfig};

/// Keys of a worker that are not the package's to say: it is called as the manifest says, starts in its folder, and what it is an
/// alternative to is known where it is used.
const NOT_ITS_OWN: [&str; 4] = ["name", "command", "cwd", "pool"];

/// The worker that a program is.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn worker(
    manifest: &Manifest,
    program: &Program,
    source: PackageSource,
) -> Result<WorkerConfig, Vec<Problem>> {
    let name = &manifest.head.name;
    let mut problems = Vec::new();
    for (key, value) in &program.settings {
        let problem =
            |kind, text: String| Problem::new(kind, text).of(name).at(MANIFEST, program.places.get(key).copied());
        let known = WORKER_KEYS.into_iter().filter(|known| !NOT_ITS_OWN.contains(known));
        if !known.clone().any(|known| known == key) {
            let unknown = problem(Kind::UnknownKey, format!("unknown key `{key}` in [program]"));
            let meant = nearest(key, known.chain(["command", "build"])).map(|known| format!("did you mean `{known}`?"));
            problems.push(match meant {
                Some(hint) => unknown.hint(hint),
                None => unknown,
            });
        } else if let Err(text) = read([(key.clone(), value.clone())].into_iter().collect()) {
            problems.push(problem(Kind::WrongType, format!("`{key}`: {text}")));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let at_command = |kind, text: String| vec![Problem::new(kind, text).of(name).at(MANIFEST, Some(program.place))];
    let mut worker = read(program.settings.clone()).map_err(|text| at_command(Kind::InvalidValue, text))?;
    let inside = |path: &PathBuf| manifest.folder.join(path);
    worker.sandbox_read = worker.sandbox_read.iter().map(inside).collect();
    worker.sandbox_write = worker.sandbox_write.iter().map(inside).collect();
    if let Some(text) = worker.problem().or_else(|| worker.containment_problem()) {
        return Err(at_command(Kind::InvalidValue, text));
    }
    let (first, arguments) = program.command.split_first().unwrap_or((name, &[]));
    let Some(path) = find(first, &manifest.folder, worker.env.get("PATH")) else {
        let hint = match &program.build {
            Some(build) => format!("try `{build}`"),
            None if first.contains('/') => "`command` is relative to the folder of package.toml".to_owned(),
            None => format!("install {first}, or name it with its path"),
        };
        let text = format!("there is no program `{first}`");
        let missing = at_command(Kind::ProgramNotFound, text).into_iter();
        return Err(missing.map(|problem| problem.hint(hint.clone())).collect());
    };
    if let Some((text, hint)) = first.contains('/').then(|| obstacle(first, Path::new(&path))).flatten() {
        let refused = at_command(Kind::SpawnFailed, text).into_iter();
        return Err(refused.map(|problem| problem.hint(hint.clone())).collect());
    }
    if !worker.env_allow.is_empty() {
        worker.env_allow.extend(manifest.head.settings.iter().cloned());
    }
    worker.name.clone_from(name);
    worker.command = std::iter::once(path).chain(arguments.iter().cloned()).collect();
    worker.cwd = Some(manifest.folder.clone());
    worker.package = Some(Arc::new(source));
    Ok(worker)
}

/// Settings as a worker's, which needs a name and a command.
fn read(mut settings: Table) -> Result<WorkerConfig, String> {
    settings.insert("name".to_owned(), "program".into());
    settings.insert("command".to_owned(), Value::Array(vec!["program".into()]));
    WorkerConfig::deserialize(settings).map_err(|error| error.message().to_owned())
}

/// The program: in the package's folder where there is a `/` in its name, else somewhere in `PATH`, where it keeps its name.
fn find(program: &str, folder: &Path, path: Option<&String>) -> Option<String> {
    if program.contains('/') {
        let whole = folder.join(program);
        return whole.is_file().then(|| whole.to_string_lossy().into_owned());
    }
    let path = path.map(Into::into).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(program).is_file()).then(|| program.to_owned())
}

/// Why the system would not start a file that is there, and what helps: as far as that can be told without trying.
fn obstacle(program: &str, path: &Path) -> Option<(String, String)> {
    if path.metadata().is_ok_and(|about| about.permissions().mode() & 0o111 == 0) {
        return Some((format!("`{program}` is not executable"), format!("chmod +x {program}")));
    }
    let mut first = [0; 256];
    let read = File::open(path).and_then(|mut file| file.read(&mut first)).ok()?;
    let line = first[..read].strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let interpreter =
        line.split_whitespace().next().filter(|path| path.starts_with('/') && !Path::new(path).exists())?;
    let text = format!("`{program}` is for {interpreter}, and that is not there");
    Some((text, format!("install it, or change the first line of {program}")))
}
