//! What can be wrong with a manifest by itself: names, doubles, options that do not go together. Whether files, models and
//! shaders bear it out is not known here.

use std::collections::BTreeMap;
use std::ops::Range;

use semver::{Version, VersionReq};
use toml::Spanned;

use crate::manifest::{As, Field, FieldType, Head, HeadTable, ItemType, Manifest, Node, Output, Step};
use crate::problem::{Kind, Problem};
use crate::read::{Reading, namespace_of};
use crate::source::Source;

/// `[package]`, once it is sure that it can be used here.
pub(crate) fn head(reading: &mut Reading<'_>, table: HeadTable, has_variable: &dyn Fn(&str) -> bool) -> Option<Head> {
    let before = reading.problems.len();
    let name = table.name.as_ref();
    if !is_package_name(name) {
        let text = format!("{name:?} is no name for a package");
        let problem = reading.source.problem(Kind::InvalidValue, text, &table.name.span());
        reading.tell(problem.hint("letters a to z, digits, - and _, at most 64; a letter first"));
    }
    let version = Version::parse(table.version.as_ref()).map_err(|error| {
        let text = format!("{:?} is no version: {error}", table.version.as_ref());
        reading.tell(reading.source.problem(Kind::InvalidValue, text, &table.version.span()).hint("such as 1.2.0"));
    });
    if let Some(wanted) = &table.millwork {
        let here = env!("CARGO_PKG_VERSION");
        match (VersionReq::parse(wanted.as_ref()), Version::parse(here)) {
            (Err(error), _) => {
                let text = format!("{:?} is no requirement on a version: {error}", wanted.as_ref());
                reading.tell(reading.source.problem(Kind::InvalidValue, text, &wanted.span()).hint("such as >=0.1"));
            }
            (Ok(range), Ok(version)) if !range.matches(&version) => {
                let text = format!("it needs Millwork {}; this is {here}", wanted.as_ref());
                let problem = reading.source.problem(Kind::VersionNotMet, text, &wanted.span());
                reading.tell(problem.hint("install that Millwork, or a version of the package for this one"));
            }
            _ => {}
        }
    }
    let namespaces = match &table.namespaces {
        None => vec![namespace_of(name)],
        Some(list) => list.iter().map(|namespace| namespace.as_ref().clone()).collect(),
    };
    for namespace in table.namespaces.iter().flatten().filter(|namespace| !is_word(namespace.as_ref())) {
        let text = format!("{:?} is no namespace: letters, digits and _", namespace.as_ref());
        reading.at(namespace.span(), Kind::InvalidValue, text);
    }
    for setting in table.settings.iter().filter(|setting| !has_variable(setting.as_ref())) {
        let text = format!("the setting {} is missing", setting.as_ref());
        let hint = format!("set the environment variable {}", setting.as_ref());
        reading.tell(reading.source.problem(Kind::MissingSetting, text, &setting.span()).hint(hint));
    }
    if reading.problems.len() > before {
        return None;
    }
    let settings = table.settings.into_iter().map(Spanned::into_inner).collect();
    Some(Head {
        place: reading.source.place(&table.name.span()),
        name: table.name.into_inner(),
        version: version.ok()?,
        description: table.description,
        namespaces,
        settings,
    })
}

fn is_package_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.len() <= 64 && name.bytes().all(is_fine)
}

