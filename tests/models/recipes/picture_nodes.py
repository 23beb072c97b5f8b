"""Networks for the nodes `image.*`: a few kilobytes each, in the layouts of the real ones, with what they must say in plain sight.

    python tests/models/recipes/picture_nodes.py

Needs onnx and numpy. What comes out is the same each time.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ZOO = Path(__file__).resolve().parent.parent / "zoo" / "picture-nodes"
F32, U8 = TensorProto.FLOAT, TensorProto.UINT8


def value(name, shape, dtype=F32):
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def save(name, nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="recipes")
    onnx.checker.check_model(model, full_check=True)
    path = ZOO / name
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def cut_out():
    """U²-Net's layout. What stands in front is what is red; the scale is one that has to be stretched."""
    kernel = np.zeros((1, 3, 1, 1), np.float32)
    kernel[0, 0] = 0.25
    side = [1, 3, 320, 320]
    outputs = [value("mask", [1, 1, 320, 320]), value("coarse", [1, 1, 320, 320])]
    nodes = [
        node("Conv", ["input", "kernel"], ["red"]),
        node("Sigmoid", ["red"], ["mask"]),
        node("Identity", ["red"], ["coarse"]),
    ]
    save("u2net.onnx", nodes, [value("input", side)], outputs, [constant("kernel", kernel)])


