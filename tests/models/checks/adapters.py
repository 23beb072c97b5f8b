"""A command-backed adapter behind `provider.text_to_audio`: docs/examples/adapter.py."""

import io
import pathlib
import sys
import wave
from collections.abc import Iterator

from . import FOLDER, Figure, cancelled, progress

SCRIPT = FOLDER.parent.parent / "docs" / "examples" / "adapter.py"
NAME = "NODETOOL_PROVIDER_ADAPTER"


def check(serve) -> Iterator[Figure]:
    settings = {f"{NAME}_COMMAND_CHORD": f"{sys.executable} {SCRIPT}", f"{NAME}_CAPABILITIES_CHORD": "text_to_audio"}
    worker = serve(**settings)
    providers = {one["id"]: one["capabilities"] for one in worker.call("provider.list")["providers"]}
    yield Figure("chord", "listed by provider.list", "", providers.get("chord") == ["text_to_audio"])
    request = {"provider": "chord", "model": "chord", "params": {"prompt": "a chord", "durationSeconds": 1}}
    answer = worker.call("provider.text_to_audio", request)
    with wave.open(io.BytesIO(answer["blobs"]["audio"])) as file:
        seconds = file.getnframes() / file.getframerate()
    yield Figure("chord", "a second of music", f"{seconds:.1f} s", seconds == 1)
    long = {**request, "params": {"prompt": "a very long chord", "durationSeconds": 60}}
    yield cancelled(worker, "chord", "provider.text_to_audio", long, progress(1))
    left = [str(one) for one in pathlib.Path("/proc").glob("[0-9]*/cmdline") if str(SCRIPT).encode() in text(one)]
    yield Figure("chord", "nothing of it runs on", ", ".join(left), not left)
    answer = worker.call("provider.text_to_audio", request)
    yield Figure("chord", "the next one is played", "", bool(answer["blobs"]["audio"]))
    worker.close()


def text(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # It has ended meanwhile.
        return b""
