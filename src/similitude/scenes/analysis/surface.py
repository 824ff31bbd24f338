"""What matters on an object: its surface as a map of how the loss changes where a part is hidden or painted over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.plain import finite
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import judged
from similitude.scenes.frame import OBJECT, Frame

GRID = 16
"""Texels across and up: at 128 pixels an object shows some hundred of them."""

FEWEST = 5
"""Scenes in which a texel has to be seen, and hidden, for a number."""

PAINT = 0.5
"""Grey that patches are painted with, in sRGB."""


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """How the loss changes without a part of the surface; texel (i, j) has v from i / grid and u from j / grid.

    Attributes:
        effect: Mean loss without the texel minus mean loss with it, float64, shape (grid, grid): positive where seeing it
            helps; nan where too few scenes tell.
        error: Standard error of the effect, same shape.
        scenes: How many scenes were used.
        method: "hidden", "hidden, at equal visible share" or "painted".
    """

    effect: np.ndarray
    error: np.ndarray
    scenes: int
    method: str

    @property
    def grid(self) -> int:
        """Texels across and up."""
        return self.effect.shape[0]

    @property
    def clear(self) -> np.ndarray:
        """Where the effect is beyond two standard errors, bool, shape (grid, grid)."""
        with np.errstate(invalid="ignore"):
            return np.abs(self.effect) > 2 * self.error

    def on(self, frame: Frame) -> np.ndarray:
        """Return the effect at each pixel of a picture of the object, float64, shape (H, W); nan beside it."""
        out = np.full(frame.resolution, np.nan)
        seen = _seen(frame)
        out[seen] = self.effect.reshape(-1)[_texels(frame, seen, self.grid)]
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "method": self.method,
                "scenes": self.scenes,
                "grid": self.grid,
                "effect": self.effect.tolist(),
                "error": self.error.tolist(),
            }
        )


def hidden_map(
    rows: Iterable[Row],
    frame_of: Callable[[Row], Frame | None],
    *,
    measure: str = "loss",
    grid: int = GRID,
    adjusted: bool = True,
) -> SurfaceMap:
    """Compare scenes in which a part of an object is seen with those in which it is hidden, by pose or by occluders.

    Args:
        rows: Rows of one model and one object.
        frame_of: Gives the frame of a row, e.g. `SceneRun.frame`; rows without one are left out.
        measure: Metric whose change is asked for; that of a row without it leaves the row out.
        grid: Texels across and up.
        adjusted: Take away first what the share of visible pixels alone explains (a straight line), so that a part is
            not called important because the whole object was small when it was hidden.

    Returns:
        The map; a correlation over scenes, not an experiment on the part: ask `painted_map` for that.

    Raises:
        SceneError: Rows are of several objects, or fewer than 10 have a frame and the measure.
    """
    kept = judged(rows)
    if len(objects := sorted({row.task for row in kept})) > 1:
        raise SceneError(
            f"these scenes show {', '.join(objects)}, and each has a surface of its own. Pass the rows of one object."
        )
    losses, shares, seen = [], [], []
    for row in kept:
        loss = row.metrics.get(measure, np.nan)
        frame = frame_of(row) if np.isfinite(loss) else None
        if frame is None:
            continue
        losses.append(loss)
        shares.append(frame.visible)
        seen.append(texels_seen(frame, grid).reshape(-1))
    if len(losses) < 2 * FEWEST:
        raise SceneError(
            f"{len(losses)} scenes have a frame and a '{measure}', and a map takes at least {2 * FEWEST}. Run the study "
            "with a folder, which keeps its frames."
        )
    y, visible = np.array(losses), np.stack(seen)
    if adjusted and np.ptp(shares) > 0:
        line = np.polynomial.Polynomial.fit(shares, y, 1)
        y = y - line(np.array(shares))
    effect, error = _differences(visible, y)
    method = "hidden, at equal visible share" if adjusted else "hidden"
    return SurfaceMap(effect.reshape(grid, grid), error.reshape(grid, grid), len(y), method)


def painted_map(
    frames: Sequence[Frame],
    loss_of: Callable[[np.ndarray], np.ndarray],
    *,
    grid: int = GRID // 2,
    batch: int = 64,
) -> SurfaceMap:
    """Paint one part of the surface grey after the other, in finished pictures, and ask the model anew.

    Args:
        frames: Pictures of one object; those with it right and well visible say the most.
        loss_of: Losses of pictures, from float32 of shape (n, H, W, 3), sRGB from 0 to 1, to shape (n,).
        grid: Texels across and up.
        batch: Pictures that are asked about at once.

    Returns:
        The map: mean loss with the part painted minus without, over the pictures that show it.

    Raises:
        SceneError: No frame shows the object.

    Cost: As many answers of the model as texels are seen in all frames together; nothing is rendered.
    """
    pictures, where = [], []
    for place, frame in enumerate(frames):
        seen = _seen(frame)
        texel = np.full(frame.resolution, -1)
        texel[seen] = _texels(frame, seen, grid)
        for one in np.unique(texel[seen]):
            painted = np.array(frame.rgb, dtype=np.float32)
            painted[texel == one] = PAINT
            pictures.append(painted)
            where.append((place, int(one)))
    if not pictures:
        raise SceneError("none of these frames shows the object. Choose scenes in which it is visible.")
    before = np.asarray(loss_of(np.stack([frame.rgb for frame in frames]).astype(np.float32)), dtype=float)
    after = np.concatenate(
        [
            np.asarray(loss_of(np.stack(pictures[i : i + batch])), dtype=float)
            for i in range(0, len(pictures), batch)
        ]
    )
    changes: dict[int, list[float]] = {}
    for (place, texel), loss in zip(where, after, strict=True):
        changes.setdefault(texel, []).append(loss - before[place])
    effect, error = np.full(grid * grid, np.nan), np.full(grid * grid, np.nan)
    for texel, values in changes.items():
        effect[texel] = np.mean(values)
        if len(values) > 1:
            error[texel] = np.std(values, ddof=1) / len(values) ** 0.5
    return SurfaceMap(effect.reshape(grid, grid), error.reshape(grid, grid), len(frames), "painted")


def texels_seen(frame: Frame, grid: int) -> np.ndarray:
    """Return which texels a frame shows, bool, shape (grid, grid)."""
    out = np.zeros(grid * grid, dtype=bool)
    out[_texels(frame, _seen(frame), grid)] = True
    return out.reshape(grid, grid)


def _seen(frame: Frame) -> np.ndarray:
    return (frame.segmentation == OBJECT) & np.isfinite(frame.uv).all(-1)


def _texels(frame: Frame, seen: np.ndarray, grid: int) -> np.ndarray:
    across, up = (np.clip((frame.uv[seen][:, k] * grid).astype(int), 0, grid - 1) for k in (0, 1))
    return up * grid + across


def _differences(visible: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean of y hidden minus visible per column, and Welch's standard error."""
    shown, hidden = visible.sum(0), (~visible).sum(0)
    enough = (shown >= FEWEST) & (hidden >= FEWEST)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [(mask * y[:, None]).sum(0) / n for mask, n in ((visible, shown), (~visible, hidden))]
        squares = [
            (mask * (y[:, None] - mean) ** 2).sum(0) / (n - 1) / n
            for mask, mean, n in ((visible, means[0], shown), (~visible, means[1], hidden))
        ]
        effect, error = means[1] - means[0], np.sqrt(squares[0] + squares[1])
    return np.where(enough, effect, np.nan), np.where(enough, error, np.nan)
