"""Read IDX files, the format of MNIST and its kin: a magic number, big-endian sizes, then the numbers."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from similitude.core.errors import DataError
from similitude.data.files import (
    GZIP_MAGIC,
    check_expansion,
    read_exactly,
    reading,
    regular_file,
)
from similitude.data.sets import ImageSet, shape_text

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
"""Type byte of the header and the NumPy type it stands for, big-endian in the file."""

MOST_DIMENSIONS = 8
MOST_CLASSES = 65536


def read_idx(path: str | Path) -> np.ndarray:
    """Read one IDX file, raw or gzip-compressed (told by its first bytes, not by its name).

    Args:
        path: The file.

    Returns:
        An array of the file's shape in the machine's byte order, of type uint8, int8, int16, int32, float32
        or float64.

    Raises:
        DataError: The file is missing, unreadable, empty, truncated, longer than its header says, or not IDX.
            No memory is allocated for sizes that the file cannot hold.
    """
    path = regular_file(path)
    with reading(path), path.open("rb") as raw:
        compressed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        size = path.stat().st_size
        stream = gzip.GzipFile(fileobj=raw) if compressed else raw
        head = bytes(read_exactly(stream, 4, path))
        dtype, dimensions = _parse_magic(head, path)
        sizes = bytes(read_exactly(stream, 4 * dimensions, path))
        shape = struct.unpack(f">{dimensions}I", sizes)
        promised = math.prod(shape) * dtype.itemsize
        if compressed:
            check_expansion(size, promised, path)
        elif 4 + 4 * dimensions + promised != size:
            raise DataError(
                f"{path}: its header says {shape_text(shape)} numbers of {dtype.itemsize} bytes, a file of "
                f"{4 + 4 * dimensions + promised:,} bytes, but it has {size:,}. It is truncated or not IDX; "
                f"get it again."
            )
        data = read_exactly(stream, promised, path)
        if stream.read(1):
            raise DataError(
                f"{path}: holds more than the {promised:,} bytes that its header says ({shape_text(shape)} "
                f"numbers of {dtype.itemsize} bytes). It is damaged or hostile; get it again."
            )
        numbers = np.frombuffer(data, dtype).reshape(shape)
        return numbers.astype(dtype.newbyteorder("="), copy=False)


def read_idx_images(
    path: str | Path,
    name: str = "idx",
    *,
    classes: tuple[str, ...] | None = None,
    licence: str = "not stated",
) -> ImageSet:
    """Read a folder with the four IDX files of an image data set (MNIST, Fashion-MNIST, KMNIST, EMNIST).

    Args:
        path: A folder that holds `*train-images-idx3-ubyte`, `*train-labels-idx1-ubyte` and the same with
            `t10k` or `test`, each raw or `.gz`, itself or in `raw/` or `*/raw/` (the layout of torchvision).
        name: Name of the data set.
        classes: Name of each class; None for the numbers 0, 1, ...
        licence: Licence to state.

    Raises:
        DataError: A file is missing, ambiguous, damaged, or does not fit the others.
    """
    folder = Path(path)
    files = _find(folder)
    arrays = {part: read_idx(file) for part, file in files.items()}
    images = {
        split: _as_images(arrays[f"{split}-images"], files[f"{split}-images"]) for split in ("train", "test")
    }
    labels = {
        split: _as_labels(arrays[f"{split}-labels"], files[f"{split}-labels"]) for split in ("train", "test")
    }
    if classes is None:
        highest = max((int(part.max()) for part in labels.values() if part.size), default=0)
        classes = tuple(map(str, range(highest + 1)))
    return ImageSet(
        name=name,
        train_images=images["train"],
        train_labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        classes=classes,
        source=str(files["train-images"].parent),
        licence=licence,
    )


def _parse_magic(head: bytes, path: Path) -> tuple[np.dtype, int]:
    if head[:2] != b"\0\0" or head[2] not in TYPES:
        known = ", ".join(f"{code:#04x}" for code in TYPES)
        raise DataError(
            f"{path}: starts with bytes {head.hex(' ')}, but IDX starts with 00 00, a type among {known} and "
            f"the number of dimensions. Check that this is an IDX file."
        )
    if not 1 <= head[3] <= MOST_DIMENSIONS:
        raise DataError(
            f"{path}: its header says {head[3]} dimensions, but 1 to {MOST_DIMENSIONS} are read. "
            f"Check that this is an IDX file."
        )
    return np.dtype(TYPES[head[2]]).newbyteorder(">"), head[3]


def _find(folder: Path) -> dict[str, Path]:
    """Return the four files by part, e.g. "train-images"."""
    with reading(folder):
        if not folder.is_dir():
            raise DataError(
                f"{folder}: {'is a file' if folder.exists() else 'no such folder'}; a folder with the four "
                "IDX files is expected. Put train-images-idx3-ubyte.gz and its three companions in one "
                "folder and pass that."
            )
        places = [folder, folder / "raw", *sorted(folder.glob("*/raw"))]
        names = [sorted(p for p in place.iterdir()) for place in places if place.is_dir()]
    found: dict[str, Path] = {}
    for part, words in {
        "train-images": ("train-images",),
        "train-labels": ("train-labels",),
        "test-images": ("t10k-images", "test-images"),
        "test-labels": ("t10k-labels", "test-labels"),
    }.items():
        for files in names:
            matches = {p.name.removesuffix(".gz"): p for p in files if _names(p.name, words)}
            if len(matches) > 1:
                raise DataError(
                    f"{folder}: {len(matches)} files could be the {part}: {', '.join(sorted(matches))}, but "
                    f"exactly 1 may. Keep each data set in a folder of its own."
                )
            if matches:
                found[part] = next(iter(matches.values()))
                break
        else:
            raise DataError(
                f"{folder}: has no {part} file ({words[0]}-idx{3 if 'images' in part else 1}-ubyte or the "
                f"same with .gz); found {len(found)} of 4 parts. Put all four IDX files in this folder."
            )
    return found


def _names(file: str, words: tuple[str, ...]) -> bool:
    return "idx" in file and any(word in file for word in words)


def _as_images(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DataError(
            f"{path}: holds {array.dtype} in {array.ndim} dimensions, but images are uint8 in 3 (images, "
            f"height, width) or 4 (and channels). Check that this is an image file and not a label file."
        )
    return array[..., None] if array.ndim == 3 else array


def _as_labels(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind not in "ui" or array.ndim != 1:
        raise DataError(
            f"{path}: holds {array.dtype} in {array.ndim} dimensions, but labels are whole numbers in 1. "
            f"Check that this is a label file and not an image file."
        )
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < MOST_CLASSES:
        raise DataError(
            f"{path}: labels run from {array.min()} to {array.max()}, but 0 to {MOST_CLASSES - 1} are read. "
            f"Check that this is a label file."
        )
    return array.astype(np.int64)
