//! `millwork package add` and `remove`: the user's folder of packages. A package comes and goes in one step, so that a fleet that
//! starts meanwhile finds all of it or nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use millwork::config::user_packages;
use millwork_package::Manifest;
use walkdir::WalkDir;

use super::check::{self, Checked};
use super::failure::{Failure, Outcome};
use super::{out, suggest, table};

/// Installs packages for this user: every fleet that starts has them from then on.
///
/// A package is checked first. A newer version takes the place of an older one.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Add {
    /// A folder with a package.toml, a folder of such folders, or an archive of one.
    path: PathBuf,
    /// Link to the folder instead of copying it.
    #[arg(long)]
    link: bool,
    /// Install it also where it is broken, or older than what is there.
    #[arg(long)]
    force: bool,
}

/// Removes a package that is installed.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Remove {
    /// Its name.
    name: String,
}

pub(crate) async fn add(args: &Add) -> Outcome {
    let checked = check::check(std::slice::from_ref(&args.path)).await?;
    if args.link && !args.path.is_dir() {
        return Err(Failure::usage("an archive cannot be linked to").hint("without --link, it is unpacked"));
    }
    let broken = checked.iter().filter(|checked| !checked.problems.is_empty());
    if !args.force
        && let Some(broken) = broken.clone().next()
    {
        out::line(&check::text(broken))?;
        let text =
            format!("{} is not installed: {}", broken.package.name, table::count(broken.problems.len(), "problem"));
        return Err(Failure::failed(text).hint("--force installs it as it is"));
    }
    checked.iter().try_for_each(|checked| install(checked, args))
}

fn install(checked: &Checked, args: &Add) -> Outcome {
    let package = &checked.package;
    let Ok(manifest) = Manifest::read(&package.folder) else {
        return Err(Failure::failed(format!("{} has no package.toml that can be read", package.folder.display())));
    };
    let (name, version) = (&manifest.head.name, &manifest.head.version);
    let home = home()?;
    let target = home.join(name);
    if package.folder.canonicalize().is_ok_and(|folder| target.canonicalize().is_ok_and(|there| there == folder)) {
        let text = format!("{} is where {name} is installed already", package.folder.display());
        return Err(Failure::usage(text));
    }
    if package.folder.canonicalize().is_ok_and(|folder| home.starts_with(folder)) {
        let text = format!("{} holds the folder that packages are installed in", package.folder.display());
        return Err(Failure::usage(text).hint("install it with --link"));
    }
    let before = Manifest::read(&target).ok();
    if let Some(newer) = before.as_ref().map(|before| &before.head.version).filter(|there| *there > version)
        && !args.force
    {
        let text = format!("{name} {newer} is installed, which is newer than {version}");
        return Err(Failure::failed(text).hint("--force installs the older one"));
    }
    put(&package.folder, &target, args.link)
        .map_err(|error| Failure::failed(format!("cannot install {name} in {}: {error}", home.display())))?;
    let what = match before {
        Some(before) if before.head.version != *version => format!(", in the place of {}", before.head.version),
        Some(_) => ", again".to_owned(),
        None => String::new(),
    };
    out::line(&format!("installed {name} {version}{what}: {}", target.display()))
}

pub(crate) fn remove(args: &Remove) -> Outcome {
    let home = home()?;
    let installed: Vec<(String, PathBuf)> = fs::read_dir(&home)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| {
            // One that is broken can be removed by the name of its folder.
            let called = Manifest::read(&path).map(|manifest| manifest.head.name).ok();
            Some((called.or_else(|| Some(path.file_name()?.to_string_lossy().into_owned()))?, path))
        })
        .collect();
    let Some((name, path)) = installed.iter().find(|(name, _)| *name == args.name) else {
        let names = installed.iter().map(|(name, _)| name.as_str());
        let meant = suggest::phrase(&args.name, names);
        let text = format!("no package {:?} is installed{meant}", args.name);
        return Err(Failure::usage(text).hint("`millwork package list` shows all, and where they come from"));
    };
    let removed = if path.is_symlink() { fs::remove_file(path) } else { out_of_the_way(path) };
    removed.map_err(|error| Failure::failed(format!("cannot remove {}: {error}", path.display())))?;
    out::line(&format!("removed {name}"))
}

fn home() -> Outcome<PathBuf> {
    user_packages().ok_or_else(|| Failure::failed("this user has no home folder, and so no packages"))
}

/// Puts a package in its place. What was there goes in the same step.
fn put(folder: &Path, target: &Path, is_link: bool) -> io::Result<()> {
    let home = target.parent().unwrap_or(target);
    fs::create_dir_all(home)?;
    // Beside the packages, where no fleet looks.
    let beside = tempfile::Builder::new().prefix(".adding-").tempdir_in(home.parent().unwrap_or(home))?;
    let fresh = beside.path().join("package");
    if is_link {
        std::os::unix::fs::symlink(folder.canonicalize()?, &fresh)?;
    } else {
        copy(folder, &fresh)?;
    }
    if target.symlink_metadata().is_err() { fs::rename(&fresh, target) } else { exchange(&fresh, target) }
}

#[cfg(target_os = "linux")]
fn exchange(fresh: &Path, target: &Path) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    renameat2(AT_FDCWD, fresh, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn exchange(fresh: &Path, target: &Path) -> io::Result<()> {
    fs::rename(target, fresh.with_extension("old"))?;
    fs::rename(fresh, target)
}

fn out_of_the_way(path: &Path) -> io::Result<()> {
    let home = path.parent().unwrap_or(path);
    let beside = tempfile::Builder::new().prefix(".removing-").tempdir_in(home.parent().unwrap_or(home))?;
    fs::rename(path, beside.path().join("package"))?;
    beside.close()
}

/// Copies a folder, links as they are; without what version control and Python keep beside it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let is_kept = |name: &std::ffi::OsStr| name != ".git" && name != "__pycache__";
    let all = WalkDir::new(from).into_iter().filter_entry(|entry| entry.depth() == 0 || is_kept(entry.file_name()));
    for entry in all {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(entry.path()));
        let kind = entry.file_type();
        if entry.depth() == 0 || kind.is_dir() {
            fs::create_dir_all(&target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_takes_the_place_of_another_whole() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir_all(source.join("models")).unwrap();
        fs::create_dir_all(source.join(".git")).unwrap();
        fs::write(source.join("models/a"), "1").unwrap();
        let target = folder.path().join("home/packages/digits");
        put(&source, &target, false).unwrap();
        fs::remove_file(source.join("models/a")).unwrap();
        fs::write(source.join("models/b"), "2").unwrap();
        put(&source, &target, false).unwrap();
        assert!(!target.join("models/a").exists() && target.join("models/b").exists() && !target.join(".git").exists());
        put(&source, &target, true).unwrap();
        assert!(target.is_symlink() && target.join("models/b").exists());
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(folder.path().join("home")).unwrap().count(), 1);
        out_of_the_way(&folder.path().join("source")).unwrap();
        assert!(!source.exists());
    }
}