def enlarge():
    """ESRGAN's layout: a picture of any size twice as large, by a convolution and a shuffle of its channels. It looks 4 pixels far."""
    random = np.random.default_rng(3)
    first = random.normal(0, 0.05, (8, 3, 5, 5)).astype(np.float32)
    second = random.normal(0, 0.05, (12, 8, 5, 5)).astype(np.float32)
    spread = np.zeros((12, 3, 1, 1), np.float32)
    for i in range(12):
        spread[i, i // 4] = 1
    nodes = [
        node("Conv", ["input", "first"], ["a"], pads=[2, 2, 2, 2]),
        node("LeakyRelu", ["a"], ["b"], alpha=0.2),
        node("Conv", ["b", "second"], ["c"], pads=[2, 2, 2, 2]),
        node("Conv", ["input", "spread"], ["d"]),
        node("Add", ["c", "d"], ["e"]),
        node("DepthToSpace", ["e"], ["output"], blocksize=2, mode="CRD"),
    ]
    constants = [constant("first", first), constant("second", second), constant("spread", spread)]
    inputs, outputs = [value("input", [1, 3, "h", "w"])], [value("output", [1, 3, "2h", "2w"])]
    save("esrgan.onnx", nodes, inputs, outputs, constants)
    inputs, outputs = [value("input", [1, 3, 48, 48])], [value("output", [1, 3, 96, 96])]
    save("esrgan-48.onnx", nodes, inputs, outputs, constants)


def fill():
    """LaMa's layout: values to 255 out. Holes become the mean of all that is known."""
    nodes = [
        node("Sub", ["one", "mask"], ["known"]),
        node("Mul", ["image", "known"], ["there"]),
        node("ReduceSum", ["there", "axes"], ["sum"], keepdims=1),
        node("ReduceSum", ["known", "axes"], ["count"], keepdims=1),
        node("Div", ["sum", "count"], ["mean"]),
        node("Mul", ["mean", "mask"], ["filled"]),
        node("Add", ["there", "filled"], ["whole"]),
        node("Mul", ["whole", "most"], ["output"]),
    ]
    constants = [
        constant("one", np.float32(1)),
        constant("most", np.float32(255)),
        constant("axes", np.array([2, 3], np.int64)),
    ]
    inputs = [value("image", [1, 3, 512, 512]), value("mask", [1, 1, 512, 512])]
    save("lama.onnx", nodes, inputs, [value("output", [1, 3, 512, 512])], constants)


def fill_migan():
    """MI-GAN's layouts: bytes with the mask 255 where the picture is known; and four channels. Holes become bright red."""
    red = np.array([255, 0, 0], np.float32).reshape(1, 3, 1, 1)
    nodes = [
        node("Cast", ["image"], ["picture"], to=F32),
        node("Cast", ["mask"], ["known"], to=F32),
        node("Div", ["known", "most"], ["part"]),
        node("Sub", ["one", "part"], ["hole"]),
        node("Mul", ["picture", "part"], ["there"]),
        node("Mul", ["red", "hole"], ["filled"]),
        node("Add", ["there", "filled"], ["whole"]),
        node("Cast", ["whole"], ["result"], to=U8),
    ]
    constants = [constant("red", red), constant("one", np.float32(1)), constant("most", np.float32(255))]
    inputs = [value("image", [1, 3, "h", "w"], U8), value("mask", [1, 1, "h", "w"], U8)]
    save("migan-bytes.onnx", nodes, inputs, [value("result", [1, 3, "h", "w"], U8)], constants)

    kernel = np.zeros((3, 4, 1, 1), np.float32)
    for channel in range(3):
        kernel[channel, channel + 1] = 1
    # The first channel is ½ where the picture is known and −½ where it is not.
    kernel[0, 0], kernel[1, 0], kernel[2, 0] = -1, 1, 1
    bias = np.array([0.5, -0.5, -0.5], np.float32)
    nodes = [node("Conv", ["input", "kernel", "bias"], ["output"])]
    constants = [constant("kernel", kernel), constant("bias", bias)]
    save("migan.onnx", nodes, [value("input", [1, 4, 64, 64])], [value("output", [1, 3, 64, 64])], constants)


def depth():
    """MiDaS' layout: [1, h, w] out. Near is what is green."""
    kernel = np.zeros((1, 3, 1, 1), np.float32)
    kernel[0, 1] = 300
    nodes = [node("Conv", ["image", "kernel"], ["plane"]), node("Squeeze", ["plane", "axis"], ["depth"])]
    constants = [constant("kernel", kernel), constant("axis", np.array([1], np.int64))]
    save("depth.onnx", nodes, [value("image", [1, 3, "h", "w"])], [value("depth", [1, "h", "w"])], constants)


def segments():
    """SegFormer's layout: scores of red, green and blue, a quarter as large, and the files beside it."""
    kernel = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    nodes = [
        node("AveragePool", ["pixel_values"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Conv", ["small", "kernel"], ["logits"]),
    ]
    inputs, outputs = [value("pixel_values", ["n", 3, "h", "w"])], [value("logits", ["n", 3, "p", "q"])]
    save("segments/model.onnx", nodes, inputs, outputs, [constant("kernel", kernel)])
    (ZOO / "segments" / "config.json").write_text('{"id2label": {"0": "red", "1": "green", "2": "blue"}}\n')
    beside = '{"size": {"height": 64, "width": 64}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}\n'
    (ZOO / "segments" / "preprocessor_config.json").write_text(beside)


def classes():
    """A classifier's layout with the same classes."""
    nodes = [node("GlobalAveragePool", ["pixel_values"], ["mean"]), node("Flatten", ["mean"], ["logits"])]
    inputs, outputs = [value("pixel_values", ["n", 3, "h", "w"])], [value("logits", ["n", 3])]
    save("classes/model.onnx", nodes, inputs, outputs)
    (ZOO / "classes" / "config.json").write_text('{"id2label": {"0": "red", "1": "green", "2": "blue"}}\n')
    (ZOO / "classes" / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 32}, "do_normalize": false}\n')


def objects():
    """The layouts of detectors: what they find does not hang on the picture."""
    boxes = np.array([[32, 32, 16, 8], [33, 32, 16, 8], [32, 32, 16, 8], [10, 10, 4, 4]], np.float32)
    scores = np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.7], [0.1, 0.2]], np.float32)
    later = np.concatenate([boxes, scores], 1)
    later = np.concatenate([later, np.zeros((12, 6), np.float32)]).T[None]
    fifth = np.concatenate([boxes, np.array([[1.0], [1.0], [0.5], [1.0]], np.float32), scores], 1)
    fifth = np.concatenate([fifth, np.zeros((12, 7), np.float32)])[None]
    for name, output in [("yolo8.onnx", later), ("yolo5.onnx", fifth)]:
        nodes = [
            node("ReduceMean", ["images"], ["mean"], keepdims=0),
            node("Mul", ["mean", "nothing"], ["zero"]),
            node("Add", ["found", "zero"], ["output0"]),
        ]
        constants = [constant("nothing", np.float32(0)), constant("found", output)]
        save(name, nodes, [value("images", [1, 3, 64, 64])], [value("output0", list(output.shape))], constants)
    logits = np.array([[[4, 0, 0], [0, 5, 0], [0, 0, 9]]], np.float32)
    parts = np.array([[[0.5, 0.5, 0.25, 0.5], [0.25, 0.75, 0.5, 0.5], [0.5, 0.5, 1, 1]]], np.float32)
    nodes = [
        node("ReduceMean", ["pixel_values"], ["mean"], keepdims=0),
        node("Mul", ["mean", "nothing"], ["zero"]),
        node("Add", ["l", "zero"], ["logits"]),
        node("Add", ["b", "zero"], ["pred_boxes"]),
    ]
    constants = [constant("nothing", np.float32(0)), constant("l", logits), constant("b", parts)]
    outputs = [value("logits", [1, 3, 3]), value("pred_boxes", [1, 3, 4])]
    save("detr.onnx", nodes, [value("pixel_values", [1, 3, 32, 32])], outputs, constants)


if __name__ == "__main__":
    for make in (cut_out, enlarge, fill, fill_migan, depth, segments, classes, objects):
        make()
