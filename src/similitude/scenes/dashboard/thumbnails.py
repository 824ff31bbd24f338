"""Small pictures as text inside a page, bounded in number and in size."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from similitude.evaluation.rows import Row
from similitude.scenes.analysis.worst import badness

SIDE = 128
"""Pixels of a thumbnail's longer side."""

MOST = 300
"""Thumbnails of a page."""

MOST_BYTES = 3_000_000
"""Characters of all thumbnails of a page."""

QUALITY = 75


@dataclass(frozen=True)
class Thumbnails:
    """Pictures of some scenes.

    Attributes:
        pictures: `data:` addresses.
        places: Place of a scene's picture by `Row.item`.
        missing: Scenes whose picture is not stored.
        left_out: Scenes whose picture is stored, and had no room.
    """

    pictures: tuple[str, ...]
    places: dict[str, int]
    missing: int
    left_out: int


def thumbnails(
    rows: Sequence[Row],
    picture_of: Callable[[Row], Path | None],
    *,
    most: int = MOST,
    most_bytes: int = MOST_BYTES,
) -> Thumbnails:
    """Return pictures of scenes: all, or where there is not room for all the worst half and an even choice of others.

    Args:
        rows: Rows, of several models too; a scene has one picture.
        picture_of: Gives the file of a row's picture, e.g. `SceneRun.picture`.
        most: Pictures at most.
        most_bytes: Characters of all of them at most.
    """
    worst: dict[str, Row] = {}
    for row in rows:
        if not row.failed and (row.item not in worst or badness(row) > badness(worst[row.item])):
            worst[row.item] = row
    pictures, places, missing, used = [], {}, 0, 0
    chosen = _chosen(list(worst.values()), most)
    for row in chosen:
        path = picture_of(row)
        text = None if path is None else shrunk(path)
        if text is None:
            missing += 1
            continue
        if used + len(text) > most_bytes:
            break
        used += len(text)
        places[row.item] = len(pictures)
        pictures.append(text)
    return Thumbnails(tuple(pictures), places, missing, len(worst) - missing - len(pictures))


def shrunk(path: Path, side: int = SIDE) -> str | None:
    """Return a picture as a `data:` address, its longer side at most so long; None where the file is no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    small.thumbnail((side, side))
    return as_address(np.asarray(small))


def as_address(pixels: np.ndarray) -> str:
    """Return a picture as a `data:` address: WebP, or JPEG where Pillow was built without it.

    Args:
        pixels: uint8, shape (H, W, 3).
    """
    from PIL import Image, features

    kind = "WEBP" if features.check("webp") else "JPEG"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=QUALITY)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _chosen(rows: list[Row], most: int) -> list[Row]:
    """Return rows in the order in which there shall be room for them."""
    ordered = sorted(rows, key=badness, reverse=True)
    if len(ordered) <= most:
        return ordered
    first, rest = ordered[: most // 2], ordered[most // 2 :]
    even = np.linspace(0, len(rest) - 1, most - len(first)).round().astype(int)
    return [*first, *(rest[i] for i in even)]
