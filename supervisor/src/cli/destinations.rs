//! `-o`: which output goes to which file, and whether it can, before any work is done.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use millwork_protocol::metadata::{NodeMetadata, OutputSlot};

use super::content::Content;
use super::failure::{Failure, Outcome};
use super::{files, suggest};

/// Which output goes to which file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Destinations(Vec<(String, PathBuf)>);

impl Destinations {
    /// Reads `FILE` and `SLOT=FILE`. A name before `=` that is no output belongs to the file's name.
    pub(crate) fn parse(node: &NodeMetadata, texts: &[String]) -> Outcome<Self> {
        let slots: Vec<&str> = node.outputs.iter().map(|slot| slot.name.as_str()).collect();
        let mut destinations: Vec<(String, PathBuf)> = Vec::new();
        for text in texts {
            let named = text.split_once('=').filter(|(slot, _)| slots.contains(slot) || !slot.contains(['.', '/']));
            let (slot, path) = named.unwrap_or((slots.first().copied().unwrap_or("output"), text));
            if !slots.is_empty() && !slots.contains(&slot) {
                let near = suggest::phrase(slot, slots.iter().copied());
                return Err(Failure::usage(format!("{} has no output {slot}{near}", node.node_type))
                    .hint(format!("its outputs are {}", slots.join(", "))));
            }
            if destinations.iter().any(|(known, _)| known == slot) {
                return Err(Failure::usage(format!("two files for the output {slot}")).hint(format!(
                    "-o SLOT=FILE names another output of {}: {}",
                    node.node_type,
                    slots.join(", ")
                )));
            }
            fits(node, slot, path.as_ref())?;
            files::writable(path.as_ref())?;
            destinations.push((slot.to_owned(), path.into()));
        }
        Ok(Self(destinations))
    }

    /// Files that nobody typed: nothing about them is checked.
    pub(crate) fn new(files: Vec<(String, PathBuf)>) -> Self {
        Self(files)
    }

    /// Refuses what stdout cannot take: two things at once, or bytes on a terminal.
    pub(crate) fn check_stdout(&self, node: &NodeMetadata, json: bool) -> Outcome {
        let slots: Vec<&String> = self.0.iter().filter(|(_, path)| is_stdout(path)).map(|(slot, _)| slot).collect();
        match slots.as_slice() {
            [] => Ok(()),
            [_, _, ..] => Err(Failure::usage("stdout can take one output only")),
            [_] if json => Err(Failure::usage("-o - and --json cannot both have stdout")),
            [slot] if std::io::stdout().is_terminal() && is_binary(node, slot) => {
                Err(Failure::usage(format!("the output {slot} is no text, and stdout is a terminal"))
                    .hint("-o FILE writes it to a file; `-o - | program` gives it to a program"))
            }
            [_] => Ok(()),
        }
    }

    pub(crate) fn of(&self, slot: &str) -> Option<&Path> {
        self.0.iter().find(|(name, _)| name == slot).map(|(_, path)| path.as_path())
    }

    pub(crate) fn is_stdout(&self) -> bool {
        self.0.iter().any(|(_, path)| is_stdout(path))
    }
}

/// Whether a path stands for stdout.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn is_binary(node: &NodeMetadata, slot: &str) -> bool {
    let slot = node.outputs.iter().find(|known| known.name == slot);
    !matches!(slot.map(|slot| Content::of(&slot.ty)), Some(Content::Text | Content::Value))
}

/// Whether the name suits the output.
fn fits(node: &NodeMetadata, slot: &str, path: &Path) -> Outcome {
    let extension = files::extension(path);
    let fits = |slot: &&OutputSlot| Content::of(&slot.ty).fits(&extension);
    let Some(output) = node.outputs.iter().find(|known| known.name == slot).filter(|output| !fits(output)) else {
        return Ok(());
    };
    let (what, usual) = Content::of(&output.ty).words();
    // An output of which nothing is known would be a guess.
    let better = node.outputs.iter().find(|other| Content::of(&other.ty) != Content::Any && fits(other));
    Err(Failure::usage(format!("the output {slot} of {} is {what}, and no .{extension}", node.node_type)).hint(
        match better {
            Some(other) => format!("-o {}={} writes another output", other.name, path.display()),
            None => format!("name the file .{usual}"),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::metadata::TypeMetadata;

    fn node() -> NodeMetadata {
        let slot = |name: &str, ty| OutputSlot { name: name.to_owned(), ty, ..OutputSlot::default() };
        NodeMetadata {
            node_type: "acme.Blur".into(),
            outputs: vec![slot("output", TypeMetadata::np_array()), slot("picture", TypeMetadata::image())],
            ..NodeMetadata::default()
        }
    }

    fn parse(texts: &[&str]) -> Outcome<Destinations> {
        Destinations::parse(&node(), &texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>())
    }

    fn error(text: &str) -> String {
        format!("{:?}", parse(&[text]).unwrap_err())
    }

    #[test]
    fn destinations_by_slot() {
        let both = parse(&["a.npy", "picture=b.png"]).unwrap();
        assert_eq!((both.of("output"), both.of("picture")), (Some(Path::new("a.npy")), Some(Path::new("b.png"))));
        assert_eq!(parse(&["./x=1.npy"]).unwrap().of("output"), Some(Path::new("./x=1.npy")));
        assert!(error("pictur=b.png").contains("did you mean picture?"));
        assert!(parse(&["a.npy", "b.npy"]).is_err());
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_once() {
        assert!(error("a.png").contains("is a tensor, and no .png"), "{}", error("a.png"));
        assert!(error("a.png").contains("-o picture=a.png writes another output"));
        assert!(error("a.mp3").contains("name the file .npy"));
        assert!(error("/nowhere/at/all/a.npy").contains("there is no folder /nowhere/at/all"));
        assert!(error("/").contains("it is a folder"));
        assert!(error("").contains("-o is given no file"));
    }

    #[test]
    fn stdout_takes_one_thing() {
        let both = parse(&["-", "picture=-"]).unwrap();
        assert!(format!("{:?}", both.check_stdout(&node(), false).unwrap_err()).contains("one output only"));
        assert!(parse(&["-"]).unwrap().check_stdout(&node(), true).is_err());
        assert!(parse(&["a.npy"]).unwrap().check_stdout(&node(), true).is_ok());
    }
}
