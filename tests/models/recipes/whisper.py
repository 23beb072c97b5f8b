"""Builds zoo/tiny-whisper: a Whisper of 16 dimensions that knows eleven recordings by heart, exported as published ones are.

    python whisper.py

needs espeak-ng and the packages of MEDIA.md. The weights are trained, not random: each clip's sentences with and without
timestamps, translations of the foreign ones, one answer that depends on a prompt, and a story in windows of 30 s.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from clips import Clip, long_clip, short_clips
from common import ZOO, seed
from optimum.exporters.onnx import main_export
from tokenizers import ByteLevelBPETokenizer
from torch.nn.functional import cross_entropy
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
    WhisperTokenizerFast,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES
from whisper_references import refer

NAME = "tiny-whisper"
TEXT_TOKENS = 512
TICK = 0.02
WINDOW = 30.0
STEPS = 500
NOISE = 0.02
# Lessons of more tokens are a batch of their own, so that the short ones are not filled up to them.
SHORT = 40
# What a transcript never holds, beside the special tokens.
SYMBOLS = '"#()*+/:;<=>@[\\]^_`{|}~'
PROMPT = "A grey colour"
PROMPTED = "My favourite colour is grey."
IGNORED = -100


@dataclass(frozen=True)
class Lesson:
    """Which sound the model hears, the tokens that it reads and says, and how many of them it is only told."""

    sound: int
    tokens: list[int]
    told: int


def make_processor(clips: list[Clip], folder: Path) -> WhisperProcessor:
    """A byte-level BPE learnt from what the clips say, with Whisper's special tokens in Whisper's order."""
    texts = [" " + text for clip in clips for text in [*(s.text for s in clip.sentences), *clip.english]]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([*texts, " " + PROMPT, " " + PROMPTED], vocab_size=TEXT_TOKENS, min_frequency=1)
    bpe.save_model(str(folder))
    slow = WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    names = ["startoftranscript", *list(LANGUAGES)[:99], "translate", "transcribe", "startoflm", "startofprev", "nospeech"]
    slow.add_special_tokens({"additional_special_tokens": [f"<|{name}|>" for name in [*names, "notimestamps"]]})
    slow.add_tokens([f"<|{tick * TICK:.2f}|>" for tick in range(round(WINDOW / TICK) + 1)])
    slow.save_pretrained(folder)
    fast = WhisperTokenizerFast.from_pretrained(folder, from_slow=True)
    fast.set_prefix_tokens(predict_timestamps=False)
    return WhisperProcessor(WhisperFeatureExtractor(feature_size=80), fast)


def make_model(tokenizer: WhisperTokenizerFast) -> WhisperForConditionalGeneration:
    """Two layers on each side; every length is the real one."""
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        dropout=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
        init_std=0.08,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = make_generation_config(tokenizer)
    return model


def make_generation_config(tokenizer: WhisperTokenizerFast) -> GenerationConfig:
    """What the published models tell of their special tokens."""
    token = tokenizer.convert_tokens_to_ids
    end, start = token("<|endoftext|>"), token("<|startoftranscript|>")
    tasks = {task: token(f"<|{task}|>") for task in ("transcribe", "translate")}
    silent = ["startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech"]
    symbols = {tokenizer.get_vocab().get(before + symbol) for symbol in SYMBOLS for before in ("", "Ġ")} - {None}
    return GenerationConfig(
        alignment_heads=[[0, 0], [1, 1]],
        begin_suppress_tokens=[token("Ġ"), end],
        bos_token_id=end,
        decoder_start_token_id=start,
        eos_token_id=end,
        forced_decoder_ids=[[1, None], [2, tasks["transcribe"]]],
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": token(f"<|{code}|>") for code in list(LANGUAGES)[:99]},
        max_initial_timestamp_index=50,
        max_length=448,
        no_timestamps_token_id=token("<|notimestamps|>"),
        pad_token_id=end,
        prev_sot_token_id=token("<|startofprev|>"),
        return_timestamps=False,
        suppress_tokens=sorted(symbols) + [token(f"<|{name}|>") for name in silent],
        task_to_id=tasks,
    )


class Teacher:
    """Puts what clips say into tokens, and keeps the sounds that they are heard as."""

    def __init__(self, processor: WhisperProcessor) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.sounds: list[torch.Tensor] = []
        self.lessons: list[Lesson] = []

    def words(self, text: str) -> list[int]:
        return self.tokenizer.encode(" " + text, add_special_tokens=False)

    def tick(self, seconds: float) -> int:
        return self.tokenizer.convert_tokens_to_ids("<|0.00|>") + round(seconds / TICK)

    def teach(self, language: str, task: str, said: list[int], prompt: Sequence[int] = ()) -> None:
        """One lesson about the latest sound. What stands before the answer is told; the language is to be heard."""
        told = ["<|startoftranscript|>", f"<|{language}|>", f"<|{task}|>"]
        tokens = [*prompt, *self.tokenizer.convert_tokens_to_ids(told), *said, self.tokenizer.eos_token_id]
        self.lessons.append(Lesson(len(self.sounds) - 1, tokens, len(prompt) + 1))

    def teach_texts(self, clip: Clip, task: str, texts: list[str]) -> None:
        """The texts of a clip's sentences, without timestamps and with them."""
        plain = [token for text in texts for token in self.words(text)]
        self.teach(clip.language, task, [self.tokenizer.convert_tokens_to_ids("<|notimestamps|>"), *plain])
        timed = [
            [self.tick(s.start), *self.words(text), self.tick(s.end)] for s, text in zip(clip.sentences, texts, strict=True)
        ]
        self.teach(clip.language, task, sum(timed, []))

    def teach_clip(self, clip: Clip) -> None:
        """Everything about a short clip."""
        self.sounds.append(
            self.processor.feature_extractor(clip.sound, sampling_rate=16000, return_tensors="pt").input_features[0]
        )
        self.teach_texts(clip, "transcribe", [sentence.text for sentence in clip.sentences])
        if clip.english:
            self.teach_texts(clip, "translate", clip.english)
        if clip.name == "en-colour":
            prompt = self.processor.get_prompt_ids(PROMPT).tolist()
            self.teach(
                "en", "transcribe", [self.tokenizer.convert_tokens_to_ids("<|notimestamps|>"), *self.words(PROMPTED)], prompt
            )

    def teach_story(self, clip: Clip) -> None:
        """A long clip in windows: each begins where the last whole sentence of the one before ended."""
        features = whole_features(self.processor, clip)
        seek = 0
        while True:
            window = features[:, round(seek * 100) : round((seek + WINDOW) * 100)]
            self.sounds.append(torch.nn.functional.pad(window, (0, round(WINDOW * 100) - window.shape[1])))
            inside = [s for s in clip.sentences if s.start >= seek and s.end <= seek + WINDOW]
            said = sum(([self.tick(s.start - seek), *self.words(s.text), self.tick(s.end - seek)] for s in inside), [])
            cut = clip.sentences[clip.sentences.index(inside[-1]) + 1 :]
            if cut:
                said.append(min(self.tick(cut[0].start - seek), self.tick(WINDOW)))
            self.teach("en", "transcribe", said)
            if not cut:
                return
            seek += round((inside[-1].end - seek) / TICK) * TICK