/// Whether it can stand in an expression.
fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// One node, but for what lies in files.
pub(crate) fn node(reading: &mut Reading<'_>, manifest: &Manifest, node: &Node) {
    let node_type = &node.head.node_type;
    let name = node_type.as_ref();
    if !name.contains('.') || !name.split('.').all(is_word) {
        let text = format!("{name:?} is no node type");
        reading.tell(reading.source.problem(Kind::InvalidValue, text, &node_type.span()).hint("namespace.path.Name"));
    } else if !manifest.has_namespace_of(name) {
        let owned = manifest.head.namespaces.join(", ");
        let text = format!("{name} is outside of the package's namespaces ({owned})");
        let first = name.split('.').next().unwrap_or_default();
        let hint = format!("begin it with {owned}, or add {first:?} to `namespaces`");
        reading.tell(reading.source.problem(Kind::WrongNamespace, text, &node_type.span()).hint(hint));
    }
    if node.steps.is_empty() {
        let text = format!("{name} has no [[node.step]]");
        reading.tell(reading.source.problem(Kind::MissingKey, text, &node_type.span()));
    }
    if node.outputs.is_empty() {
        let text = format!("{name} has no [[node.output]]");
        reading.tell(reading.source.problem(Kind::MissingKey, text, &node_type.span()));
    }
    let values = node.fields.iter().map(|field| &field.name).chain(node.buffers.iter().map(|buffer| &buffer.name));
    let made = node.steps.iter().flat_map(|step| &step.outputs).map(|output| &output.name);
    names(reading, "value", values.chain(made));
    names(reading, "output", node.outputs.iter().map(|output| &output.name));
    node.fields.iter().for_each(|one| field(reading, one));
    node.steps.iter().flat_map(|step| &step.outputs).chain(&node.outputs).for_each(|one| output(reading, one));
    for buffer in &node.buffers {
        let sized = buffer.width.is_some() || buffer.height.is_some();
        let ways = [buffer.from.is_some(), buffer.like.is_some(), sized, buffer.length.is_some()];
        if ways.iter().filter(|given| **given).count() != 1 {
            let text = format!(
                "the buffer {} needs one of `from`, `like`, `width` and `height`, `length`",
                buffer.name.as_ref()
            );
            reading.at(buffer.name.span(), Kind::InvalidValue, text);
        } else if sized && (buffer.width.is_none() || buffer.height.is_none()) {
            reading.at(buffer.name.span(), Kind::MissingKey, "`width` and `height` go together");
        }
    }
    if let Some(fallback) = &node.fallback {
        for (slot, _) in
            fallback.outputs.iter().filter(|(slot, _)| node.outputs.iter().all(|o| o.name.as_ref() != slot.as_ref()))
        {
            let text = format!("the node has no output {}", slot.as_ref());
            reading.at(slot.span(), Kind::UnknownName, text);
        }
        for output in
            node.outputs.iter().filter(|o| fallback.outputs.keys().all(|slot| slot.as_ref() != o.name.as_ref()))
        {
            let text = format!("the fallback says nothing of the output {}", output.name.as_ref());
            reading.at(fallback.node.span(), Kind::MissingKey, text);
        }
    }
}

/// Names that are words, none of them twice.
fn names<'a>(reading: &mut Reading<'_>, what: &str, all: impl Iterator<Item = &'a Spanned<String>>) {
    let mut seen: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    for name in all {
        if !is_word(name.as_ref()) {
            let text = format!("{:?} is no name: letters, digits and _, no digit first", name.as_ref());
            reading.at(name.span(), Kind::InvalidValue, text);
        }
        match seen.get(name.as_ref().as_str()) {
            Some(first) => {
                let line = reading.source.place(first).line;
                let text = format!("there is a {what} {} already, in line {line}", name.as_ref());
                reading.at(name.span(), Kind::DuplicateName, text);
            }
            None => drop(seen.insert(name.as_ref(), name.span())),
        }
    }
}

fn field(reading: &mut Reading<'_>, field: &Field) {
    let is_number = matches!(field.ty, FieldType::Int | FieldType::Float);
    let bounds = [("min", &field.min), ("max", &field.max)];
    for (key, bound) in bounds.into_iter().filter_map(|(key, bound)| Some((key, bound.as_ref()?))) {
        if !is_number {
            reading.at(bound.span(), Kind::InvalidValue, format!("`{key}` is for fields of the type int or float"));
        }
    }
    if let (Some(min), Some(max)) = (&field.min, &field.max)
        && min.as_ref() > max.as_ref()
    {
        let text = format!("`min` {} is above `max` {}", min.as_ref(), max.as_ref());
        reading.at(min.span(), Kind::InvalidValue, text);
    }
    match (&field.values, field.ty) {
        (None, FieldType::Enum) => {
            reading.at(field.name.span(), Kind::MissingKey, "an enum needs `values`");
        }
        (Some(values), FieldType::Enum) if values.as_ref().is_empty() => {
            reading.at(values.span(), Kind::InvalidValue, "an enum needs one value at least");
        }
        (Some(values), ty) if ty != FieldType::Enum => {
            reading.at(values.span(), Kind::InvalidValue, "`values` is for fields of the type enum");
        }
        _ => {}
    }
    if let Some(items) = field.items.as_ref().filter(|_| field.ty != FieldType::List) {
        reading.at(items.span(), Kind::InvalidValue, "`items` is for fields of the type list");
    }
    if let Some(default) = &field.default
        && let Err(text) = fits(field, default.as_ref())
    {
        reading.at(default.span(), Kind::InvalidValue, format!("`default`: {text}"));
    }
}

