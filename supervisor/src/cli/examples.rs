//! A command to try for each node: from the types of its fields, or from here where those do not tell enough.

use millwork_protocol::metadata::NodeMetadata;

use super::content::Content;
use super::types;

/// The fields of nodes that the types alone would get wrong.
const FIELDS: [(&str, &str); 10] = [
    ("gpu.Compute", "source=@kernel.wgsl shape='[16]'"),
    ("gpu.Convolve", "image=photo.png kernel='[[0, 1, 0], [1, -4, 1], [0, 1, 0]]'"),
    ("image.Convolve", "image=photo.png kernel='[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]'"),
    ("image.Resize", "image=photo.png width=320"),
    ("json.Get", "data='{\"a\": [1, 2]}' path='a[0]'"),
    ("json.Parse", "text='{\"a\": [1, 2]}'"),
    ("onnx.Run", "inputs='{\"image\": \"tensor.npy\"}' cast=true"),
    ("tensor.Reshape", "tensor=tensor.npy shape='[-1]'"),
    ("tensor.Save", "tensor=tensor.npy path=copy.npy"),
    ("text.Format", "template='Hello {{ name }}' name=world"),
];

/// A command that works as it is, but for the files. It never writes over one that it reads.
pub(crate) fn of(node: &NodeMetadata) -> String {
    let known =
        FIELDS.iter().find(|(node_type, _)| *node_type == node.node_type).map(|(_, fields)| format!(" {fields}"));
    let fields: String = known.unwrap_or_else(|| {
        let needed = node.properties.iter().filter(|property| types::is_required(property));
        needed.map(|property| format!(" {}={}", property.name, types::placeholder(&property.ty))).collect()
    });
    let secrets: String = node.required_settings.iter().map(|name| format!(" --secret {name}")).collect();
    let content = node.outputs.first().map_or(Content::Any, |slot| Content::of(&slot.ty));
    let file = match content {
        Content::Text | Content::Value | Content::Any => String::new(),
        _ => format!(" -o out.{}", content.words().1),
    };
    let test = if node.node_type.starts_with("test.") { " --test-nodes" } else { "" };
    format!("millwork run {}{fields}{secrets}{file}{test}", node.node_type)
}
