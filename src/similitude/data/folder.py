"""Read a folder of class folders with PNG or JPEG images, with or without train and test folders above."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from similitude.core.errors import DataError
from similitude.data.files import LARGEST, reading
from similitude.data.sets import ImageSet, shape_text

if TYPE_CHECKING:
    pass

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
GREY, COLOUR = ("1", "L"), ("P", "RGB", "RGBA", "CMYK", "YCbCr", "LA")

MOST_PIXELS = 50_000_000
"""Pixels of the largest image that is decoded."""

HELD_OUT = 10
"""Without a test folder, every tenth image of a class is held out."""


def read_folder(
    path: str | Path, name: str = "image-folder", *, size: int | None = None, licence: str = "not stated"
) -> ImageSet:
    """Read images whose class is the name of their folder; hidden files and other types are passed over.

    Args:
        path: `<path>/<class>/*.png` (every tenth image of a class, by name, is then held out), or
            `<path>/train/<class>/*` and `<path>/test/<class>/*` (or `val`, `valid`, ...). PNG and JPEG.
        name: Name of the data set.
        size: Height and width to resize to, in pixels; None where all images have one size already.
        licence: Licence to state.

    Returns:
        Grey images (one channel) where every file is grey, otherwise RGB.

    Raises:
        DataError: There are no images, fewer than two in every class, sizes differ, the splits have different
            classes, or a file is damaged, too large or not what its name says.
    """
    root = Path(path)
    if size is not None and size < 1:
        raise DataError(f"size={size}: images have at least 1 pixel per side. Pass e.g. size=32.")
    with reading(root):
        if not root.is_dir():
            raise DataError(
                f"{root}: {'is a file' if root.exists() else 'no such folder'}; a folder of class folders is "
                f"expected. Pass the folder above the class folders."
            )
        below = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
        train, test = (next((below[n] for n in names if n in below), None) for names in (TRAIN, TEST))
        if train is not None and test is not None:
            files = {"train": _classes(train), "test": _classes(test)}
            if list(files["train"]) != list(files["test"]):
                odd = sorted(set(files["train"]) ^ set(files["test"]))
                raise DataError(
                    f"{root}: {len(odd)} classes are in only one of '{train.name}' and '{test.name}': "
                    f"{', '.join(odd[:5])}. Give both the same class folders."
                )
        else:
            everything = _classes(root)
            files = {
                "train": {
                    c: [f for i, f in enumerate(fs) if (i + 1) % HELD_OUT] for c, fs in everything.items()
                },
                "test": {c: fs[HELD_OUT - 1 :: HELD_OUT] for c, fs in everything.items()},
            }
            if not any(files["test"].values()):
                raise DataError(
                    f"{root}: no class has {HELD_OUT} images, of which every {HELD_OUT}th is held out. "
                    f"Add images, or make the folders train/<class> and test/<class>."
                )
    classes = tuple(files["train"])
    listed = {split: [(f, i) for i, c in enumerate(classes) for f in files[split][c]] for split in files}
    shape = _common_shape([f for split in listed.values() for f, _ in split], size)
    images = {split: np.stack([_decode(f, shape) for f, _ in pairs]) for split, pairs in listed.items()}
    labels = {split: np.array([i for _, i in pairs], dtype=np.int64) for split, pairs in listed.items()}
    return ImageSet(
        name=name,
        train_images=images["train"],
        train_labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        classes=classes,
        source=str(root),
        licence=licence,
    )


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class folder, classes and files in order of name."""
    found = {
        p.name: sorted(f for f in p.iterdir() if _is_image(f))
        for p in sorted(folder.iterdir())
        if p.is_dir() and not p.name.startswith(".")
    }
    empty = [name for name, files in found.items() if not files]
    if not found or empty:
        what = f"the folder '{empty[0]}' has no PNG or JPEG image" if empty else "there are no class folders"
        raise DataError(
            f"{folder}: {what}; {len(found) - len(empty)} class folders with images were found. "
            f"Put each image into a folder named after its class and remove other folders."
        )
    return found


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _common_shape(files: list[Path], size: int | None) -> tuple[int, int, int]:
    """Return height, width and channels of all images, from their headers."""
    first: tuple[Path, tuple[int, int]] | None = None
    channels = 1
    for file in files:
        (width, height), mode = _header(file)
        channels = 3 if mode in COLOUR else channels
        if first is None:
            first = (file, (height, width))
        if size is None and first[1] != (height, width):
            raise DataError(
                f"{file}: is {height}x{width} (height x width), but '{first[0]}' is {shape_text(first[1])}, "
                f"and all images of a set have one size. Pass size=32 (any number of pixels) to resize them."
            )
    assert first is not None
    height, width = first[1] if size is None else (size, size)
    total = len(files) * height * width * channels
    if total > LARGEST:
        raise DataError(
            f"{files[0].parent.parent}: {len(files):,} images of {height}x{width}x{channels} take {total:,} "
            f"bytes, more than the {LARGEST:,} that are read into memory. Pass a smaller size=."
        )
    return height, width, channels


def _header(file: Path) -> tuple[tuple[int, int], str]:
    image = _open(file)
    with image:
        if image.width * image.height > MOST_PIXELS:
            raise DataError(
                f"{file}: says it has {image.width}x{image.height} = {image.width * image.height:,} pixels, "
                f"more than the {MOST_PIXELS:,} that are decoded. Shrink it, or remove it if you do not know "
                "it."
            )
        if image.mode not in GREY + COLOUR:
            raise DataError(
                f"{file}: has pixels of mode '{image.mode}', but 8-bit grey and colour are read. "
                f"Convert it to 8 bits per channel."
            )
        return image.size, image.mode


def _open(file: Path):
    from PIL.Image import open as open_image

    try:
        return open_image(file, formats=("PNG", "JPEG"))
    except Exception as error:
        raise _damaged(file, error) from error


def _decode(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    with _open(file) as image:
        try:
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height))
            return np.asarray(image, dtype=np.uint8).reshape(shape)
        except Exception as error:
            raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> DataError:
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more on damaged files.
    return DataError(
        f"{file}: cannot be decoded as PNG or JPEG ({type(error).__name__}: {error}). Remove it or save it "
        "again."
    )
