"""Runs of studies that never were, with a folder of pictures as a study keeps it."""

import hashlib
import json

import numpy as np
from PIL import Image

from similitude.scenes.study.records import LOG, PICTURES, SceneRun
from similitude.scenes.study.settings import StudySettings
from tests.scenes.analysis_rows import NAMES

BAD = "<img src=x onerror=alert(1)></script><script>document.title='owned'</script>\"'&"
"""A name that would run if it were ever taken for markup."""


def run_of(rows, folder, *, names=NAMES, noise=False):
    """Return a run whose rows have pictures: plain ones, or noise, which hardly shrinks."""
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = []
    for i, row in enumerate(rows):
        if row.failed:
            continue
        digest = hashlib.sha256(row.item.encode()).hexdigest()
        colour = (40 + 2 * i % 200, 120, 200)
        pixels = (
            rng.integers(0, 255, (128, 128, 3), np.uint8) if noise else np.full((64, 64, 3), colour, np.uint8)
        )
        Image.fromarray(pixels).save(folder / PICTURES / f"{digest}.png")
        lines.append(json.dumps({"key": row.key, "picture": digest}))
    (folder / LOG).write_text("".join(f"{line}\n" for line in lines))
    return SceneRun(StudySettings(("mug",)), tuple(rows), folder, tuple(names))
