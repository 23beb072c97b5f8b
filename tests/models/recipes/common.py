"""Where the recipes of sound and pictures put things, and how they write them."""

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

MODELS = Path(__file__).resolve().parent.parent
ZOO = MODELS / "zoo"
REFERENCES = MODELS / "references"
INNER_LIST = re.compile(r"\[([-+\d.,e\s]*)\]")


def seed(number: int) -> None:
    """Makes every following run the same, on one thread."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    torch.set_num_threads(1)


def save_json(path: Path, content: Any) -> None:
    """Writes JSON that a person can read: a line for each list that holds no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(INNER_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n")


def save_array(path: Path, array: Any) -> str:
    """Writes an array as .npy and says its path relative to the references."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ascontiguousarray(array))
    return str(path.relative_to(REFERENCES))
