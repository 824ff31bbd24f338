"""The handwritten digits inside scikit-learn: 1,797 grey images of 8x8 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from similitude.data.sets import ImageSet

LICENCE = "CC BY 4.0 (UCI; in scikit-learn, BSD-3-Clause)"
TRAIN = 1500
HIGHEST = 16  # a pixel counts the dark cells of 4x4


def read_digits() -> ImageSet:
    """Read scikit-learn's digits; 1,500 are for training and the other 297 are held out.

    The images lie there by writer. The split is of one fixed shuffle, so that both parts have every writer.

    Pixels are counts from 0 to 16, which become 0 to 255.
    """
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = np.rint(np.asarray(bunch["images"]) * (255 / HIGHEST)).astype(np.uint8)[..., None]
    labels = np.asarray(bunch["target"], dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = images[order], labels[order]
    return ImageSet(
        name="digits",
        train_images=images[:TRAIN],
        train_labels=labels[:TRAIN],
        test_images=images[TRAIN:],
        test_labels=labels[TRAIN:],
        classes=tuple(map(str, range(10))),
        source="scikit-learn",
        licence=LICENCE,
    )
