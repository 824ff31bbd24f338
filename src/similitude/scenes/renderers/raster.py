"""The fast renderer: rays against Embree's trees, one picture of everything that a study asks of a pixel."""

from __future__ import annotations

import numpy as np

from similitude.scenes.frame import OBJECT, Frame
from similitude.scenes.objects.catalog import find_object
from similitude.scenes.renderers.optics import UNIT, dots, lengths, over_black, rays_of
from similitude.scenes.renderers.shading import Shaded, shade
from similitude.scenes.renderers.shadows import light_held_up, spread_points
from similitude.scenes.renderers.surfaces import Surface, looks_of, surface_of
from similitude.scenes.renderers.trees import Instance, nearest
from similitude.scenes.renderers.versions import raster_version
from similitude.scenes.stage import Stage

SAMPLES = 4
"""Samples per pixel where nothing else is asked for: two across, two down."""

BLURRED_SAMPLES = 16
"""The same where the lens blurs by more than a pixel."""

_DEPTH = 8  # clear surfaces that a ray may go through
_SMOOTH = (
    0.35  # roughness up to which what a metal or glass mirrors is looked for among the things of the scene
)
_OFFSET = 2e-4


class Raster:
    """Draws stages by rays: lamps with soft shadows, light of the environment dimmed in corners.

    Light does not go from surface to surface, but for one mirror image in smooth metals and glass. Glass is thin: what
    is behind is seen through it unbent, and its shadow is half as dark as another's.
    """

    name = "raster"
    version = raster_version() or "?"

    def draw(self, stage: Stage, *, resolution: int, samples: int | None = None) -> Frame:
        """Draw a stage; see `Renderer.draw`. Samples are rounded down to a square."""
        instances = [Instance(placed, find_object(placed.model)) for placed in stage.placed]
        picture = _Picture(stage, instances, resolution, samples or _samples(stage, resolution))
        depth, segment, uv = picture.middle()
        light, cover = picture.light()
        shape = (resolution, resolution)
        rgb = over_black(light, cover).reshape(*shape, 3)
        cover, depth, segment = (array.reshape(shape) for array in (cover, depth, segment))
        return Frame(rgb, cover, depth, segment, uv.reshape(*shape, 2))

    def close(self) -> None:
        """Nothing is held but trees of models, which all pictures share."""


def _samples(stage: Stage, resolution: int) -> int:
    camera = stage.camera
    if camera.aperture is None:
        return SAMPLES
    # Blur of a point half a unit behind the target, in pixels.
    focus = float(np.linalg.norm(np.subtract(camera.target, camera.position)))
    opening = camera.focal_length / camera.aperture / UNIT
    blur = opening * 0.5 / (focus + 0.5) / focus / (2 * camera.half_width) * resolution
    return SAMPLES if blur < 1 else BLURRED_SAMPLES


