"""Builds zoo/tiny-piper: two voices of random weights, exported by Piper's own script, and what Piper says with them.

    python voice.py

needs the packages of MEDIA.md. The voices keep Piper's architecture with 16 channels instead of 192. Their speech is noise,
but always the same noise: the references have noise_scale and noise_w at 0.
"""

import functools
import runpy
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from common import REFERENCES, ZOO, save_array, save_json, seed
from piper import PiperVoice, SynthesisConfig
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
from piper.train.vits.lightning import VitsModel

FOLDER = ZOO / "tiny-piper"
SYMBOLS = 256
SPREAD = 0.3
LOUD = 1.5
QUIET = 0.1
# Mean and deviation of the logarithm of a duration in frames.
PACE = (0.1, 0.6)
LENGTH_SCALES = (1.0, 0.7)
# Durations are rounded up: none may be so near a whole number that another order of sums changes it.
NEAR = 2e-4


@dataclass(frozen=True)
class Voice:
    """A voice as its name, rate and speakers, and the texts that it is to say."""

    name: str
    language: dict[str, str]
    espeak: str
    rate: int
    speakers: list[str]
    texts: list[str]
    seed: int

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.onnx"


VOICES = [
    Voice(
        "en_US-tiny-low",
        {
            "code": "en_US",
            "family": "en",
            "region": "US",
            "name_native": "English",
            "name_english": "English",
            "country_english": "United States",
        },
        "en-us",
        22050,
        [],
        ["Good morning.", "Is it, really?", "Two mills turn. Stop!", "At 7: rain; sun"],
        1,
    ),
    Voice(
        "de_DE-tiny-low",
        {
            "code": "de_DE",
            "family": "de",
            "region": "DE",
            "name_native": "Deutsch",
            "name_english": "German",
            "country_english": "Germany",
        },
        "de",
        16000,
        ["anna", "bert", "clara"],
        ["Schöne Mühle!", "Wie spät ist es?"],
        2,
    ),
]


def make_model(voice: Voice) -> VitsModel:
    """Piper's network, small. What starts at zero or near it is given weights, so that every part counts:
    the ends of the flows, and the vocoder's filters, beside which its biases would be all that is heard."""
    seed(voice.seed)
    model = VitsModel(
        sample_rate=voice.rate,
        num_symbols=SYMBOLS,
        num_speakers=max(1, len(voice.speakers)),
        gin_channels=16 if voice.speakers else 0,
        inter_channels=16,
        hidden_channels=16,
        filter_channels=32,
        n_layers=2,
        upsample_initial_channel=32,
        mos_metric=None,
    )
    with torch.no_grad():
        for weights in model.model_g.parameters():
            if not weights.any():
                weights.normal_(0, SPREAD)
        for name, weights in model.model_g.dec.named_parameters():
            if name.endswith("bias"):
                weights *= QUIET
            elif name.endswith(("weight_g", "original0")):
                weights.fill_(LOUD)
    pace(model)
    return model


def pace(model: VitsModel) -> None:
    """Sets the last step of the duration flow so that phonemes last about as long as PACE says."""
    network = model.model_g.eval()
    ids = torch.randint(SYMBOLS, (1, 500))
    with torch.no_grad():
        logs = log_durations(model, ids, 0 if network.n_speakers > 1 else None)
        mean, spread = PACE
        affine = network.dp.flows[0]
        stretch = logs.std() / spread
        affine.m[0] = (logs.mean() - mean * stretch) * affine.logs[0].exp() + affine.m[0]
        affine.logs[0] += stretch.log()


def log_durations(model: VitsModel, ids: torch.Tensor, speaker: int | None) -> torch.Tensor:
    """The logarithm of how many frames each id lasts, without noise."""
    network = model.model_g.eval()
    with torch.no_grad():
        hidden, _, _, mask = network.enc_p(ids, torch.tensor([ids.shape[1]]))
        voice = None if speaker is None else network.emb_g(torch.tensor([speaker])).unsqueeze(-1)
        return network.dp(hidden, mask, g=voice, reverse=True, noise_scale=0.0).flatten()


