"""What diffusers paints with the models that diffusion.py builds: references/tiny-sd.json, tiny-lcm.json and their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from common import REFERENCES, save_array, save_json
from diffusers import LatentConsistencyModelPipeline, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

STEPS = 8
STRENGTH = 0.6
SEED = 5
PROMPT = "a red circle on white"
NEGATIVE = "a blue square on black"
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
TRAILING = {"timestep_spacing": "trailing"}
LINSPACE = {"timestep_spacing": "linspace"}
V = {"prediction_type": "v_prediction"}
STORED = {"clip_sample": False, "set_alpha_to_one": False}

Pipeline = StableDiffusionPipeline | StableDiffusionImg2ImgPipeline | LatentConsistencyModelPipeline


@dataclass(frozen=True)
class Painting:
    """One run: a scheduler with its configuration, and what the pipeline is called with."""

    name: str
    scheduler: str
    config: dict[str, Any]
    steps: int = STEPS
    guidance: float = 7.5
    negative: str | None = None
    width: int = 64
    height: int = 64
    drawn: int = 0


PAINTINGS = [
    Painting("euler-leading", "EulerDiscreteScheduler", LEADING),
    Painting("euler-leading-negative", "EulerDiscreteScheduler", LEADING, negative=NEGATIVE),
    Painting("euler-leading-unguided", "EulerDiscreteScheduler", LEADING, guidance=1.0),
    Painting("euler-leading-wide", "EulerDiscreteScheduler", LEADING, width=96),
    Painting("euler-leading-karras", "EulerDiscreteScheduler", LEADING | {"use_karras_sigmas": True}),
    Painting("euler-trailing", "EulerDiscreteScheduler", TRAILING),
    Painting("euler-linspace", "EulerDiscreteScheduler", LINSPACE),
    Painting("euler-trailing-v", "EulerDiscreteScheduler", TRAILING | V),
    Painting("ancestral-leading", "EulerAncestralDiscreteScheduler", LEADING, drawn=STEPS),
    Painting("ancestral-trailing", "EulerAncestralDiscreteScheduler", TRAILING, drawn=STEPS),
    Painting("ancestral-linspace-v", "EulerAncestralDiscreteScheduler", LINSPACE | V, drawn=STEPS),
    Painting("ddim-leading", "DDIMScheduler", LEADING | STORED),
    Painting("ddim-leading-negative", "DDIMScheduler", LEADING | STORED, negative=NEGATIVE),
    Painting("ddim-leading-tall", "DDIMScheduler", LEADING | STORED, height=96),
    Painting("ddim-trailing-v", "DDIMScheduler", TRAILING | V | STORED),
    Painting("lcm-plain", "LCMScheduler", {}, guidance=1.0, steps=4, drawn=3),
]
FROM_PICTURES = [
    Painting("euler-leading", "EulerDiscreteScheduler", LEADING),
    Painting("euler-linspace", "EulerDiscreteScheduler", LINSPACE),
    Painting("ancestral-leading", "EulerAncestralDiscreteScheduler", LEADING, drawn=int(STEPS * STRENGTH)),
    Painting("ddim-leading-negative", "DDIMScheduler", LEADING | STORED, negative=NEGATIVE),
]
CONSISTENT = [
    Painting("lcm-4", "LCMScheduler", {}, steps=4, drawn=3),
    Painting("lcm-8-unguided", "LCMScheduler", {}, guidance=1.0, drawn=STEPS - 1),
    Painting("lcm-1-wide", "LCMScheduler", {}, steps=1, width=96),
]


class Recorder:
    """Runs paintings and keeps what went in and what came out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def array(self, name: str, values: list[torch.Tensor]) -> str:
        """Tensors of a batch of one, as an array with the count in front."""
        return save_array(self.folder / f"{name}.npy", torch.cat(values).numpy().astype(np.float32))

    def picture(self, name: str, picture: Image.Image) -> str:
        """A PNG, relative to the references."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.png"
        picture.save(path)
        return str(path.relative_to(REFERENCES))

    def paint(self, pipeline: Pipeline, painting: Painting, name: str, given: dict[str, Any], before: int) -> dict[str, Any]:
        """Runs a pipeline; `before` draws of noise come before those of the steps. Files: noise, latents, picture."""
        pipeline.scheduler = getattr(diffusers, painting.scheduler)(**BETAS, **painting.config)
        pipeline.set_progress_bar_config(disable=True)
        # The same numbers that the pipeline draws: one generator for it and one for the record.
        drawn, recorded = (torch.Generator().manual_seed(SEED) for _ in range(2))
        shape = (1, 4, painting.height // 8, painting.width // 8)
        noise = [torch.randn(shape, generator=recorded) for _ in range(before + painting.drawn)]
        latents: list[torch.Tensor] = []

        def keep(_: Any, step: int, time: torch.Tensor, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            latents.append(values["latents"].clone())
            return values

        asked = {"prompt": PROMPT, "num_inference_steps": painting.steps, "guidance_scale": painting.guidance}
        if painting.negative:
            asked["negative_prompt"] = painting.negative
        (picture,) = pipeline(**asked, **given, generator=drawn, callback_on_step_end=keep).images
        if not torch.equal(drawn.get_state(), recorded.get_state()):
            raise ValueError(f"{name} drew other noise than is recorded")
        return {
            "name": name,
            "scheduler": painting.scheduler,
            "config": BETAS | painting.config,
            **asked,
            "negative_prompt": painting.negative,
            "width": painting.width,
            "height": painting.height,
            "timesteps": pipeline.scheduler.timesteps[-len(latents) :].tolist(),
            "noise": self.array(f"{name}-noise", noise) if noise else None,
            "latents": self.array(f"{name}-latents", latents),
            "picture": self.picture(name, picture),
        }

    def from_noise(self, pipeline: Pipeline, painting: Painting) -> dict[str, Any]:
        """A painting from given latents, which the scheduler scales."""
        start = initial_latents(painting)
        given = {"latents": start, "width": painting.width, "height": painting.height}
        found = self.paint(pipeline, painting, painting.name, given, before=0)
        return found | {"start": self.array(f"start-{painting.width}x{painting.height}", [start])}

    def from_picture(
        self, pipeline: StableDiffusionImg2ImgPipeline, painting: Painting, picture: Image.Image
    ) -> dict[str, Any]:
        """A painting from a picture. Of `noise` the first is for the encoder's distribution, the second for the beginning."""
        given = {"image": picture, "strength": STRENGTH}
        return self.paint(pipeline, painting, f"from-picture-{painting.name}", given, before=2) | {"strength": STRENGTH}


