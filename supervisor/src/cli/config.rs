//! `millwork config`: every setting, its value, and where it came from.

use serde_json::json;

use super::failure::Outcome;
use super::{fleet, out, table};

/// Shows every setting, its value and where it came from.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(
    after_help = "Settings come from millwork.toml (here, then in the user's configuration folder), then from MILLWORK_* variables, then from flags."
)]
pub(crate) struct Args {
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let loaded = args.fleet.load()?;
    if args.json {
        let settings = loaded
            .settings
            .iter()
            .map(|setting| json!({ "key": setting.key, "value": setting.value, "origin": setting.origin.to_string() }));
        return out::json(&settings.collect());
    }
    let mut table = table::new(&["setting", "value", "from"]);
    for setting in &loaded.settings {
        table.add_row([&setting.key, &setting.value.to_string(), &setting.origin.to_string()]);
    }
    out::line(&table::text(&table))
}
