"""What transformers makes of the clips with the Whisper that whisper.py trains: references/tiny-whisper.json and its files."""

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import transformers
from clips import RATE, Clip, write
from common import REFERENCES, save_array, save_json
from transformers import WhisperForConditionalGeneration, WhisperProcessor

FOLDER = REFERENCES / "tiny-whisper"
SPECTRA = ("en-mill", "de-zwei")
PROMPTED = "en-colour"
# Frames kept after the end of a clip; the rest of its spectrum is one value.
MARGIN = 4
MIN_GAP = 1e-3


class Reference:
    """Asks the model, and puts its answers into JSON."""

    def __init__(self, model: WhisperForConditionalGeneration, processor: WhisperProcessor) -> None:
        self.model = model.eval()
        self.processor = processor
        self.tokenizer = processor.tokenizer

    def text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def window(self, clip: Clip) -> torch.Tensor:
        """The spectrum of 30 s that a short clip is heard as."""
        return self.processor(clip.sound, sampling_rate=RATE, return_tensors="pt").input_features

    def spectrum(self, clip: Clip) -> dict[str, Any]:
        """The part of a spectrum that differs from silence."""
        features = self.window(clip)[0].numpy()
        frames = len(clip.sound) // 160 + MARGIN
        silence = features[:, frames:]
        if silence.min() != silence.max():
            raise ValueError("the end of a clip is not silent")
        path = save_array(FOLDER / f"{clip.name}-mel.npy", features[:, :frames].astype(np.float32))
        return {"clip": clip.name, "shape": list(features.shape), "first_frames": path, "other_frames": float(silence[0, 0])}

    def told(self, language: str, task: str, timestamps: bool) -> list[int]:
        """The tokens that the decoder begins with."""
        names = ["startoftranscript", language, task] + ([] if timestamps else ["notimestamps"])
        return self.tokenizer.convert_tokens_to_ids([f"<|{name}|>" for name in names])

    def plain(self, features: torch.Tensor, language: str, task: str, prompt: Sequence[int] = ()) -> dict[str, Any]:
        """Greedy tokens without timestamps. `gap`: the smallest distance of the best score from the second best."""
        given = {"prompt_ids": torch.tensor(list(prompt))} if prompt else {}
        options = {"return_dict_in_generate": True, "output_scores": True, "force_unique_generate_call": True}
        answer = self.model.generate(features, language=language, task=task, **given, **options)
        begin = [*prompt, *self.told(language, task, False)]
        sequence = answer["sequences"][0].tolist()
        if sequence[: len(begin)] != begin or sequence[-1] != self.tokenizer.eos_token_id:
            raise ValueError(f"an unexpected sequence: {sequence}")
        tokens = sequence[len(begin) : -1]
        return {
            "task": task,
            "begin": begin,
            "tokens": tokens,
            "text": self.text(tokens),
            "average_log_probability": average_log_probability(answer["scores"], sequence[len(begin) :]),
            "gap": smallest_gap(answer["scores"]),
        }

    def timed(self, features: torch.Tensor, task: str, **options: Any) -> dict[str, Any]:
        """Segments with timestamps, by the sequential algorithm for sounds of any length."""
        options |= {"return_timestamps": True, "return_dict_in_generate": True, "output_scores": True}
        segments = self.model.generate(features, task=task, **options)["segments"][0]
        windows = list({id(segment["result"]): segment["result"] for segment in segments}.values())
        tokens = [token for segment in segments for token in segment["tokens"].tolist()]
        return {
            "task": task,
            "tokens": tokens,
            "text": self.text(tokens),
            "segments": [
                {
                    "start": round(float(segment["start"]), 2),
                    "end": round(float(segment["end"]), 2),
                    "text": self.text(segment["tokens"]),
                    "tokens": segment["tokens"].tolist(),
                }
                for segment in segments
            ],
            "windows": len(windows),
            "gap": min(smallest_gap(window["scores"]) for window in windows),
        }

    def detect(self, features: torch.Tensor) -> dict[str, Any]:
        """Which language is heard, how surely, and how probably nothing is said: all from the first token."""
        config = self.model.generation_config
        start = torch.tensor([[config.decoder_start_token_id]])
        with torch.no_grad():
            logits = self.model(features, decoder_input_ids=start).logits[0, -1]
        (heard,) = self.model.detect_language(features).tolist()
        languages = torch.tensor(list(config.lang_to_id.values()))
        surely = logits[languages].softmax(-1)[languages == heard].item()
        silence = logits.softmax(-1)[config.no_timestamps_token_id - 1].item()
        name = self.tokenizer.convert_ids_to_tokens(heard).strip("<|>")
        return {"language": name, "token": heard, "probability": surely, "no_speech_probability": silence}

    def clip(self, clip: Clip) -> dict[str, Any]:
        """All that is asked about a short clip."""
        features = self.window(clip)
        tasks = ["transcribe", "translate"] if clip.english else ["transcribe"]
        return {
            "name": clip.name,
            "sound": f"{FOLDER.name}/{clip.name}.flac",
            "samples": len(clip.sound),
            "language": clip.language,
            "detected": self.detect(features),
            "plain": [self.plain(features, clip.language, task) for task in tasks],
            "timed": [self.timed(features, task, language=clip.language) for task in tasks],
        }

    def prompted(self, clip: Clip, text: str) -> dict[str, Any]:
        """An answer that a prompt changes."""
        prompt = self.processor.get_prompt_ids(text).tolist()
        return {"clip": clip.name, "prompt": text, "prompt_ids": prompt} | self.plain(
            self.window(clip), clip.language, "transcribe", prompt
        )

    def story(self, clip: Clip) -> dict[str, Any]:
        """A sound of several windows: its spectrum is made at once, and its last window is filled with zeros."""
        heard = self.processor(
            clip.sound, sampling_rate=RATE, return_tensors="pt", truncation=False, padding="longest", return_attention_mask=True
        )
        given = {"attention_mask": heard.attention_mask, "language": clip.language}
        return {
            "name": clip.name,
            "sound": f"{FOLDER.name}/{clip.name}.flac",
            "samples": len(clip.sound),
            "language": clip.language,
            "frames": heard.input_features.shape[-1],
            "timed": self.timed(heard.input_features, "transcribe", **given),
        }


