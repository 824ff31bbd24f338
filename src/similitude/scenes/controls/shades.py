"""Hue, saturation and value of the whole picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from similitude.scenes.controls.control import Phase, Picture
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.tuning.space.dimensions import Linear


class Shades:
    """Shifts the hues of the picture, its background included, and multiplies its saturation and value."""

    kind = "hsv"
    summary = "shifts the picture's hues, multiplies saturation and value"
    phase = Phase.EFFECT
    settings: Mapping[str, Setting] = {
        "hue_shift": Setting(Linear(0.0, low=-0.5, high=0.5), "in turns of the circle of hues"),
        "saturation_factor": Setting(Linear(1.0, low=0.0, high=2.0), "0 grey, 1 as it is", least=0.0),
        "value_factor": Setting(Linear(1.0, low=0.25, high=2.0), "0 black, 1 as it is", least=0.0),
    }
    dimensions = dimensions_of(settings)

    def develop(self, picture: Picture, values: Mapping[str, Any]) -> Picture:
        """Return the picture in other shades."""
        from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

        hsv = rgb_to_hsv(np.clip(picture.composed, 0, 1))
        hsv[..., 0] = (hsv[..., 0] + float(values["hue_shift"])) % 1.0
        hsv[..., 1] = np.clip(hsv[..., 1] * float(values["saturation_factor"]), 0, 1)
        hsv[..., 2] = np.clip(hsv[..., 2] * float(values["value_factor"]), 0, 1)
        return developed(picture, hsv_to_rgb(hsv))


def developed(picture: Picture, composed: np.ndarray) -> Picture:
    """Return a picture whose colours, background included, are these; shape (H, W, 3)."""
    colors = np.asarray(composed, np.float32)
    return replace(
        picture, frame=replace(picture.frame, rgb=colors), background=np.zeros_like(picture.background)
    )
