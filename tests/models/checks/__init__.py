"""One module a kind of model; each yields its figures."""

import dataclasses
import json
import pathlib

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
