//! `millwork config`: every setting and its value, as a file or as a table with where each came from.

use millwork::config::{Origin, Package, PackageConfig, Setting};
use serde_json::json;

use super::failure::Outcome;
use super::{fleet, out, table};

/// Shows every setting and its value, as a millwork.toml that says the same.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Settings come from millwork.toml (in the user's configuration folder, then here), then from MILLWORK_* variables, then from flags."
)]
pub(crate) struct Args {
    /// A table of the settings, their values, and where each came from.
    #[arg(long)]
    origin: bool,
    /// JSON: the settings, their values, and where each came from.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut loaded = args.fleet.load()?;
    loaded.settings.extend(loaded.config.roster()?.packages.iter().map(package));
    if args.json {
        let settings = loaded
            .settings
            .iter()
            .map(|setting| json!({ "key": setting.key, "value": setting.value, "origin": setting.origin.to_string() }));
        return out::json(&settings.collect());
    }
    if !args.origin {
        return out::write((file(&loaded.settings) + &packages(&loaded.config.packages)).as_bytes());
    }
    let mut table = table::new(&["setting", "value", "from"]);
    for setting in &loaded.settings {
        table.add_row([&setting.key, &setting.value.to_string(), &setting.origin.to_string()]);
    }
    out::line(&table::text(&table))
}

/// The `[[package]]`s of that file. Those of the variable and the user's are there without it.
fn packages(entries: &[PackageConfig]) -> String {
    let mut text = String::new();
    for entry in entries {
        let table = toml::Table::try_from(entry).unwrap_or_default();
        match entry.origin {
            Origin::File(_) | Origin::Flag => {
                text += &format!("\n[[package]]  # {}\n", entry.origin);
                table.iter().for_each(|(key, value)| text += &format!("{key} = {value}\n"));
            }
            _ => text += &format!("\n# packages of {} in {}\n", entry.origin, entry.path.display()),
        }
    }
    text
}

/// A package as a setting.
fn package(package: &Package) -> Setting {
    let value = match &package.worker {
        Some(worker) => toml::Value::try_from(worker).unwrap_or_else(|_| worker.command.join(" ").into()),
        None => package.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into(),
    };
    Setting { key: format!("package.{}", package.name), value, origin: package.origin.clone() }
}

/// A file that sets all of this. What is not a default says in a comment where it came from.
fn file(settings: &[Setting]) -> String {
    let (mut text, mut section) = (String::new(), "");
    for setting in settings {
        let comment = match &setting.origin {
            Origin::Default => String::new(),
            origin => format!("  # {origin}"),
        };
        match setting.key.split_once('.') {
            // The worker that is used where none is listed needs no mention.
            Some(("worker", _)) if setting.origin == Origin::Default => {}
            Some(("worker", _)) => {
                text += &format!("\n[[worker]]{comment}\n");
                let keys = setting.value.as_table().into_iter().flatten();
                keys.for_each(|(key, value)| text += &format!("{key} = {value}\n"));
            }
            // What is in a file follows as it stands there.
            Some(("package", _)) => {}
            Some((table, key)) => {
                if section != table {
                    text += &format!("\n[{table}]\n");
                    section = table;
                }
                text += &format!("{key} = {}{comment}\n", setting.value);
            }
            // A variable that no file can set.
            None if setting.key.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                text += &format!("# {} = {}{comment}\n", setting.key, setting.value);
            }
            None => text += &format!("{} = {}{comment}\n", setting.key, setting.value),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use millwork::Config;
    use millwork::config::Overrides;

    use super::*;

    #[test]
    fn the_file_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("millwork.toml");
        let source = "max_queued = 9\n[restart]\nbackoff_ms = 50\n[stock]\nlimits = { memory_mb = 512 }\nsecrets = [\"KEY\"]\n\
                      [[worker]]\nname = \"a b\"\ncommand = [\"x\", \"quoted \\\"y\\\"\"]\nenv = { A = \"1\" }\n\
                      instances = { min = 0, max = 4 }\nrecycle = { max_requests = 5 }\n[worker.limits]\nmemory_mb = 100\n\
                      [[worker]]\nname = \"c\"\ncommand = [\"z\"]\n\
                      [[package]]\npath = \"p\"\nwatch = true\nenv = { A = \"1\" }\n";
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Config::load(&Overrides { file: Some(path.clone()), ..Overrides::default() }).unwrap()
        };
        let first = load(source);
        let text = file(&first.settings) + &packages(&first.config.packages);
        assert_eq!(load(&text).config, first.config, "{text}");
        assert!(text.contains("max_queued = 9  # ") && text.contains("max_in_flight = 64\n"), "{text}");
        let plain = load("");
        assert_eq!(load(&file(&plain.settings)).config, plain.config);
    }
}
