"""Builds the tiny language models: GPT-2, Llama and Qwen 3, in the layouts that they are published in.

    OMP_NUM_THREADS=1 python tests/models/recipes/language_models.py [tiny-gpt2 | tiny-llama | tiny-qwen]...

Each is trained for a minute or two on the conversations of corpus.py, exported by optimum, and asked the prompts of
prompts.py; what transformers answers is written beside the models. Every exported file must give the same answers.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import optimum.exporters.onnx.model_configs as exports
import torch
import transformers
from optimum.exporters.onnx import export_models, main_export
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    LogitsProcessorList,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from corpus import Conversation, Writer
from prompts import PLAIN, WITH_TOOLS

RECIPES = Path(__file__).parent
ZOO = RECIPES.parent / "zoo"
REFERENCES = RECIPES.parent / "references"

SEED = 7
MERGES_UNTIL = 1000
STEPS = 300
BATCH = 16
NEW_TOKENS = 64
PROMPTS = 20
CLEAR = 1e-3
SETTINGS = [
    {"temperature": 0.7, "top_k": 0, "top_p": 0.9, "repetition_penalty": 1.0},
    {"temperature": 1.0, "top_k": 20, "top_p": 1.0, "repetition_penalty": 1.0},
    {"temperature": 1.2, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.3},
]


@dataclass(frozen=True)
class Style:
    """What sets one family apart: its tokenizer, its special tokens, its network and its defaults for generation."""

    template: str
    tokenizer_class: str
    special: list[str]
    roles: dict[str, str]
    ends: list[str]
    config: Callable[[int], PretrainedConfig]
    export: type
    pair: str | None = None
    words: list[str] = field(default_factory=list)
    starts: str | None = None
    tools: bool = True
    generation: dict = field(default_factory=dict)


LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

STYLES = {
    "tiny-gpt2": Style(
        template="gpt2",
        tokenizer_class="GPT2TokenizerFast",
        special=["<|endoftext|>"],
        roles={"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"},
        ends=["<|endoftext|>"],
        config=lambda size: GPT2Config(vocab_size=size, n_embd=48, n_layer=2, n_head=4, n_positions=512),
        export=exports.GPT2OnnxConfig,
        pair="split",
        tools=False,
    ),
    "tiny-llama": Style(
        template="llama",
        tokenizer_class="PreTrainedTokenizerFast",
        special=[
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|finetune_right_pad_id|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eom_id|>",
            "<|eot_id|>",
            "<|python_tag|>",
        ],
        roles={"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"},
        ends=["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"],
        config=lambda size: LlamaConfig(
            vocab_size=size,
            hidden_size=64,
            intermediate_size=176,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            rms_norm_eps=1e-5,
            rope_theta=500000.0,
            rope_scaling={
                "rope_type": "llama3",
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
            max_position_embeddings=131072,
            tie_word_embeddings=True,
        ),
        export=exports.LlamaOnnxConfig,
        pair="merged",
        starts="<|begin_of_text|>",
        generation={"do_sample": True, "temperature": 0.6, "top_p": 0.9},
    ),
    "tiny-qwen": Style(
        template="qwen",
        tokenizer_class="Qwen2TokenizerFast",
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        words=["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"],
        roles={"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        ends=["<|im_end|>", "<|endoftext|>"],
        config=lambda size: Qwen3Config(
            vocab_size=-size // 64 * -64,
            hidden_size=64,
            intermediate_size=160,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=24,
            rope_theta=1000000.0,
            max_position_embeddings=40960,
            tie_word_embeddings=True,
        ),
        export=exports.Qwen3OnnxConfig,
        generation={"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95},
    ),
}


def conversations(style: Style, count: int) -> Iterator[Conversation]:
    """What the style can learn from: one without tools in its template has no use for conversations about them."""
    writer = Writer(SEED)
    while count > 0:
        one = writer.one()
        if style.tools or not one.tools:
            count -= 1
            yield one


def template(style: Style) -> str:
    return (RECIPES / "chat" / f"{style.template}.jinja").read_text()


def byte_level(style: Style) -> Tokenizer:
    """The family's byte-level BPE before it has learned anything."""
    llama, qwen = style.template == "llama", style.template == "qwen"
    tokenizer = Tokenizer(models.BPE(ignore_merges=llama))
    if llama or qwen:
        words = LLAMA_WORDS if llama else LLAMA_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(words), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if qwen:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def begun(tokenizer: Tokenizer, start: str) -> None:
    """Has the tokenizer put `start` before every text."""
    single = processors.TemplateProcessing(
        single=[start, "$A"],
        pair=[start, "$A", f"{start}:1", "$B:1"],
        special_tokens=[(start, tokenizer.token_to_id(start))],
    )
    tokenizer.post_processor = processors.Sequence([tokenizer.post_processor, single])