/// Whether a default is a value of its field.
fn fits(field: &Field, value: &toml::Value) -> Result<(), String> {
    let wrong = |expected: &str| Err(format!("expected {expected}, got {}", value.type_str()));
    let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
    match field.ty {
        FieldType::Str if !value.is_str() => wrong("a text"),
        FieldType::Bool if !value.is_bool() => wrong("true or false"),
        FieldType::Int if !value.is_integer() => wrong("a whole number"),
        FieldType::Float if number.is_none() => wrong("a number"),
        FieldType::Int | FieldType::Float => {
            let number = number.unwrap_or_default();
            let (low, high) = (field.min.as_ref().map(|m| *m.as_ref()), field.max.as_ref().map(|m| *m.as_ref()));
            match (low.filter(|low| number < *low), high.filter(|high| number > *high)) {
                (Some(low), _) => Err(format!("{number} is below `min` {low}")),
                (_, Some(high)) => Err(format!("{number} is above `max` {high}")),
                (None, None) => Ok(()),
            }
        }
        FieldType::Enum => {
            let values = field.values.as_ref().map(|values| values.as_ref().as_slice()).unwrap_or_default();
            let Some(text) = value.as_str() else { return wrong("a text") };
            let is_known = values.iter().any(|value| value == text);
            if is_known { Ok(()) } else { Err(format!("{text:?} is none of {}", values.join(", "))) }
        }
        FieldType::List => {
            let items = field.items.as_ref().map_or(ItemType::Float, |items| *items.as_ref());
            let is_item = |item: &toml::Value| match items {
                ItemType::Float => item.is_float() || item.is_integer(),
                ItemType::Int => item.is_integer(),
                ItemType::Str => item.is_str(),
            };
            let what = match items {
                ItemType::Float => "a list of numbers",
                ItemType::Int => "a list of whole numbers",
                ItemType::Str => "a list of texts",
            };
            if value.as_array().is_some_and(|list| list.iter().all(is_item)) { Ok(()) } else { wrong(what) }
        }
        FieldType::Image | FieldType::Audio | FieldType::Tensor => Err("a field of this type has none".to_owned()),
        FieldType::Str | FieldType::Bool => Ok(()),
    }
}

/// One step by itself.
pub(crate) fn step(reading: &mut Reading<'_>, step: &Step, span: Range<usize>) {
    let misplaced = |reading: &mut Reading<'_>, key: &str, at: Range<usize>, what: &str| {
        reading.at(at, Kind::InvalidValue, format!("`{key}` is for steps with {what}"));
    };
    match (&step.onnx, &step.wgsl) {
        (None, None) => {
            reading.at(span, Kind::MissingKey, "a step needs `onnx` or `wgsl`");
        }
        (Some(_), Some(wgsl)) => {
            reading.at(wgsl.span(), Kind::InvalidValue, "a step is `onnx` or `wgsl`, not both: make two steps of it");
        }
        (Some(_), None) => {
            let bind = step.bind.iter().flatten().next().map(|(key, _)| key.span());
            let uniforms = step.uniforms.iter().flatten().next().map(|(key, _)| key.span());
            let entry = step.entry.as_ref().map(Spanned::span);
            let dispatch = step.dispatch.as_ref().map(Spanned::span);
            for (key, at) in [("entry", entry), ("dispatch", dispatch), ("bind", bind), ("uniforms", uniforms)] {
                if let Some(at) = at {
                    misplaced(reading, key, at, "`wgsl`");
                }
            }
            names(reading, "input", step.inputs.iter().map(|input| &input.name).filter(|name| is_word(name.as_ref())));
            step.inputs.iter().for_each(|one| input(reading, one));
        }
        (None, Some(wgsl)) => {
            if let Some(input) = step.inputs.first() {
                misplaced(reading, "input", input.name.span(), "`onnx`");
            }
            if let Some(output) = step.outputs.first() {
                misplaced(reading, "output", output.name.span(), "`onnx`");
            }
            match &step.dispatch {
                None => {
                    reading.at(wgsl.span(), Kind::MissingKey, "a shader needs `dispatch`: how many invocations");
                }
                Some(dispatch) if dispatch.as_ref().is_empty() || dispatch.as_ref().len() > 3 => {
                    reading.at(dispatch.span(), Kind::InvalidValue, "`dispatch` has one to three numbers: x, y, z");
                }
                Some(_) => {}
            }
        }
    }
}

