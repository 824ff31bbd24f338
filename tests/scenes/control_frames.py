"""What tests of controls measure on frames, by formulas of their own."""

import numpy as np

from similitude.scenes.frame import OBJECT, Frame
from similitude.scenes.rendering import render, stage_of
from similitude.scenes.scene import Scene


def drawn(object_="mug", resolution=96, **controls) -> Frame:
    return render(Scene(object_, controls, resolution=resolution))


def mask_of(frame: Frame, segment=OBJECT) -> np.ndarray:
    return frame.segmentation == segment


def center_of(mask: np.ndarray) -> np.ndarray:
    """Return the centroid, right and up, in widths of the picture from its middle."""
    rows, columns = np.nonzero(mask)
    size = mask.shape[0]
    return np.array([(columns.mean() + 0.5) / size - 0.5, 0.5 - (rows.mean() + 0.5) / size])


def extent_of(mask: np.ndarray) -> np.ndarray:
    """Return the first and last columns and rows as (left, right, top, bottom) margins, in widths."""
    rows, columns = np.nonzero(mask)
    size = mask.shape[0]
    ends = (columns.min(), size - 1 - columns.max(), rows.min(), size - 1 - rows.max())
    return np.array(ends) / size


def places_of(frame: Frame, scene: Scene, segment=OBJECT) -> np.ndarray:
    """Return the points in the scene that the middles of pixels show, from their depth, shape (N, 3)."""
    camera = stage_of(scene).camera
    size = frame.resolution[0]
    forward = np.subtract(camera.target, camera.position)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    rows, columns = np.nonzero(mask_of(frame, segment))
    depth = frame.depth[rows, columns][:, None]
    tangent = 18.0 / camera.focal_length
    x = (2 * (columns + 0.5) / size - 1 - 2 * camera.shift[0]) * tangent
    y = (1 - 2 * (rows + 0.5) / size - 2 * camera.shift[1]) * tangent
    return np.asarray(camera.position) + depth * (forward + x[:, None] * right + y[:, None] * up)


def light_of(frame: Frame, segment=OBJECT) -> np.ndarray:
    """Return the mean linear light of the pixels well inside of a segment, by IEC 61966-2-1, shape (3,)."""
    from scipy.ndimage import binary_erosion

    shown = frame.rgb[binary_erosion(mask_of(frame, segment), iterations=2)].astype(float)
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4).mean(0)