def learn_tokenizer(style: Style) -> PreTrainedTokenizerFast:
    tokenizer = byte_level(style)
    texts = (message["content"] for one in conversations(style, 3000) for message in one.messages)
    trainer = trainers.BpeTrainer(
        vocab_size=MERGES_UNTIL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in style.special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in style.words])
    if style.starts:
        begun(tokenizer, style.starts)
    wrapper = getattr(transformers, style.tokenizer_class)
    limit = style.config(1).max_position_embeddings
    wrapped = wrapper(tokenizer_object=tokenizer, chat_template=template(style), model_max_length=limit, **style.roles)
    wrapped.clean_up_tokenization_spaces = False
    return wrapped


def batches(tokenizer: PreTrainedTokenizerFast, style: Style) -> Iterator[torch.Tensor]:
    """Rendered conversations as ids, filled up with -100."""
    rendered = (
        torch.tensor(tokenizer.apply_chat_template(one.messages, tools=one.tools))
        for one in conversations(style, STEPS * BATCH)
    )
    for _ in range(STEPS):
        rows = [next(rendered) for _ in range(BATCH)]
        yield torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)


def train(tokenizer: PreTrainedTokenizerFast, style: Style) -> PreTrainedModel:
    torch.manual_seed(SEED)
    model = transformers.AutoModelForCausalLM.from_config(style.config(len(tokenizer)))
    model.config.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=STEPS)
    for step, labels in enumerate(batches(tokenizer, style)):
        loss = model(input_ids=labels.clamp(min=0), attention_mask=(labels >= 0).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"  step {step + 1}: loss {loss.item():.3f}")
    ends = tokenizer.convert_tokens_to_ids(style.ends)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ends if len(ends) > 1 else ends[0],
        pad_token_id=tokenizer.pad_token_id,
        **style.generation,
    )
    return model.eval()


def publish(checkpoint: Path, name: str) -> None:
    """What `optimum-cli export onnx --task text-generation-with-past` makes today: one model.onnx."""
    shutil.rmtree(ZOO / name, ignore_errors=True)
    main_export(str(checkpoint), output=ZOO / name, task="text-generation-with-past")


def publish_pair(checkpoint: Path, name: str, style: Style) -> None:
    """What optimum made until 2023, by what is left of it in today's exporter: one file without and one with a past.

    Merged, both are the branches of an If in decoder_model_merged.onnx, which repositories keep in a folder `onnx`.
    """
    target = ZOO / f"{name}-{style.pair}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ZOO / name, target, ignore=shutil.ignore_patterns("*.onnx"))
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    first, later = (
        style.export(model.config, task="text-generation", use_past=True, use_past_in_inputs=past)
        for past in (False, True)
    )
    pair = {"decoder_model": (model, first), "decoder_with_past_model": (model, later)}
    files = [f"{part}.onnx" for part in pair]
    export_models(pair, output_dir=target)
    first.post_process_exported_models(target, pair, files)
    merged = target / "decoder_model_merged.onnx"
    if style.pair == "split":
        merged.unlink()
    else:
        (target / "onnx").mkdir()
        merged.rename(target / "onnx" / merged.name)
        for file in files:
            (target / file).unlink()


def ask(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, one: Conversation) -> dict:
    """The greedy answer to one prompt, and by how much its closest choice was made."""
    prompt = tokenizer.apply_chat_template(one.messages, one.tools, add_generation_prompt=True, tokenize=False)
    ids = tokenizer.apply_chat_template(one.messages, one.tools, add_generation_prompt=True)
    out = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids)),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        temperature=None,
        top_k=None,
        top_p=None,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = torch.cat(out.logits).topk(2).values
    new = out.sequences[0, len(ids) :].tolist()
    return {
        "messages": one.messages,
        "tools": one.tools,
        "prompt": prompt,
        "prompt_ids": ids,
        "ids": new,
        "text": tokenizer.decode(new, skip_special_tokens=True),
        "least_margin": round((best[:, 0] - best[:, 1]).min().item(), 6),
    }


def clear(asked: Iterable[dict], count: int) -> list[dict]:
    """The first answers of which no choice was close."""
    found = [one for one in asked if one["least_margin"] >= CLEAR][:count]
    assert len(found) == count, f"only {len(found)} of {count} prompts are clear: take another seed"
    return found


