"""Builds models of published sizes with random weights, for speed.py: what they say means nothing, how long they take does.

    python tests/models/recipes/sized.py FOLDER [minilm | gpt | smollm | whisper | unet]...

They take the tokenizers of zoo/, and are not kept in this repository: a gigabyte in all.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from optimum.exporters.onnx import main_export
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

ZOO = Path(__file__).resolve().parent.parent / "zoo"
# As many texts as the published ones can read; the tokenizers know fewer tokens.
SMOLLM_VOCABULARY = 49152
# Tokens that the encoder reads of a text.
TEXT_TOKENS = 128
# What Whisper answers with, together with what it is told.
WHISPER_TOKENS = 100


def copied(name: str, folder: Path, *files: str) -> None:
    """What stands beside the graph of the model of this name in zoo/."""
    for file in files:
        if (ZOO / name / file).exists():
            shutil.copy(ZOO / name / file, folder / file)


def exported(model: PreTrainedModel, name: str, folder: Path, task: str) -> None:
    """Exports a model as optimum does, with the tokenizer of the model of this name in zoo/."""
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        own = {"config.json", "generation_config.json", "model.onnx"}
        beside = [file.name for file in (ZOO / name).iterdir() if file.is_file() and file.name not in own]
        copied(name, Path(saved), *beside)
        main_export(saved, folder, task=task, library_name="transformers")
        copied(name, folder, *beside)
    if (ZOO / name / "1_Pooling").exists():
        shutil.copytree(ZOO / name / "1_Pooling", folder / "1_Pooling", dirs_exist_ok=True)


def minilm(folder: Path) -> None:
    """all-MiniLM-L6: six layers of 384."""
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    exported(BertModel(config), "tiny-bge", folder, "feature-extraction")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": TEXT_TOKENS}))


def language(config: PretrainedConfig, name: str, folder: Path) -> None:
    model = AutoModelForCausalLM.from_config(config)
    # No token ends an answer.
    model.generation_config.eos_token_id = config.vocab_size - 1
    exported(model, name, folder, "text-generation-with-past")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": config.vocab_size - 1}))


def gpt(folder: Path) -> None:
    """Four layers of 256, where what is not arithmetic shows most."""
    language(GPT2Config(vocab_size=2048, n_embd=256, n_layer=4, n_head=4), "tiny-gpt2", folder)


def smollm(folder: Path) -> None:
    """SmolLM-135M: thirty layers of 576."""
    config = LlamaConfig(
        vocab_size=SMOLLM_VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    language(config, "tiny-llama", folder)


def whisper(folder: Path) -> None:
    """whisper-tiny: four layers of 384 on each side."""
    small = json.loads((ZOO / "tiny-whisper" / "config.json").read_text())
    own = {key: small[key] for key in small if key.endswith("token_id") or key == "vocab_size"}
    config = WhisperConfig(**own)
    with tempfile.TemporaryDirectory() as saved, tempfile.TemporaryDirectory() as out:
        WhisperForConditionalGeneration(config).save_pretrained(saved)
        beside = [file.name for file in (ZOO / "tiny-whisper").iterdir() if file.is_file() and file.name != "config.json"]
        copied("tiny-whisper", Path(saved), *beside)
        main_export(saved, out, task="automatic-speech-recognition-with-past")
        (folder / "onnx").mkdir(parents=True)
        for file in Path(out).glob("*.onnx"):
            shutil.move(file, folder / "onnx" / file.name)
        shutil.copy(Path(out) / "config.json", folder)
        copied("tiny-whisper", folder, *beside)
    # No answer ends before its limit, and none says when in the window it was.
    settings = json.loads((folder / "generation_config.json").read_text())
    later = range(settings["no_timestamps_token_id"] + 2, own["vocab_size"])
    settings["suppress_tokens"] = sorted({*settings["suppress_tokens"], settings["eos_token_id"], *later})
    settings["max_length"] = WHISPER_TOKENS
    (folder / "generation_config.json").write_text(json.dumps(settings))


def unet(folder: Path) -> None:
    """Three resolutions of a diffusion network, for pictures of 256 × 256 with guidance."""
    network = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(96, 192, 384),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=6,
        cross_attention_dim=768,
    )
    folder.mkdir(parents=True)
    latents, time, states = torch.zeros(2, 4, 32, 32), torch.zeros(1, dtype=torch.int64), torch.zeros(2, 77, 768)
    torch.onnx.export(
        network.eval(),
        (latents, time, states),
        folder / "model.onnx",
        input_names=["sample", "timestep", "encoder_hidden_states"],
        output_names=["out_sample"],
        dynamo=False,
    )


MODELS: dict[str, Callable[[Path], None]] = {
    "minilm": minilm,
    "gpt": gpt,
    "smollm": smollm,
    "whisper": whisper,
    "unet": unet,
}


def main() -> None:
    target = Path(sys.argv[1])
    for name in sys.argv[2:] or MODELS:
        shutil.rmtree(target / name, ignore_errors=True)
        torch.manual_seed(1)
        MODELS[name](target / name)
        print(target / name)


if __name__ == "__main__":
    main()
