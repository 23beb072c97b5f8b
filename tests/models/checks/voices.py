"""`provider.tts` and `provider.tts_encoded`. What Piper's own waveforms are is held in local/tests/models/voice.rs, without noise."""

import io
import shutil
import wave
from collections.abc import Iterator

from . import Figure, cancelled, models, progress

VOICES = {"tiny-piper/en_US-tiny-low": 22050, "tiny-piper/de_DE-tiny-low": 16000}
TEXT = "Good morning. How are you today? The mill stands by the river."


def check(serve) -> Iterator[Figure]:
    if shutil.which("espeak-ng") is None:
        print("skipped: voices need espeak-ng (Debian: apt-get install espeak-ng)")
        return
    worker = serve()
    there = models(worker, "tts")
    for voice, rate in VOICES.items():
        yield Figure(voice, "listed by provider.models", "", voice in there)
        request = {"provider": "local", "model": voice, "text": TEXT}
        chunks = [f["data"]["blobs"]["audio"] for f in worker.request("provider.tts", request) if f["type"] == "chunk"]
        seconds = sum(map(len, chunks)) / 2 / 24000
        whole = len(chunks) == 3 and all(chunk and len(chunk) % 2 == 0 for chunk in chunks)
        yield Figure(voice, "three sentences as 24 kHz chunks", f"{len(chunks)} chunks, {seconds:.1f} s", whole)
        encoded = worker.call("provider.tts_encoded", {"provider": "local", "params": {"model": voice, "text": TEXT}})
        with wave.open(io.BytesIO(encoded["blobs"]["audio"])) as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            yield Figure(voice, "as a WAV file", f"{form[0]} Hz, {file.getnframes() / form[0]:.1f} s", form == (rate, 1, 2))
        long = {**request, "text": TEXT * 40}
        yield cancelled(worker, voice, "provider.tts", long, lambda frame: frame["type"] == "chunk")
        yield cancelled(worker, voice, "provider.tts_encoded", {**request, "text": TEXT * 2000}, progress(1))
        yield Figure(voice, "the next one is spoken", "", bool(worker.call("provider.tts", request)["done"]))
    worker.close()