def initial_latents(painting: Painting) -> torch.Tensor:
    """Noise of deviation one; the same for all paintings of a size."""
    generator = torch.Generator().manual_seed(11)
    return torch.randn(1, 4, painting.height // 8, painting.width // 8, generator=generator)


def input_picture() -> Image.Image:
    """A green cross on a slope of grey, which is none of the pictures that the model knows."""
    down, across = np.mgrid[:64, :64]
    grey = np.stack([down * 4] * 3, axis=-1)
    cross = np.minimum(abs(down - 28), abs(across - 36)) < 8
    return Image.fromarray(np.where(cross[..., None], (60, 160, 90), grey).astype(np.uint8))


def parts(pipeline: Pipeline, recorder: Recorder, picture: Image.Image) -> dict[str, Any]:
    """Each network alone: tokens and text embeddings of prompts, the encoder's distribution, a decoded latent."""
    texts = [PROMPT, NEGATIVE, "", "A yellow CROSS, on grün!  It's 2 " + "red " * 90]
    read = {"padding": "max_length", "max_length": 77, "truncation": True, "return_tensors": "pt"}
    ids = pipeline.tokenizer(texts, **read).input_ids
    pixels = torch.from_numpy(np.asarray(picture)).permute(2, 0, 1)[None] / 127.5 - 1
    latent = initial_latents(PAINTINGS[0])
    with torch.no_grad():
        embeddings = pipeline.text_encoder(ids).last_hidden_state
        distribution = pipeline.vae.encode(pixels).latent_dist.parameters
        decoded = pipeline.vae.decode(latent).sample
    return {
        "texts": [{"text": text, "ids": row} for text, row in zip(texts, ids.tolist(), strict=True)],
        "text_embeddings": recorder.array("text-embeddings", [embeddings]),
        "scaling_factor": pipeline.vae.config.scaling_factor,
        "input_picture": recorder.picture("input", picture),
        "encoded": recorder.array("encoded", [distribution]),
        "latent": recorder.array("start-64x64", [latent]),
        "decoded": recorder.array("decoded", [decoded]),
    }


def refer(plain: StableDiffusionPipeline, consistent: LatentConsistencyModelPipeline) -> None:
    """Writes all references of both models."""
    for network in (plain.unet, plain.vae, plain.text_encoder, consistent.unet):
        network.eval().requires_grad_(False)
    recorder, picture = Recorder(REFERENCES / "tiny-sd"), input_picture()
    redrawing = StableDiffusionImg2ImgPipeline(**plain.components, requires_safety_checker=False)
    content = {
        "diffusers": diffusers.__version__,
        "parts": parts(plain, recorder, picture),
        "paintings": [recorder.from_noise(plain, painting) for painting in PAINTINGS],
        "from_picture": [recorder.from_picture(redrawing, painting, picture) for painting in FROM_PICTURES],
    }
    save_json(REFERENCES / "tiny-sd.json", content)
    recorder = Recorder(REFERENCES / "tiny-lcm")
    conditions = [
        {
            "guidance": guidance,
            "timestep_cond": consistent.get_guidance_scale_embedding(torch.tensor([guidance - 1]), 32)[0].tolist(),
        }
        for guidance in (7.5, 1.0)
    ]
    content = {
        "diffusers": diffusers.__version__,
        "guidance_embeddings": conditions,
        "paintings": [recorder.from_noise(consistent, painting) for painting in CONSISTENT],
    }
    save_json(REFERENCES / "tiny-lcm.json", content)
