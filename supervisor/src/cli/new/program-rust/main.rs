//! The nodes of this package. How they are asked for, and how they answer, is in `bridge`.

// An error is the frame that will travel.
#![allow(clippy::result_large_err)]

mod bridge;

use bridge::{Call, invalid};
use millwork_protocol::message::{ErrorData, ErrorKind, ExecuteRequest};
use millwork_protocol::{Map, NodeMetadata, OutputSlot, PropertyMetadata, TypeMetadata, Value};

fn main() -> std::io::Result<()> {
    bridge::serve(nodes(), execute)
}

/// What `discover` tells.
fn nodes() -> Vec<NodeMetadata> {
    let field = |name: &str, ty: TypeMetadata, default: Value| PropertyMetadata {
        name: name.to_owned(),
        ty,
        default: Some(default),
        ..PropertyMetadata::default()
    };
    let output = OutputSlot {
        name: "output".to_owned(),
        ty: TypeMetadata::str(),
        ..OutputSlot::default()
    };
    vec![NodeMetadata {
        node_type: "my_nodes.Repeat".to_owned(),
        title: "Repeat".to_owned(),
        description: "Repeats a text.".to_owned(),
        properties: vec![
            field("text", TypeMetadata::str(), "".into()),
            field("times", TypeMetadata::int(), 2.into()),
        ],
        outputs: vec![output],
        ..NodeMetadata::default()
    }]
}

fn execute(request: &ExecuteRequest, call: &Call) -> Result<Value, ErrorData> {
    match request.node_type.as_str() {
        "my_nodes.Repeat" => {
            repeat(&request.fields, |done, total| call.progress(done, total)).map(Value::from)
        }
        other => Err(ErrorData::new(
            ErrorKind::UnknownNode,
            format!("Unknown node type: {other}"),
        )),
    }
}

fn repeat(
    fields: &Map,
    progress: impl Fn(i64, i64) -> Result<(), ErrorData>,
) -> Result<String, ErrorData> {
    let given = |name: &str| fields.get(name).filter(|value| !value.is_nil());
    let text = given("text")
        .map_or(Some(""), Value::as_str)
        .ok_or_else(|| invalid("field `text`: expected str"))?;
    let times = given("times")
        .map_or(Some(2), Value::as_i64)
        .ok_or_else(|| invalid("field `times`: expected int"))?;
    let mut repeated = String::new();
    for done in 0..times {
        progress(done, times)?; // A request that has been cancelled ends here.
        repeated += text;
    }
    Ok(repeated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwork_protocol::map;

    #[test]
    fn repeats() {
        let run = |fields| repeat(&fields, |_, _| Ok(()));
        assert_eq!(
            run(map! { "text" => "ho", "times" => 3 }).unwrap(),
            "hohoho"
        );
        assert_eq!(
            run(map! { "times" => "x" }).unwrap_err().error,
            "field `times`: expected int"
        );
    }

    #[test]
    fn ends_where_it_is_cancelled() {
        let cancelled = |_, _| Err(ErrorData::new(ErrorKind::Cancelled, "cancelled"));
        assert_eq!(
            repeat(&map! { "text" => "ho" }, cancelled)
                .unwrap_err()
                .error,
            "cancelled"
        );
    }
}
