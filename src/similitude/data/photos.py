"""Cut a labelled image set from the photos inside scikit-image and scikit-learn: which photo is a patch from?

Real image statistics without a download: train patches come from the left 65 % of each photo and test patches
from the right 30 %, so that no pixel is in both.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from similitude.core.errors import DataError
from similitude.data.sets import ImageSet

SKIMAGE, SKLEARN = ("skimage", "data"), ("sklearn", "datasets", "images")

PHOTOS: dict[str, tuple[tuple[str, ...], str]] = {
    "astronaut": (SKIMAGE, "astronaut.png"),
    "cat": (SKIMAGE, "chelsea.png"),
    "coffee": (SKIMAGE, "coffee.png"),
    "rocket": (SKIMAGE, "rocket.jpg"),
    "galaxies": (SKIMAGE, "hubble_deep_field.jpg"),
    "tissue": (SKIMAGE, "ihc.png"),
    "retina": (SKIMAGE, "retina.jpg"),
    "palace": (SKLEARN, "china.jpg"),
    "flower": (SKLEARN, "flower.jpg"),
}
"""Class, and the package folder and file of its photo; photos whose licence is not stated are left out."""

LICENCE = (
    "public domain, CC0 or no known restrictions (scikit-image's documentation names each); palace and "
    "flower CC BY 2.0, by danielbuechele and vultilion"
)

SIDE = 32
TRAIN_PER_CLASS, TEST_PER_CLASS = 1000, 200
SMALLEST, BIGGEST = 24, 64  # pixels per side of a patch before it is resized to SIDE
TRAIN_END, TEST_START = 0.65, 0.70  # shares of the photo's width
SEED = 0


def photo_files() -> dict[str, Path] | None:
    """Return the file of each photo by class without importing the packages; None where one is missing."""
    found = {}
    for name, (folder, file) in PHOTOS.items():
        spec = find_spec(folder[0])
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0], *folder[1:], file)
        if not path.is_file():
            return None
        found[name] = path
    return found


def read_photos() -> ImageSet:
    """Cut 9,000 train and 1,800 test patches, 32x32 RGB, in 9 balanced classes and shuffled order.

    Every call gives the same patches (up to the rounding of the installed JPEG decoder).

    Raises:
        DataError: The photos are not installed.

    Cost: about a second.
    """
    from PIL import Image

    files = photo_files()
    if files is None:
        raise DataError(
            "photos: not all of the 9 photos are installed; they come with scikit-image and scikit-learn. "
            "Run: pip install 'similitude[photos]'"
        )
    generator = np.random.default_rng(SEED)
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for path in files.values():
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        for split, count, left, right in (
            ("train", TRAIN_PER_CLASS, 0, int(TRAIN_END * photo.width)),
            ("test", TEST_PER_CLASS, int(TEST_START * photo.width), photo.width),
        ):
            parts[split].append(_patches(photo, count, left, right, generator))
    arrays = {}
    for split, images in parts.items():
        order = generator.permutation(sum(map(len, images)))
        labels = np.repeat(np.arange(len(images), dtype=np.int64), [len(part) for part in images])
        arrays[split] = (np.concatenate(images)[order], labels[order])
    return ImageSet(
        name="photos",
        train_images=arrays["train"][0],
        train_labels=arrays["train"][1],
        test_images=arrays["test"][0],
        test_labels=arrays["test"][1],
        classes=tuple(files),
        source="scikit-image and scikit-learn",
        licence=LICENCE,
    )


def _patches(photo, count: int, left: int, right: int, generator: np.random.Generator) -> np.ndarray:
    """Cut squares of random size and place between the columns `left` and `right`, half of them mirrored."""
    from PIL import Image

    patches = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for i in range(count):
        side = int(generator.integers(SMALLEST, BIGGEST + 1))
        x = int(generator.integers(left, right - side + 1))
        y = int(generator.integers(0, photo.height - side + 1))
        patch = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (x, y, x + side, y + side)))
        patches[i] = patch[:, ::-1] if generator.random() < 0.5 else patch
    return patches