class _Picture:
    """One picture while it is drawn."""

    def __init__(self, stage: Stage, instances: list[Instance], resolution: int, samples: int) -> None:
        self.stage = stage
        self.instances = instances
        self.resolution = resolution
        self.across = max(1, int(samples**0.5))
        self.spread = 2 * stage.camera.half_width / resolution

    def light(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the linear light of the pixels over black, shape (R * R, 3), and what share is covered."""
        n, total = self.across, self.across**2
        light = np.zeros((self.resolution**2, 3), np.float32)
        cover = np.zeros(self.resolution**2, np.float32)
        for k in range(total):
            offsets = ((k % n + 0.5) / n, (k // n + 0.5) / n)
            origins, directions = rays_of(self.stage.camera, self.resolution, offsets=offsets)
            origins, directions = self._through_lens(origins, directions, k, total)
            found = self._look(origins, directions, (self.resolution, k, total))
            light += found[0] / total
            cover += found[1] / total
        return light, np.minimum(cover, 1)

    def middle(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return depth, segmentation and texture coordinates in the middle of the pixels."""
        origins, directions = rays_of(self.stage.camera, self.resolution)
        hits = nearest(self.instances, origins, directions)
        surface = surface_of(self.instances, hits, directions)
        seen = hits.instance >= 0
        segments = np.array([i.placed.segment for i in self.instances], np.uint8)
        depth = (hits.distance * (directions @ self.stage.camera.axes[2].astype(np.float32))).astype(
            np.float32
        )
        depth[~seen] = np.inf
        segment = np.where(seen, segments[hits.instance], 0).astype(np.uint8)
        uv = surface.uv % np.float32(1)
        uv[segment != OBJECT] = np.nan
        return depth, segment, uv

    def _look(
        self,
        origins: np.ndarray,
        directions: np.ndarray,
        grid: tuple[int, int, int] | None,
        *,
        depth: int = 0,
        travelled: float = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the light that rays bring, shape (P, 3), and what share of each is held up by something."""
        hits = nearest(self.instances, origins, directions)
        surface = surface_of(self.instances, hits, directions)
        slant = np.abs(dots(surface.facing, directions))
        far = np.where(hits.instance >= 0, hits.distance, 0) + np.float32(travelled)
        # Half a sample's width is kept at a slant: sharp across, hardly aliased along.
        spread = far * np.float32(self.spread / self.across) / np.sqrt(np.maximum(slant, 0.04))
        looks = looks_of(self.instances, surface, spread)
        lamps, open_ = light_held_up(self.instances, surface, self.stage.lights, grid=grid)
        shaded = shade(surface, looks, directions, self.stage, arriving=lamps, openness=open_)
        light = shaded.direct + shaded.gloss * shaded.sky * shaded.open_[:, None]
        cover = (hits.instance >= 0).astype(np.float32)
        if depth == 0:
            rough, metal, glass = looks.finish.T
            bright = ((metal > 0.5) | (glass > 0.5)) & (rough < _SMOOTH) & (cover > 0)
            self._mirror(np.flatnonzero(bright), surface, shaded, light)
        if depth < _DEPTH:
            through = np.flatnonzero((looks.finish[:, 2] > 0) & (cover > 0))
            if len(through):
                start = surface.point[through] + directions[through] * np.float32(_OFFSET)
                behind, held = self._look(
                    start, directions[through], None, depth=depth + 1, travelled=float(far[through].mean())
                )
                share = shaded.clear[through]
                light[through] += share * behind
                cover[through] = 1 - share.mean(1) * (1 - held)
        return light, cover

    def _mirror(self, at: np.ndarray, surface: Surface, shaded: Shaded, light: np.ndarray) -> None:
        """Put the things that smooth places mirror before the environment in `light`."""
        if not len(at):
            return
        start = surface.lifted[at] + surface.facing[at] * np.float32(4 * _OFFSET)
        image, held = self._look(start, shaded.mirrored[at], None, depth=_DEPTH)
        rest = (1 - held)[:, None] * shaded.sky[at]
        light[at] = shaded.direct[at] + shaded.gloss[at] * (image + rest)

    def _through_lens(
        self, origins: np.ndarray, directions: np.ndarray, sample: int, samples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move the rays of a sample to their places on the lens, all meeting at the distance of the target."""
        camera = self.stage.camera
        if camera.aperture is None:
            return origins, directions
        right, up, forward = camera.axes.astype(np.float32)
        radius = camera.focal_length / camera.aperture / 2 / UNIT
        points = spread_points(self.resolution, sample, samples, stream=97)
        reach, angle = np.float32(radius) * np.sqrt(points[:, :1]), 2 * np.pi * points[:, 1:]
        focus = float(np.linalg.norm(np.subtract(camera.target, camera.position)))
        meeting = origins + directions * (np.float32(focus) / (directions @ forward))[:, None]
        moved = (origins + reach * (np.cos(angle) * right + np.sin(angle) * up)).astype(np.float32)
        turned = meeting - moved
        return moved, (turned / lengths(turned)[:, None]).astype(np.float32)
