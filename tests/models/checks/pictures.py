"""`provider.text_to_image` and `image_to_image` against diffusers, from the same noise."""

import io
import math
from collections.abc import Iterator

import host
import numpy as np
from PIL import Image

from . import FOLDER, Figure, cancelled, models, progress, reference

CLOSE = 40.0
# Those of the model's own scheduler: the others are held in local/tests/models/diffusion.rs.
PAINTINGS = {
    "tiny-sd": ("euler-leading", "euler-leading-negative", "euler-leading-unguided", "euler-leading-wide", "ancestral-leading"),
    "tiny-lcm": ("lcm-4", "lcm-1-wide"),
}


def numbers(path: str | None) -> bytes:
    return np.load(FOLDER / "references" / path).astype("<f4").tobytes() if path else b""


def decibels(found: bytes, wanted: bytes) -> float:
    a, b = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) for png in (found, wanted))
    return 10 * math.log10(255**2 / max(float(((a - b) ** 2).mean()), 1e-9)) if a.shape == b.shape else 0.0


def check(serve) -> Iterator[Figure]:
    worker = serve()
    there = models(worker, "image")
    for model, names in PAINTINGS.items():
        yield Figure(model, "listed by provider.models", "", model in there)
        for painting in reference(model)["paintings"]:
            if painting["name"] not in names:
                continue
            params = {
                "model": model,
                "prompt": painting["prompt"],
                "negativePrompt": painting["negative_prompt"],
                "width": painting["width"],
                "height": painting["height"],
                "numInferenceSteps": painting["num_inference_steps"],
                "guidanceScale": painting["guidance_scale"],
                "scheduler": painting["scheduler"],
                "noise": numbers(painting["start"]) + numbers(painting["noise"]),
            }
            *_, last = worker.request("provider.text_to_image", {"provider": "local", "params": params})
            close = decibels(last["data"]["blobs"]["image"], (FOLDER / "references" / painting["picture"]).read_bytes())
            yield Figure(model, painting["name"], f"{close:.1f} dB", close >= CLOSE)
    source = (FOLDER / "references" / "tiny-sd" / "input.png").read_bytes()
    params = {"model": "tiny-sd", "prompt": "a red circle on white", "strength": 0.6, "seed": 1}
    made = worker.call("provider.image_to_image", {"provider": "local", "image": source, "params": params}, host.LONG)
    yield Figure("tiny-sd", "image_to_image", "", made["blobs"]["image"].startswith(b"\x89PNG"))
    params |= {"numInferenceSteps": 1000, "width": 256, "height": 256}
    yield cancelled(worker, "tiny-sd", "provider.text_to_image", {"params": params}, progress(3))
    params |= {"strength": 0.9}
    yield cancelled(worker, "tiny-sd", "provider.image_to_image", {"image": source, "params": params}, progress(3))
    worker.close()
