"""The fifty texts whose embeddings are compared."""

from corpus import WORLDS, Writer

SPECIAL = [
    "",
    "   ",
    "🙂",
    "👩‍🚀 flies to 🌕, 3… 2… 1… 🎆!",
    "ÀÉÎÕÜ straße İstanbul",
    "re\u0301sume\u0301 nai\u0308ve",
    "ﬁne ＡＢＣ１２３ ①",
    "مرحبا بالعالم",
    "안녕하세요 세계",
    "tabs\tand\nlines\r\nand\u00a0spaces\u200b",
    "[CLS] <s> [MASK] </s> [SEP]",
    "x = 3.14 * (y - 2) ** 2; # e.g. don't!",
    "https://example.com/a?b=c&d=%20",
    "onewordthatgoesonandon" * 8,
    "A",
]


def texts() -> list[str]:
    """Four sentences in each of seven languages, a story beyond the limits in each, and what is odd."""
    writer = Writer(1)
    sentences = [writer.sentence(world) for world in WORLDS.values() for _ in range(4)]
    stories = [world.joint.join(writer.sentence(world) for _ in range(60)) for world in WORLDS.values()]
    return sentences + stories + SPECIAL


TEXTS = texts()
