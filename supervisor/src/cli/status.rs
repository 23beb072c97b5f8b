//! `millwork status`: the workers, what they have, and how they are.

use std::io::IsTerminal;
use std::time::Duration;

use millwork::Client;
use millwork::observe::{self, Running};
use millwork_protocol::message::LoadError;
use millwork_protocol::{Map, Value};

use super::failure::{Failure, Outcome};
use super::{fleet, out, problems, show};

/// Starts the workers and shows how they are, or shows a fleet that runs already.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// JSON: the data of `worker.status`.
    #[arg(long)]
    json: bool,
    /// A fleet that `millwork serve` runs for some host, by the process id of its supervisor; without one, the only one there is.
    #[arg(long = "fleet", value_name = "PID", num_args = 0..=1)]
    running: Option<Option<u32>>,
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    if let Some(pid) = args.running {
        return attached(args, pid).await;
    }
    let (supervisor, client) = args.fleet.start()?;
    let outcome = tokio::select! {
        outcome = show(args, &client) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    supervisor.shutdown().await;
    outcome
}

async fn show(args: &Args, client: &Client) -> Outcome {
    client.ready().await?;
    if !args.fleet.is_watched() {
        // It is answered once the first attempt to start has ended for every worker: how they are is known then.
        client.discover().await?;
    }
    loop {
        let status = client.status().await?;
        show_once(args, &status, text)?;
        if !args.fleet.is_watched() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Shows a fleet that runs already, for as long as it does.
async fn attached(args: &Args, pid: Option<u32>) -> Outcome {
    let fleet = choose(&observe::running(), pid)?;
    loop {
        let status = observe::ask(&fleet).map_err(|error| {
            Failure::no_worker(format!("the fleet of process {} does not answer: {error}", fleet.pid))
        })?;
        let status = Value::from(status).into_map().unwrap_or_default();
        show_once(args, &status, |status| extension("fleet", status).join("\n\n"))?;
        if !args.fleet.is_watched() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// The fleet that is meant.
fn choose(running: &[Running], pid: Option<u32>) -> Outcome<Running> {
    let pids: Vec<String> = running.iter().map(|running| running.pid.to_string()).collect();
    let hint = match pids.as_slice() {
        [] => "`millwork serve` answers on a socket in $XDG_RUNTIME_DIR/millwork, if that variable is set".to_owned(),
        several => format!("there are {}: millwork status --fleet PID", several.join(", ")),
    };
    let found = match (running, pid) {
        (_, Some(pid)) => running.iter().find(|running| running.pid == pid).ok_or(format!("no fleet of process {pid}")),
        ([only], None) => Ok(only),
        ([], None) => Err("no fleet runs here".to_owned()),
        (_, None) => Err(format!("{} fleets run here", running.len())),
    };
    found.cloned().map_err(|what| Failure::no_worker(what).hint(hint))
}

fn show_once(args: &Args, status: &Map, text: impl Fn(&Map) -> String) -> Outcome {
    if args.fleet.is_watched() && !args.json && std::io::stdout().is_terminal() {
        // Clears the screen and starts at its top.
        out::write(b"\x1b[2J\x1b[H")?;
    }
    match (args.json, args.fleet.is_watched()) {
        (true, true) => out::line(&Value::Map(status.clone()).to_json().to_string()),
        (true, false) => out::json(&Value::Map(status.clone()).to_json()),
        (false, _) => out::line(&text(status)),
    }
}

/// The plain values, then a part for each list and each extension.
fn text(status: &Map) -> String {
    let mut lines = Vec::new();
    let mut parts = Vec::new();
    for (key, value) in status {
        match (key.as_str(), value) {
            ("extensions", Value::Map(extensions)) => {
                for (name, value) in extensions {
                    match value {
                        Value::Map(map) => parts.extend(extension(name, map)),
                        plain => lines.push(line(name, plain)),
                    }
                }
            }
            ("load_errors", Value::List(items)) if !items.is_empty() => {
                let errors: Vec<LoadError> =
                    items.iter().filter_map(|error| LoadError::from_value(error.clone()).ok()).collect();
                parts.push(problems::list(&errors.iter().collect::<Vec<_>>()));
            }
            (_, Value::List(items)) if items.iter().any(|item| item.as_map().is_some()) => {
                parts.push(format!("{}:\n{}", spaced(key), show::full(value)));
            }
            _ => lines.push(line(key, value)),
        }
    }
    parts.insert(0, lines.join("\n"));
    parts.join("\n\n")
}

fn line(key: &str, value: &Value) -> String {
    let text = match value {
        Value::List(items) if items.is_empty() => "none".to_owned(),
        Value::List(items) => items.iter().map(show::plain).collect::<Vec<_>>().join(", "),
        other => show::plain(other),
    };
    format!("{:<24} {text}", spaced(key))
}

/// One extension: its tables apart, everything else line by line.
fn extension(name: &str, map: &Map) -> Vec<String> {
    let (tables, plain): (Vec<_>, Vec<_>) =
        map.iter().partition(|(_, value)| value.as_list().is_some_and(|l| !l.is_empty()));
    let mut parts = Vec::new();
    if !plain.is_empty() {
        let lines = plain.iter().map(|(key, value)| format!("  {}", line(key, value)));
        parts.push(format!("{}:\n{}", spaced(name), lines.collect::<Vec<_>>().join("\n")));
    }
    parts.extend(tables.iter().map(|(key, value)| format!("{}:\n{}", spaced(key), rows(value))));
    parts
}

/// A table; what bounds the workers and their errors stand below it, where there is room for them.
fn rows(value: &Value) -> String {
    const BELOW: [&str; 2] = ["bounds", "last_error"];
    let mut table = value.clone();
    let mut below = Vec::new();
    if let Value::List(rows) = &mut table {
        for row in rows {
            let Value::Map(row) = row else { continue };
            let name = row.get("name").map(show::plain).unwrap_or_default();
            for text in BELOW.into_iter().filter_map(|key| row.shift_remove(key)) {
                if let Some(text) = text.as_str() {
                    // A cause often stands in the last line.
                    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                    let shown = match lines.as_slice() {
                        [first, .., last] => format!("{first} … {last}"),
                        _ => lines.concat(),
                    };
                    below.push(format!("\n {name}: {shown}"));
                }
            }
        }
    }
    show::full(&table) + &below.concat()
}

fn spaced(key: &str) -> String {
    key.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn every_part_is_shown() {
        let worker = map! { "name" => "stock", "state" => "ready", "pid" => 41, "bounds" => "memory_mb 9 (watched)", "last_error" => "it died\nof this" };
        let status = map! {
            "node_count" => 93,
            "namespaces" => vec!["image", "text"],
            "load_errors" => Value::List(vec![]),
            "extensions" => map! {
                "supervisor" => map! { "workers" => Value::List(vec![worker.into()]), "queued" => 0 },
            },
        };
        let text = text(&status);
        for part in ["node count               93", "image, text", "stock", "ready", "queued"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(text.contains("load errors              none"));
        assert!(
            text.contains("\n stock: memory_mb 9 (watched)\n stock: it died … of this") && !text.contains("last_error"),
            "{text}"
        );
    }
}
