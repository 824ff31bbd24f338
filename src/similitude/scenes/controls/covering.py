"""Where an occluder must be to hide a given share of the object: found by rays through a grid over the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.frame import OCCLUDER
from similitude.scenes.objects.catalog import find_object
from similitude.scenes.renderers.trees import Instance, nearest
from similitude.scenes.stage import Placed, Stage, Vector

GRID = 128
"""Rays across and down the part of the picture that the object is in."""

_OUTSIDE = 1.25  # where an occluder begins, 1 being where its bounding box touches the object's
_FRONT = 0.2  # least distance of an occluder's front from the camera, as a share of that of its back
_HALVINGS = 12
_LOOKS = 24  # places that are tried where the middle does not hide enough


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the camera sees of the object.

    Attributes:
        stage: The scene.
        origins: Of the rays that meet it first, float32, shape (N, 3).
        directions: Of these rays, 1 long along the view, shape (N, 3).
        low: Least tangents of the rays to the right and up, shape (2,).
        high: Greatest ones.
    """

    stage: Stage
    origins: np.ndarray
    directions: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @cached_property
    def nearest_depth(self) -> float:
        """Distance to the object's nearest point along the view."""
        camera, subject = self.stage.camera, self.stage.subject
        points = find_object(subject.model).corners(subject.matrix)
        return float(((points - camera.position) @ camera.axes[2]).min())


def covered(
    stage: Stage,
    occluder: str,
    ratio: float,
    *,
    direction: tuple[int, int],
    scale: float,
    nearness: float,
) -> Placed:
    """Return an occluder that hides a share of the object.

    Args:
        stage: The scene without it.
        occluder: Name of its model.
        ratio: Share of the object's visible pixels in the picture that it hides, above 0, at most 1.
        direction: From where it comes, right and up in the picture.
        scale: Its largest side in the picture, in those of the object.
        nearness: How far its back is before the object's nearest point, as a share of the way to the camera.

    Raises:
        SceneError: The object is not in the picture, or the occluder cannot hide so much of it.

    Cost: About 15 times `GRID` squared rays against the occluder alone, some 40 ms of one core.
    """
    seen = _seen(stage)
    first = _standing(seen, occluder, scale, nearness)
    instance = Instance(first, find_object(occluder))
    way = _way(seen, instance, direction)

    def hidden(place: float) -> float:
        origins = seen.origins - (way * place).astype(np.float32)
        reach = np.full(len(origins), 1e30, np.float32)
        face, _, _ = instance.meet(origins, seen.directions, reach)
        return float((face >= 0).mean())

    most_at, most = 0.0, hidden(0.0)
    if most < ratio:
        shares = {place: hidden(place) for place in np.linspace(0, _OUTSIDE, _LOOKS)[1:]}
        most_at = max(shares, key=shares.__getitem__)
        most = shares[most_at]
    if most < ratio:
        raise SceneError(
            f"control 'occlusion': '{occluder}' of scale {scale:g} can hide {most:.2f} of the object from this side, "
            f"less than the ratio {ratio:g}. Give a larger scale, or another occluder."
        )
    near, far = most_at, _OUTSIDE  # hides enough, hides too little
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if hidden(middle) >= ratio else (near, middle)
    place = near if abs(hidden(near) - ratio) <= abs(hidden(far) - ratio) else far
    return replace(first, position=_vector(np.asarray(first.position) + way * place))


