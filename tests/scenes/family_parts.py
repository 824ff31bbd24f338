"""A study of widths on rendered scenes that takes seconds: three objects, two widths."""

from __future__ import annotations

from similitude.scenes.families.settings import FamilySettings

TINY = FamilySettings(
    objects=("mug", "banana", "dumbbell"),
    images=70,
    tests=12,
    samples=1,
    shifts=("pose", "light", "occlusion"),
    widths=(4, 8),
    lrs=(2**-9, 2**-7, 2**-5),
    seeds=(0, 1),
    steps=6,
    batch_size=8,
    depth=2,
    checkpoints=3,
)
