"""What a renderer returns: colour, coverage, depth, what is seen where, and where on its surface."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

NOTHING, OBJECT, OCCLUDER, GROUND, LIQUID = range(5)
"""Values of a segmentation."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a scene, H rows of W pixels.

    Attributes:
        rgb: Colours as shown (sRGB), float32, shape (H, W, 3), from 0 to 1. A renderer's own frame is over black, each
            colour times its alpha; `similitude.scenes.render` puts it on its background.
        alpha: Share of each pixel that something in the scene covers, float32, shape (H, W), from 0 to 1.
        depth: Distance from the camera along its axis, in units of the scene (an object is about 1 large), float32, shape
            (H, W); infinite where nothing is.
        segmentation: What the middle of each pixel shows, uint8, shape (H, W): 0 nothing, 1 the object, 2 an occluder,
            3 the ground, 4 a liquid.
        uv: Texture coordinates of the object there, float32, shape (H, W, 2), from 0 to 1; nan elsewhere.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray
    segmentation: np.ndarray
    uv: np.ndarray

    @property
    def resolution(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rgb.shape[0], self.rgb.shape[1]

    @property
    def visible(self) -> float:
        """Share of the picture that shows the object."""
        return float((self.segmentation == OBJECT).mean())

    def to_bytes(self) -> bytes:
        """Return the frame as a compressed npz file; colours and coverage in 8 bits, as pictures are shown."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            rgb=_bytes(self.rgb),
            alpha=_bytes(self.alpha),
            depth=self.depth.astype(np.float32),
            segmentation=self.segmentation.astype(np.uint8),
            uv=self.uv.astype(np.float16),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Frame:
        """Return the frame that `to_bytes` wrote.

        Raises:
            ValueError, OSError, KeyError: It is something else.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            return cls(
                held["rgb"].astype(np.float32) / 255,
                held["alpha"].astype(np.float32) / 255,
                held["depth"],
                held["segmentation"],
                held["uv"].astype(np.float32),
            )

    def quantized(self) -> Frame:
        """Return the frame with the precision of a file, so that a stored one and a new one are the same."""
        return Frame(
            _bytes(self.rgb).astype(np.float32) / 255,
            _bytes(self.alpha).astype(np.float32) / 255,
            self.depth.astype(np.float32),
            self.segmentation.astype(np.uint8),
            self.uv.astype(np.float16).astype(np.float32),
        )


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