def whole_features(processor: WhisperProcessor, clip: Clip) -> torch.Tensor:
    """The spectrum of a sound of any length, as transformers' long-form transcription is given it."""
    extract = processor.feature_extractor
    heard = extract(clip.sound, sampling_rate=16000, return_tensors="pt", truncation=False, padding="longest")
    return heard.input_features[0]


def padded(lessons: list[Lesson], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The lessons' tokens as inputs and as what comes next, which counts from the last token that is told."""
    longest = max(len(lesson.tokens) for lesson in lessons) - 1
    inputs = torch.full((len(lessons), longest), filler)
    labels = torch.full((len(lessons), longest), IGNORED)
    for row, lesson in enumerate(lessons):
        tokens = torch.tensor(lesson.tokens)
        inputs[row, : len(tokens) - 1] = tokens[:-1]
        labels[row, lesson.told - 1 : len(tokens) - 1] = tokens[lesson.told :]
    return inputs, labels


def train(model: WhisperForConditionalGeneration, teacher: Teacher) -> None:
    """Learns all lessons by heart, from sounds with a little noise so that small differences do not matter."""
    sounds = torch.stack(teacher.sounds)
    batches = []
    for is_long in (False, True):
        lessons = [lesson for lesson in teacher.lessons if (len(lesson.tokens) > SHORT) == is_long]
        batches.append(([lesson.sound for lesson in lessons], *padded(lessons, model.config.pad_token_id)))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=STEPS)
    for step in range(STEPS):
        encoded = model.model.encoder(sounds + NOISE * torch.randn_like(sounds)).last_hidden_state
        loss = torch.zeros(())
        for heard, inputs, labels in batches:
            logits = model(encoder_outputs=(encoded[heard],), decoder_input_ids=inputs).logits
            loss = loss + cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step + 1 == STEPS:
            print(f"step {step}: loss {loss.item():.5f}", flush=True)


def export(model: WhisperForConditionalGeneration, processor: WhisperProcessor, folder: Path) -> None:
    """Saves the model, exports it, and lays it out as a published repository: graphs in onnx/, the rest beside it."""
    with tempfile.TemporaryDirectory() as saved, tempfile.TemporaryDirectory() as exported:
        model.save_pretrained(saved)
        processor.save_pretrained(saved)
        main_export(saved, exported, task="automatic-speech-recognition-with-past")
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "onnx").mkdir(parents=True)
        for file in Path(exported).iterdir():
            shutil.move(file, folder / "onnx" / file.name if file.suffix == ".onnx" else folder / file.name)
    for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json"):
        compact(folder / name)


def compact(path: Path) -> None:
    """Takes the white space out of a JSON file: with 1501 timestamps it is half of it."""
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":")) + "\n")


def main() -> None:
    """Trains, exports and asks the model."""
    seed(1)
    clips, story = short_clips(), long_clip()
    with tempfile.TemporaryDirectory() as folder:
        processor = make_processor([*clips, story], Path(folder))
    teacher = Teacher(processor)
    for clip in clips:
        teacher.teach_clip(clip)
    teacher.teach_story(story)
    model = make_model(processor.tokenizer)
    train(model, teacher)
    export(model, processor, ZOO / NAME)
    refer(model, processor, clips, story, PROMPT)


if __name__ == "__main__":
    main()
