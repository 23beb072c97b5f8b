//! `millwork nodes`: the inventory as a table, or one node in full.

use millwork_protocol::Value;
use millwork_protocol::message::LoadError;
use millwork_protocol::metadata::{NodeMetadata, PropertyMetadata, TypeMetadata};
use serde_json::json;

use super::failure::{Failure, Outcome};
use super::inventory::Inventory;
use super::{examples, fleet, out, problems, show, table, types};

/// Lists the nodes of all workers, and what could not be loaded.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = "\
Examples:
  millwork nodes               all of them
  millwork nodes image         those with `image` in their type, title or description
  millwork nodes image.Blur    one in full: fields, defaults, outputs, and a command to try")]
pub(crate) struct Args {
    /// A node's type, or a part of its type, title or description.
    pattern: Option<String>,
    /// JSON instead of tables: the data of `discover`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: fleet::Args,
}

pub(crate) async fn run(args: &Args) -> Outcome {
    let (supervisor, client) = args.fleet.start()?;
    let inventory = Inventory::of(&client).await;
    supervisor.shutdown().await;
    show(args, &inventory?)
}

fn show(args: &Args, inventory: &Inventory) -> Outcome {
    let pattern = args.pattern.as_deref().unwrap_or_default();
    let exact = inventory.nodes.iter().find(|node| node.node_type == pattern);
    let found: Vec<&NodeMetadata> = match exact {
        Some(node) => vec![node],
        None => inventory.nodes.iter().filter(|node| matches(node, pattern)).collect(),
    };
    if args.json {
        let nodes = found.iter().map(|node| node.to_value().to_json());
        let load_errors = inventory.load_errors.iter().map(|error| error.to_value().to_json());
        return out::json(
            &json!({ "nodes": nodes.collect::<Vec<_>>(), "load_errors": load_errors.collect::<Vec<_>>() }),
        );
    }
    match (exact, found.as_slice()) {
        (Some(node), _) => out::line(&one(node)),
        // The error knows near names, and why a node is missing.
        (None, []) if !pattern.is_empty() => inventory.find(pattern).map(|_| ()),
        (None, []) if inventory.load_errors.is_empty() => Err(Failure::no_worker("the workers have no nodes")),
        (None, found) => {
            let is_shown = |error: &&LoadError| pattern.is_empty() || error.module.contains(pattern);
            let (shown, hidden): (Vec<_>, Vec<_>) = inventory.load_errors.iter().partition(is_shown);
            out::line(&all(found, &shown, hidden.len()))
        }
    }
}

fn matches(node: &NodeMetadata, pattern: &str) -> bool {
    let pattern = pattern.to_lowercase();
    [&node.node_type, &node.title, &node.description].iter().any(|text| text.to_lowercase().contains(&pattern))
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}

/// A table for each namespace, then one of what did not load; some of that may be hidden, and is counted.
fn all(nodes: &[&NodeMetadata], load_errors: &[&LoadError], hidden: usize) -> String {
    let namespace = |node: &&NodeMetadata| node.node_type.split('.').next().unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    for group in nodes.chunk_by(|a, b| namespace(a) == namespace(b)) {
        let mut table = table::page(&["node", "what it does", "fields", "outputs"]);
        for node in group {
            let outputs = node.outputs.iter().map(|slot| format!("{}: {}", slot.name, types::text(&slot.ty)));
            let fields = node.properties.iter().map(field);
            table.add_row([
                node.node_type.clone(),
                first_line(&node.description).to_owned(),
                fields.collect::<Vec<_>>().join("\n"),
                outputs.collect::<Vec<_>>().join("\n"),
            ]);
        }
        table::keep_whole(&mut table, 0);
        parts.push(format!("{}\n", table::text(&table)));
    }
    if !load_errors.is_empty() {
        parts.push(format!("{}\n", problems::list(load_errors)));
    }
    let errors = table::count(load_errors.len() + hidden, "load error");
    let note = if hidden > 0 { format!(" ({hidden} not shown: `millwork nodes` lists all)") } else { String::new() };
    parts.push(format!("{}, {errors}{note}", table::count(nodes.len(), "node")));
    parts.join("\n")
}