/// The options of one input go together.
fn input(reading: &mut Reading<'_>, input: &crate::manifest::Input) {
    let samples = input.samples.as_ref().map(|samples| ("samples", samples.span()));
    let mel = input.mel.as_ref().map(|mel| ("mel", mel.span()));
    let tokenizer = input.tokenizer.as_ref().map(|tokenizer| ("tokenizer", tokenizer.span()));
    let size = input.size.as_ref().map(|size| ("size", size.span()));
    let ways: Vec<(&str, Range<usize>)> = [samples, mel, tokenizer, size].into_iter().flatten().collect();
    if let [(first, _), (second, at), ..] = ways.as_slice() {
        let text = format!("`{first}` and `{second}` do not go together: a value is one thing");
        reading.at(at.clone(), Kind::InvalidValue, text);
    }
    if input.tokenizer.is_none() && (input.part.is_some() || input.max_length.is_some() || input.length.is_some()) {
        reading.at(input.name.span(), Kind::MissingKey, "`part`, `length` and `max_length` need `tokenizer`");
    }
    if let Some(size) = input.size.as_ref().filter(|size| size.as_ref().iter().any(|side| !(1..=8192).contains(side))) {
        reading.at(size.span(), Kind::InvalidValue, "`size` has sides from 1 to 8192");
    }
    let most = 1 << 24;
    let samples = input.samples.as_ref().filter(|samples| samples.as_ref().length.is_some_and(|length| length > most));
    let mel = input.mel.as_ref().filter(|mel| mel.as_ref().frames.is_some_and(|frames| frames > most / 16));
    let tokens = input.length.as_ref().filter(|length| *length.as_ref() > most / 16);
    let long = samples.map(Spanned::span).or(mel.map(Spanned::span)).or(tokens.map(Spanned::span));
    if let Some(at) = long {
        let text =
            format!("a sound has at most {most} samples here, {} frames, and a text {} tokens", most / 16, most / 16);
        reading.at(at, Kind::InvalidValue, text);
    }
    if let Some(std) = input.std.as_ref().filter(|std| std.as_ref().as_slice().contains(&0.0)) {
        reading.at(std.span(), Kind::InvalidValue, "`std` divides: it may not be 0");
    }
    if let Some(samples) = input.samples.as_ref().filter(|samples| samples.as_ref().rate == 0) {
        reading.at(samples.span(), Kind::InvalidValue, "`rate` is at least 1");
    }
    if let Some(at) = &input.mel {
        let mel = at.as_ref();
        let nyquist = f64::from(mel.rate) / 2.0;
        let high = mel.f_max.unwrap_or(nyquist);
        let text = if mel.rate == 0 || mel.hop == 0 || mel.n_mels == 0 || mel.n_fft < 2 {
            "`rate`, `hop` and `n_mels` are at least 1, `n_fft` at least 2".to_owned()
        } else if mel.n_fft > 1 << 16 || mel.n_mels > 4096 {
            "`n_fft` is at most 65536, `n_mels` at most 4096".to_owned()
        } else if !(0.0 <= mel.f_min && mel.f_min < high && high <= nyquist) {
            format!("the bands rise from `f_min` to `f_max` and end at {nyquist} Hz at most, half of `rate`")
        } else {
            return;
        };
        reading.at(at.span(), Kind::InvalidValue, text);
    }
}

