"""Four models in turn with room for two: what is loaded stays within the budget, and what is let go is let go."""

from collections.abc import Iterator
from pathlib import Path

import host

from . import Figure

MODELS = ("tiny-gpt2", "tiny-llama", "tiny-qwen", "tiny-llama-merged")
ROUNDS = 5
BUDGET_MIB = 6
# What the process may grow by from the second round to the last.
FLAT_MIB = 8


def resident(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def check(serve) -> Iterator[Figure]:
    # The worker itself: what a supervisor says of several is the sum.
    worker = serve.worker(MILLWORK_MODEL_CACHE_MIB=str(BUDGET_MIB))
    usage = lambda: worker.call("worker.status")["extensions"]["models"]
    pid = worker.call("worker.status")["extensions"]["pid"]
    most, sizes = 0, []
    for _ in range(ROUNDS):
        for model in MODELS:
            messages = [{"role": "user", "content": "Tell me a story."}]
            worker.call("provider.generate", {"provider": "local", "model": model, "messages": messages, "max_tokens": 8}, host.LONG)
            most = max(most, usage()["used_bytes"])
        sizes.append(resident(pid))
    mib = most / (1 << 20)
    yield Figure("four models", f"{ROUNDS} rounds, room for {BUDGET_MIB} MiB", f"{mib:.1f} MiB at most in the cache", mib <= BUDGET_MIB)
    told = " ".join(f"{size:.0f}" for size in sizes)
    yield Figure("four models", "the process, MiB by round", told, sizes[-1] - sizes[1] <= FLAT_MIB)

    job = {"job_id": "a job", "node_id": "a node"}
    fields = {"texts": ["hello"], "model": {"type": "embedding_model", "id": "tiny-minilm"}}
    worker.call("models.evict", {})
    before = usage()["used_bytes"]
    worker.execute("text.Embed", fields, **job)
    loaded = usage()["used_bytes"]
    ended = worker.call("job.end", {"job_id": "a job"})
    after = usage()["used_bytes"]
    what = f"{loaded - before} bytes loaded, {loaded - after} freed by the end of {ended['released_nodes']}"
    yield Figure("tiny-minilm", "job.end", what, loaded > before == after and ended["released_nodes"] == ["a node"])
    worker.execute("text.Embed", fields)
    held = usage()["used_bytes"]
    evicted = worker.call("models.evict", {})
    freed = round(evicted["freed_vram_gb"] * (1 << 30))
    left = usage()["used_bytes"]
    yield Figure("tiny-minilm", "models.evict", f"says {freed} bytes, {held - left} are free", freed == held - left > 0)
    worker.close()
