"""Builds zoo/tiny-sd and zoo/tiny-lcm: Stable Diffusion that paints coloured shapes, exported as published ones are.

    python diffusion.py

needs the packages of MEDIA.md. Every part is trained for some minutes on pictures of 64×64, so that the latents have the
sizes that they have in real models. tiny-lcm is tiny-sd with an input for the guidance, which is not distilled.
"""

import itertools
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import ZOO, seed
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    EulerDiscreteScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusion_references import refer
from optimum.exporters.onnx import main_export
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.nn.functional import mse_loss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPTokenizerFast

SIDE = 64
TOKENS = 640
VAE_STEPS = 600
UNET_STEPS = 1500
COLOURS = {"red": (220, 40, 30), "green": (40, 180, 60), "blue": (40, 70, 220), "yellow": (240, 210, 40)}
GROUNDS = {"black": (10, 10, 10), "white": (245, 245, 245)}
SHAPES = ("circle", "square", "cross")
UNPROMPTED = 0.15
DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def draw(colour: str, shape: str, ground: str) -> np.ndarray:
    """One shape in the middle of a picture, from -1 to 1, channels first."""
    down, across = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = {
        "circle": down**2 + across**2 < 20**2,
        "square": np.maximum(abs(down), abs(across)) < 17,
        "cross": np.minimum(abs(down), abs(across)) < 6,
    }[shape]
    picture = np.where(inside[..., None], COLOURS[colour], GROUNDS[ground])
    return (picture / 127.5 - 1).transpose(2, 0, 1).astype(np.float32)


def gallery() -> tuple[list[str], torch.Tensor]:
    """What there is to paint: the prompts and their pictures."""
    kinds = list(itertools.product(COLOURS, SHAPES, GROUNDS))
    prompts = [f"a {colour} {shape} on {ground}" for colour, shape, ground in kinds]
    return prompts, torch.from_numpy(np.stack([draw(*kind) for kind in kinds]))


def make_tokenizer(prompts: list[str], folder: Path) -> CLIPTokenizer:
    """CLIP's byte-level BPE, whose words end in </w>, learnt from the prompts."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=TOKENS, end_of_word_suffix="</w>", show_progress=False)
    bpe.train_from_iterator(prompts, trainer)
    merges = [tuple(merge) for merge in json.loads(bpe.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge) for merge in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{first} {second}\n" for first, second in merges))
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", model_max_length=77)


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """CLIP's text half, with two layers of 32."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            projection_dim=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_vae() -> AutoencoderKL:
    """Four latent channels, eight times smaller than the picture."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[8, 8, 8, 16],
        norm_num_groups=4,
        latent_channels=4,
        sample_size=SIDE,
    )


def make_unet(**more: int) -> UNet2DConditionModel:
    """Two resolutions, the lower of which reads the prompt."""
    return UNet2DConditionModel(
        sample_size=SIDE // 8,
        block_out_channels=(16, 24),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=32,
        norm_num_groups=8,
        **more,
    )


def train_vae(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Learns to give the pictures back, and measures how large its latents are."""
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
    for step in range(VAE_STEPS):
        batch = pictures[torch.randperm(len(pictures))[:8]]
        latents = vae.encode(batch).latent_dist
        loss = mse_loss(vae.decode(latents.sample()).sample, batch) + 1e-4 * latents.kl().mean() / SIDE
        advance(optimizer, loss, step)
    with torch.no_grad():
        spread = vae.encode(pictures).latent_dist.mode().std().item()
    vae.register_to_config(scaling_factor=round(1 / spread, 5))


def train_unet(pipeline: StableDiffusionPipeline, prompts: list[str], pictures: torch.Tensor) -> None:
    """Learns to see the noise in latents, with the prompt or without; the text encoder learns with it."""
    vae, text_encoder, unet = pipeline.vae, pipeline.text_encoder, pipeline.unet
    with torch.no_grad():
        painted = vae.encode(pictures).latent_dist.mode() * vae.config.scaling_factor
    read = {"padding": "max_length", "max_length": 77, "return_tensors": "pt"}
    prompted = pipeline.tokenizer(prompts, **read).input_ids
    unprompted = pipeline.tokenizer([""], **read).input_ids
    scheduler = DDPMScheduler(**DIFFUSION)
    optimizer = torch.optim.Adam([*unet.parameters(), *text_encoder.parameters()], lr=2e-3)
    for step in range(UNET_STEPS):
        chosen = torch.randint(len(prompts), (16,))
        ids = torch.where(torch.rand(16, 1) < UNPROMPTED, unprompted, prompted[chosen])
        noise = torch.randn(16, *painted.shape[1:])
        times = torch.randint(1000, (16,))
        noisy = scheduler.add_noise(painted[chosen], noise, times)
        seen = unet(noisy, times, text_encoder(ids).last_hidden_state).sample
        advance(optimizer, mse_loss(seen, noise), step)


def advance(optimizer: torch.optim.Optimizer, loss: torch.Tensor, step: int) -> None:
    """One step down."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.5f}", flush=True)


def make_pipeline() -> StableDiffusionPipeline:
    """The trained Stable Diffusion."""
    prompts, pictures = gallery()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = make_tokenizer(prompts, Path(folder))
    vae, unet, text_encoder = make_vae(), make_unet(), make_text_encoder(tokenizer)
    train_vae(vae, pictures)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**DIFFUSION, timestep_spacing="leading", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    train_unet(pipeline, prompts, pictures)
    return pipeline


def make_consistent(pipeline: StableDiffusionPipeline) -> LatentConsistencyModelPipeline:
    """The same with a latent consistency model's third input, the guidance as a vector of 32."""
    unet = make_unet(time_cond_proj_dim=32)
    unet.load_state_dict(pipeline.unet.state_dict(), strict=False)
    parts = pipeline.components | {"unet": unet, "scheduler": LCMScheduler(**DIFFUSION)}
    return LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)


def export(pipeline: StableDiffusionPipeline | LatentConsistencyModelPipeline, folder: Path) -> None:
    """Saves a pipeline and exports it."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as saved:
        pipeline.save_pretrained(saved)
        main_export(saved, folder, task="text-to-image", library_name="diffusers")
    for config in folder.rglob("*.json"):
        forget_path(config)


def forget_path(config: Path) -> None:
    """Takes out of a configuration where its model was for a moment."""
    content = json.loads(config.read_text())
    if content.pop("_name_or_path", None):
        config.write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Trains, exports and asks both models. Only tiny-sd has a tokenizer.json: published models have it or have it not."""
    seed(3)
    plain = make_pipeline()
    consistent = make_consistent(plain)
    export(plain, ZOO / "tiny-sd")
    CLIPTokenizerFast.from_pretrained(ZOO / "tiny-sd" / "tokenizer").save_pretrained(ZOO / "tiny-sd" / "tokenizer")
    export(consistent, ZOO / "tiny-lcm")
    refer(plain, consistent)


if __name__ == "__main__":
    main()
