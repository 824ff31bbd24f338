"""Pictures of radiance in OpenEXR and Radiance HDR files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.assets.beside import read_file
from similitude.scenes.assets.pictures import MOST_PIXELS

KINDS = (".exr", ".hdr")
"""Endings of files that are read."""

ROWS = 512
"""Rows that larger pictures are reduced to, by means over equal parts: their light stays what it is."""

BRIGHTEST = 65504.0
"""The largest number of 16 bits; suns that are infinite get it."""

_SIZE = re.compile(rb"([-+][XY])\s+(\d+)\s+([-+][XY])\s+(\d+)\s*\n")


def read_radiance(path: Path) -> np.ndarray:
    """Return an equirectangular picture of radiance, float32, shape (H, 2H, 3), H at most `ROWS`.

    Numbers below 0, which filters leave behind, become 0.

    Args:
        path: An OpenEXR or Radiance HDR file, twice as wide as high.

    Raises:
        SceneError: The file is missing, damaged, too large, not twice as wide as high or has numbers that are none, or
            the package that reads it is not installed.
    """
    read = {".exr": _exr, ".hdr": _hdr}.get(path.suffix.lower())
    if read is None:
        raise SceneError(f"{path}: is none of {', '.join(KINDS)}. Save the environment as one of them.")
    data = read_file(path)
    pixels = read(path, data)
    h, w = pixels.shape[:2]
    if w != 2 * h:
        raise SceneError(
            f"{path}: is {w} x {h}, and an environment is twice as wide as high: all directions, equirectangular. "
            "Convert it, or crop nothing when exporting."
        )
    if np.isnan(pixels).any():
        raise SceneError(f"{path}: has pixels that are not numbers (nan). Save it again.")
    return reduced(np.clip(pixels, 0, BRIGHTEST).astype(np.float32))


def reduced(pixels: np.ndarray) -> np.ndarray:
    """Return a picture of radiance with at most `ROWS` rows: means over parts, so that suns keep their light.

    Args:
        pixels: Shape (H, 2H, 3).
    """
    h = len(pixels)
    if h <= ROWS:
        return pixels
    for axis, count in ((0, ROWS), (1, 2 * ROWS)):
        # Sums up to each edge, read between pixels where an edge falls in one.
        size = pixels.shape[axis]
        sums = np.concatenate(
            [np.zeros_like(pixels.take([0], axis), np.float64), pixels.cumsum(axis, np.float64)], axis
        )
        edges = np.linspace(0, size, count + 1)
        low = np.minimum(np.floor(edges).astype(int), size - 1)
        share = (edges - low).reshape([-1 if k == axis else 1 for k in range(3)])
        at = sums.take(low, axis) * (1 - share) + sums.take(low + 1, axis) * share
        pixels = np.diff(at, axis=axis) * (count / size)
    return pixels.astype(np.float32)


def _exr(path: Path, data: bytes) -> np.ndarray:
    del data  # the package reads from the disk
    try:
        import OpenEXR
    except ImportError as error:
        raise SceneError(
            f"{path}: needs the package OpenEXR ({error}). Install it: pip install OpenEXR"
        ) from error
    try:
        with OpenEXR.File(str(path), header_only=True) as file:
            low, high = (tuple(map(int, corner)) for corner in file.header()["dataWindow"])
        _check_size(path, high[0] - low[0] + 1, high[1] - low[1] + 1)
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.asarray(c.pixels, np.float32) for name, c in file.channels().items()}
    except SceneError:
        raise
    except Exception as error:  # the package has no errors of its own
        raise SceneError(f"{path}: is no OpenEXR file that can be read ({error}). Save it again.") from error
    for layer in sorted({name.rpartition(".")[0] for name in channels}):
        start = f"{layer}." if layer else ""
        if all(start + name in channels for name in "RGB"):
            return np.stack([channels[start + name] for name in "RGB"], -1)
    if "Y" in channels:
        return np.repeat(channels["Y"][..., None], 3, -1)
    raise SceneError(
        f"{path}: has the channels {', '.join(channels) or 'none'}; R, G and B, or Y, are needed."
    )


def _hdr(path: Path, data: bytes) -> np.ndarray:
    size = _SIZE.search(data[:4096])
    if not data.startswith(b"#?") or size is None:
        raise SceneError(f"{path}: is no Radiance HDR file: its header is missing. Save it again.")
    if (size[1], size[3]) != (b"-Y", b"+X"):
        raise SceneError(
            f"{path}: has its rows or columns in another order ({size[0].decode().strip()}). Save it again."
        )
    _check_size(path, int(size[4]), int(size[2]))
    try:
        import cv2
    except ImportError as error:
        raise SceneError(
            f"{path}: needs the package opencv ({error}). Install it: pip install opencv-python-headless; or save the "
            "environment as EXR."
        ) from error
    told = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said by our error
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise SceneError(f"{path}: is damaged ({error}). Get it again.") from error
    finally:
        cv2.utils.logging.setLogLevel(told)
    if pixels is None or pixels.ndim != 3:
        raise SceneError(f"{path}: is truncated or damaged. Get it again.")
    return np.asarray(pixels, np.float32)[..., ::-1]


def _check_size(path: Path, columns: int, rows: int) -> None:
    if columns < 1 or rows < 1 or columns * rows > MOST_PIXELS:
        raise SceneError(
            f"{path}: has {columns} x {rows} pixels; from 1 to {MOST_PIXELS:,} are read. The file is damaged, or make it "
            "smaller."
        )
