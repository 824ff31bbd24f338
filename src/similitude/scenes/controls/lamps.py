"""Lamps: how strong, of which colour, and where from."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.controls.warmth import DAYLIGHT, warmth
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Light, Stage
from similitude.tuning.space.dimensions import Linear, Log


class LightControl:
    """A lamp at a distance from the object's middle; several instances are several lamps.

    The first one takes the place of the lamp that a scene without this control has. Its colour is that of a glowing body
    (`kelvin`) through a filter (`hue`, `saturation`), its strength `power` times `value`. The ranges of power and
    distance are the original's (1,000 to 10,000 W at 5 to 20) at a quarter of the distance, which is a sixteenth of the
    power for the same light.
    """

    kind = "light"
    summary = "a lamp: power, colour, distance and direction"
    phase = Phase.SURROUNDINGS
    settings: Mapping[str, Setting] = {
        "hue": Setting(
            Linear(0.0, low=0.0, high=1.0), "of the filter: 0 red, 1/3 green, 2/3 blue, 1 red again"
        ),
        "saturation": Setting(
            Linear(0.0, low=0.0, high=1.0), "of the filter: 0 none, 1 pure", least=0.0, most=1.0
        ),
        "value": Setting(Linear(1.0, low=0.0, high=1.0), "factor of the power", least=0.0),
        "kelvin": Setting(
            Linear(DAYLIGHT, low=2000.0, high=12000.0),
            "temperature of the glowing body; 6500 is white, less is warmer",
            least=1667.0,
            most=25000.0,
        ),
        "power": Setting(
            Log(150.0, low=62.5, high=625.0),
            "in W: at distance d it lights what faces it with power / (4 pi d^2)",
        ),
        "distance": Setting(
            Linear(3.8, low=1.25, high=5.0), "from the object's middle, in its sizes", least=0.0, open=True
        ),
        "direction_x": Setting(
            Linear(0.4, low=-1.0, high=1.0), "from the object to the lamp, only its ratios matter"
        ),
        "direction_y": Setting(Linear(-0.5, low=-1.0, high=1.0), "likewise; the front is to -y"),
        "direction_z": Setting(Linear(0.8, low=0.0, high=1.0), "likewise; 1 with x = y = 0 is from above"),
        "radius": Setting(
            Linear(0.3, low=0.05, high=1.0), "of the ball that shines: larger makes softer shadows", least=0.0
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the lamp.

        Raises:
            SceneError: Its direction is none.
        """
        toward = np.array([float(values[f"direction_{axis}"]) for axis in "xyz"])
        length = float(np.linalg.norm(toward))
        if length < 1e-6:
            raise SceneError(
                "control 'light': direction_x, direction_y and direction_z are all 0, which is no direction. Give one of "
                "them another value."
            )
        x, y, z = np.asarray(stage.subject.position) + toward * (float(values["distance"]) / length)
        shown = colorsys.hsv_to_rgb(float(values["hue"]) % 1.0, float(values["saturation"]), 1.0)
        red, green, blue = np.asarray(shown) * warmth(float(values["kelvin"]))
        lamp = Light(
            (float(x), float(y), float(z)),
            float(values["power"]) * float(values["value"]),
            (float(red), float(green), float(blue)),
            float(values["radius"]),
        )
        # The very tuple that a stage begins with, not one that is equal to it.
        others = () if stage.lights is Stage.lights else stage.lights
        return replace(stage, lights=(*others, lamp))
