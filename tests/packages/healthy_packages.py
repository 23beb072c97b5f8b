"""Makes what the healthy packages need (models, pictures, sounds, tokenizers) and, in cases.toml, what their nodes have to answer.

    python -m venv venv && venv/bin/pip install onnx==1.23.2 pillow==13.0.0 tokenizers==0.23.3
    venv/bin/python tests/packages/healthy_packages.py

The answers come from ONNX's reference evaluator, numpy, Pillow and tokenizers. A second run writes the same files.
"""

import gzip
import io
import json
import tarfile
import wave
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent / "healthy"
RNG = np.random.default_rng(5)
FLOAT, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8
LEVEL = 1.05 / 255


# What makes models.

def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), output.split(), output.split()[0], **attributes)


def constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def save(path, inputs, nodes, outputs, constants=()):
    def infos(shapes):
        return [
            helper.make_tensor_value_info(name, *(shape if isinstance(shape, tuple) else (FLOAT, shape)))
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(nodes, "corpus", infos(inputs), infos(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="healthy_packages")
    onnx.checker.check_model(model)
    onnx.save(model, HERE / path)


def run(path, **inputs):
    """What the model answers, by name."""
    model = ReferenceEvaluator(str(HERE / path))
    return dict(zip(model.output_names, model.run(None, inputs)))


# What writes cases.

class Cases:
    """The cases.toml of one package."""

    def __init__(self, package, path=None):
        self.package, self.text = package, ""
        if path:
            self.text += f"path = {json.dumps(path)}\n\n"

    def add(self, node, fields, outputs, tolerance=None, gpu=False):
        self.text += f'[[case]]\nnode = "{node}"\n'
        if gpu:
            self.text += "gpu = true\n"
        if tolerance:
            self.text += f"tolerance = {tolerance:g}\n"
        for table, values in (("fields", fields), ("outputs", outputs)):
            self.text += f"\n[case.{table}]\n"
            self.text += "".join(f"{name} = {toml(value)}\n" for name, value in values.items())
        self.text += "\n"

    def write(self):
        (HERE / self.package / "cases.toml").write_text(self.text)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, np.ndarray):
        return toml(value.tolist())
    if isinstance(value, (float, np.floating)):
        return repr(round(float(value), 6))
    if isinstance(value, np.integer):
        return str(int(value))
    return json.dumps(value)


def file(name):
    return {"file": name}


def tensor(array):
    array = np.asarray(array)
    return {"tensor": array.flatten().tolist(), "shape": list(array.shape), "dtype": array.dtype.str}


def picture(array):
    """Rows of gray values or of colours, 0 to 255."""
    array = np.clip(np.floor(np.asarray(array, np.float64) + 0.5), 0, 255).astype(int)
    return {"picture": array.flatten().tolist(), "size": [array.shape[1], array.shape[0]]}


def photo(path, width, height, gray=False):
    """A soft picture with some noise, saved and as an array."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 60 * np.sin(x / 3 + c) + 40 * np.cos(y / 2 - c) + RNG.integers(-15, 15, (height, width)) for c in range(3)]
    array = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    if gray:
        array = np.repeat(array[..., :1], 3, -1)
    Image.fromarray(array).save(HERE / path, optimize=True)
    return array


def area(array, width, height):
    """Averages of whole blocks."""
    rows, columns = array.shape[0] // height, array.shape[1] // width
    blocks = array.astype(np.float64).reshape(height, rows, width, columns, -1).mean((1, 3))
    return np.floor(blocks + 0.5)


def softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


# The packages.

def pictures():
    shapes = {
        "nchw": [1, 3, 4, 6], "nhwc": [1, 4, 6, 3], "chw": [3, 4, 6], "hwc": [4, 6, 3], "nhw": [1, 4, 6], "flat": [1, 16],
        "open": [1, 3, "H", "W"],
    }
    for name, shape in shapes.items():
        save(f"pictures/{name}.onnx", {"image": shape}, [node("Identity", "image", "tensor")], {"tensor": shape})
    shape = (UINT8, [1, 4, 6, 3])
    save("pictures/bytes.onnx", {"image": shape}, [node("Identity", "image", "tensor")], {"tensor": shape})

    plain, wide = photo("pictures/plain.png", 12, 8), photo("pictures/wide.png", 16, 8)
    wider, flat = photo("pictures/wider.png", 18, 8), photo("pictures/flat.png", 12, 4)
    gray, square = photo("pictures/gray.png", 12, 8, gray=True), photo("pictures/square.png", 16, 8, gray=True)
    small = area(plain, 6, 4)
    cases = Cases("pictures")

    def add(node, name, expected, tolerance=LEVEL):
        cases.add(f"pictures.{node}", {"photo": file(f"{name}.png")}, {"tensor": tensor(expected)}, tolerance)

    def nchw(pixels):
        return np.float32(pixels.transpose(2, 0, 1)[None] / 255)

    add("Plain", "plain", nchw(small))
    add("Nhwc", "plain", np.float32((small - [100, 110, 120]) / [50, 60, 70])[None], 1.05 / 50)
    add("Chw", "plain", nchw(small[..., ::-1])[0])
    add("Hwc", "plain", np.float32((255 - small) / 255))
    add("Gray", "gray", np.float32(area(gray, 6, 4)[None, ..., 0] / 255 - 0.5) / 0.5, 2 * LEVEL)
    add("Flat", "square", np.float32(area(square, 4, 4)[..., 0].reshape(1, 16) / 255))
    add("Bytes", "plain", small[None].astype(np.uint8), 1.05)
    add("Crop", "wide", nchw(area(wide[:, 2:14], 6, 4)))
    add("Stretch", "wider", nchw(area(wider, 6, 4)))
    add("Pad", "flat", nchw(np.concatenate([area(flat, 6, 2), np.full((2, 6, 3), 128.0)])))
    # Thirds and halves: no pixel is as near as another.
    for name in ("nearest", "bilinear", "bicubic", "lanczos"):
        resized = Image.fromarray(wider).resize((6, 4), Image.Resampling[name.upper()])
        add(name.title(), "wider", nchw(np.asarray(resized)))
    cases.write()


def scores():
    v = [1, 3]
    save(
        "scores/three.onnx",
        {"v": v},
        [node("Identity", "v", "same"), node("ReduceSum", "v", "sum", keepdims=0), node("Add", "v v", "doubled")],
        {"same": v, "sum": [], "doubled": v},
    )
    nchw = [1, 3, 2, 4]
    save(
        "scores/images.onnx",
        {"v": nchw},
        [
            node("Identity", "v", "nchw"),
            node("Squeeze", "v first", "chw"),
            node("Transpose", "chw", "hwc", perm=[1, 2, 0]),
            node("Gather", "chw index", "hw"),
            node("Slice", "v first second axis", "one"),
            node("Mul", "v zero", "nothing"),
            node("Add", "nothing half", "flat"),
        ],
        {"nchw": nchw, "chw": nchw[1:], "hwc": [2, 4, 3], "hw": [2, 4], "one": [1, 1, 2, 4], "flat": nchw},
        [
            constant("first", [0], np.int64), constant("second", [1], np.int64), constant("axis", [1], np.int64),
            constant("index", 0, np.int64), constant("zero", 0), constant("half", 0.6),
        ],
    )
    (HERE / "scores/labels.txt").write_text("red\ngreen\nblue\n")
    names = ["red", "green", "blue"]
    cases = Cases("scores")
    three = np.float32([[1.5, -0.5, 2.25]])
    out = run("scores/three.onnx", v=three)
    cases.add(
        "scores.Plain",
        {"v": tensor(three)},
        {"same": tensor(out["same"]), "sum": float(out["sum"]), "numbers": out["same"][0], "doubled": tensor(out["doubled"])},
    )
    best = np.argsort(-three[0])
    shares = softmax(np.float64(three[0]))

    def listed(values, count):
        return [{"label": names[i], "score": float(values[i])} for i in best[:count]]

    answers = {"label": "blue", "score": shares.max(), "sure": sigmoid(2.25), "raw": listed(three[0], 3)}
    cases.add("scores.Labels", {"v": tensor(three)}, {**answers, "best": listed(shares, 2)})
    cases.add("scores.Labels", {"v": tensor(three), "count": 1}, {**answers, "best": listed(shares, 1)})

    v = np.float32(RNG.uniform(-1, 1, (1, 3, 2, 4)))
    out = run("scores/images.onnx", v=v)
    hwc, one = out["hwc"], out["one"][0, 0]

    def level(values):
        return (np.float64(values) + 1) / 2 * 255

    cases.add(
        "scores.Image",
        {"v": tensor(v)},
        {
            "nchw": picture(level(hwc)), "chw": picture(level(hwc[..., ::-1])), "hwc": picture(level(hwc)),
            "hw": picture(level(out["hw"])), "large": picture(np.full((5, 6, 3), 0.6 * 255)),
        },
    )
    winner = v[0].argmax(0)
    masks = {
        "hard": picture(255 * (one >= 0)), "soft": picture(255 * sigmoid(np.float64(one))),
        "green": picture(255 * (winner == 1)), "classes": picture(winner),
    }
    cases.add("scores.Mask", {"v": tensor(v)}, {**masks, "raw": picture(255 * (one >= 0.25))})
    cases.add("scores.Mask", {"v": tensor(v), "limit": -0.5}, {**masks, "raw": picture(255 * (one >= -0.5))})
    cases.write()


def kept(boxes, score, iou, most):
    """The boxes (x1, y1, x2, y2, label, score) that stay, the best first."""
    def overlap(a, b):
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        both = max(w, 0) * max(h, 0)
        return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)

    stay = []
    for box in sorted((box for box in boxes if box[5] >= score), key=lambda box: -box[5]):
        if all(box[4] != other[4] or overlap(box, other) <= iou for other in stay):
            stay.append(box)
    return stay[:most]


def found(boxes, scale_x, scale_y, left=0.0):
    """As a host gets them, in pixels of the picture."""
    return [
        {
            "x": x1 * scale_x + left, "y": y1 * scale_y, "width": (x2 - x1) * scale_x, "height": (y2 - y1) * scale_y,
            "label": label, "score": score,
        }
        for x1, y1, x2, y2, label, score in boxes
    ]


def boxes():
    image = {"image": [1, 3, 8, 8]}
    zero = [node("ReduceMean", "image", "mean", keepdims=0), node("Mul", "mean zero", "nothing")]
    for name, shape in (("yolo", [1, 6, 5]), ("yolo5", [1, 5, 7])):
        nodes = zero + [node("Add", "raw_in nothing", "found")]
        save(f"boxes/{name}.onnx", {**image, "raw_in": shape}, nodes, {"found": shape}, [constant("zero", 0)])
    shapes = {"boxes": [4, 4], "scores": [4], "classes": (INT64, [4])}
    save(
        "boxes/corners.onnx",
        {**image, **{f"{name}_in": shape for name, shape in shapes.items()}},
        zero + [
            node("Add", "boxes_in nothing", "boxes_out"), node("Identity", "scores_in", "scores_out"),
            node("Identity", "classes_in", "classes_out"),
        ],
        {f"{name}_out": shape for name, shape in shapes.items()},
        [constant("zero", 0)],
    )
    (HERE / "boxes/labels.txt").write_text("cat\ndog\n")
    photo("boxes/photo.png", 16, 8)
    cases = Cases("boxes")
    labels = ["cat", "dog"]
    # Centre, size and the scores of two classes. The second overlaps the first, the third is of the other class.
    raw = np.float32([
        [2, 2, 2, 2, 0.9, 0.1], [2.25, 2, 2, 2, 0.8, 0.2], [2, 2, 2, 2, 0.1, 0.7], [6, 2, 3, 1, 0.5, 0.4], [4, 2, 1, 1, 0.2, 0.1],
    ])
    corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in np.float64(raw[:, :4])]
    scored = [(*c, labels[s.argmax()], float(s.max())) for c, s in zip(corners, raw[:, 4:])]
    given = {"photo": file("photo.png"), "raw": tensor(raw.T[None])}
    cases.add("boxes.Yolo", given, {"found": found(kept(scored, 0.3, 0.5, 100), 2, 2)}, 1e-3)
    cases.add("boxes.Yolo", {**given, "score": 0.6}, {"found": found(kept(scored, 0.6, 0.5, 100), 2, 2)}, 1e-3)
    sure = np.float32([[0.5], [0.9], [0.8], [1.0], [0.9]])
    raw5 = np.concatenate([raw[:, :4], sure, raw[:, 4:]], 1)
    scored = [(*c, labels[s.argmax()], float(s.max())) for c, s in zip(corners, raw[:, 4:] * sure)]
    given = {"photo": file("photo.png"), "raw": tensor(raw5[None])}
    cases.add("boxes.Yolo5", given, {"found": found(kept(scored, 0.25, 0.45, 2), 2, 1)}, 1e-3)
    corners, points = np.float32([[1, 1, 3, 3], [1, 1, 3, 3.5], [4, 2, 7, 8], [0, 0, 1, 1]]), np.float32([0.6, 0.7, 0.9, 0.1])
    classes = np.int64([2, 2, 0, 1])
    scored = [(*map(float, c), ["cat", "dog", "bird"][k], float(s)) for c, s, k in zip(corners, points, classes)]
    given = {"photo": file("photo.png"), "boxes": tensor(corners), "scores": tensor(points), "classes": tensor(classes)}
    cases.add("boxes.Corners", given, {"found": found(kept(scored, 0.25, 0.45, 100), 1, 1, 4)}, 1e-3)
    cases.write()


def mel_filters(bins, bands, low, high, htk, height_one):
    def to_mel(f):
        if htk:
            return 2595 * np.log10(1 + f / 700)
        return f * 3 / 200 if f < 1000 else 15 + np.log(f / 1000) / (np.log(6.4) / 27)

    def to_hertz(m):
        if htk:
            return 700 * (10 ** (m / 2595) - 1)
        return m * 200 / 3 if m < 15 else 1000 * np.exp((m - 15) * np.log(6.4) / 27)

    corners = [to_hertz(m) for m in np.linspace(to_mel(low), to_mel(high), bands + 2)]
    filters = []
    for left, top, right in zip(corners, corners[1:], corners[2:]):
        filters.append(np.maximum(0, np.minimum((bins - left) / (top - left), (right - bins) / (right - top))))
        if not height_one:
            filters[-1] *= 2 / (right - left)
    return np.array(filters)


def sounds():
    rate, length = 8000, 400
    t = np.arange(length) / rate
    stereo = np.stack([0.5 * np.sin(2 * np.pi * 510 * t), 0.25 * np.sin(2 * np.pi * 1370 * t) + 0.05 * RNG.uniform(-1, 1, length)], -1)
    stored = np.round(stereo * 32767).astype("<i2")
    with wave.open(str(HERE / "sounds/tones.wav"), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(stored.tobytes())
    mono = (stored / 32768).mean(1)
    shape = [1, "N"]
    save(
        "sounds/samples.onnx",
        {"samples": shape},
        [node("Identity", "samples", "tensor"), node("Mul", "samples half_is", "half")],
        {"tensor": shape, "half": shape},
        [constant("half_is", 0.5)],
    )
    shape = [1, "A", "B"]
    save("sounds/mel.onnx", {"mel": shape}, [node("Identity", "mel", "tensor")], {"tensor": shape})
    shape = [1, "T", 5]
    save("sounds/symbols.onnx", {"frames": shape}, [node("Identity", "frames", "symbols")], {"symbols": shape})
    (HERE / "sounds/symbols.txt").write_text("-\na\nb\nc\nd\n")

    cases = Cases("sounds")
    given = {"sound": file("tones.wav")}
    cases.add("sounds.Cut", given, {"tensor": tensor(np.float32(mono[None, :200]))})
    cases.add("sounds.Filled", given, {"tensor": tensor(np.float32(np.pad(mono, (0, 600))[None]))})
    cases.add("sounds.Quieter", given, {"sound": {"samples": mono / 2, "rate": rate}})

    padded = np.pad(mono, 32)
    window = np.hanning(65)[:64]
    frames = np.stack([padded[i * 100 : i * 100 + 64] * window for i in range(1 + length // 100)])
    power = np.abs(np.fft.rfft(frames)).T ** 2
    bins = np.arange(33) * rate / 64
    slaney = mel_filters(bins, 6, 0, 4000, False, False) @ power
    htk = mel_filters(bins, 6, 100, 3000, True, True) @ power

    def add(node, values, tolerance):
        cases.add(f"sounds.{node}", given, {"tensor": tensor(np.float32(values)[None])}, tolerance)

    add("Power", slaney, 1e-4)
    add("Decibels", 10 * np.log10(np.maximum(slaney, 1e-10)), 0.02)
    add("Ln", np.log(np.maximum(slaney, np.exp(-5))), 2e-3)
    add("Log10", np.log10(np.maximum(htk, 1e-10)), 2e-3)
    long = np.log10(np.maximum(np.pad(slaney, ((0, 0), (0, 5))), 1e-10))
    add("Whisper", (np.maximum(long, long.max() - 8) + 4) / 4, 1e-3)
    add("Frames", slaney.T, 1e-4)

    path = [0, 1, 1, 0, 1, 2, 2, 4, 4, 3, 0]
    frames = np.float32(np.eye(5)[path] * 2 + RNG.uniform(-0.5, 0.5, (len(path), 5)))[None]

    def decoded(symbols, blank):
        return "".join(symbols[s] for i, s in enumerate(path) if s != blank and (i == 0 or path[i - 1] != s))

    texts = {"text": decoded("-abcd", 0), "last": decoded("abc -", 4)}
    cases.add("sounds.Text", {"frames": tensor(frames)}, texts)
    cases.write()


def texts():
    words = "[PAD] [UNK] [CLS] [SEP] the cat sat on mat play ##ing ##ed ##s , . un ##believ ##able café".split()
    words[words.index("café")] = "cafe"
    piece = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]", max_input_chars_per_word=100))
    piece.normalizer = normalizers.BertNormalizer(lowercase=True)
    piece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    piece.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    piece.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    piece.save(str(HERE / "texts/wordpiece.json"))

    level = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "cat": 2, "sat": 3, "!": 4}, unk_token="[UNK]"))
    level.normalizer = normalizers.Lowercase()
    level.pre_tokenizer = pre_tokenizers.Whitespace()
    level.save(str(HERE / "texts/wordlevel.json"))

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=sorted(alphabet), special_tokens=["<|end|>"], show_progress=False)
    bpe.train_from_iterator(["the cat sat on the mat, the cat played and the mat stayed"] * 4, trainer)
    bpe.save(str(HERE / "texts/bpe.json"))

    ids = (INT64, [1, "T"])
    save("texts/ids.onnx", {"ids": ids}, [node("Identity", "ids", "ids_out")], {"ids_out": ids})
    three = ["ids", "mask", "types"]
    save(
        "texts/three.onnx",
        {name: ids for name in three},
        [node("Identity", name, f"{name}_out") for name in three],
        {f"{name}_out": ids for name in three},
    )
    table = np.float32(RNG.uniform(-1, 1, (len(words), 4)))
    save(
        "texts/embed.onnx",
        {"ids": ids, "attention_mask": ids},
        [
            node("Gather", "table ids", "hidden"),
            node("Cast", "attention_mask", "weights", to=FLOAT),
            node("Unsqueeze", "weights last", "column"),
            node("Mul", "hidden column", "counted"),
            node("ReduceMean", "counted", "pooled", axes=[1], keepdims=0),
        ],
        {"hidden": [1, "T", 4], "pooled": [1, 4]},
        [numpy_helper.from_array(table, "table"), constant("last", [2], np.int64)],
    )
    cases = Cases("texts")

    def add(node, text, tokenizer, count=None):
        cases.add(f"texts.{node}", {"text": text}, {"ids_out": tensor(np.int64([tokenizer.encode(text).ids[:count]]))})

    def filled(values):
        return np.int64([list(values) + [0] * (12 - len(values))])

    for text in ("The cat played, unbelievable!", "the Café", ""):
        code = piece.encode(text)
        out = {"ids_out": code.ids, "mask_out": code.attention_mask, "types_out": code.type_ids}
        cases.add("texts.WordPiece", {"text": text}, {name: tensor(filled(values)) for name, values in out.items()})
    short = Tokenizer.from_file(str(HERE / "texts/wordpiece.json"))
    short.enable_truncation(5)
    add("Cut", "The cat sat on the mat.", short)
    add("WordLevel", "The cat sat! Cats", level)
    for text in ("the cat played on", "tea: 3 €, naïve\n  the mat", "123 they're"):
        add("Bpe", text, bpe)
    code = piece.encode("The cat played.")
    out = run("texts/embed.onnx", ids=filled(code.ids), attention_mask=filled(code.attention_mask))
    hidden = np.float64(out["hidden"][0])

    def unit(v):
        return v / np.linalg.norm(v)

    vectors = {
        "mean": unit(hidden[: len(code.ids)].mean(0)), "first": unit(hidden[0]), "largest": hidden.max(0),
        "pooled": unit(np.float64(out["pooled"][0])),
    }
    cases.add("texts.Vector", {"text": "The cat played."}, vectors)
    cases.write()


def shaders():
    plain, gray = photo("shaders/photo.png", 6, 4), photo("shaders/dark.png", 6, 4, gray=True)
    with wave.open(str(HERE / "shaders/silence.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(bytes(200))
    cases = Cases("shaders")
    numbers, counts, given = [0.5, 1.25, -2.0], [1, 2, 3], np.float32([10, 20, -30])
    formats = {
        "photo": file("photo.png"), "dark": file("dark.png"), "numbers": numbers, "counts": counts, "tensor": tensor(given),
    }
    cases.add(
        "shaders.Formats",
        formats,
        {
            "colours": picture(plain * 0.5), "packed": picture(plain[..., ::-1]), "gray": picture(255.0 - gray[..., 0]),
            "floats": [n + 0.5 for n in numbers], "unsigned": [float(n + 1) for n in counts],
            "signed": tensor(np.int32(given - 1)),
            "sums": tensor(np.float32([n + c + 2 * g for n, c, g in zip(numbers, counts, given)] + [0, 0])),
            "board": picture([[0, 255, 0], [255, 0, 255]]),
        },
        gpu=True,
    )

    def uniforms(x, n, on):
        return [x, n, 7, x, 2, x, 2 * x, 3 * x, 1, 2, 3, x, n, -1, 1, n, 3, 1, 2, 3, n, 8 * on, 9 * on]

    cases.add("shaders.Uniforms", {}, {"all": [float(v) for v in uniforms(1.5, -3, 1)]}, gpu=True)
    cases.add("shaders.Uniforms", {"x": -0.25, "n": 12, "on": False}, {"all": [float(v) for v in uniforms(-0.25, 12, 0)]}, gpu=True)
    x, width, height = 2.5, 6, 4
    values = [
        7, 9, 3.5, 3, 3, 8, min(x, 1), max(x, 1, 7), 3, 2, 3, 4, 1, 0, -x, width, height, 6, 2, 3, 100, 16000, width, height,
        width * height, 3, 3, x * 2 - width / 4,
    ]
    fields = {"photo": file("photo.png"), "sound": file("silence.wav"), "tensor": tensor(np.zeros((2, 3), np.float32))}
    cases.add("shaders.Expressions", fields, {"all": [float(v) for v in values]}, gpu=True)
    cases.add("shaders.Invert", {"photo": file("photo.png")}, {"picture": picture(255.0 - plain)})
    cases.write()


def chains():
    save("chains/double.onnx", {"x": [1]}, [node("Mul", "x two", "doubled")], {"doubled": [1]}, [constant("two", [2])])
    save("chains/triple.onnx", {"x": [1]}, [node("Mul", "x three", "tripled")], {"tripled": [1]}, [constant("three", [3])])
    shape = [1, 3, 2, 3]
    save("chains/brighter.onnx", {"image": shape}, [node("Mul", "image factor", "brighter")], {"brighter": shape}, [constant("factor", 1.5)])
    save("chains/sum.onnx", {"v": ["N"]}, [node("ReduceSum", "v", "sum", keepdims=0)], {"sum": []})
    pooled = [node("GlobalAveragePool", "image", "pooled"), node("Flatten", "pooled", "means")]
    save("chains/means.onnx", {"image": [1, 3, 4, 6]}, pooled, {"means": [1, 3]})
    plain = photo("chains/photo.png", 6, 4)
    cases = Cases("chains")
    for node_type in ("TwoModels", "RawBetween"):
        y = run("chains/triple.onnx", x=run("chains/double.onnx", x=np.float32([7]))["doubled"])["tripled"]
        extra = {"twice": 14.0} if node_type == "TwoModels" else {}
        cases.add(f"chains.{node_type}", {"x": 7}, {"y": float(y[0]), **extra})
    image = np.float32(area(plain, 3, 2).transpose(2, 0, 1)[None] / 255)
    squares = run("chains/brighter.onnx", image=image)["brighter"].flatten() ** 2
    given = {"photo": file("photo.png")}
    cases.add("chains.ModelThenShader", given, {"squares": squares}, 4.5 * LEVEL, gpu=True)
    cases.add("chains.ShaderThenModel", {"numbers": [1.0, 2.0, -3.0]}, {"sum": 14.0}, gpu=True)
    halved = np.float32((plain / 255 * 0.5).transpose(2, 0, 1)[None])
    means = run("chains/means.onnx", image=halved)["means"][0]
    cases.add("chains.PictureThenModel", given, {"means": means}, LEVEL, gpu=True)
    cases.write()


def program():
    cases = Cases("program")
    cases.add("program.Double", {"x": 21}, {"y": 42.0})
    cases.write()


def packed():
    """A package in an archive, in a folder of its own there."""
    manifest = """[package]
name = "packed"
version = "1.0.0"

[[node]]
type = "packed.Double"

[[node.field]]
name = "x"
type = "float"

[[node.step]]
onnx = "models/double.onnx"

[[node.step.input]]
name = "x"
from = "x"

[[node.output]]
name = "y"
from = "doubled"
as = "number"
"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        model = (HERE / "chains/double.onnx").read_bytes()
        for name, data in (("packed-1.0.0/package.toml", manifest.encode()), ("packed-1.0.0/models/double.onnx", model)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (HERE / "packed/packed.tar.gz").write_bytes(gzip.compress(out.getvalue(), 9, mtime=0))
    cases = Cases("packed", path="packed.tar.gz")
    cases.add("packed.Double", {"x": 21}, {"y": 42.0})
    cases.write()


for make in (pictures, scores, boxes, sounds, texts, shaders, chains, program, packed):
    make()
