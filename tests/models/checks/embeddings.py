"""`provider.embedding` against sentence-transformers and transformers."""

import math
from collections.abc import Iterator

from . import Figure, cancelled, models, reference

CLOSE = 0.99999
MODELS = ("tiny-minilm", "tiny-minilm-pooled", "tiny-bge", "tiny-e5", "tiny-distil")


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / (math.hypot(*a) * math.hypot(*b))


def check(serve) -> Iterator[Figure]:
    worker = serve()
    there = models(worker, "embedding")
    for model in MODELS:
        yield Figure(model, "listed by provider.models", "", model in there)
        expected = reference(model)["texts"]
        texts, wanted = [one["text"] for one in expected], [one["embedding"] for one in expected]

        def embed(text, **more):
            return worker.call("provider.embedding", {"provider": "local", "model": model, "text": text, **more})["embeddings"]

        batch = embed(texts)
        single = [embed(text)[0] for text in texts]
        for how, found in (("in one batch", batch), ("one by one", single)):
            least = min(map(cosine, found, wanted))
            apart = max(abs(x - y) for a, b in zip(found, wanted) for x, y in zip(a, b))
            what = f"{len(texts)} texts {how}"
            yield Figure(model, what, f"cosine ≥ {least:.8f}, numbers within {apart:.1e}", least >= CLOSE)
        short = embed(texts[:3], dimensions=8)
        yield Figure(model, "dimensions=8", f"{[len(vector) for vector in short]}", all(len(v) == 8 for v in short))
    texts = [f"{n} {'word ' * 40}" for n in range(20_000)]
    many = {"model": "tiny-minilm", "text": texts}
    yield cancelled(worker, "tiny-minilm", "provider.embedding", many, lambda frame: frame["type"] == "progress")
    worker.close()
