"""How fast the provider `local` is beside onnxruntime, with the same models in the same run.

    python tests/models/recipes/sized.py FOLDER
    python tests/models/speed.py MILLWORK FOLDER [--only NAME] [--runs N]

Needs `pip install msgpack numpy onnxruntime tokenizers` and a machine at rest. Each line is the time of one job, the least of
some runs, once on one processor and once on two: what a host waits for from `millwork serve`, against the bare networks of
onnxruntime in a loop of this script, without tokenizers, mels and pipes. Both take turns. A ratio above 1 says that
millwork is faster.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "docs" / "examples"))
import host  # noqa: E402

WORDS = "the old miller opened the gate and the water turned the heavy wheel all day long"
TOKENS = 64
# What the recipe lets Whisper answer, and how many of those tokens are told.
WHISPER_TOKENS, WHISPER_TOLD = 99, 3

Job = Callable[[], dict[str, float]]


def session(path: pathlib.Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def timed(times: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times[name] = time.perf_counter() - began


def feed(network: onnxruntime.InferenceSession, given: dict) -> dict:
    """Of what there is, what the network takes."""
    names = {one.name for one in network.get_inputs()}
    return {name: value for name, value in given.items() if name in names}


def minilm(worker: host.Worker, folder: pathlib.Path, threads: int) -> tuple[Job, Job]:
    """One text of 128 tokens, and eight of them."""
    text = " ".join([WORDS] * 20)
    network = session(folder / "model.onnx", threads)
    length = 128

    def ours() -> dict[str, float]:
        times = {}
        for count in (1, 8):
            with timed(times, f"embedding, {count} × {length} tokens"):
                # Each its own: equal ones need not be computed twice.
                request = {"provider": "local", "model": "minilm", "text": [f"{n} {text}" for n in range(count)]}
                worker.call("provider.embedding", request, host.LONG)
        return times

    def theirs() -> dict[str, float]:
        times = {}
        for count in (1, 8):
            ids = np.random.randint(5, 1000, (count, length))
            given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            with timed(times, f"embedding, {count} × {length} tokens"):
                network.run(None, feed(network, given))
        return times

    return ours, theirs


def language(model: str) -> Callable:
    def make(worker: host.Worker, folder: pathlib.Path, threads: int) -> tuple[Job, Job]:
        """The first token behind a prompt, and those after it."""
        network = session(folder / "model.onnx", threads)
        prompts = iter(range(10**9))
        prompt_tokens = 0

        def ours() -> dict[str, float]:
            nonlocal prompt_tokens
            # Another beginning each time: a kept prompt would not be read again.
            message = [{"role": "user", "content": f"{next(prompts)} " + " ".join([WORDS] * 6)}]
            settings = {"max_tokens": TOKENS, "temperature": 0}
            began, times = time.perf_counter(), []
            for frame in worker.request(
                "provider.stream", {"provider": "local", "model": model, "messages": message, **settings}
            ):
                times.append(time.perf_counter())
                last = frame
            answer = last["data"]
            usage = answer.get("usage") or answer["message"]["usage"]
            # What stands before the first message is the same each time, and kept.
            assert usage["completion_tokens"] == TOKENS and usage.get("cached_tokens", 0) < 10, usage
            prompt_tokens = usage["prompt_tokens"]
            # A request for one token alone tells what reading the prompt takes: text may come later than its tokens.
            first = {}
            message = [{"role": "user", "content": f"{next(prompts)} " + " ".join([WORDS] * 6)}]
            with timed(first, "first"):
                request = {"provider": "local", "model": model, "messages": message, "max_tokens": 1, "temperature": 0}
                worker.call("provider.generate", request, host.LONG)
            rest = (times[-1] - began - first["first"]) / (TOKENS - 1)
            return {"first token behind some 250": first["first"], "each further token": rest}

        def theirs() -> dict[str, float]:
            past = {
                one.name: np.zeros([1, one.shape[1], 0, one.shape[3]], np.float32)
                for one in network.get_inputs()
                if one.name.startswith("past_key_values")
            }
            ids, seen, times = np.random.randint(5, 1000, (1, prompt_tokens)), 0, {}

            def step() -> None:
                nonlocal ids, seen, past
                given = {
                    "input_ids": ids,
                    "attention_mask": np.ones([1, seen + ids.shape[1]], np.int64),
                    "position_ids": np.arange(seen, seen + ids.shape[1])[None],
                    **past,
                }
                logits, *present = network.run(None, feed(network, given))
                past, seen = dict(zip(past, present, strict=True)), seen + ids.shape[1]
                ids = logits[:, -1].argmax(-1)[None]

            with timed(times, "first token behind some 250"):
                step()
            with timed(times, "each further token"):
                for _ in range(TOKENS - 1):
                    step()
            times["each further token"] /= TOKENS - 1
            return times

        return ours, theirs

    return make


def whisper(worker: host.Worker, folder: pathlib.Path, threads: int) -> tuple[Job, Job]:
    """One window of 30 s."""
    encoder, first, later = (
        session(folder / "onnx" / f"{name}.onnx", threads)
        for name in ("encoder_model", "decoder_model", "decoder_with_past_model")
    )
    sound = wav(np.random.default_rng(1).normal(0, 0.1, 30 * 16000))
    what = f"30 s of speech, {WHISPER_TOKENS} tokens"

    def ours() -> dict[str, float]:
        times = {}
        with timed(times, what):
            request = {"provider": "local", "model": "whisper", "audio": sound, "language": "en", "temperature": 0}
            worker.call("provider.asr", request, host.LONG)
        return times

    def theirs() -> dict[str, float]:
        times, mel = {}, np.random.rand(1, 80, 3000).astype(np.float32)
        with timed(times, what):
            heard = encoder.run(None, {"input_features": mel})[0]
            names = [one.name for one in first.get_outputs()]
            told = np.full((1, WHISPER_TOLD), 7)
            results = first.run(None, feed(first, {"input_ids": told, "encoder_hidden_states": heard}))
            past = {}
            for at in range(WHISPER_TOKENS - 1):
                token = results[0][:, -1].argmax(-1)[None]
                past |= {name.replace("present", "past_key_values"): one for name, one in zip(names[1:], results[1:])}
                given = {"input_ids": token, "cache_position": np.array([WHISPER_TOLD + at]), **past}
                results = later.run(None, feed(later, given))
                names = [one.name for one in later.get_outputs()]
        return times

    return ours, theirs


def wav(samples: np.ndarray) -> bytes:
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    number = lambda n, size=4: n.to_bytes(size, "little")  # noqa: E731
    kind = number(1, 2) + number(1, 2) + number(16000) + number(32000) + number(2, 2) + number(16, 2)
    return b"RIFF" + number(36 + len(data)) + b"WAVEfmt " + number(16) + kind + b"data" + number(len(data)) + data


def unet(worker: host.Worker, folder: pathlib.Path, threads: int) -> tuple[Job, Job]:
    """One step of a picture with guidance: the network alone, by the node that measures networks."""
    network = session(folder / "model.onnx", threads)
    what = "a step of a picture, 256²"

    def ours() -> dict[str, float]:
        fields = {"model": str(folder / "model.onnx"), "runs": 5, "threads": threads}
        return {what: worker.execute("onnx.Benchmark", fields)["outputs"]["results"][0]["min_ms"] / 1e3}

    def theirs() -> dict[str, float]:
        shapes = {one.name: one for one in network.get_inputs()}
        given = {
            name: np.ones(one.shape, np.int64) if "int64" in one.type else np.random.rand(*one.shape).astype(np.float32)
            for name, one in shapes.items()
        }
        runs = []
        for _ in range(7):
            times = {}
            with timed(times, what):
                network.run(None, given)
            runs.append(times[what])
        return {what: min(runs)}

    return ours, theirs


JOBS = {"minilm": minilm, "gpt": language("gpt"), "smollm": language("smollm"), "whisper": whisper, "unet": unet}


def measure(name: str, options: argparse.Namespace, processors: set[int]) -> None:
    os.sched_setaffinity(0, processors)
    threads = len(processors)
    folder = options.folder.resolve()
    worker = host.Worker([options.millwork, "serve", "--stdio", "--models", str(folder), "--workspace", str(folder)])
    ours, theirs = JOBS[name](worker, folder / name, threads)
    found: dict[str, tuple[list, list]] = {}
    # The first round loads and plans.
    ours(), theirs()
    for _ in range(options.runs):
        for side, job in enumerate((ours, theirs)):
            # Threads that have nothing to do look for work for a while: the other's have to have stopped.
            time.sleep(0.5)
            for what, seconds in job().items():
                found.setdefault(what, ([], []))[side].append(seconds)
    worker.close()
    for what, (mine, other) in found.items():
        print(
            f"{name:8} {threads} {what:36} {min(mine) * 1e3:9.2f} {min(other) * 1e3:12.2f} {min(other) / min(mine):8.2f}×"
            f" {statistics.median(other) / statistics.median(mine):8.2f}×",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("millwork")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=JOBS)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    everywhere = sorted(os.sched_getaffinity(0))
    print(f"onnxruntime {onnxruntime.__version__}\n")
    print(f"{'model':8} {'threads':<1} {'job':30} {'ms':>9} {'onnxruntime':>12} {'ratio':>9} {'of medians':>9}")
    for name in options.only or JOBS:
        for count in sorted({1, min(2, len(everywhere))}):
            measure(name, options, set(everywhere[:count]))


if __name__ == "__main__":
    main()
