//! From the file's protobuf to [`ModelInfo`], and to the reasons not to load it.

use indexmap::IndexMap;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto, type_proto};

use super::error::OnnxError;
use super::external::{self, ExternalFile};
use super::info::{Dim, ModelInfo, OperatorCount, ValueInfo};
use super::source::Source;
use super::supported::{STANDARD, Supported, domain_of};
use super::{branch, value, walk};

/// What is known of a model before tract sees it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) info: ModelInfo,
    external: Result<Vec<ExternalFile>, OnnxError>,
    flaw: Option<String>,
    /// Inputs that decide between branches.
    pub(super) deciding: Vec<String>,
}

pub(super) fn describe(source: &Source, proto: &ModelProto) -> Result<Described, OnnxError> {
    let name = source.name();
    let Some(graph) = &proto.graph else {
        return Err(OnnxError::NotOnnx { model: name, reason: "there is no graph in it".into() });
    };
    let (parameters, parameter_bytes) = weigh(graph);
    let producer = [proto.producer_name.as_str(), &proto.producer_version];
    let info = ModelInfo {
        name,
        graph_name: graph.name.clone(),
        inputs: required_inputs(graph).map(value_info).collect(),
        outputs: graph.output.iter().map(value_info).collect(),
        opsets: proto.opset_import.iter().map(|set| (domain_name(&set.domain), set.version)).collect(),
        ir_version: proto.ir_version,
        producer: producer.join(" ").trim().to_owned(),
        metadata: proto.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect(),
        operators: count_operators(graph),
        unsupported: unsupported(graph),
        parameters,
        parameter_bytes,
    };
    Ok(Described {
        info,
        external: external::check(source, graph),
        flaw: flaw(graph),
        deciding: branch::deciding(graph),
    })
}

impl Described {
    /// The first reason not to load the model, if there is one.
    pub(super) fn refuse(&self) -> Result<(), OnnxError> {
        let model = || self.info.name.clone();
        if !self.info.unsupported.is_empty() {
            return Err(OnnxError::Unsupported { model: model(), operators: self.info.unsupported.clone() });
        }
        if let Some(reason) = &self.flaw {
            return Err(OnnxError::Load { model: model(), reason: reason.clone() });
        }
        self.external.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    pub(super) fn external_files_are_the_same(&self) -> bool {
        self.external.iter().flatten().all(ExternalFile::is_unchanged)
    }

    /// Memory that this description takes, roughly.
    pub(super) fn cost(&self) -> u64 {
        let ModelInfo { inputs, outputs, operators, metadata, .. } = &self.info;
        let texts: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        (1024 + texts + 128 * (inputs.len() + outputs.len() + operators.len())) as u64
    }
}

/// Old files list their weights among the inputs.
fn required_inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    graph.input.iter().filter(|input| graph.initializer.iter().all(|weight| weight.name != input.name))
}

fn value_info(proto: &ValueInfoProto) -> ValueInfo {
    let tensor = proto.r#type.as_ref().and_then(|r#type| r#type.value.as_ref());
    let tensor = tensor.map(|type_proto::Value::TensorType(tensor)| tensor);
    let element = tensor.map_or(0, |tensor| tensor.elem_type);
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    ValueInfo {
        name: proto.name.clone(),
        dtype: value::dtype_of_onnx(element),
        dtype_name: value::name_of_onnx(element),
        shape: shape.map(|shape| shape.dim.iter().map(dim).collect()),
    }
}

fn dim(dim: &tensor_shape_proto::Dimension) -> Dim {
    use tensor_shape_proto::dimension::Value;
    match &dim.value {
        Some(Value::DimValue(length)) => usize::try_from(*length).map_or(Dim::Unknown, Dim::Fixed),
        Some(Value::DimParam(name)) if !name.is_empty() && name != "?" => Dim::Symbol(name.clone()),
        _ => Dim::Unknown,
    }
}

fn domain_name(domain: &str) -> String {
    if domain.is_empty() { STANDARD.into() } else { domain.into() }
}

fn count_operators(graph: &GraphProto) -> Vec<OperatorCount> {
    let mut counts: IndexMap<(&str, &str), usize> = IndexMap::new();
    walk::nodes(graph, &mut |node| *counts.entry((domain_of(node), &node.op_type)).or_default() += 1);
    let counted = |((domain, op_type), count): ((&str, &str), usize)| OperatorCount {
        op_type: op_type.into(),
        domain: domain.into(),
        count,
    };
    let mut operators: Vec<OperatorCount> = counts.into_iter().map(counted).collect();
    operators.sort_by_key(|operator| std::cmp::Reverse(operator.count));
    operators
}

fn unsupported(graph: &GraphProto) -> Vec<super::UnsupportedOperator> {
    let supported = Supported::new();
    let mut found = Vec::new();
    walk::nodes(graph, &mut |node| found.extend(supported.refuse(node)));
    found
}

/// Elements and bytes of all constants.
fn weigh(graph: &GraphProto) -> (u64, u64) {
    let (mut elements, mut bits) = (0u64, 0u64);
    walk::tensors(graph, &mut |tensor| {
        let dims = tensor.dims.iter().map(|dim| u64::try_from(*dim).unwrap_or(0));
        let count = dims.fold(1, u64::saturating_mul);
        elements = elements.saturating_add(count);
        bits = bits.saturating_add(count.saturating_mul(value::bits_of_onnx(tensor.data_type)));
    });
    (elements, bits.div_ceil(8))
}

/// What tract takes for granted in a graph.
fn flaw(graph: &GraphProto) -> Option<String> {
    if let Some(sparse) = graph.sparse_initializer.first() {
        let name = sparse.values.as_ref().map_or("", |values| &values.name);
        return Some(format!("weight {name:?} is sparse, which is not supported"));
    }
    let produced = |name: &String| {
        graph.node.iter().any(|node| node.output.contains(name))
            || graph.input.iter().any(|input| input.name == *name)
            || graph.initializer.iter().any(|weight| weight.name == *name)
    };
    let missing = graph.output.iter().find(|output| !produced(&output.name))?;
    Some(format!("output {:?} is produced by no node", missing.name))
}
