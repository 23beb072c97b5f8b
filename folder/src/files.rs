//! The files of a package: inside its folder, links included, and no larger than they may be.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use millwork_package::{Kind, Problem, nearest};

/// The longest text file: labels, vocabularies, shaders, tokenizers.
const LONGEST_TEXT: u64 = 64 << 20;

/// A package's folder.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    pub(crate) fn new(folder: &Path) -> Result<Self, Problem> {
        let root = folder.canonicalize();
        let root = root.map_err(|e| Problem::new(Kind::UnreadableFile, format!("{}: {e}", folder.display())))?;
        Ok(Self { root })
    }

    /// The whole path of a file.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, Problem> {
        let outside = || {
            let problem = Problem::new(Kind::OutsideFolder, format!("{name} leads out of the package's folder"));
            problem.hint("put the file into the package")
        };
        let relative = Path::new(name);
        if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let whole = self.root.join(relative);
        let path = whole.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if whole.is_symlink() => {
                Problem::new(Kind::MissingFile, format!("{name} is a link to a file that is not there"))
            }
            std::io::ErrorKind::NotFound => self.missing(name),
            _ => Problem::new(Kind::UnreadableFile, format!("{name}: {error}")),
        })?;
        if !path.starts_with(&self.root) {
            return Err(outside());
        }
        if !path.is_file() {
            return Err(Problem::new(Kind::UnreadableFile, format!("{name} is not a file")));
        }
        Ok(path)
    }

    /// With the file of the same ending that is there.
    fn missing(&self, name: &str) -> Problem {
        let problem = Problem::new(Kind::MissingFile, format!("there is no file {name}"));
        let path = self.root.join(name);
        let siblings = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
        let mut alike: Vec<String> = siblings
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|other| other.extension().is_some() && other.extension() == path.extension())
            .filter_map(|other| Some(other.file_name()?.to_string_lossy().into_owned()))
            .collect();
        alike.sort();
        let meant = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| nearest(name, alike.iter().map(String::as_str)));
        match (meant, alike.as_slice()) {
            (Some(meant), _) => problem.hint(format!("did you mean {meant}?")),
            (None, []) => problem,
            (None, some) => problem.hint(format!("there is {}", some[..some.len().min(3)].join(", "))),
        }
    }

    /// A text file.
    pub(crate) fn text(&self, name: &str) -> Result<String, Problem> {
        let path = self.path(name)?;
        let unreadable = |why: String| Problem::new(Kind::UnreadableFile, format!("{name}: {why}"));
        let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut bytes = Vec::new();
        file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > LONGEST_TEXT {
            return Err(Problem::new(Kind::TooLarge, format!("{name} is over {} MiB", LONGEST_TEXT >> 20)));
        }
        String::from_utf8(bytes).map_err(|_| unreadable("this is not UTF-8".to_owned()))
    }

    /// The lines of a text file, without empty ones at its end.
    pub(crate) fn lines(&self, name: &str) -> Result<Vec<String>, Problem> {
        Ok(self.text(name)?.trim_end().lines().map(|line| line.trim_end_matches('\r').to_owned()).collect())
    }
}
