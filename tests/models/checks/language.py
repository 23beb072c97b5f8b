"""`provider.generate` and `provider.stream` against transformers."""

import itertools
import json
from collections.abc import Iterator

import host
import jsonschema

from . import Figure, cancelled, models, progress, reference

MODELS = ("tiny-gpt2", "tiny-gpt2-split", "tiny-llama", "tiny-llama-merged", "tiny-qwen")
TOKENS = 64


def check(serve) -> Iterator[Figure]:
    worker = serve()
    there = models(worker, "language")
    for model in MODELS:
        yield Figure(model, "listed by provider.models", "", model in there)
        yield from greedy(worker, model)
    story = {"model": "tiny-gpt2", "messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 400, "temperature": 1.5}
    yield cancelled(worker, "tiny-gpt2", "provider.stream", story, lambda frame: frame["type"] == "chunk")
    # It may not end early, and without a cache each token reads all of them again: time enough to be cancelled.
    schema = {"type": "array", "items": {"enum": ["mill"]}, "minItems": 5000}
    slow = {**story, "model": "tiny-llama", "max_tokens": 20000, "use_cache": False}
    slow["response_format"] = {"type": "json_schema", "json_schema": {"name": "long", "schema": schema}}
    yield cancelled(worker, "tiny-llama", "provider.generate", slow, progress(1))
    yield from constrained(worker)
    yield pictured(worker)
    worker.close()


def ask(worker, model: str, messages: list, kind="generate", **more) -> dict:
    return worker.call(f"provider.{kind}", {"provider": "local", "model": model, "messages": messages, **more}, host.LONG)


def greedy(worker, model: str) -> Iterator[Figure]:
    """Each answer whole and as a stream; the second time with the prompt in the cache."""
    cases = [case for case in reference(model)["greedy"] if not case["tools"]]
    settings = {"max_tokens": TOKENS, "temperature": 0}
    for how in ("cold", "prompt kept"):
        whole = streamed = counted = kept = 0
        for case in cases:
            answer = ask(worker, model, case["messages"], **settings)
            whole += answer["message"]["content"] == case["text"]
            counted += answer["usage"]["completion_tokens"] == len(case["ids"])
            kept += answer["usage"].get("cached_tokens", 0)
            request = {"provider": "local", "model": model, "messages": case["messages"], **settings}
            chunks = [f["data"] for f in worker.request("provider.stream", request) if f["type"] == "chunk"]
            streamed += "".join(chunk.get("content", "") for chunk in chunks) == case["text"]
        figure = f"{whole} whole, {streamed} streamed, {counted} token counts right; {kept} tokens of prompts were kept"
        yield Figure(model, f"{len(cases)} prompts, {TOKENS} tokens, {how}", figure, whole == streamed == counted == len(cases))


def constrained(worker) -> Iterator[Figure]:
    schemas = reference("schemas")
    for model, case in itertools.product(schemas["models"], schemas["cases"]):
        answer = ask(
            worker,
            model,
            case["messages"],
            max_tokens=200,
            temperature=1.0,
            seed=3,
            response_format={"type": "json_schema", "json_schema": {"schema": case["schema"]}},
        )
        text = answer["message"]["content"]
        try:
            jsonschema.validate(json.loads(text), case["schema"])
            verdict = True
        except (ValueError, jsonschema.ValidationError) as error:
            verdict, text = False, f"{text!r}: {error}"
        yield Figure(model, f"json_schema: {case['name']}", repr(text[:60]), verdict)


def pictured(worker) -> Figure:
    """A picture for a model that reads only text."""
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image", "image": {"type": "image", "uri": "x.png"}}]
    try:
        ask(worker, "tiny-llama", [{"role": "user", "content": parts}])
        return Figure("tiny-llama", "a picture is refused", "it answered", False)
    except host.WorkerError as error:
        return Figure("tiny-llama", "a picture is refused", str(error)[:90], "picture" in str(error))
