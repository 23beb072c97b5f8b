//! What a node gave back: into files by their extension, or onto stdout.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use millwork::Client;
use millwork_protocol::metadata::NodeMetadata;
use millwork_protocol::{Bytes, Map, Value, map};
use serde_json::{Value as Json, json};

use super::content::Content;
use super::destinations::{Destinations, is_stdout};
use super::failure::{Failure, Outcome};
use super::inventory::Inventory;
use super::npy::Tensor;
use super::{content, files, out, show};

/// One output, and its bytes where it is a picture, a sound or another file.
#[derive(Debug, Clone)]
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
                let bytes = blobs.swap_remove(&slot).and_then(Value::into_bytes);
                let output = Output::new(slot, value);
                Output { bytes: bytes.or(output.bytes), ..output }
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

    /// Writes what has a destination, tells of each file, and gives the slots that were written with their files.
    pub(crate) async fn save(
        &self,
        destinations: &Destinations,
        client: &Client,
        inventory: &Inventory,
        mut wrote: impl FnMut(&Path, &[u8]),
    ) -> Outcome<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for output in &self.0 {
            let Some(path) = destinations.of(&output.slot) else { continue };
            for (path, piece) in output.pieces(path)? {
                let bytes = match (&piece.bytes, piece.foreign(&path)) {
                    (Some(picture), Some(format)) if format.is_image => {
                        convert(picture.clone(), files::extension(&path), client, inventory).await?
                    }
                    _ => piece.encode(&path)?,
                };
                files::write(&path, &bytes)?;
                wrote(&path, &bytes);
                files.push((output.slot.clone(), path));
            }
        }
        Ok(files)
    }

    /// For a program. Bytes are told by their number, and by their file where they have one.
    pub(crate) fn to_json(&self, files: &[(String, PathBuf)]) -> Json {
        let entries = self.0.iter().map(|output| {
            let mut files: Vec<Json> =
                files.iter().filter(|(slot, _)| *slot == output.slot).map(|(_, path)| json!(path)).collect();
            let bytes = output.bytes.as_ref().map(Bytes::len);
            let json = match (bytes, files.len()) {
                (None, 0) => show::json(&output.value, usize::MAX),
                (_, 0 | 1) => json!({ "type": output.kind(), "bytes": bytes, "file": files.pop() }),
                _ => json!({ "type": output.kind(), "files": files }),
            };
            (output.slot.clone(), json)
        });
        Json::Object(entries.collect())
    }

    /// For a person: what was not written to a file.
    pub(crate) fn print(&self, files: &[(String, PathBuf)]) -> Outcome {
        // What was piped out by `-o -` is the only thing on stdout.
        if files.iter().any(|(_, path)| is_stdout(path)) {
            return Ok(());
        }
        for output in self.shown(files) {
            out::line(&output.show_as((self.0.len() > 1).then_some(&output.slot)))?;
        }
        Ok(())
    }

    /// What has no file. What `text` or `table` has in words is not there a second time as the lists that it was made of.
    fn shown(&self, files: &[(String, PathBuf)]) -> Vec<&Output> {
        let in_words = |output: &Output| {
            let text = output.value.as_str().filter(|_| matches!(output.slot.as_str(), "text" | "table"));
            text.is_some_and(|text| text.contains('\n'))
        };
        let has_words = self.0.iter().any(in_words);
        let is_data =
            |output: &Output| output.bytes.is_none() && matches!(output.value, Value::List(_) | Value::Map(_));
        let is_written = |output: &Output| files.iter().any(|(slot, _)| *slot == output.slot);
        self.0.iter().filter(|output| !(is_written(output) || has_words && is_data(output))).collect()
    }
}

