"""The operator tests of the `onnx` package, each through the node onnx.Run of a worker that is asked as any host asks it.

    python operators.py MILLWORK [--only NAME] [--write]

Needs `pip install onnx msgpack numpy`. For each operator it counts what was computed right, what was refused with a reason, and
what was computed wrong or ended the worker: of those there must be none, and the exit status says so. docs/onnx.md has the
counts: --write puts them there, and without it they must be there already.
"""

import argparse
import collections
import os
import pathlib
import re
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
sys.path.insert(0, str(DOCS / "examples"))
import host  # noqa: E402

# What stands behind this line of docs/onnx.md is written by this script.
MARK = "<!-- Written by tests/models/operators.py. -->\n"

# Random numbers and training have no one answer, and hosts send no strings, sequences and optionals into tensors.
DTYPES = {"f", "i", "u", "b"}
RANDOM = re.compile(r"bernoulli|random|dropout")
# What tract computes otherwise, as docs/onnx.md says.
KNOWN = re.compile(r"reduce_(max|min)_empty_set$")


def wire(array: np.ndarray) -> dict:
    return {"type": "np_array", "value": array.tobytes(), "dtype": array.dtype.str, "shape": list(array.shape)}


def array(value: dict) -> np.ndarray:
    return np.frombuffer(value["value"], dtype=value["dtype"]).reshape(value["shape"])


def is_tensor(value) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in DTYPES and value.dtype.itemsize <= 8


def can_be_asked(case) -> bool:
    """Whether a host could send its inputs, and there is one right answer."""
    values = [value for data in case.data_sets for side in data for value in side]
    return all(is_tensor(value) for value in values) and not RANDOM.search(case.name)


def outcome(worker: host.Worker, case, folder: pathlib.Path) -> tuple[str, str]:
    """`right`, `wrong` or `refused`, and why."""
    path = folder / "model.onnx"
    onnx.save(case.model, path)
    for inputs, expected in case.data_sets:
        names = [value.name for value in case.model.graph.input]
        fields = {"model": path.name, "inputs": {name: wire(value) for name, value in zip(names, inputs)}}
        try:
            outputs = worker.execute("onnx.Run", fields)["outputs"]["output"]
        except host.WorkerError as error:
            return "refused", str(error)
        for value, wanted in zip(case.model.graph.output, expected):
            found = array(outputs[value.name])
            if found.shape != wanted.shape:
                return "wrong", f"{value.name} has the shape {found.shape}, not {wanted.shape}"
            # Sums of half precision may be rounded otherwise: by some units in their last place.
            close = {"rtol": 4e-3, "atol": 1e-3} if found.dtype == np.float16 else {"rtol": 1e-3, "atol": 1e-5}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                is_close = np.allclose(found, wanted, **close, equal_nan=True)
            if not is_close:
                return "wrong", f"{value.name} has other numbers"
    return "right", ""


def operator(case) -> str:
    """What it tests: the last node's operator, which a test of a function body has too."""
    return case.model.graph.node[-1].op_type


def table(counts: dict[str, collections.Counter], left_out: int) -> str:
    total = sum(counts.values(), collections.Counter())
    asked = sum(total.values())
    lines = [
        f"onnx {onnx.__version__} has {asked + left_out} tests of operators. {left_out} of them have strings, sequences, optional values or "
        f"numbers of under 8 bits in their inputs or results, or random results, and are left out. Of the other {asked}, {total['right']} "
        f"are computed right ({100 * total['right'] / asked:.0f} %) and {total['refused']} are refused with the reason; "
        f"{total['known']} are known to be computed otherwise.",
        "",
        "| operator | tests | right | refused |",
        "| --- | --: | --: | --: |",
    ]
    for name, count in sorted(counts.items()):
        lines.append(f"| {name} | {sum(count.values())} | {count['right']} | {count['refused'] or ''} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("millwork")
    parser.add_argument("--only", default="", help="only tests with this in their name, and why they are refused")
    parser.add_argument("--write", action="store_true", help="write the counts into docs/onnx.md")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = [case for case in collect_testcases(None) if options.only in case.name]
    cases = [case for case in every if can_be_asked(case)]
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        command = [os.path.abspath(options.millwork), "worker", "--stdio", "--workspace", folder]
        worker = host.Worker(command)
        for case in cases:
            verdict, why = outcome(worker, case, pathlib.Path(folder))
            if worker.dead:
                verdict, why = "wrong", f"the worker ended: {worker.dead}"
                worker = host.Worker(command)
            is_known = KNOWN.search(case.name) is not None
            counts[operator(case)]["known" if is_known else verdict] += 1
            if verdict == "wrong" and not is_known:
                wrong.append(case.name)
                print("WRONG", case.name, why, flush=True)
            elif verdict == "refused" and options.only:
                print("refused", case.name, why, flush=True)
        worker.close()
    if wrong:
        sys.exit(f"{len(wrong)} tests were computed wrong or ended the worker")
    found = table(counts, len(every) - len(cases))
    print(found)
    if options.only:
        return
    document = DOCS / "onnx.md"
    before, mark, written = document.read_text().partition(MARK)
    if options.write:
        document.write_text(f"{before}{MARK}{found}")
    elif written != found:
        sys.exit("docs/onnx.md has other counts; operators.py --write puts these there")


if __name__ == "__main__":
    main()
