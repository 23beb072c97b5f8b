"""One module a kind of model; each yields its figures."""

import dataclasses
import json
import pathlib
import time

import host

FOLDER = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass
class Figure:
    """One line of the report."""

    model: str
    what: str
    figure: str
    holds: bool

    def __str__(self) -> str:
        return f"{'ok    ' if self.holds else 'FAILED'}  {self.model:<18} {self.what:<44} {self.figure}"


def reference(model: str) -> dict:
    """What the reference library answered."""
    return json.loads((FOLDER / "references" / f"{model}.json").read_text())


def models(worker, model_type: str) -> list[str]:
    """The ids of what the provider has of a type."""
    found = worker.call("provider.models", {"provider": "local", "model_type": model_type})["models"]
    return [model["id"] for model in found]


def cancelled(worker, model: str, kind: str, request: dict, is_half_way) -> Figure:
    """Cancels a request at the first frame that is half-way: it has to end as cancelled, and not to be finished."""
    frames = worker.request(kind, {"provider": "local", **request})
    frame = next(frames)
    request_id = list(worker.answers)[-1]
    try:
        while not is_half_way(frame):
            frame = next(frames)
        asked = time.monotonic()
        worker._send("cancel", request_id, {})
        for frame in frames:
            pass
        ended = f"it ended with a {frame['type']}"
    except host.WorkerError as error:
        ended = str(error)
    except StopIteration:
        return Figure(model, f"{kind} is cancelled", "it ended before it was half-way", False)
    took = (time.monotonic() - asked) * 1000
    return Figure(model, f"{kind} is cancelled half-way", f"{ended} after {took:.0f} ms", ended == "Cancelled")


def progress(least: float):
    """Whether a frame tells of at least this progress."""
    return lambda frame: frame["type"] == "progress" and frame["data"]["progress"] >= least
