"""What a control is: named settings with ranges, and what they do to a stage or to a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np

from similitude.scenes.controls.setting import Setting
from similitude.scenes.frame import Frame
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage
from similitude.tuning.space.dimensions import Dimension

Value = float | int | str | bool | None


class Phase(IntEnum):
    """When a control acts: those of a scene act by phase, and within one in an order of their own.

    Each builds on those before it: an object is set on the ground as it is turned, a camera looks at the object where it
    stands, an occluder covers what that camera sees.
    """

    POSE = 0
    GROUNDING = 1
    FILLING = 2
    SURROUNDINGS = 3
    CAMERA = 4
    FRAMING = 5
    LOOK = 6
    COVER = 7
    BACKGROUND = 8
    EFFECT = 9


@dataclass(frozen=True)
class Picture:
    """A frame on its background, as effects see it.

    Attributes:
        frame: Colours over black, with coverage, depth and segmentation.
        background: What is behind, sRGB float32, shape (H, W, 3).
        seed: For effects that draw random numbers; the scene's own, so that a scene is always one picture.
    """

    frame: Frame
    background: np.ndarray
    seed: int

    @property
    def composed(self) -> np.ndarray:
        """The frame on the background, float32, shape (H, W, 3)."""
        return self.frame.rgb + (1 - self.frame.alpha[..., None]) * self.background


@runtime_checkable
class Control(Protocol):
    """Something that can be set in a scene; several instances of one kind may stand side by side.

    Attributes:
        kind: Its name, e.g. "orientation".
        summary: What it does, in a line.
        phase: When it acts.
        settings: What can be set, by name.
        dimensions: The dimensions of the settings: the center of each is its value where nothing else is said, its bounds
            are the range that a search covers unless it is told otherwise.
    """

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        ...

    @property
    def phase(self) -> Phase:
        """When it acts."""
        ...

    @property
    def settings(self) -> Mapping[str, Setting]:
        """What can be set, by name."""
        ...

    @property
    def dimensions(self) -> Mapping[str, Dimension]:
        """Ranges of the settings by name."""
        ...


@runtime_checkable
class StageControl(Control, Protocol):
    """A control of what is rendered."""

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the control's settings.

        Args:
            stage: What the controls before it made.
            values: A value of every setting, already checked.
            model: The object that is looked at.
        """
        ...


@runtime_checkable
class PictureControl(Control, Protocol):
    """A control of the picture, after rendering."""

    def develop(self, picture: Picture, values: Mapping[str, Any]) -> Picture:
        """Return the picture with the control's settings."""
        ...
