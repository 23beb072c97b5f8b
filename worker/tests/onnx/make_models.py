"""Makes the small models beside this file, and expected.json: what onnxruntime computes with them.

    python -m venv venv && venv/bin/pip install onnx==1.23.2 onnxruntime==1.31.1
    venv/bin/python worker/tests/onnx/make_models.py

Weights come from a fixed seed, so a second run writes the same files.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RNG = np.random.default_rng(7)
EXPECTED = {}


def weights(name, *shape, dtype=np.float32):
    return numpy_helper.from_array((RNG.standard_normal(shape) * 0.5).astype(dtype), name)


def constant(name, values, dtype):
    return numpy_helper.from_array(np.array(values, dtype), name)


def value(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), opset=17, domains=(), **extra):
    graph = helper.make_graph(nodes, "test", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="make_models", producer_version="1")
    helper.set_model_props(made, extra)
    return made


def save(name, made, *runs):
    """Writes the model and, for each run (a dict of inputs), what onnxruntime answers."""
    path = HERE / f"{name}.onnx"
    onnx.save(made, path)
    if runs:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        EXPECTED[name] = [
            {"inputs": pack(inputs), "outputs": pack(dict(zip(names, session.run(names, inputs))))} for inputs in runs
        ]


def pack(tensors):
    return {
        name: {"dtype": str(t.dtype), "shape": list(t.shape), "data": t.astype(float).round(7).flatten().tolist()}
        for name, t in ((name, np.asarray(t)) for name, t in tensors.items())
    }


def uniform(*shape, dtype=np.float32):
    return RNG.uniform(-1, 1, shape).astype(dtype)


# A perceptron with an open batch size.
mlp = model(
    [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], "first"),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["s"], "second"),
        helper.make_node("Softmax", ["s"], ["y"], "softmax", axis=1),
    ],
    [value("x", TensorProto.FLOAT, ["N", 4])],
    [value("y", TensorProto.FLOAT, ["N", 3])],
    [weights("w1", 4, 8), weights("b1", 8), weights("w2", 8, 3), weights("b2", 3)],
    labels="red,green,blue",
)
save("mlp", mlp, {"x": uniform(1, 4)}, {"x": uniform(5, 4)})

# A convolution over pictures of any size; the exporter has noted inner shapes with symbols of its own.
conv = model(
    [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu1"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["p"], ["g"], "gap"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "v"], ["y"], "head"),
    ],
    [value("x", TensorProto.FLOAT, [1, 3, "H", "W"])],
    [value("y", TensorProto.FLOAT, [1, 4])],
    [weights("w", 6, 3, 3, 3), weights("b", 6), weights("v", 6, 4)],
)
conv.graph.value_info.append(value("c", TensorProto.FLOAT, [1, 6, "h_inner", "w_inner"]))
save("conv", conv, {"x": uniform(1, 3, 8, 8)}, {"x": uniform(1, 3, 6, 10)})

# Shapes that depend on a shape: a square of symbols; and with axes that have no name at all, so that there is no plan
# for all sizes, but one for each.
square = model(
    [
        helper.make_node("Reshape", ["x", "flat"], ["r"], "reshape"),
        helper.make_node("CumSum", ["r", "axis"], ["c"], "cumsum"),
        helper.make_node("Shape", ["x"], ["s"], "shape"),
        helper.make_node("Reshape", ["c", "s"], ["y"], "back"),
    ],
    [value("x", TensorProto.FLOAT, ["N", "N"])],
    [value("y", TensorProto.FLOAT, ["N", "N"])],
    [constant("flat", [-1], np.int64), constant("axis", 0, np.int64)],
)
save("square", square, {"x": uniform(3, 3)}, {"x": uniform(4, 4)})
unnamed = onnx.ModelProto()
unnamed.CopyFrom(square)
for info in [*unnamed.graph.input, *unnamed.graph.output]:
    info.CopyFrom(value(info.name, TensorProto.FLOAT, [None, None]))
save("unnamed", unnamed, {"x": uniform(3, 2)}, {"x": uniform(1, 4)})

# Powers with constant exponents, and the GELU that GPT-2 exporters write.
powers = model(
    [
        helper.make_node("Pow", ["x", "two"], ["x2"], "square"),
        helper.make_node("Pow", ["x", "three"], ["x3"], "cube"),
        helper.make_node("Pow", ["x", "four"], ["x4"], "fourth"),
        helper.make_node("Mul", ["x3", "k"], ["a"]),
        helper.make_node("Add", ["x", "a"], ["b"]),
        helper.make_node("Mul", ["b", "r"], ["c"]),
        helper.make_node("Tanh", ["c"], ["d"]),
        helper.make_node("Add", ["d", "one"], ["e"]),
        helper.make_node("Mul", ["x", "e"], ["f"]),
        helper.make_node("Mul", ["f", "half"], ["gelu"]),
        helper.make_node("Abs", ["x"], ["m"]),
        helper.make_node("Pow", ["m", "odd"], ["rest"], "rest"),
    ],
    [value("x", TensorProto.FLOAT, ["N", 6])],
    [value(name, TensorProto.FLOAT, ["N", 6]) for name in ["x2", "x3", "x4", "gelu", "rest"]],
    [
        constant("two", 2, np.float32),
        constant("three", 3, np.float32),
        constant("four", [4], np.float32),
        constant("odd", 1.7, np.float32),
        constant("k", 0.044715, np.float32),
        constant("r", np.sqrt(2 / np.pi), np.float32),
        constant("one", 1, np.float32),
        constant("half", 0.5, np.float32),
    ],
)
save("powers", powers, {"x": uniform(3, 6) * 3})

# Token ids and a mask, with a symbol that both share.
tokens = model(
    [
        helper.make_node("Gather", ["table", "ids"], ["e"], "embed"),
        helper.make_node("Unsqueeze", ["mask", "last"], ["m"], "spread"),
        helper.make_node("Mul", ["e", "m"], ["em"], "masked"),
        helper.make_node("ReduceMean", ["em"], ["y"], "mean", axes=[1], keepdims=0),
    ],
    [value("ids", TensorProto.INT64, ["B", "T"]), value("mask", TensorProto.FLOAT, ["B", "T"])],
    [value("y", TensorProto.FLOAT, ["B", 5])],
    [weights("table", 11, 5), constant("last", [2], np.int64)],
)
ids = RNG.integers(0, 11, (2, 7))
save("tokens", tokens, {"ids": ids, "mask": (uniform(2, 7) > 0).astype(np.float32)})

# Shape and Size, which are dimensions inside tract and int64 outside; and an input that is an output.
shape = model(
    [
        helper.make_node("Shape", ["x"], ["shape"], "shape"),
        helper.make_node("Size", ["x"], ["size"], "size"),
        helper.make_node("Identity", ["x"], ["same"], "same"),
    ],
    [value("x", TensorProto.FLOAT, ["A", "B"])],
    [value("shape", TensorProto.INT64, [2]), value("size", TensorProto.INT64, []), value("same", TensorProto.FLOAT, ["A", "B"])],
)
save("shape", shape, {"x": uniform(2, 3)})

half = model(
    [helper.make_node("Mul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])],
    [value("x", TensorProto.FLOAT16, ["N", 4])],
    [value("y", TensorProto.FLOAT16, ["N", 4])],
    [weights("w", 4, dtype=np.float16), weights("b", 4, dtype=np.float16)],
)
save("half", half, {"x": uniform(2, 4, dtype=np.float16)})

# Bytes in, truth out.
bright = model(
    [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Greater", ["f", "limit"], ["bright"]),
        helper.make_node("Not", ["bright"], ["dark"]),
    ],
    [value("x", TensorProto.UINT8, [2, 3])],
    [value("bright", TensorProto.BOOL, [2, 3]), value("dark", TensorProto.BOOL, [2, 3])],
    [constant("limit", 128, np.float32)],
)
save("bright", bright, {"x": RNG.integers(0, 256, (2, 3)).astype(np.uint8)})

# A branch is a subgraph: its operators count too.
branch = model(
    [
        helper.make_node(
            "If",
            ["flag"],
            ["y"],
            "choose",
            then_branch=helper.make_graph(
                [helper.make_node("Det", ["x"], ["d"], "inner_det")], "then", [], [value("d", TensorProto.FLOAT, [])]
            ),
            else_branch=helper.make_graph(
                [helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0)], "else", [], [value("s", TensorProto.FLOAT, [])]
            ),
        ),
        helper.make_node("FooBar", ["y"], ["z"], "outer_foo", domain="com.acme"),
        helper.make_node("Attention", ["z", "z", "z"], ["a"], "other_attention", domain="com.microsoft"),
    ],
    [value("flag", TensorProto.BOOL, []), value("x", TensorProto.FLOAT, [3, 3])],
    [value("a", TensorProto.FLOAT, [])],
    domains=["com.acme", "com.microsoft"],
)
save("unsupported", branch)

lstm = model(
    [helper.make_node("LSTM", ["x", "w", "r"], ["y"], "both_ways", hidden_size=2, direction="bidirectional")],
    [value("x", TensorProto.FLOAT, [5, 1, 3])],
    [value("y", TensorProto.FLOAT, [5, 2, 1, 2])],
    [weights("w", 2, 8, 3), weights("r", 2, 8, 2)],
)
save("bidirectional", lstm)

forward = model(
    [helper.make_node("LSTM", ["x", "w", "r"], ["y"], "one_way", hidden_size=2)],
    [value("x", TensorProto.FLOAT, [5, 1, 3])],
    [value("y", TensorProto.FLOAT, [5, 1, 1, 2])],
    [weights("w", 1, 8, 3), weights("r", 1, 8, 2)],
)
save("lstm", forward, {"x": uniform(5, 1, 3)})


def external(name, location, length=None):
    made = model(
        [helper.make_node("Add", ["x", "w"], ["y"], "add")],
        [value("x", TensorProto.FLOAT, [64])],
        [value("y", TensorProto.FLOAT, [64])],
        [numpy_helper.from_array(np.arange(64, dtype=np.float32), "w")],
    )
    tensor = made.graph.initializer[0]
    data = tensor.raw_data
    onnx.external_data_helper.set_external_data(tensor, location, offset=0, length=length or len(data))
    tensor.ClearField("raw_data")
    (HERE / f"{name}.onnx").write_bytes(made.SerializeToString())
    return data


(HERE / "weights.bin").write_bytes(external("external", "weights.bin"))
EXPECTED["external"] = [
    {"inputs": pack({"x": np.ones(64, np.float32)}), "outputs": pack({"y": np.arange(64, dtype=np.float32) + 1})}
]
external("external_absent", "absent.bin")
external("external_outside", "../outside.bin")
external("external_short", "weights.bin", 1000)

# Not models, or not whole.
whole = (HERE / "mlp.onnx").read_bytes()
(HERE / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
(HERE / "text.onnx").write_text("This is a text, and nothing else.\n")
broken = onnx.ModelProto()
broken.CopyFrom(mlp)
broken.graph.output[0].name = "nowhere"
(HERE / "no_output.onnx").write_bytes(broken.SerializeToString())
broken.CopyFrom(mlp)
broken.graph.node[2].input[0] = "nobody"
(HERE / "no_input.onnx").write_bytes(broken.SerializeToString())
broken.CopyFrom(mlp)
broken.graph.initializer[0].dims[0] = 1 << 40
(HERE / "wrong_dims.onnx").write_bytes(broken.SerializeToString())

(HERE / "expected.json").write_text(json.dumps(EXPECTED) + "\n")
print({path.name: path.stat().st_size for path in sorted(HERE.iterdir())})