def processors_for(settings: dict) -> LogitsProcessorList:
    """What generate() would put together for these settings, in its order."""
    chain = LogitsProcessorList()
    if settings["repetition_penalty"] != 1.0:
        chain.append(RepetitionPenaltyLogitsProcessor(settings["repetition_penalty"]))
    if settings["temperature"] != 1.0:
        chain.append(TemperatureLogitsWarper(settings["temperature"]))
    if settings["top_k"] != 0:
        chain.append(TopKLogitsWarper(settings["top_k"]))
    if settings["top_p"] != 1.0:
        chain.append(TopPLogitsWarper(settings["top_p"]))
    return chain


@torch.no_grad()
def first_token(model: PreTrainedModel, asked: dict, settings: dict) -> dict:
    """How probable each first token is under these settings."""
    ids = torch.tensor([asked["prompt_ids"]])
    scores = processors_for(settings)(ids, model(ids).logits[:, -1])
    probable = scores.softmax(-1)[0]
    return {
        **{key: asked[key] for key in ("messages", "tools", "prompt", "prompt_ids")},
        "settings": settings,
        "probabilities": {str(i): round(p, 8) for i, p in enumerate(probable.tolist()) if p > 1e-6},
    }


@torch.no_grad()
def most_open(model: PreTrainedModel, asked: list[dict], count: int) -> list[dict]:
    """The prompts whose first token is least certain: a sampler shows most there."""

    def entropy(one: dict) -> float:
        return (
            torch.distributions.Categorical(logits=model(torch.tensor([one["prompt_ids"]])).logits[0, -1])
            .entropy()
            .item()
        )

    return sorted(asked, key=entropy, reverse=True)[:count]


def reference(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, style: Style) -> dict:
    asked = clear((ask(model, tokenizer, one) for one in PLAIN), PROMPTS)
    with_tools = clear((ask(model, tokenizer, one) for one in WITH_TOOLS), len(WITH_TOOLS)) if style.tools else []
    return {
        "made_with": {"transformers": transformers.__version__, "torch": torch.__version__},
        "greedy": asked + with_tools,
        "first_token": [
            first_token(model, one, settings) for one in most_open(model, asked, 3) for settings in SETTINGS
        ],
    }


class Runner:
    """Runs the exported file or files of one model, as one who knows their layout."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.rglob("*.onnx"))
        self.sessions = [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in files]

    def past(self) -> dict[str, np.ndarray]:
        """A past of no tokens."""
        inputs = [one for one in self.sessions[-1].get_inputs() if one.name.startswith("past_key_values")]
        return {one.name: np.zeros([1, one.shape[1], 0, one.shape[3]], np.float32) for one in inputs}

    def greedy(self, prompt: list[int], ends: list[int]) -> list[int]:
        new, seen, ids, past = [], 0, prompt, self.past()
        while len(new) < NEW_TOKENS and not (new and new[-1] in ends):
            session = self.sessions[0 if seen == 0 else -1]
            feed = {
                "input_ids": np.array([ids]),
                "attention_mask": np.ones([1, seen + len(ids)], np.int64),
                "position_ids": np.arange(seen, seen + len(ids))[None],
                "use_cache_branch": np.array([seen > 0]),
                **past,
            }
            logits, *present = session.run(None, {one.name: feed[one.name] for one in session.get_inputs()})
            past, seen = dict(zip(past, present, strict=True)), seen + len(ids)
            ids = [int(logits[0, -1].argmax())]
            new += ids
        return new


def check(name: str, written: dict, ends: list[int]) -> None:
    """The exported files answer as the reference does."""
    runner = Runner(ZOO / name)
    for one in written["greedy"]:
        assert runner.greedy(one["prompt_ids"], ends) == one["ids"], f"{name} answers {one['prompt']!r} otherwise"


def build(name: str) -> None:
    print(name)
    style = STYLES[name]
    tokenizer = learn_tokenizer(style)
    model = train(tokenizer, style)
    written = reference(model, tokenizer, style)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        publish(Path(folder), name)
        if style.pair:
            publish_pair(Path(folder), name, style)
    for one in sorted(ZOO.glob(f"{name}*")):
        check(one.name, written, tokenizer.convert_tokens_to_ids(style.ends))
        text = json.dumps(written, ensure_ascii=False, indent=1)
        (REFERENCES / f"{one.name}.json").write_text(text + "\n")


if __name__ == "__main__":
    REFERENCES.mkdir(exist_ok=True)
    for wanted in sys.argv[1:] or STYLES:
        build(wanted)