impl Output {
    /// With the bytes that a reference carries itself.
    pub(crate) fn new(slot: String, value: Value) -> Self {
        let data = value.as_map().filter(|map| show::kind(map).is_some()).and_then(|map| map.get("data"));
        let bytes = match data {
            Some(Value::Bytes(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        Self { slot, value, bytes }
    }

    fn kind(&self) -> &str {
        self.value.as_map().and_then(show::kind).unwrap_or(if self.bytes.is_some() { "bytes" } else { "value" })
    }

    fn content(&self) -> Content {
        match (self.kind(), &self.value) {
            ("image", _) => Content::Picture,
            ("audio", _) => Content::Sound,
            ("video", _) => Content::Film,
            ("model_3d", _) => Content::Model,
            ("np_array", _) => Content::Tensor,
            ("text", _) | (_, Value::Str(_)) => Content::Text,
            (_, Value::Bytes(_)) => Content::Any,
            _ if self.bytes.is_some() => Content::Any,
            _ => Content::Value,
        }
    }

    /// The extension that suits it, or the first of its files; nothing where its bytes could be anything.
    pub(crate) fn extension(&self) -> Option<&'static str> {
        let parts = self.parts();
        let first = parts.first().unwrap_or(self);
        match (first.bytes.as_deref().and_then(files::format), first.content()) {
            (Some(format), _) => format.extensions.first().copied(),
            (None, Content::Any) => None,
            (None, content) => Some(content.words().1),
        }
    }

    /// The tensors or media of a list or a map of nothing else, by name or number; else nothing.
    fn parts(&self) -> Vec<Self> {
        let is_file = |value: &Value| {
            let data = value.as_map().filter(|map| show::kind(map).is_some()).and_then(|map| map.get("data"));
            matches!((value, data), (Value::Bytes(_), _) | (_, Some(Value::Bytes(_))))
                || Tensor::from_value(value).is_some()
        };
        match &self.value {
            Value::List(items) if items.iter().all(is_file) => {
                items.iter().enumerate().map(|(at, item)| Self::new((at + 1).to_string(), item.clone())).collect()
            }
            Value::Map(map) if map.values().all(is_file) => {
                map.iter().map(|(name, item)| Self::new(name.clone(), item.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The files that it becomes: several for a list or a map of tensors or media, each with its name or number in it.
    pub(crate) fn pieces(&self, path: &Path) -> Outcome<Vec<(PathBuf, Cow<'_, Self>)>> {
        let mut parts = self.parts();
        let as_json = files::extension(path) == "json" && parts.iter().all(|part| part.content() == Content::Tensor);
        match (parts.len(), is_stdout(path)) {
            (0, _) => Ok(vec![(path.to_owned(), Cow::Borrowed(self))]),
            _ if as_json => Ok(vec![(path.to_owned(), Cow::Borrowed(self))]),
            (1, _) => Ok(parts.pop().map(|part| (path.to_owned(), Cow::Owned(part))).into_iter().collect()),
            (count, true) => {
                Err(Failure::failed(format!("the output {} is {count} files, and stdout can take one", self.slot))
                    .hint("-o FILE writes each to a file of its own"))
            }
            _ => Ok(parts.into_iter().map(|part| (files::with(path, &part.slot), Cow::Owned(part))).collect()),
        }
    }

    pub(crate) fn show(&self) -> String {
        let parts = self.parts();
        match &self.bytes {
            _ if !parts.is_empty() => {
                parts.iter().map(|part| part.show_as(Some(&part.slot))).collect::<Vec<_>>().join("\n")
            }
            Some(bytes) if self.kind() == "text" => String::from_utf8_lossy(bytes).into_owned(),
            Some(bytes) => format!("{} ({}); -o FILE writes it", self.kind(), files::summary(bytes)),
            None => show::full(&self.value),
        }
    }

    /// Behind a name, where there are several.
    pub(crate) fn show_as(&self, name: Option<&String>) -> String {
        let text = self.show();
        match name {
            None => text,
            Some(name) if text.contains('\n') => format!("{name}:\n{text}"),
            Some(name) => format!("{name}: {text}"),
        }
    }

    /// The bytes of its file.
    pub(crate) fn encode(&self, path: &Path) -> Outcome<Bytes> {
        let extension = files::extension(path);
        let (what, usual) = self.content().words();
        let cannot = |what: &str, usual: &str| {
            let failure = Failure::failed(format!("the output {} is {what}, and no .{extension}", self.slot));
            failure.hint(format!("name the file .{usual}"))
        };
        if let Some(format) = self.foreign(path) {
            return Err(cannot(&format!("{what} ({})", format.name), format.extensions.first().unwrap_or(&usual)));
        }
        if !self.content().fits(&extension) {
            return Err(cannot(what, usual));
        }
        match (&self.bytes, &self.value, Tensor::from_value(&self.value)) {
            (Some(bytes), ..) | (_, Value::Bytes(bytes), _) => Ok(bytes.clone()),
            (_, value, tensor) if extension == "json" => match show::whole_json(value) {
                Some(json) if tensor.is_some() => Ok(Bytes::from(json.to_string())),
                Some(json) => Ok(Bytes::from(format!("{json:#}\n"))),
                None if tensor.is_some() => Err(cannot("a tensor whose numbers JSON has none for", "npy")),
                None => Err(cannot("a value with bytes in it", "txt")),
            },
            (_, _, Some(tensor)) => Ok(Bytes::from(tensor.to_npy())),
            (_, Value::Str(text), _) => Ok(Bytes::from(text.clone())),
            (_, value, _) => Ok(Bytes::from(format!("{}\n", show::full(value)))),
        }
    }

    /// The format of its bytes, where the file's name promises another one.
    fn foreign(&self, path: &Path) -> Option<&'static files::Format> {
        let format = files::format(self.bytes.as_ref()?)?;
        let extension = files::extension(path);
        let is_foreign = !extension.is_empty() && !format.extensions.contains(&extension.as_str());
        // Where it is not said to be a picture or a sound, a name that promises nothing is as good as any.
        let counts = matches!(self.content(), Content::Picture | Content::Sound) || content::is_promise(&extension);
        (is_foreign && counts).then_some(format)
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
        assert_eq!(outputs.0[0].foreign("a.webp".as_ref()).map(|format| format.name), Some("PNG"));
        assert_eq!(outputs.0[0].foreign("a.PNG".as_ref()), None);
    }

    fn tensor(value: u8) -> Value {
        Tensor { dtype: "<i2".into(), shape: vec![2], data: Bytes::from(vec![value, 0, 2, 0]) }.to_map().into()
    }

    fn output(value: impl Into<Value>) -> Output {
        Output::new("output".into(), value.into())
    }

    #[test]
    fn files_by_extension() {
        let encode = |value: Value, path: &str| output(value).encode(path.as_ref()).unwrap();
        assert_eq!(encode("hi".into(), "a.txt"), "hi");
        assert_eq!(encode("hi".into(), "a.json"), "\"hi\"\n");
        assert_eq!(encode(2.into(), "a.txt"), "2\n");
        assert_eq!(encode(tensor(1), "a.json"), "[1,2]");
        assert!(encode(tensor(1), "a.npy").starts_with(b"\x93NUMPY"));
        assert_eq!(
            encode(map! { "a" => map! { "b" => tensor(1) } }.into(), "a.json"),
            "{\n  \"a\": {\n    \"b\": [\n      1,\n      2\n    ]\n  }\n}\n"
        );
    }

    #[test]
    fn a_name_that_promises_something_else_is_refused() {
        let wav = map! { "type" => "audio", "data" => Bytes::from_static(b"RIFF\0\0\0\0WAVEfmt ") };
        let error = |value: Value, path: &str| format!("{:?}", output(value).encode(path.as_ref()).unwrap_err());
        assert!(error(wav.clone().into(), "a.mp3").contains("is a sound (WAV), and no .mp3"));
        assert!(error(wav.into(), "a.npy").contains("name the file .wav"));
        assert!(error(tensor(1), "a.png").contains("is a tensor, and no .png"));
        assert!(error("hi".into(), "a.png").contains("is text, and no .png"));
        assert!(error(Value::List(vec![1.into()]), "a.npy").contains("name the file .json"));
        assert!(error(Value::List(vec![1.into(), Bytes::from_static(b"x").into()]), "a.json").contains("bytes in it"));
        let complex =
            map! { "type" => "np_array", "value" => Bytes::from_static(b"x"), "dtype" => "<c8", "shape" => vec![1] };
        assert!(error(complex.into(), "a.json").contains("name the file .npy"));
    }

    #[test]
    fn tensors_in_lists_and_maps_are_shown_and_written_each() {
        let map = output(map! { "low" => tensor(1), "a/b" => tensor(3) });
        assert_eq!(map.show(), "low:\ntensor <i2 [2]\n[1,2]\na/b:\ntensor <i2 [2]\n[3,2]");
        let paths = |output: &Output, path: &str| {
            let pieces = output.pieces(path.as_ref()).unwrap();
            pieces.iter().map(|(path, piece)| format!("{} {}", path.display(), piece.kind())).collect::<Vec<_>>()
        };
        assert_eq!(paths(&map, "x.npy"), ["x-low.npy np_array", "x-a_b.npy np_array"]);
        assert_eq!(paths(&map, "x.json"), ["x.json value"]);
        assert_eq!(paths(&output(Value::List(vec![tensor(1)])), "x.npy"), ["x.npy np_array"]);
        assert_eq!(paths(&output(Value::List(vec![1.into()])), "x.json"), ["x.json value"]);
        assert!(map.pieces("-".as_ref()).is_err());
        assert_eq!(Outputs(vec![map]).to_json(&[]), json!({ "output": { "low": [1, 2], "a/b": [3, 2] } }));
    }

    #[test]
    fn a_table_is_shown_once() {
        let rows = Value::List(vec![map! { "n" => 1 }.into()]);
        let slot = |slot: &str, value: Value| Output::new(slot.into(), value);
        let slots = |outputs: Vec<Output>| {
            let outputs = Outputs(outputs);
            outputs.shown(&[]).iter().map(|output| output.slot.clone()).collect::<Vec<_>>()
        };
        let table = slot("table", "n\n1".into());
        assert_eq!(slots(vec![slot("output", rows.clone()), table, slot("device", "cpu".into())]), ["table", "device"]);
        assert_eq!(slots(vec![slot("output", rows), slot("text", "one line".into())]), ["output", "text"]);
    }
}
