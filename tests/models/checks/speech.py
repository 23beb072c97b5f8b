"""`provider.asr` against transformers, with everything heard by a Whisper that knows these clips."""

import io
import random
import wave
from collections.abc import Iterator

import host

from . import FOLDER, Figure, cancelled, models, reference

MODEL = "tiny-whisper"


def check(serve) -> Iterator[Figure]:
    worker = serve()
    yield Figure(MODEL, "listed by provider.models", "", MODEL in models(worker, "asr"))
    expected = reference(MODEL)

    def hear(clip: dict, **more) -> dict:
        sound = (FOLDER / "references" / clip["sound"]).read_bytes()
        return worker.call("provider.asr", {"provider": "local", "model": MODEL, "audio": sound, **more}, host.LONG)

    clips = expected["clips"]
    heard = [hear(clip, temperature=0) for clip in clips]
    right = sum(answer["text"].strip() == clip["timed"][0]["text"].strip() for answer, clip in zip(heard, clips))
    yield Figure(MODEL, f"{len(clips)} clips, language found", f"{right} texts as transformers has them", right == len(clips))
    detected = sum(answer["language"] == clip["detected"]["language"] for answer, clip in zip(heard, clips))
    yield Figure(MODEL, "languages", f"{detected} of {len(clips)}", detected == len(clips))
    story, told = expected["story"], hear(expected["story"], language="en", temperature=0)
    is_whole = " ".join(told["text"].split()) == " ".join(story["timed"]["text"].split())
    chunks = [chunk["timestamp"] for chunk in told["chunks"]]
    in_order = all(start <= end for start, end in chunks) and chunks == sorted(chunks)
    seconds = story["samples"] / 16000
    yield Figure(MODEL, f"{seconds:.0f} s of story", f"{len(chunks)} segments, nothing lost or doubled", is_whole and in_order)
    long = {"model": MODEL, "audio": noise(2400), "language": "en"}
    yield cancelled(worker, MODEL, "provider.asr", long, lambda frame: frame["type"] == "progress")
    worker.close()


def noise(seconds: int) -> bytes:
    """A WAV file at 16 kHz: more windows than are heard at once."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(random.Random(1).randbytes(seconds * 16000 * 2))
    return file.getvalue()
