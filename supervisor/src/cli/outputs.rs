//! What a node gave back: into files by their extension, or onto stdout.

use std::path::{Path, PathBuf};

use millwork::Client;
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Bytes, Map, Value, map};
use serde_json::{Value as Json, json};

use super::failure::{Failure, Outcome};
use super::inventory::Inventory;
use super::npy::Tensor;
use super::{files, out, show, suggest};

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
            destinations.push((slot.to_owned(), path.into()));
        }
        Ok(Self(destinations))
    }

    pub(crate) fn of(&self, slot: &str) -> Option<&Path> {
        self.0.iter().find(|(name, _)| name == slot).map(|(_, path)| path.as_path())
    }

    pub(crate) fn is_stdout(&self) -> bool {
        self.0.iter().any(|(_, path)| path.as_os_str() == "-")
    }
}

/// One output, and its bytes where it is a picture, a sound or another file.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) slot: String,
    pub(crate) value: Value,
    pub(crate) bytes: Option<Bytes>,
}

/// The outputs of one result, in the order that the node declares.
#[derive(Debug)]
pub(crate) struct Outputs(pub(crate) Vec<Output>);

impl Outputs {
    /// Reads `{outputs, blobs}`.
    pub(crate) fn from_result(node: &NodeMetadata, result: Map) -> Self {
        let rank = |output: &Output| node.outputs.iter().position(|slot| slot.name == output.slot);
        let mut outputs = Self::from_data(result);
        outputs.0.sort_by_key(|output| rank(output).unwrap_or(usize::MAX));
        outputs
    }

    /// Reads `{outputs, blobs}` of a result or a chunk.
    pub(crate) fn from_data(mut data: Map) -> Self {
        let mut part = |key: &str| data.swap_remove(key).and_then(Value::into_map).unwrap_or_default();
        let (values, mut blobs) = (part("outputs"), part("blobs"));
        let mut outputs: Vec<Output> = values
            .into_iter()
            .map(|(slot, value)| {
                let blob = blobs.swap_remove(&slot).and_then(Value::into_bytes);
                let inline = || value.as_map().filter(|map| show::kind(map).is_some())?.get("data").cloned();
                let bytes = blob.or_else(|| match inline() {
                    Some(Value::Bytes(bytes)) => Some(bytes),
                    _ => None,
                });
                Output { slot, value, bytes }
            })
            .collect();
        let alone = blobs
            .into_iter()
            .filter_map(|(slot, value)| Some(Output { slot, value: Value::Nil, bytes: Some(value.into_bytes()?) }));
        outputs.extend(alone);
        Self(outputs)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what has a destination, and gives the slots that were written with their files.
    pub(crate) async fn save(
        &self,
        destinations: &Destinations,
        client: &Client,
        inventory: &Inventory,
    ) -> Outcome<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for output in &self.0 {
            let Some(path) = destinations.of(&output.slot) else { continue };
            let mut bytes = output.encode(path)?;
            if let Some(format) = output.foreign_extension(path) {
                bytes = convert(bytes, format, client, inventory).await?;
            }
            files::write(path, &bytes)?;
            if path.as_os_str() != "-" {
                eprintln!("wrote {} ({})", path.display(), files::summary(&bytes));
            }
            files.push((output.slot.clone(), path.to_owned()));
        }
        Ok(files)
    }

    /// For a program. Bytes are told by their number, and by their file where they have one.
    pub(crate) fn to_json(&self, files: &[(String, PathBuf)]) -> Json {
        let entries = self.0.iter().map(|output| {
            let file = files.iter().find(|(slot, _)| *slot == output.slot).map(|(_, path)| path.display().to_string());
            let json = match (&output.bytes, file) {
                (None, None) => output.value.to_json(),
                (bytes, file) => {
                    json!({ "type": output.kind(), "bytes": bytes.as_ref().map(Bytes::len), "file": file })
                }
            };
            (output.slot.clone(), json)
        });
        Json::Object(entries.collect())
    }

    /// For a person: what was not written to a file.
    pub(crate) fn print(&self, files: &[(String, PathBuf)]) -> Outcome {
        let shown: Vec<&Output> = self.0.iter().filter(|o| !files.iter().any(|(slot, _)| *slot == o.slot)).collect();
        // What was piped out by `-o -` is the only thing on stdout.
        if files.iter().any(|(_, path)| path.as_os_str() == "-") {
            return Ok(());
        }
        for output in &shown {
            let text = output.show();
            match (self.0.len(), text.contains('\n')) {
                (1, _) => out::line(&text)?,
                (_, false) => out::line(&format!("{}: {text}", output.slot))?,
                (_, true) => out::line(&format!("{}:\n{text}", output.slot))?,
            }
        }
        Ok(())
    }
}

impl Output {
    fn kind(&self) -> &str {
        self.value.as_map().and_then(show::kind).unwrap_or(if self.bytes.is_some() { "bytes" } else { "value" })
    }

    pub(crate) fn show(&self) -> String {
        match &self.bytes {
            Some(bytes) if self.kind() == "text" => String::from_utf8_lossy(bytes).into_owned(),
            Some(bytes) => format!("{} ({}); -o FILE writes it", self.kind(), files::summary(bytes)),
            None => show::full(&self.value),
        }
    }

