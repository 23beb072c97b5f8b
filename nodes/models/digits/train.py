"""Trains the digits model that `onnx.Classify` uses when it is given no other, and packs its test images.

    python -m venv venv && venv/bin/pip install scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.31.1 pillow
    venv/bin/python nodes/models/digits/train.py

Writes digits.onnx, labels.txt, test.png, test_labels.txt and examples/ beside this file. Data: scikit-learn's digits,
which are the test half of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI, CC BY 4.0): 1797
pictures of 8×8 pixels, each pixel the number of inked ones in a 4×4 block of a 32×32 scan.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
HELD_OUT = 360
COLUMNS = 24
VARIANTS = 12
SEED = 20


def varied(images, rng):
    """Each image turned, sheared, scaled, shifted and dimmed a little, at four times the size, then averaged back."""
    centre = np.array([15.5, 15.5])
    for image in images:
        large = ndimage.zoom(image, 4, order=1, grid_mode=True, mode="nearest")
        angle = np.deg2rad(rng.uniform(-12, 12))
        turn = np.array([[np.cos(angle), -np.sin(angle) + rng.uniform(-0.15, 0.15)], [np.sin(angle), np.cos(angle)]])
        matrix = turn / rng.uniform(0.75, 1.15, 2)
        offset = centre - matrix @ (centre + rng.uniform(-3, 3, 2))
        moved = ndimage.affine_transform(large, matrix, offset=offset, order=1)
        yield np.clip(moved.reshape(8, 4, 8, 4).mean((1, 3)) * rng.uniform(0.7, 1.3), 0, 1)


def train(images, labels):
    rng = np.random.default_rng(SEED)
    more = [np.stack(list(varied(images, rng))) for _ in range(VARIANTS)]
    pixels = np.concatenate([images, *more]).reshape(-1, 64)
    network = MLPClassifier((128, 64), max_iter=30, batch_size=64, random_state=SEED)
    return network.fit(pixels, np.tile(labels, VARIANTS + 1))


def export(network):
    nodes = [helper.make_node("Flatten", ["image"], ["x0"], "flatten")]
    weights = []
    layers = list(zip(network.coefs_, network.intercepts_))
    for i, (w, b) in enumerate(layers):
        weights += [numpy_helper.from_array(v.astype(np.float32), f"{n}{i}") for n, v in (("w", w), ("b", b))]
        last = i + 1 == len(layers)
        out = "logits" if last else f"h{i}"
        nodes.append(helper.make_node("Gemm", [f"x{i}", f"w{i}", f"b{i}"], [out], f"dense{i}"))
        if last:
            nodes.append(helper.make_node("Softmax", [out], ["scores"], "softmax", axis=1))
        else:
            nodes.append(helper.make_node("Relu", [out], [f"x{i + 1}"], f"relu{i}"))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        weights,
        doc_string="Handwritten digits, bright on dark, values 0 to 1. Trained by train.py on scikit-learn's digits.",
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="train.py")
    helper.set_model_props(model, {"labels": ",".join("0123456789")})
    onnx.checker.check_model(model, full_check=True)
    return model


def pack(images, labels):
    """The held-out pictures as one sheet of 8×8 tiles, row by row, and their labels in the same order."""
    tiles = (images * 255).round().astype(np.uint8)
    rows = tiles.reshape(-1, COLUMNS, 8, 8).transpose(0, 2, 1, 3).reshape(-1, COLUMNS * 8)
    Image.fromarray(rows).save(HERE / "test.png", optimize=True)
    (HERE / "test_labels.txt").write_text("".join(map(str, labels)) + "\n")
    return tiles


def save_examples(tiles, labels, read):
    """One of each digit, enlarged: the first one that the model reads right."""
    (HERE / "examples").mkdir(exist_ok=True)
    for digit in range(10):
        first = tiles[np.flatnonzero((labels == digit) & (read == digit))[0]]
        Image.fromarray(first).resize((64, 64), Image.Resampling.NEAREST).save(HERE / f"examples/{digit}.png", optimize=True)


def main():
    data = load_digits()
    images, labels = (data.images / 16).astype(np.float32), data.target

    # The data are sorted by writer: the last fifth comes from hands that the first four fifths do not have.
    cut = len(images) - HELD_OUT
    strangers = train(images[:cut], labels[:cut]).score(images[cut:].reshape(-1, 64), labels[cut:])

    kept, held, kept_labels, held_labels = train_test_split(
        images, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    network = train(kept, kept_labels)
    model = export(network)
    onnx.save(model, HERE / "digits.onnx")
    (HERE / "labels.txt").write_text("\n".join("0123456789") + "\n")

    tiles = pack(held, held_labels)
    session = onnxruntime.InferenceSession(HERE / "digits.onnx", providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"image": tiles[:, None].astype(np.float32) / 255})
    read = scores.argmax(1)
    save_examples(tiles, held_labels, read)
    right = int((read == held_labels).sum())
    print(f"held out: {right} of {HELD_OUT} right ({right / HELD_OUT:.1%}); other writers: {strangers:.1%}")
    print(f"digits.onnx: {(HERE / 'digits.onnx').stat().st_size} bytes, test.png: {(HERE / 'test.png').stat().st_size}")


if __name__ == "__main__":
    main()
