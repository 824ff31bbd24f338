"""Corruptions of pictures as in ImageNet-C (Hendrycks and Dietterich 2019), by the package imagecorruptions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Phase, Picture
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.controls.shades import developed
from similitude.tuning.space.dimensions import Choice, Linear

KINDS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "gaussian_blur",
    "snow",
    "frost",
    "fog",
    "spatter",
    "brightness",
    "contrast",
    "saturate",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""All 19 of ImageNet-C; speckle noise, Gaussian blur, spatter and saturate are its validation kinds."""

INSTALL = "pip install 'similitude[corruptions]'"

_SMALLEST = 32  # rows and columns, a limit of the package
_SEEDED = ("impulse_noise", "glass_blur")  # have random numbers of their own; the others draw from numpy's
_LOCK = threading.Lock()


class Corruption:
    """Corrupts the picture, its background included; a scene is always corrupted in the same way.

    Severities are those of ImageNet-C for pictures of 224 pixels: blurs and noise are coarser where there are fewer.
    """

    kind = "corruption"
    summary = "corrupts the picture as in ImageNet-C"
    phase = Phase.EFFECT
    settings: Mapping[str, Setting] = {
        "name": Setting(Choice(*KINDS), "of the corruption"),
        "severity": Setting(
            Linear(3, low=1, high=5, integer=True), "0 none, 1 weakest, 5 strongest", least=0, most=5
        ),
    }
    dimensions = dimensions_of(settings)

    def develop(self, picture: Picture, values: Mapping[str, Any]) -> Picture:
        """Return the corrupted picture.

        Raises:
            SceneError: The package is not installed, or the picture is too small for it.
        """
        name, severity = str(values["name"]), int(values["severity"])
        if severity == 0:
            return picture
        if min(picture.frame.resolution) < _SMALLEST:
            rows, columns = picture.frame.resolution
            raise SceneError(
                f"control 'corruption': {rows} x {columns} pixels are too few for {name}. Give the scene a resolution of "
                f"at least {_SMALLEST}."
            )
        shown = np.round(np.clip(picture.composed, 0, 1) * 255).astype(np.uint8)
        return developed(picture, corrupted(shown, name, severity, seed=picture.seed) / np.float32(255))


def corrupted(pixels: np.ndarray, name: str, severity: int, *, seed: int) -> np.ndarray:
    """Return a corrupted picture; numpy's global generator is left as it was.

    Args:
        pixels: uint8, shape (H, W, 3), H and W at least 32; not changed.
        name: One of `KINDS`.
        severity: 1 to 5.
        seed: From 0 to 2^32 - 1.

    Raises:
        SceneError: The package is not installed.
    """
    try:
        from imagecorruptions import corrupt
    except ImportError as error:
        raise SceneError(
            f"corruptions need the package imagecorruptions-imaug, which cannot be imported ({error}). Install it: "
            f"{INSTALL}; on machines without libGL also: pip install --force-reinstall opencv-python-headless."
        ) from error
    own = {"seed": seed} if name in _SEEDED else {}
    with _LOCK:  # the package draws from the generator that all threads share
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            out = corrupt(pixels.copy(), severity=severity, corruption_name=name, **own)
        finally:
            np.random.set_state(before)
    return np.asarray(out, np.uint8)
