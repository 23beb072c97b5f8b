"""Renders published chat templates as transformers does, for a renderer of ours to be held to, byte for byte.

    python tests/models/templates.py FOLDER [--cache FOLDER]

The templates are other people's and are not kept here: they come with the sources of llama-cpp-python, which pip
downloads once into the cache. Needs transformers and jinja2; torch is not used. README.md has the format of a case.
"""

import argparse
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from jinja2.exceptions import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
TEMPLATES = "vendor/llama.cpp/models/templates/"
CACHE = Path.home() / ".cache" / "millwork-templates"
NOW = datetime(2026, 2, 3, 4, 5, 6)


def function(name: str, description: str, properties: dict, required: list[str]) -> dict:
    """A tool as it is offered to a model."""
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def call(identity: str, name: str, arguments: dict | str) -> dict:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = function(
    "get_weather",
    'Tells the weather of a "city" & more: <b>now</b>.',
    {
        "city": {"type": "string", "description": "The city's name, as in Zürich"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
    },
    ["city"],
)
ADD = function(
    "add",
    "Adds numbers.",
    {
        "numbers": {"type": "array", "items": {"type": "number"}, "description": "What to add"},
        "options": {"type": "object", "properties": {"round": {"type": "boolean"}, "digits": {"type": "integer"}}},
    },
    ["numbers"],
)
TIME = {
    "type": "function",
    "function": {"name": "time", "description": "Tells the time.", "parameters": {"type": "object", "properties": {}}},
}

SYSTEM = {"role": "system", "content": "You are a helpful assistant.\nBe brief."}
QUESTION = {"role": "user", "content": "What is the weather in Zürich?"}
CALL = {"role": "assistant", "content": "", "tool_calls": [call("call12345", "get_weather", {"city": "Zürich"})]}
RESULT = {"role": "tool", "tool_call_id": "call12345", "name": "get_weather", "content": '{"degrees": 21.5}'}
TWO_CALLS = {
    "role": "assistant",
    "content": "I will look.",
    "tool_calls": [
        call("abcdef012", "get_weather", {"city": "東京", "unit": "celsius"}),
        call("abcdef345", "add", {"numbers": [1, 2.5, -3e10], "options": {"round": True, "digits": None}}),
    ],
}
TWO_RESULTS = [
    {"role": "tool", "tool_call_id": "abcdef012", "name": "get_weather", "content": "晴れ ☀️ <b>20°</b>"},
    {"role": "tool", "tool_call_id": "abcdef345", "name": "add", "content": "-29999999996.5"},
]
TURNS = [
    {"role": "user", "content": "  Hi! 👋 "},
    {"role": "assistant", "content": '<think>\nA greeting.\n</think>\n\nHello, it\'s me & "you".'},
    {"role": "user", "content": "1 < 2?\n"},
    {"role": "assistant", "content": "Yes.", "reasoning_content": "One is less than two."},
]

CONVERSATIONS: dict[str, dict] = {
    "plain": {"messages": [{"role": "user", "content": "Hello!"}]},
    "system": {"messages": [SYSTEM, {"role": "user", "content": "¿Qué tal, señor? 你好"}]},
    "turns": {"messages": [*TURNS, {"role": "user", "content": "And 3?"}]},
    "finished": {"messages": [SYSTEM, *TURNS], "add_generation_prompt": False},
    "offered": {"messages": [SYSTEM, QUESTION], "tools": [WEATHER, ADD, TIME]},
    "called": {"messages": [QUESTION, CALL, RESULT], "tools": [WEATHER]},
    "answered": {
        "messages": [SYSTEM, QUESTION, CALL, RESULT, {"role": "assistant", "content": "21.5 °C"}, QUESTION],
        "tools": [WEATHER, ADD],
    },
    "parallel": {"messages": [SYSTEM, QUESTION, TWO_CALLS, *TWO_RESULTS], "tools": [WEATHER, ADD]},
    "text arguments": {
        "messages": [
            QUESTION,
            {**CALL, "tool_calls": [call("call12345", "get_weather", '{"city": "Zürich"}')]},
            RESULT,
        ],
        "tools": [WEATHER],
    },
    "parts": {
        "messages": [
            SYSTEM,
            {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
        ]
    },
    "no thinking": {"messages": [{"role": "user", "content": "Hello!"}], "enable_thinking": False},
}


def sources(cache: Path) -> Path:
    """The package's source archive, downloaded when it is not in the cache."""
    archive = cache / f"{PACKAGE.replace('-', '_')}-{VERSION}.tar.gz"
    if not archive.exists():
        wanted = ["--no-deps", "--no-binary", PACKAGE, f"{PACKAGE}=={VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--dest", cache, *wanted], check=True)
    return archive


def templates(archive: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each template that came with a model; those of llama.cpp itself did not."""
    with tarfile.open(archive) as files:
        for file in files:
            path = Path(file.name)
            if TEMPLATES in file.name and path.suffix == ".jinja" and not path.stem.startswith("llama-cpp"):
                yield path.stem, files.extractfile(file).read().decode()


def context(conversation: dict) -> dict:
    """All that a template sees: what transformers passes, and the special tokens of a tokenizer."""
    return {
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        **conversation,
    }


def render(template: str, seen: dict) -> dict:
    """The text that transformers makes, or what it says when it cannot."""
    options = json.loads(json.dumps(seen))
    messages = options.pop("messages")
    try:
        rendered, _ = render_jinja_template([messages], chat_template=template, strftime_now=NOW.strftime, **options)
    except Exception as error:  # noqa: BLE001, a template may fail in any way
        return {"error": {"type": type(error).__name__, "raised": type(error) is TemplateError, "text": str(error)}}
    return {"expected": rendered[0]}


def cases(name: str, template: str) -> Iterator[dict]:
    for title, conversation in CONVERSATIONS.items():
        seen = context(conversation)
        case = {"name": f"{name}, {title}", "template": template, "context": seen, "now": NOW.isoformat()}
        yield {**case, **render(template, seen)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the cases are written, a file a template")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the download is kept (default: %(default)s)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    options.cache.mkdir(parents=True, exist_ok=True)
    made = {name: list(cases(name, template)) for name, template in templates(sources(options.cache))}
    for name, written in made.items():
        (options.folder / f"{name}.json").write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n")
    rendered = sum("expected" in case for written in made.values() for case in written)
    refused = sum(map(len, made.values())) - rendered
    print(f"{len(made)} templates: {rendered} cases rendered, {refused} refused")


if __name__ == "__main__":
    main()
