"""Makes the models of the broken packages beside it: each package.toml that names one of them gets it.

    python -m venv venv && venv/bin/pip install onnx==1.23.2
    venv/bin/python tests/packages/broken_models.py

A second run writes the same files.
"""

import re
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent / "broken"
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), output.split(), output.split()[0], **attributes)


def constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def model(inputs, nodes, outputs, constants=(), domain=None):
    """A model as bytes; inputs and outputs are shapes by name, of numbers unless they say otherwise."""

    def infos(shapes):
        return [
            helper.make_tensor_value_info(name, *(shape if isinstance(shape, tuple) else (FLOAT, shape)))
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(nodes, "corpus", infos(inputs), infos(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="broken_models").SerializeToString()


PICTURE = {"image": [1, 3, 4, 4]}
X, Y = {"x": [1]}, {"y": [1]}
TWO = constant("two", [2])


def of_picture(outputs, shapes):
    """A model whose outputs do not depend on its picture, but for its shape's sake."""
    nodes = [node("ReduceMean", "image", "m", keepdims=0), node("Mul", "m zero", "nothing")]
    constants = [constant("zero", 0)]
    for name, values in outputs.items():
        nodes.append(node("Add", f"{name}_is nothing", name))
        constants.append(constant(f"{name}_is", values))
    return model(PICTURE, nodes, shapes, constants)


def heavy():
    """A model whose weights should lie in a file beside it."""
    weight = helper.make_tensor("weight", FLOAT, [1], np.float32([2]).tobytes(), raw=True)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", "offset": "0", "length": "4"}.items():
        weight.external_data.add(key=key, value=value)
    return model(X, [node("Mul", "x weight", "y")], Y, [weight])


DOUBLE = model(X, [node("Mul", "x two", "y")], Y, [TWO])
BOX = np.tile(np.float32([[2], [2], [1], [1], [0.9], [0.1]]), (1, 5))[None]
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010800000000")

MODELS = {
    "double.onnx": DOUBLE,
    "triple.onnx": model(X, [node("Mul", "x three", "z")], {"z": [1]}, [constant("three", [3])]),
    "sum.onnx": model({"x": [1], "bias": [1]}, [node("Add", "x bias", "y")], Y),
    "four.onnx": model({"v": [1, 4]}, [node("ReduceSum", "v", "total", keepdims=0)], {"total": []}),
    "five.onnx": model({"v": [1, 5]}, [node("ReduceSum", "v", "total", keepdims=0)], {"total": []}),
    "means.onnx": model(
        PICTURE, [node("GlobalAveragePool", "image", "pooled"), node("Flatten", "pooled", "scores")], {"scores": [1, 3]}
    ),
    "brighter.onnx": model(PICTURE, [node("Mul", "image two", "picture")], {"picture": [1, 3, 4, 4]}, [TWO]),
    "corners.onnx": of_picture(
        {"boxes": [[0, 0, 2, 2], [1, 1, 3, 3]], "confidence": [0.9, 0.8]}, {"boxes": [2, 4], "confidence": [2]}
    ),
    "yolo.onnx": of_picture({"boxes": BOX}, {"boxes": [1, 6, 5]}),
    "frames.onnx": of_picture({"frames": np.zeros((1, 5, 4))}, {"frames": [1, 5, 4]}),
    "ids.onnx": model(
        {"ids": (INT64, [1, "T"])}, [node("ReduceSum", "ids", "sum", keepdims=0)], {"sum": (INT64, [])}
    ),
    "ids16.onnx": model(
        {"ids": (INT64, [1, 16])}, [node("ReduceSum", "ids", "sum", keepdims=0)], {"sum": (INT64, [])}
    ),
    "mel.onnx": model({"mel": [1, 80, "T"]}, [node("ReduceMean", "mel", "mean", keepdims=0)], {"mean": []}),
    "samples.onnx": model({"samples": [1, 8000]}, [node("ReduceMean", "samples", "mean", keepdims=0)], {"mean": []}),
    # From here on they are what is wrong.
    "garbage.onnx": b"\x08\x07this is no model, whatever its name says",
    "truncated.onnx": DOUBLE[: len(DOUBLE) // 2],
    "empty.onnx": b"",
    "picture.onnx": PNG,
    "frobnicate.onnx": model(X, [node("Frobnicate", "x", "y")], Y),
    "twist.onnx": model(X, [node("Frobnicate", "x", "t"), node("Twist", "t", "y")], Y),
    "foreign.onnx": model(X, [helper.make_node("Double", ["x"], ["y"], "y", domain="com.example")], Y, domain="com.example"),
    "heavy.onnx": heavy(),
}


def main():
    for manifest in sorted(HERE.glob("**/package.toml")):
        if manifest.is_file():
            for name in re.findall(r'onnx = "(\w+\.onnx)"', manifest.read_text("latin-1")):
                target = manifest.parent / name
                if name in MODELS and not target.is_dir() and not target.is_symlink():
                    target.write_bytes(MODELS[name])


if __name__ == "__main__":
    main()