def export(model: VitsModel, path: Path) -> None:
    """Runs Piper's export script on a checkpoint, with the exporter that was the only one when Piper was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "voice.ckpt"
        trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        trainer.strategy.connect(model)
        trainer.save_checkpoint(checkpoint)
        arguments, exporter = sys.argv, torch.onnx.export
        sys.argv = ["export_onnx", "--checkpoint", str(checkpoint), "--output-file", str(path)]
        torch.onnx.export = functools.partial(exporter, dynamo=False)
        try:
            runpy.run_module("piper.train.export_onnx", run_name="__main__")
        finally:
            sys.argv, torch.onnx.export = arguments, exporter


def write_config(voice: Voice) -> None:
    """The file that stands beside a published voice."""
    ids = {phoneme: ids for phoneme, ids in DEFAULT_PHONEME_ID_MAP.items() if len(phoneme) == 1}
    config = {
        "audio": {"sample_rate": voice.rate, "quality": "low"},
        "espeak": {"voice": voice.espeak},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": ids,
        "num_symbols": SYMBOLS,
        "num_speakers": max(1, len(voice.speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(voice.speakers)},
        "piper_version": "1.0.0",
        "language": voice.language,
        "dataset": "tiny",
    }
    save_json(Path(f"{voice.path}.json"), config)


def durations(model: VitsModel, ids: list[int], length_scale: float, speaker: int | None) -> list[int]:
    """How many frames each id lasts, from the network itself; refuses sums that are too near a whole number."""
    exact = torch.exp(log_durations(model, torch.tensor([ids]), speaker)) * length_scale
    distance = (exact - exact.round()).abs().min().item()
    if distance < NEAR:
        raise ValueError(f"a duration is {distance} from a whole number: take another seed")
    return exact.ceil().int().tolist()


def espeak_says(voice: Voice, text: str) -> str:
    """The phonemes that Debian's espeak-ng prints, to compare: its own release, without punctuation."""
    command = ["espeak-ng", "-q", "--ipa", "-v", voice.espeak, text]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def speak(piper: PiperVoice, model: VitsModel, voice: Voice, ids: list[int], where: str) -> list[dict[str, Any]]:
    """The waveform of one sentence for each speaker and each length scale."""
    runs = []
    for speaker in range(len(voice.speakers)) or [None]:
        for scale in LENGTH_SCALES if not speaker else LENGTH_SCALES[:1]:
            options = SynthesisConfig(speaker_id=speaker, length_scale=scale, noise_scale=0.0, noise_w_scale=0.0)
            sound = piper.phoneme_ids_to_audio(ids, options)
            lasts = durations(model, ids, scale, speaker)
            if sum(lasts) * piper.config.hop_length != len(sound):
                raise ValueError("the network and its export differ in length")
            path = REFERENCES / "tiny-piper" / f"{where}-{speaker or 0}-{scale}.npy"
            runs.append(
                {
                    "speaker": speaker,
                    "scales": [0.0, scale, 0.0],
                    "durations": lasts,
                    "samples": len(sound),
                    "waveform": save_array(path, sound.astype(np.float32)),
                }
            )
    return runs


def write_wav(piper: PiperVoice, text: str, path: Path) -> str:
    """What Piper's command would write: every sentence brought to full loudness, one after another, 16 bits."""
    with wave.open(str(path), "wb") as file:
        piper.synthesize_wav(text, file, SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0))
    return str(path.relative_to(REFERENCES))


def refer(voice: Voice, model: VitsModel) -> dict[str, Any]:
    """Everything that Piper makes of a voice's texts."""
    piper = PiperVoice.load(voice.path)
    texts = []
    for number, text in enumerate(voice.texts):
        sentences = []
        for part, phonemes in enumerate(piper.phonemize(text)):
            ids = piper.phonemes_to_ids(phonemes)
            where = f"{voice.name}-{number}-{part}"
            sentences.append({"phonemes": phonemes, "ids": ids, "runs": speak(piper, model, voice, ids, where)})
        wav = write_wav(piper, text, REFERENCES / "tiny-piper" / f"{voice.name}-{number}.wav")
        texts.append({"text": text, "debian_espeak_ipa": espeak_says(voice, text), "wav": wav, "sentences": sentences})
    return {"voice": str(voice.path.relative_to(ZOO)), "sample_rate": voice.rate, "texts": texts}


def main() -> None:
    """Builds both voices and writes what they say."""
    references = []
    for voice in VOICES:
        model = make_model(voice)
        export(model, voice.path)
        write_config(voice)
        references.append(refer(voice, model))
    save_json(REFERENCES / "tiny-piper.json", {"voices": references})


if __name__ == "__main__":
    main()
