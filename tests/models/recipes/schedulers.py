"""Writes references/schedulers.json: what diffusers' schedulers do, step by step, with a formula in the place of a model.

    python schedulers.py

Each entry of `runs` has the scheduler's configuration (as in a scheduler_config.json), what it prepares for ten steps
(timesteps and, where it has them, sigmas), the samples before the first step and after each, and the noise drawn in each.
The formula is MODEL: its sample is the one that the scheduler scaled (`scale_model_input`), its t the timestep.
`beginnings` are the noisy samples that image-to-image starts from.
"""

import itertools
from typing import Any

import diffusers
import torch
from common import REFERENCES, save_json, seed

STEPS = 10
MODEL = "0.5 * sin(sample) + t / 2000"
SAMPLE = [0.9, -1.3, 0.2, 2.1]
STRENGTH = 0.6
SPACINGS = ("leading", "trailing", "linspace")
PREDICTIONS = ("epsilon", "v_prediction")
BETAS = {
    "scaled_linear": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    "linear": {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"},
}

Config = dict[str, Any]


def configs() -> list[tuple[str, Config]]:
    """The combinations that a scheduler has, and a few that published models add."""
    found = []
    for betas, prediction, spacing in itertools.product(BETAS.values(), PREDICTIONS, SPACINGS):
        shared = {"num_train_timesteps": 1000, **betas, "prediction_type": prediction, "timestep_spacing": spacing}
        shared["steps_offset"] = int(spacing == "leading")
        found += [("EulerDiscreteScheduler", shared | {"use_karras_sigmas": karras}) for karras in (False, True)]
        found.append(("EulerAncestralDiscreteScheduler", shared))
        found.append(("DDIMScheduler", shared | {"clip_sample": False, "set_alpha_to_one": False}))
        if spacing == "leading":
            found.append(("LCMScheduler", shared | {"clip_sample": False, "set_alpha_to_one": True}))
    return found + extras()


def extras() -> list[tuple[str, Config]]:
    """Settings whose default is the other one in the combinations."""
    shared = {"num_train_timesteps": 1000, **BETAS["scaled_linear"]}
    zero_snr = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}
    return [
        ("EulerDiscreteScheduler", shared | {"timestep_spacing": "leading", "steps_offset": 0}),
        ("EulerDiscreteScheduler", shared | zero_snr),
        ("DDIMScheduler", shared | {"set_alpha_to_one": True, "clip_sample": True, "clip_sample_range": 1.0}),
        ("DDIMScheduler", shared | zero_snr | {"clip_sample": False}),
        ("LCMScheduler", shared | {"original_inference_steps": 100, "timestep_scaling": 5.0, "clip_sample": False}),
        ("PNDMScheduler", shared | {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}),
    ]


def model(sample: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """MODEL in code."""
    return 0.5 * torch.sin(sample) + t / 2000


def numbers(values: torch.Tensor) -> list[float]:
    """Numbers as they are in 32 bits."""
    return values.float().tolist()


def draws(name: str, count: int) -> int:
    """How many of the steps draw noise."""
    return {"EulerAncestralDiscreteScheduler": count, "LCMScheduler": count - 1}.get(name, 0)


def run(name: str, config: Config, index: int) -> dict[str, Any]:
    """Ten steps of one scheduler."""
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(STEPS)
    count = len(scheduler.timesteps)
    # The same numbers that the scheduler draws: one generator for them and one for the record.
    recorded, drawn = (torch.Generator().manual_seed(index) for _ in range(2))
    noise = [torch.randn(1, len(SAMPLE), generator=recorded) for _ in range(draws(name, count))]
    sample = torch.tensor([SAMPLE]) * scheduler.init_noise_sigma
    samples = [sample]
    given = {"generator": drawn} if noise else {}
    for t in scheduler.timesteps:
        sample = scheduler.step(model(scheduler.scale_model_input(sample, t), t), t, sample, **given).prev_sample
        samples.append(sample)
    if noise and not torch.equal(recorded.get_state(), drawn.get_state()):
        raise ValueError(f"{name} drew other noise than is recorded")
    prepared = {"sigmas": numbers(scheduler.sigmas)} if hasattr(scheduler, "sigmas") else {}
    return {
        "scheduler": name,
        "config": config,
        "init_noise_sigma": float(scheduler.init_noise_sigma),
        "timesteps": numbers(scheduler.timesteps),
        **prepared,
        "noise": [numbers(one[0]) for one in noise],
        "samples": [numbers(one[0]) for one in samples],
    }


def beginning(name: str, config: Config) -> dict[str, Any]:
    """A sample with the noise of the timestep from which a strength leaves the rest to do."""
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(STEPS, **({"strength": STRENGTH} if name == "LCMScheduler" else {}))
    first = 0 if name == "LCMScheduler" else STEPS - int(STEPS * STRENGTH)
    # As the pipelines do: the schedulers with sigmas then know in which step they are.
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    noise = [0.4, -0.7, 1.1, -0.2]
    t = scheduler.timesteps[first : first + 1]
    noisy = scheduler.add_noise(torch.tensor([SAMPLE]), torch.tensor([noise]), t)
    return {
        "scheduler": name,
        "config": config,
        "strength": STRENGTH,
        "timesteps": numbers(scheduler.timesteps[first:]),
        "sample": SAMPLE,
        "noise": noise,
        "noisy": numbers(noisy[0]),
    }


def main() -> None:
    """Runs everything."""
    seed(0)
    alphas = {name: diffusers.DDIMScheduler(num_train_timesteps=1000, **betas).alphas_cumprod for name, betas in BETAS.items()}
    content = {
        "diffusers": diffusers.__version__,
        "model": MODEL,
        "steps": STEPS,
        "alphas_cumprod": {
            name: {str(t): float(values[t]) for t in (0, 1, 250, 500, 750, 999)} for name, values in alphas.items()
        },
        "runs": [run(name, config, index) for index, (name, config) in enumerate(configs())],
        "beginnings": [beginning(name, config) for name, config in configs() if config.get("prediction_type") == "epsilon"],
    }
    save_json(REFERENCES / "schedulers.json", content)


if __name__ == "__main__":
    main()