    /// The bytes of its file.
    pub(crate) fn encode(&self, path: &Path) -> Outcome<Bytes> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.clone());
        }
        let extension = files::extension(path);
        match (Tensor::from_value(&self.value), &self.value) {
            (Some(tensor), _) if extension != "json" => Ok(Bytes::from(tensor.to_npy())),
            (Some(tensor), _) => {
                let nested = tensor.nested(usize::MAX).ok_or_else(|| {
                    Failure::failed(format!("a tensor of {} cannot be written as JSON", tensor.dtype))
                        .hint("name it .npy")
                })?;
                Ok(Bytes::from(nested.to_string()))
            }
            (None, Value::Bytes(bytes)) => Ok(bytes.clone()),
            (None, Value::Str(text)) if extension != "json" => Ok(Bytes::from(text.clone())),
            (None, value) if extension == "json" => Ok(Bytes::from(format!("{:#}\n", value.to_json()))),
            (None, value) => Ok(Bytes::from(format!("{}\n", show::full(value)))),
        }
    }

    /// The extension, where the file's name promises another picture format than the bytes have.
    fn foreign_extension(&self, path: &Path) -> Option<String> {
        let format = files::format(self.bytes.as_ref()?)?;
        let extension = files::extension(path);
        let is_foreign = !extension.is_empty() && !format.extensions.contains(&extension.as_str());
        (format.is_image && is_foreign).then_some(extension)
    }
}

/// Asks the stock node for the picture in another format.
async fn convert(picture: Bytes, extension: String, client: &Client, inventory: &Inventory) -> Outcome<Bytes> {
    const NODE: &str = "image.Convert";
    let have = files::format(&picture).map_or("in another format", |format| format.name);
    let cannot = || {
        Failure::failed(format!("the picture is {have}, and nothing here can make a .{extension} of it")).hint(format!(
            "name the file .{}",
            files::format(&picture).and_then(|f| f.extensions.first()).unwrap_or(&"bin")
        ))
    };
    let node = inventory.nodes.iter().find(|node| node.node_type == NODE).ok_or_else(cannot)?;
    let wanted = if extension == "jpg" { "jpeg" } else { extension.as_str() };
    let format = node.properties.iter().find(|property| property.name == "format").ok_or_else(cannot)?;
    let value = format.ty.values.iter().find(|v| v.as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
    let data = map! {
        "node_type" => NODE,
        "fields" => map! { "format" => value.cloned().ok_or_else(cannot)? },
        "secrets" => Map::new(),
        "blobs" => map! { "image" => picture.clone() },
    };
    let result = client.request("execute", data).finish().await?;
    Outputs::from_data(result).0.into_iter().find_map(|output| output.bytes).ok_or_else(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::metadata::OutputSlot;

    fn node() -> NodeMetadata {
        let slot = |name: &str| OutputSlot { name: name.to_owned(), ..OutputSlot::default() };
        NodeMetadata {
            node_type: "acme.Blur".into(),
            outputs: vec![slot("output"), slot("mask")],
            ..NodeMetadata::default()
        }
    }

    fn parse(texts: &[&str]) -> Outcome<Destinations> {
        Destinations::parse(&node(), &texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn destinations_by_slot() {
        let both = parse(&["a.png", "mask=b.png"]).unwrap();
        assert_eq!((both.of("output"), both.of("mask")), (Some(Path::new("a.png")), Some(Path::new("b.png"))));
        assert_eq!(parse(&["out/x=1.png"]).unwrap().of("output"), Some(Path::new("out/x=1.png")));
        assert!(format!("{:?}", parse(&["maks=b.png"]).unwrap_err()).contains("did you mean mask?"));
        assert!(parse(&["a.png", "b.png"]).is_err());
    }

    #[test]
    fn a_result_keeps_the_declared_order() {
        let result = map! {
            "outputs" => map! { "mask" => 3, "output" => map! { "type" => "image", "uri" => "blob://output" } },
            "blobs" => map! { "output" => Bytes::from_static(b"\x89PNG\r\n\x1a\n") },
        };
        let outputs = Outputs::from_result(&node(), result);
        let slots: Vec<_> = outputs.0.iter().map(|o| (o.slot.as_str(), o.kind(), o.bytes.is_some())).collect();
        assert_eq!(slots, [("output", "image", true), ("mask", "value", false)]);
        let files = [("output".to_owned(), PathBuf::from("a.png"))];
        assert_eq!(
            outputs.to_json(&files),
            json!({ "output": { "type": "image", "bytes": 8, "file": "a.png" }, "mask": 3 })
        );
        assert_eq!(outputs.0[0].foreign_extension("a.webp".as_ref()), Some("webp".to_owned()));
        assert_eq!(outputs.0[0].foreign_extension("a.PNG".as_ref()), None);
    }

    #[test]
    fn files_by_extension() {
        let encode = |value: Value, path: &str| {
            Output { slot: "output".into(), value, bytes: None }.encode(path.as_ref()).unwrap()
        };
        assert_eq!(encode("hi".into(), "a.txt"), "hi");
        assert_eq!(encode("hi".into(), "a.json"), "\"hi\"\n");
        assert_eq!(encode(2.into(), "a.txt"), "2\n");
        let tensor = Tensor { dtype: "<i2".into(), shape: vec![2], data: Bytes::from_static(&[1, 0, 2, 0]) };
        assert_eq!(encode(tensor.to_map().into(), "a.json"), "[1,2]");
        assert!(encode(tensor.to_map().into(), "a.npy").starts_with(b"\x93NUMPY"));
    }
}
