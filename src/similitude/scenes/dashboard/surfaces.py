"""What matters on an object, laid on a picture of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.surface import SurfaceMap, hidden_map, texels_seen
from similitude.scenes.dashboard.thumbnails import as_address
from similitude.scenes.frame import OBJECT, Frame
from similitude.scenes.rendering import GREY

SIDE = 256
"""Pixels of the pictures at least."""

HELPS, HURTS = np.array([0.75, 0.29, 0.05]), np.array([0.04, 0.41, 0.68])
"""Colours of parts that help and that mislead, sRGB (Okabe and Ito's orange and blue, as everywhere in reports)."""

MOST_SCENES = 400
"""Frames that are read for one map."""


@dataclass(frozen=True)
class SurfacePicture:
    """A map on a picture.

    Attributes:
        object: Name of the object.
        plain: The picture, a `data:` address.
        painted: The same with the map.
        strongest: Largest distance of the effect from 0, in units of the loss.
        clear: Texels beyond two standard errors.
        known: Texels with a number.
        scenes: Scenes that the map rests on.
    """

    object: str
    plain: str
    painted: str
    strongest: float
    clear: int
    known: int
    scenes: int


def surface_pictures(
    rows: Sequence[Row], frame_of: Callable[[Row], Frame | None], *, most: int = 6
) -> list[SurfacePicture]:
    """Return what matters on the objects of a study, for those that have frames and are hidden in part somewhere.

    Args:
        rows: Rows of one model.
        frame_of: Gives what was drawn of a row, e.g. `SceneRun.drawn`.
        most: Objects at most.
    """
    found = []
    for name in dict.fromkeys(row.task for row in rows):
        mine = [row for row in rows if row.task == name and not row.failed][:MOST_SCENES]
        frames = {row.key: frame_of(row) for row in mine}
        try:
            surface = hidden_map(mine, lambda row, frames=frames: frames[row.key])
        except SceneError:
            continue
        seen = [frame for frame in frames.values() if frame is not None]
        best = max(seen, key=lambda frame: _told(frame, surface))
        if np.isfinite(surface.effect).any():
            found.append(_picture(name, surface, best))
        if len(found) == most:
            break
    return found


def painted(frame: Frame, surface: SurfaceMap) -> np.ndarray:
    """Return the picture of an object, grey, with a map laid on it; uint8, shape (H, W, 3)."""
    effect = surface.on(frame)
    known = np.isfinite(effect)
    strength = np.where(known, np.abs(np.nan_to_num(effect)), 0) / max(
        float(np.nanmax(np.abs(surface.effect))), 1e-12
    )
    grey = 0.35 + 0.5 * _over_grey(frame).mean(-1, keepdims=True).repeat(3, -1)
    colour = np.where((np.nan_to_num(effect) > 0)[..., None], HELPS, HURTS)
    mixed = grey + (0.85 * strength)[..., None] * (colour - grey)
    return np.round(255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def _told(frame: Frame, surface: SurfaceMap) -> float:
    """Return how much of the map a picture shows; one that cuts the object off, a tenth of that."""
    known = texels_seen(frame, surface.grid) & np.isfinite(surface.effect)
    mask = frame.segmentation == OBJECT
    cut = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    return float(known.sum()) * (0.1 if cut else 1.0)


def _over_grey(frame: Frame) -> np.ndarray:
    """Return the colours of a frame that was drawn over black, over grey."""
    return frame.rgb + (1 - frame.alpha[..., None]) * GREY


def _picture(name: str, surface: SurfaceMap, frame: Frame) -> SurfacePicture:
    times = max(1, -(-SIDE // frame.resolution[1]))
    plain = np.round(255 * np.clip(_over_grey(frame), 0, 1)).astype(np.uint8)
    large = [np.repeat(np.repeat(pixels, times, 0), times, 1) for pixels in (plain, painted(frame, surface))]
    return SurfacePicture(
        name,
        as_address(large[0]),
        as_address(large[1]),
        float(np.nanmax(np.abs(surface.effect))),
        int(surface.clear.sum()),
        int(np.isfinite(surface.effect).sum()),
        surface.scenes,
    )