def _seen(stage: Stage) -> _Seen:
    """Return what the camera sees of the object.

    Raises:
        SceneError: Nothing of it is in the picture.
    """
    camera, subject = stage.camera, stage.subject
    model = find_object(subject.model)
    points = model.corners(subject.matrix) - camera.position
    depth = points @ camera.axes[2]
    nothing = SceneError(
        "control 'occlusion': nothing of the object is in the picture, so no share of it can be hidden. Change the "
        "camera, the position or the location in the frame."
    )
    half = camera.half_width
    frame_low, frame_high = (half * (side - 2 * np.asarray(camera.shift)) for side in (-1, 1))
    if (depth > 1e-6).all():
        tangents = (points @ camera.axes[:2].T) / depth[:, None]
        low, high = np.maximum(tangents.min(0), frame_low), np.minimum(tangents.max(0), frame_high)
    else:  # the camera is among the points: the whole picture
        low, high = frame_low, frame_high
    if (high <= low).any():
        raise nothing
    steps = (np.arange(GRID) + 0.5) / GRID
    across, up = np.meshgrid(low[0] + steps * (high[0] - low[0]), low[1] + steps * (high[1] - low[1]))
    right_, up_, forward = camera.axes
    directions = (forward + across.reshape(-1, 1) * right_ + up.reshape(-1, 1) * up_).astype(np.float32)
    origins = np.tile(np.asarray(camera.position, np.float32), (len(directions), 1))
    things = [Instance(placed, find_object(placed.model)) for placed in stage.placed]
    mine = nearest(things, origins, directions).instance == 0
    if not mine.any():
        raise nothing
    flat = np.stack([across.reshape(-1)[mine], up.reshape(-1)[mine]], 1)
    return _Seen(stage, origins[mine], directions[mine], flat.min(0), flat.max(0))


def _standing(seen: _Seen, occluder: str, scale: float, nearness: float) -> Placed:
    """Return the occluder in front of the middle of what is seen, its front to the camera."""
    camera = seen.stage.camera
    extents = np.ptp(find_object(occluder).bounds, axis=0)
    wide, deep = max(float(extents[0]), float(extents[2])), float(extents[1])
    if wide <= 0:
        raise SceneError(
            f"control 'occlusion': '{occluder}' has no width, so it hides nothing. Take another."
        )
    if seen.nearest_depth <= 0:
        raise SceneError(
            "control 'occlusion': the camera is inside of the object, so nothing fits between them. Move it away."
        )
    share = scale * float((seen.high - seen.low).max()) / wide  # size per distance
    back = seen.nearest_depth * (1 - nearness)
    depth = back / (1 + share * deep / 2)
    half = share * depth * deep / 2
    if depth - half < _FRONT * back:  # it would reach the camera: it is flattened along the view
        depth, half = (1 + _FRONT) / 2 * back, (1 - _FRONT) / 2 * back
    size = share * depth
    thick = 2 * half / deep if deep > 0 else size
    right, up, forward = camera.axes
    turn = np.stack([right, forward, up], 1)
    middle = (seen.low + seen.high) / 2
    where = camera.position + depth * (forward + middle[0] * right + middle[1] * up)
    # Models are about their origin, but for what a file's author did.
    own = find_object(occluder).bounds.mean(0)
    where = where - turn @ (own * [size, thick, size])
    return Placed(occluder, _vector(where), _angles(turn), (size, thick, size), segment=OCCLUDER)


def _way(seen: _Seen, instance: Instance, direction: tuple[int, int]) -> np.ndarray:
    """Return the way from the middle to where the occluder's bounding box touches that of what is seen, shape (3,)."""
    camera = seen.stage.camera
    points = instance.model.corners(instance.placed.matrix) - camera.position
    tangents = (points @ camera.axes[:2].T) / (points @ camera.axes[2])[:, None]
    apart = (np.ptp(tangents, axis=0) + seen.high - seen.low) / 2 * np.asarray(direction)
    depth = float((points @ camera.axes[2]).mean())
    return depth * (apart @ camera.axes[:2])


def _angles(turn: np.ndarray) -> Vector:
    """Return the angles about x, y and z, in this order, of a rotation, shape (3, 3)."""
    return (
        float(np.arctan2(turn[2, 1], turn[2, 2])),
        float(np.arcsin(np.clip(-turn[2, 0], -1, 1))),
        float(np.arctan2(turn[1, 0], turn[0, 0])),
    )


def _vector(array: np.ndarray) -> Vector:
    return (float(array[0]), float(array[1]), float(array[2]))
