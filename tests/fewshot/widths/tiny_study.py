"""A width study that takes seconds: made-up CLUES, a made-up text, two widths."""

from __future__ import annotations

import random

from similitude.data.sets import TextSet
from similitude.fewshot.widths.settings import WidthSettings

TINY = WidthSettings(
    tasks=("sst-2",),
    widths=(16, 32),
    splits=(1, 2),
    shots=10,
    lrs=(2**-11, 2**-8, 2**-5),
    pretraining_lrs=(2**-9, 2**-7, 2**-5),
    pretraining_steps=6,
    batch_size=4,
    length=24,
    vocabulary=200,
    depth=1,
    head_dim=8,
    steps=4,
    gammas=(1.0, 4.0),
)


def tiny_text() -> TextSet:
    """Return a text of made-up sentences."""
    draw = random.Random(0)
    words = [
        "the",
        "harbour",
        "lantern",
        "saw",
        "a",
        "meadow",
        "copper",
        "thunder",
        "was",
        "in",
        "Oslo",
        "and",
        "orchard",
    ]
    lines = [" ".join(draw.choices(words, k=8)) + " ." for _ in range(200)]
    return TextSet.from_text("made up", "\n".join(lines), source="tests", licence="none")