fn field(property: &PropertyMetadata) -> String {
    let needed = if types::is_required(property) { "" } else { "?" };
    // The question mark says already that it may be left out.
    let ty = types::text(&TypeMetadata { optional: false, ..property.ty.clone() });
    format!("{}{needed}: {ty}", property.name)
}

/// Everything that is known of one node.
fn one(node: &NodeMetadata) -> String {
    let mut parts = vec![format!("{}\n\n{}\n", node.node_type, node.description.trim())];
    if !node.properties.is_empty() {
        let mut table = table::page(&["field", "type", "default", "range", "what it is"]);
        for property in &node.properties {
            table.add_row([
                property.name.clone(),
                types::text(&property.ty),
                default(property),
                range(property),
                property.description.clone().unwrap_or_default(),
            ]);
        }
        table::keep_whole(&mut table, 0);
        parts.push(format!("{}\n", table::text(&table)));
    }
    if node.is_dynamic {
        parts.push("takes any other field too\n".to_owned());
    }
    let mut table = table::new(&["output", "type", ""]);
    for slot in &node.outputs {
        let stream = if slot.stream || node.is_streaming_output { "a stream" } else { "" };
        table.add_row([slot.name.as_str(), &types::text(&slot.ty), stream]);
    }
    parts.push(format!("{}\n", table::text(&table)));
    if !node.required_settings.is_empty() {
        parts.push(format!("needs the secrets {}\n", node.required_settings.join(", ")));
    }
    if let Some(vram) = node.requires_vram_gb {
        parts.push(format!("needs {vram} GiB of GPU memory\n"));
    }
    parts.push(format!("example:\n  {}", examples::of(node)));
    parts.join("\n")
}

fn default(property: &PropertyMetadata) -> String {
    match &property.default {
        Some(Value::Str(text)) => format!("{text:?}"),
        Some(value) => show::plain(value),
        None if types::is_required(property) => "needed".to_owned(),
        None => String::new(),
    }
}

fn range(property: &PropertyMetadata) -> String {
    // Bounds travel as floats; those of a whole number are written as one.
    let bound = |key: &str| match (property.extra.get(key), types::kind(&property.ty)) {
        (Some(Value::Float(bound)), "int") => Some(format!("{bound:.0}")),
        (bound, _) => bound.map(show::plain),
    };
    match (bound("min"), bound("max")) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, Some(max)) => format!("{max} or less"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;
    use millwork_protocol::metadata::OutputSlot;

    fn blur() -> NodeMetadata {
        let property =
            |name: &str, ty, default| PropertyMetadata { name: name.into(), ty, default, ..Default::default() };
        let mut sigma = property("sigma", TypeMetadata::float(), Some(Value::Float(2.0)));
        sigma.extra = map! { "min" => 0.0, "max" => 100.0 };
        NodeMetadata {
            node_type: "acme.Blur".into(),
            description: "Blurs a picture.\n\nWith a Gaussian.".into(),
            properties: vec![property("image", TypeMetadata::image(), None), sigma],
            outputs: vec![OutputSlot { name: "output".into(), ty: TypeMetadata::image(), ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn the_list_has_types_and_load_errors() {
        let text = all(&[&blur()], &[&LoadError::new("acme.gone", "import", "ImportError", "no such file")], 0);
        for part in
            ["acme.Blur", "Blurs a picture.", "image: image", "sigma?: float", "acme.gone", "1 node, 1 load error"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("Gaussian"));
        assert!(all(&[], &[], 1).ends_with("0 nodes, 1 load error (1 not shown: `millwork nodes` lists all)"));
    }

    #[test]
    fn one_node_has_all_of_it() {
        let mut node = blur();
        let text = one(&node);
        for part in ["With a Gaussian.", "0.0 to 100.0", "needed", "millwork run acme.Blur image=photo.png -o out.png"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("any other field"));
        node.is_dynamic = true;
        node.properties[1].ty = TypeMetadata::int();
        let text = one(&node);
        assert!(
            text.contains("takes any other field") && text.contains("0 to 100") && !text.contains("100.0"),
            "{text}"
        );
    }
}
