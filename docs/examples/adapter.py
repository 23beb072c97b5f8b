#!/usr/bin/env python3
"""A whole adapter: makes a WAV file of a chord for `text_to_audio`. docs/adapters.md explains it.

Python's standard library is all that it needs.
"""
import json, math, os, struct, sys, wave

RATE = 24000


def emit(kind, **data):
    print(json.dumps({"type": kind, "data": data}), flush=True)


def models(request):
    known = [{"id": "chord", "name": "Chord"}] if request["model_type"] == "music" else []
    emit("result", models=known)


def text_to_audio(request):
    params = request["params"]
    seconds = float(params.get("durationSeconds", 1))
    if not 0 < seconds <= 60:
        return emit("error", error=f"durationSeconds is {seconds}, and must be above 0 and at most 60")
    # A tone for each word: the first is an A, the others go up in thirds.
    tones = [220 * 2 ** (4 * i / 12) for i, _ in enumerate(params["prompt"].split()[:8])]
    path = os.path.join(request["output_folder"], "chord.wav")
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        steps = 10
        frames = int(seconds * RATE)
        for step in range(steps):
            block = range(frames * step // steps, frames * (step + 1) // steps)
            waves = (sum(math.sin(2 * math.pi * f * i / RATE) for f in tones) / max(1, len(tones)) for i in block)
            file.writeframes(b"".join(struct.pack("<h", int(20000 * x)) for x in waves))
            emit("progress", progress=step + 1, total=steps, message="playing")
    emit("result", path=path)


request = json.loads(sys.stdin.readline())
operations = {"models": models, "text_to_audio": text_to_audio}
operation = operations.get(request["operation"])
if operation:
    operation(request)
else:
    emit("error", error=f"{request['operation']} is nothing that this adapter does")