def smallest_gap(scores: tuple[torch.Tensor, ...]) -> float:
    """How near the second best token ever came; refuses what another order of sums could turn."""
    best = [score.topk(2, dim=-1).values.flatten() for score in scores]
    gap = min((first - second).item() for first, second in best)
    if gap < MIN_GAP:
        raise ValueError(f"two tokens are only {gap} apart")
    return gap


def average_log_probability(scores: tuple[torch.Tensor, ...], tokens: list[int]) -> float:
    """The mean over the generated tokens and the end, of the scores that the choice was made by."""
    chosen = [score.flatten().log_softmax(-1)[token].item() for score, token in zip(scores, tokens, strict=True)]
    return sum(chosen) / len(chosen)


def refer(
    model: WhisperForConditionalGeneration, processor: WhisperProcessor, clips: list[Clip], story: Clip, prompt: str
) -> None:
    """Writes the clips, and what they are heard as."""
    reference = Reference(model, processor)
    for clip in [*clips, story]:
        write(clip, FOLDER)
    named = {clip.name: clip for clip in clips}
    content = {
        "model": FOLDER.name,
        "made_with": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "spectra": [reference.spectrum(named[name]) for name in SPECTRA],
        "clips": [reference.clip(clip) for clip in clips],
        "prompted": reference.prompted(named[PROMPTED], prompt),
        "story": reference.story(story),
    }
    save_json(FOLDER.with_suffix(".json"), content)
