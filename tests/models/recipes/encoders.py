"""Builds the tiny sentence encoders: BERT, XLM-R and DistilBERT, in the folders that sentence-transformers knows.

    OMP_NUM_THREADS=1 python tests/models/recipes/encoders.py [tiny-minilm | tiny-bge | tiny-e5 | tiny-distil]...

Their tokenizers are learned from corpus.py; their weights are random, spread wide enough for every token to count. The
embeddings of texts.py that sentence-transformers computes are written beside the models.
"""

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import sentence_transformers
import sentencepiece
import torch
import transformers
from optimum.exporters.onnx import main_export
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from texts import TEXTS
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, DistilBertConfig, PretrainedConfig, PreTrainedTokenizerFast, XLMRobertaConfig

from corpus import Writer

RECIPES = Path(__file__).parent
ZOO = RECIPES.parent / "zoo"
REFERENCES = RECIPES.parent / "references"

SEED = 7
WIDTH = 64
VOCABULARY = 1200
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = 600
SIZES = {"hidden_size": WIDTH, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
SPREAD = 0.25
CLOSE = 1e-5


@dataclass(frozen=True)
class Family:
    """What sets one family apart: its tokenizer, its network, what becomes of its token embeddings, and its folder."""

    tokenizer: Callable[[], PreTrainedTokenizerFast]
    config: Callable[[int], PretrainedConfig]
    pooling: str
    normalize: bool
    limit: int
    layout: Callable[[Path, "Family"], None]
    publish: Callable[[Path, Path], None]


def sentences() -> Iterator[str]:
    """What the tokenizers learn from."""
    writer = Writer(SEED)
    for _ in range(3000):
        yield from (message["content"] for message in writer.one().messages)


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The letters, then the beginnings and ends that are most common. The trainer of word pieces is not used: it breaks
    ties by chance."""
    pieces, letters = Counter(), set()
    for text in sentences():
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            letters.update(word)
            pieces.update(word[:end] for end in range(2, len(word) + 1))
            pieces.update(f"##{word[start:]}" for start in range(1, len(word) - 1))
    alphabet = sorted(letters) + [f"##{letter}" for letter in sorted(letters)]
    common = sorted(pieces, key=lambda piece: (-pieces[piece], piece))
    return [*SPECIAL, *alphabet, *common][:VOCABULARY]


def word_pieces(lowercase: bool, wrapper: type[PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
    """BERT's tokenizer."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    numbered = {piece: number for number, piece in enumerate(vocabulary(tokenizer))}
    tokenizer.model = models.WordPiece(numbered, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", numbered["[SEP]"]), ("[CLS]", numbered["[CLS]"]))
    return wrapper(tokenizer_object=tokenizer, do_lower_case=lowercase)


def sentence_pieces() -> PreTrainedTokenizerFast:
    """XLM-R's tokenizer: trained by sentencepiece and converted by transformers, as the published ones were."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "sentencepiece.bpe"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences(),
            model_prefix=prefix,
            model_type="unigram",
            vocab_size=PIECES,
            character_coverage=1.0,
            num_threads=1,
            minloglevel=2,
        )
        return transformers.XLMRobertaTokenizerFast(vocab_file=f"{prefix}.model")


def write(file: Path, content: dict | list) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n")


def classic(checkpoint: Path, family: Family) -> None:
    """The files beside a model as sentence-transformers wrote them for years: most repositories have these."""
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")] + [("2_Normalize", "Normalize")] * family.normalize
    write(
        checkpoint / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(parts)
        ],
    )
    write(
        checkpoint / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": WIDTH,
            "pooling_mode_cls_token": family.pooling == "cls",
            "pooling_mode_mean_tokens": family.pooling == "mean",
            "pooling_mode_max_tokens": family.pooling == "max",
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    write(checkpoint / "sentence_bert_config.json", {"max_seq_length": family.limit, "do_lower_case": False})
    versions = {"sentence_transformers": "2.0.0", "transformers": "4.6.1", "pytorch": "1.8.1"}
    write(checkpoint / "config_sentence_transformers.json", {"__version__": versions})


def modern(checkpoint: Path, family: Family) -> None:
    """The files beside a model as sentence-transformers writes them today."""
    modules = [Transformer(str(checkpoint), max_seq_length=family.limit), Pooling(WIDTH, family.pooling)]
    SentenceTransformer(modules=modules + [Normalize()] * family.normalize).save_pretrained(str(checkpoint))


def in_a_folder(checkpoint: Path, target: Path) -> None:
    """What sentence-transformers exports: onnx/model.onnx, of the token embeddings."""
    with tempfile.TemporaryDirectory() as folder:
        SentenceTransformer(str(checkpoint), backend="onnx").save_pretrained(folder)
        shutil.copytree(Path(folder) / "onnx", target / "onnx")


def at_the_top(checkpoint: Path, target: Path) -> None:
    """What `optimum-cli export onnx --library transformers --task feature-extraction` makes: model.onnx."""
    main_export(str(checkpoint), output=target, task="feature-extraction", library_name="transformers")


def pooled(checkpoint: Path, target: Path) -> None:
    """What `optimum-cli export onnx` makes of such a folder by itself: model.onnx, with the pooling inside."""
    main_export(str(checkpoint), output=target, task="sentence-similarity")


def minilm() -> PreTrainedTokenizerFast:
    """As published, with truncation and padding left in tokenizer.json that are not those of the encoder."""
    tokenizer = word_pieces(True, transformers.BertTokenizerFast)
    tokenizer.backend_tokenizer.enable_truncation(32)
    tokenizer.backend_tokenizer.enable_padding(length=32)
    return tokenizer


FAMILIES = {
    "tiny-minilm": Family(
        tokenizer=minilm,
        config=lambda size: BertConfig(vocab_size=size, initializer_range=SPREAD, max_position_embeddings=256, **SIZES),
        pooling="mean",
        normalize=True,
        limit=64,
        layout=classic,
        publish=in_a_folder,
    ),
    "tiny-bge": Family(
        tokenizer=lambda: word_pieces(True, transformers.BertTokenizerFast),
        config=lambda size: BertConfig(vocab_size=size, initializer_range=SPREAD, **SIZES),
        pooling="cls",
        normalize=True,
        limit=512,
        layout=classic,
        publish=at_the_top,
    ),
    "tiny-e5": Family(
        tokenizer=sentence_pieces,
        config=lambda size: XLMRobertaConfig(
            vocab_size=size,
            initializer_range=SPREAD,
            max_position_embeddings=514,
            type_vocab_size=1,
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
            layer_norm_eps=1e-5,
            **SIZES,
        ),
        pooling="mean",
        normalize=True,
        limit=512,
        layout=modern,
        publish=in_a_folder,
    ),
    "tiny-distil": Family(
        tokenizer=lambda: word_pieces(False, transformers.DistilBertTokenizerFast),
        config=lambda size: DistilBertConfig(
            vocab_size=size,
            initializer_range=SPREAD,
            dim=WIDTH,
            hidden_dim=128,
            n_layers=2,
            n_heads=4,
            max_position_embeddings=256,
        ),
        pooling="max",
        normalize=False,
        limit=128,
        layout=classic,
        publish=in_a_folder,
    ),
}

FAMILIES["tiny-minilm-pooled"] = replace(FAMILIES["tiny-minilm"], publish=pooled)


def random_model(config: PretrainedConfig) -> transformers.PreTrainedModel:
    torch.manual_seed(SEED)
    return transformers.AutoModel.from_config(config).eval()


def copy_files(checkpoint: Path, target: Path) -> None:
    """All of a folder but its weights and its page."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(checkpoint, target, ignore=shutil.ignore_patterns("*.safetensors", "README.md"))


def ids(encoder: SentenceTransformer, text: str) -> list[int]:
    return encoder.preprocess([text])["input_ids"][0].tolist()


def reference(encoder: SentenceTransformer) -> dict:
    """Each text alone, so that no other one's length has a say."""
    return {
        "made_with": {
            "sentence_transformers": sentence_transformers.__version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        },
        "texts": [
            {"text": text, "ids": ids(encoder, text), "embedding": [round(float(x), 7) for x in encoder.encode(text)]}
            for text in TEXTS
        ],
    }


def exported(folder: Path, written: dict) -> np.ndarray:
    """The embeddings that the exported file gives: to a batch, or to one text after the other where it pools itself."""
    session = onnxruntime.InferenceSession(next(folder.rglob("*.onnx")), providers=["CPUExecutionProvider"])
    if "sentence_embedding" not in [one.name for one in session.get_outputs()]:
        return SentenceTransformer(str(folder), backend="onnx").encode(TEXTS, batch_size=7)
    feeds = ({"input_ids": [one["ids"]], "attention_mask": [[1] * len(one["ids"])]} for one in written["texts"])
    return np.concatenate([session.run(["sentence_embedding"], feed)[0] for feed in feeds])


def check(name: str, written: dict) -> None:
    """The exported file agrees with the reference."""
    expected = np.array([one["embedding"] for one in written["texts"]])
    apart = np.abs(exported(ZOO / name, written) - expected).max()
    assert apart < CLOSE, f"{name} is off by {apart}"


def build(name: str) -> None:
    print(name)
    family = FAMILIES[name]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder)
        tokenizer = family.tokenizer()
        random_model(family.config(len(tokenizer))).save_pretrained(checkpoint)
        tokenizer.save_pretrained(checkpoint)
        family.layout(checkpoint, family)
        written = reference(SentenceTransformer(str(checkpoint), device="cpu"))
        copy_files(checkpoint, ZOO / name)
        family.publish(checkpoint, ZOO / name)
    check(name, written)
    (REFERENCES / f"{name}.json").write_text(json.dumps(written, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    REFERENCES.mkdir(exist_ok=True)
    for wanted in sys.argv[1:] or FAMILIES:
        build(wanted)
