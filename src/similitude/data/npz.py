"""Read images from a NumPy .npz file with the arrays x_train, y_train, x_test and y_test, as Keras has it."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from similitude.core.errors import DataError
from similitude.data.files import check_expansion, read_exactly, reading, regular_file
from similitude.data.idx import MOST_CLASSES
from similitude.data.sets import ImageSet, shape_text

KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: str | Path, name: str = "npz", *, licence: str = "not stated") -> ImageSet:
    """Read an image data set from one .npz file. Pickled (object) arrays are refused unread.

    Args:
        path: A file with `x_train` and `x_test` of type uint8, shape (N, height, width) or (N, height, width,
            channels), and `y_train` and `y_test` of whole numbers from 0, shape (N,) or (N, 1). An array
            `classes` of text names the classes where it is there; otherwise they are numbers.
        name: Name of the data set.
        licence: Licence to state.

    Raises:
        DataError: The file is missing, damaged or hostile, or an array is missing or of another shape or
            type.
    """
    path = regular_file(path)
    with reading(path), zipfile.ZipFile(path) as archive:
        there = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        missing = [key for key in KEYS if key not in there]
        if missing:
            raise DataError(
                f"{path}: has no array {', '.join(missing)}; it has {', '.join(sorted(there)) or 'none'}. "
                f"Save it with np.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)."
            )
        arrays = {key: _read_array(archive, there[key], f"{path}:{key}") for key in KEYS}
        names = _read_array(archive, there["classes"], f"{path}:classes") if "classes" in there else None
    labels = {key: _labels(arrays[key], f"{path}:{key}") for key in ("y_train", "y_test")}
    if names is None:
        highest = max((int(part.max()) for part in labels.values() if part.size), default=0)
        classes = tuple(map(str, range(highest + 1)))
    else:
        classes = tuple(map(str, names.ravel().tolist()))
    return ImageSet(
        name=name,
        train_images=_images(arrays["x_train"], f"{path}:x_train"),
        train_labels=labels["y_train"],
        test_images=_images(arrays["x_test"], f"{path}:x_test"),
        test_labels=labels["y_test"],
        classes=classes,
        source=str(path),
        licence=licence,
    )


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> np.ndarray:
    """Read one .npy member; its header is held against the member's real size before memory is allocated."""
    check_expansion(info.compress_size, info.file_size, where)
    with reading(where), archive.open(info) as stream:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None:
            raise DataError(f"{where}: .npy version {version} is not 1.0 or 2.0. Save it anew with np.savez.")
        shape, fortran, dtype = read_header(stream)
        if dtype.hasobject:
            raise DataError(
                f"{where}: holds Python objects, which only unpickling could read; nothing was executed. "
                f"Save it as a plain numeric array, e.g. array.astype(np.uint8)."
            )
        promised = math.prod(shape) * dtype.itemsize
        if promised < 0 or stream.tell() + promised != info.file_size:
            raise DataError(
                f"{where}: its header says {shape_text(shape)} numbers of type {dtype} ({promised:,} bytes), "
                f"but {info.file_size - stream.tell():,} bytes follow. Save it anew with np.savez."
            )
        data = read_exactly(stream, promised, where)  # type: ignore[arg-type]
        stream.read(1)  # reaches the end, where zipfile compares the checksum
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _images(array: np.ndarray, where: str) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DataError(
            f"{where}: has type {array.dtype} and shape {shape_text(array.shape)}, but images are uint8 in 3 "
            "or 4 dimensions (images, height, width[, channels]). Convert it, e.g. (255 * "
            "x).round().astype(np.uint8)."
        )
    return array[..., None] if array.ndim == 3 else array


def _labels(array: np.ndarray, where: str) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "ui" or array.ndim != 1:
        raise DataError(
            f"{where}: has type {array.dtype} and shape {shape_text(array.shape)}, but labels are whole "
            f"numbers in one dimension. Convert one-hot labels with y.argmax(1)."
        )
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < MOST_CLASSES:
        raise DataError(
            f"{where}: labels run from {array.min()} to {array.max()}, but 0 to {MOST_CLASSES - 1} are read. "
            f"Number the classes from 0."
        )
    return array.astype(np.int64)
