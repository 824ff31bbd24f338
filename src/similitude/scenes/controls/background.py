"""What is behind the object: one colour, or a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from similitude.scenes.assets.textures import TEXTURES, texture_pixels
from similitude.scenes.controls.control import Phase, Picture
from similitude.scenes.controls.names import Names
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.known import check_texture
from similitude.tuning.space.dimensions import Linear

PLAIN = "none"


class Background:
    """Puts the object, and whatever else is rendered, before one colour, or a picture that fills the frame."""

    kind = "background"
    summary = "one colour behind the object, or a picture"
    phase = Phase.BACKGROUND
    settings: Mapping[str, Setting] = {
        "hue": Setting(Linear(0.0, low=0.0, high=1.0), "0 red, 1/3 green, 2/3 blue, 1 red again"),
        "saturation": Setting(Linear(0.0, low=0.0, high=1.0), "0 grey, 1 pure", least=0.0, most=1.0),
        "value": Setting(
            Linear(0.6, low=0.0, high=1.0), "0 black, 1 as bright as it goes", least=0.0, most=1.0
        ),
        "picture": Setting(
            Names(PLAIN, *TEXTURES),
            "name of a texture, or the path of a picture, in place of the colour; none for the colour",
            known=check_texture,
        ),
    }
    dimensions = dimensions_of(settings)

    def develop(self, picture: Picture, values: Mapping[str, Any]) -> Picture:
        """Return the picture on another background.

        Raises:
            SceneError: There is no such picture.
        """
        rows, columns = picture.frame.resolution
        if values["picture"] != PLAIN:
            behind = cropped(texture_pixels(str(values["picture"]))[..., :3], rows, columns)
        else:
            color = colorsys.hsv_to_rgb(
                float(values["hue"]) % 1.0, float(values["saturation"]), float(values["value"])
            )
            behind = np.broadcast_to(np.array(color, np.float32), (rows, columns, 3))
        return replace(picture, background=behind.astype(np.float32))


def cropped(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the middle of a picture at another size, as much of it as fits; float32, shape (rows, columns, 3)."""
    from PIL import Image, ImageOps

    image = Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))
    fitted = ImageOps.fit(image, (columns, rows), Image.Resampling.BICUBIC)
    return np.asarray(fitted, np.float32) / 255
