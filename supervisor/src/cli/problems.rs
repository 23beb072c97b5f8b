//! Load errors for people: where, the line itself with a mark under it, and what would help.

use std::path::{Path, PathBuf};

use millwork_protocol::Value;
use millwork_protocol::message::LoadError;

use super::table;

/// Of a longer line only so much around the place is shown, in characters.
const WIDEST: usize = 140;

/// `package.toml:3:5`, where it is known.
pub(crate) fn place(error: &LoadError) -> Option<String> {
    let file = error.extra.get("file")?.as_str()?;
    Some(match position(error) {
        Some((line, column)) => format!("{file}:{line}:{column}"),
        None => file.to_owned(),
    })
}

/// What would help.
pub(crate) fn hint(error: &LoadError) -> Option<&str> {
    error.extra.get("hint").and_then(Value::as_str)
}

/// Why, where and what would help, for the cell of a table or a hint.
pub(crate) fn why(error: &LoadError, between: &str) -> String {
    let hint = hint(error).map(|hint| format!("hint: {hint}"));
    [Some(error.error.clone()), place(error), hint].into_iter().flatten().collect::<Vec<_>>().join(between)
}

/// A table of what did not load.
pub(crate) fn list(errors: &[&LoadError]) -> String {
    let mut table = table::page(&["did not load", "phase", "error", "why"]);
    for error in errors {
        table.add_row([&error.module, &error.phase, &error.error_type, &why(error, "\n")]);
    }
    table::text(&table)
}

/// One load error in full, with its line. `folder` is where its files are.
pub(crate) fn full(error: &LoadError, folder: &Path) -> String {
    // Of an archive that cannot be unpacked there is only itself.
    let folder = if folder.is_file() { folder.parent().unwrap_or(folder) } else { folder };
    let at = error.extra.get("file").and_then(Value::as_str).map(|file| folder.join(file));
    let shown = at.as_deref().map(|path| shorter(path).display().to_string());
    let place = match (shown, position(error)) {
        (Some(path), Some((line, column))) => format!("{path}:{line}:{column}: "),
        (Some(path), None) => format!("{path}: "),
        (None, _) => String::new(),
    };
    // What a program said last stands below.
    let (first, rest) =
        error.error.trim_end().split_once('\n').map_or((error.error.trim_end(), None), |(a, b)| (a, Some(b)));
    let mut text = format!("{place}{first} [{}: {}]", error.phase, error.error_type);
    text.extend(rest.map(|rest| format!("\n{rest}")));
    let line = at.zip(position(error)).and_then(|(path, position)| marked(&path, position));
    text.extend(line.map(|line| format!("\n{line}")));
    text.extend(hint(error).map(|hint| format!("\n  hint: {hint}")));
    text
}

fn position(error: &LoadError) -> Option<(usize, usize)> {
    let number = |key: &str| usize::try_from(error.extra.get(key)?.as_i64()?).ok();
    Some((number("line")?, number("column")?))
}

/// The line of a file with a caret under a column.
fn marked(path: &Path, (line, column): (usize, usize)) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let source: Vec<char> = text.lines().nth(line.checked_sub(1)?)?.chars().collect();
    let at = column.checked_sub(1)?.min(source.len());
    let from = at.saturating_sub(WIDEST / 2);
    // A tab is one column in the place, and must be one in print.
    let shown: String = source.iter().skip(from).take(WIDEST).map(|c| if c.is_control() { ' ' } else { *c }).collect();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    Some(format!("  {number} | {}\n  {margin} | {}^", shown.trim_end(), " ".repeat(at - from)))
}

/// A path as it is said from here.
pub(crate) fn shorter(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.to_owned(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use millwork_protocol::map;

    use super::*;

    #[test]
    fn a_place_is_shown_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.toml"), "[package]\n\tnmae = \"x\"\n").unwrap();
        let extra = map! { "file" => "package.toml", "line" => 2, "column" => 2, "hint" => "did you mean `name`?" };
        let error = LoadError { extra, ..LoadError::new("x", "manifest", "UnknownKey", "unknown key `nmae`") };
        let text = full(&error, folder.path());
        let end = "package.toml:2:2: unknown key `nmae` [manifest: UnknownKey]\n  2 |  nmae = \"x\"\n    |  ^\n  hint: did you mean `name`?";
        assert!(text.ends_with(end), "{text}");
        assert!(list(&[&error]).contains("package.toml:2:2"));
        let nowhere = LoadError::new("x", "spawn", "SpawnFailed", "no");
        assert_eq!(full(&nowhere, folder.path()), "no [spawn: SpawnFailed]");
    }
}