/// The options of an output are for what it becomes.
fn output(reading: &mut Reading<'_>, output: &Output) {
    use As::{Audio, Boxes, Ctc, Embedding, Image, Label, Labels, Mask, Score};
    fn span<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
        value.as_ref().map(Spanned::span)
    }
    type Options<'a> = (&'a str, Option<Range<usize>>, &'a [As]);
    let options: [Options<'_>; 21] = [
        ("labels", span(&output.labels), &[Label, Labels, Boxes]),
        ("activation", span(&output.activation), &[Mask, Label, Score, Labels, Boxes]),
        ("top", span(&output.top), &[Labels]),
        ("range", span(&output.range), &[Image]),
        ("channels", span(&output.channels), &[Image]),
        ("layout", span(&output.layout), &[Image, Mask]),
        ("size", span(&output.size), &[Image, Mask]),
        ("threshold", span(&output.threshold), &[Mask]),
        ("class", span(&output.class), &[Mask]),
        ("format", span(&output.format), &[Boxes]),
        ("scores", span(&output.scores), &[Boxes]),
        ("classes", span(&output.classes), &[Boxes]),
        ("score", span(&output.score), &[Boxes]),
        ("iou", span(&output.iou), &[Boxes]),
        ("max", span(&output.max), &[Boxes]),
        ("input", span(&output.input), &[Boxes]),
        ("pooling", span(&output.pooling), &[Embedding]),
        ("mask", span(&output.mask), &[Embedding]),
        ("normalise", span(&output.normalise), &[Embedding]),
        ("vocabulary", span(&output.vocabulary), &[Ctc]),
        ("blank", span(&output.blank), &[Ctc]),
    ];
    let name = |kind: As| {
        serde_json::to_value(kind).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
    };
    let kind = output.kind.as_ref().map(|kind| *kind.as_ref());
    let rate = [("rate", span(&output.rate), &[Audio][..])];
    for (key, at, kinds) in options.into_iter().chain(rate) {
        let Some(at) = at.filter(|_| !kind.is_some_and(|kind| kinds.contains(&kind))) else { continue };
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("as = \"{}\"", name(*kind))).collect();
        reading.at(at, Kind::InvalidValue, format!("`{key}` is for {}", kinds.join(", ")));
    }
    let Some(at) = output.kind.as_ref().map(Spanned::span) else { return };
    let needed = match kind {
        Some(Boxes) if output.format.is_none() => Some("format"),
        Some(Ctc) if output.vocabulary.is_none() => Some("vocabulary"),
        Some(Audio) if output.rate.is_none() => Some("rate"),
        _ => None,
    };
    if let Some(key) = needed {
        let kind = kind.map(name).unwrap_or_default();
        reading.at(at.clone(), Kind::MissingKey, format!("as = \"{kind}\" needs `{key}`"));
    }
    if let Some(range) = output.range.as_ref().filter(|range| range.as_ref()[0] == range.as_ref()[1]) {
        reading.at(range.span(), Kind::InvalidValue, "`range` goes from one value to another");
    }
}

/// The nodes whose types differ: the first of a type stays.
pub(crate) fn unlike(source: &Source, nodes: Vec<(Node, Range<usize>)>, problems: &mut Vec<Problem>) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::new();
    let mut seen: BTreeMap<String, Range<usize>> = BTreeMap::new();
    for (node, _) in nodes {
        let node_type = &node.head.node_type;
        match seen.get(node_type.as_ref()) {
            Some(first) => {
                let line = source.place(first).line;
                let text = format!("there is a node {} already, in line {line}; it is used", node_type.as_ref());
                let problem = source.problem(Kind::DuplicateNode, text, &node_type.span());
                problems.push(problem.of(node_type.as_ref()));
            }
            None => {
                seen.insert(node_type.as_ref().clone(), node_type.span());
                kept.push(node);
            }
        }
    }
    kept
}
