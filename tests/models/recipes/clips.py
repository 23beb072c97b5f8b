"""The spoken clips that the Whisper recipe learns and is asked about, said by espeak-ng at 16 kHz."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

RATE = 16000
ESPEAK_RATE = 22050
GAP = 0.4
QUIET = 0.02


@dataclass(frozen=True)
class Sentence:
    """One sentence of a clip, and when it is said, in seconds from the start of the clip."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Clip:
    """Sound from -1 to 1, the sentences in it, and what they are in English where they are not English."""

    name: str
    language: str
    sound: np.ndarray
    sentences: list[Sentence]
    english: list[str]


TEXTS: dict[str, tuple[str, list[str], list[str]]] = {
    "en-mill": ("en", ["The old mill stands by the river."], []),
    "en-colour": ("en", ["My favorite color is gray."], []),
    "en-numbers": ("en", ["Seven trains leave at half past nine."], []),
    "en-two": ("en", ["The wheel turns all day.", "At night it rests under the stars."], []),
    "de-mehl": ("de", ["Der Müller mahlt das Korn zu Mehl."], ["The miller grinds the grain to flour."]),
    "de-zwei": (
        "de",
        ["Heute weht ein starker Wind.", "Morgen wird es schön."],
        ["A strong wind blows today.", "Tomorrow will be fine."],
    ),
    "fr-pain": ("fr", ["Le boulanger fait du bon pain."], ["The baker makes good bread."]),
    "fr-ete": ("fr", ["En été, la rivière est très basse."], ["In summer the river is very low."]),
    "es-agua": ("es", ["El agua mueve la rueda del molino."], ["The water moves the wheel of the mill."]),
    "es-manana": ("es", ["Mañana vamos a la montaña."], ["Tomorrow we go to the mountain."]),
}

STORY = [
    "Once there was a mill at the end of a long valley.",
    "A small river ran past it from the hills to the sea.",
    "Every morning the miller opened the gate and let the water in.",
    "The great wheel began to turn, slowly at first, and then faster.",
    "Two heavy stones ground the grain between them.",
    "Farmers came from all over the valley with their sacks.",
    "They waited in the yard and talked about the weather.",
    "One year it did not rain for three whole months.",
    "The river became a stream, and the wheel stood still.",
    "The miller sat on the wall and looked at the sky.",
    "Then, one evening, dark clouds came over the hills.",
    "It rained for two days and two nights.",
    "On the third day the wheel was turning again.",
    "People say that nobody has ever laughed as loudly as the miller did.",
    "The mill is still there, and you can visit it on Sundays.",
    "If you listen well, you can hear the stones.",
    "They still sing the same old song.",
    "And the river still runs down to the sea.",
]


def say(text: str, voice: str) -> np.ndarray:
    """A sentence without the silence around it, at 16 kHz."""
    command = ["espeak-ng", "-v", voice, "-s", "128", "--stdout", text]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    # A pipe cannot be sought, so the header's length is not to be trusted.
    sound = np.frombuffer(raw[44 : len(raw) // 2 * 2], np.int16) / 32768
    sound = resample_poly(sound, 320, 441)
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    return sound[loud[0] : loud[-1] + 1]


def record(name: str, language: str, texts: list[str], english: list[str]) -> Clip:
    """Says sentences one after another, each a gap after the one before."""
    gap, pieces, sentences, now = np.zeros(round(GAP * RATE)), [], [], 0.0
    for text in texts:
        spoken = say(text, {"en": "en-us"}.get(language, language))
        sentences.append(Sentence(text, now, now + len(spoken) / RATE))
        pieces += [spoken, gap]
        now += len(spoken) / RATE + GAP
    # What is heard is what is stored: 16 bits.
    sound = (np.concatenate(pieces) * 32767).astype(np.int16)
    return Clip(name, language, sound.astype(np.float32) / 32768, sentences, english)


def short_clips() -> list[Clip]:
    """Ten clips in four languages."""
    return [record(name, *spoken) for name, spoken in TEXTS.items()]


def long_clip() -> Clip:
    """A story that does not fit a window of 30 s."""
    return record("en-story", "en", STORY, [])


def write(clip: Clip, folder: Path) -> None:
    """Stores a clip as FLAC, mono with 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = (clip.sound * 32768).astype(np.int16)
    soundfile.write(folder / f"{clip.name}.flac", sound, RATE, subtype="PCM_16")
