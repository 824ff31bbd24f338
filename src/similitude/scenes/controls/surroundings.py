"""The light from all around: how strong, turned how, and whether it is seen behind the object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage
from similitude.tuning.space.dimensions import Choice, Linear, Log


class EnvironmentControl:
    """Turns the scene's environment about z, makes it stronger or weaker, and shows it behind the object."""

    kind = "environment"
    summary = "the environment: strength, rotation, and whether it is the background"
    phase = Phase.SURROUNDINGS
    settings: Mapping[str, Setting] = {
        "strength": Setting(Log(1.0, low=0.25, high=4.0), "factor of its radiance"),
        "rotation": Setting(Linear(0.0, low=-math.pi, high=math.pi), "about z, in radians"),
        "visible": Setting(Choice(True, False), "whether it is seen behind the object"),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage in its environment."""
        environment = replace(
            stage.environment,
            strength=float(values["strength"]),
            rotation=float(values["rotation"]),
            visible=bool(values["visible"]),
        )
        return replace(stage, environment=environment)
