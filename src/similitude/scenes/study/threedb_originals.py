"""The original's controls as they are in 3DB: their parameters, ranges and lists, and which of our settings each is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from similitude.scenes.assets.materials import MATERIALS
from similitude.scenes.controls.corruption import KINDS
from similitude.scenes.controls.look import ORIGINAL
from similitude.scenes.controls.occlusion import DIRECTIONS
from similitude.scenes.objects.catalog import OBJECTS

PACKAGE = "threedb.controls.blender."
"""Where the original's controls are; its configurations also use the last part of the name alone."""


@dataclass(frozen=True)
class Dial:
    """A parameter of an original's control.

    Attributes:
        setting: The setting of ours that it is; None for none.
        low: The original's least value, where it is a range.
        high: Its greatest.
        values: The original's values, where it has a list; None of which is ours at once means our own range.
        read: Turns a listed value into ours; None for one that we have not.
        why: What is said where it is none of ours.
    """

    setting: str | None
    low: float = math.nan
    high: float = math.nan
    values: tuple[Any, ...] | None = None
    read: Callable[[Any], Any] = lambda value: value
    why: str = ""

    @property
    def listed(self) -> bool:
        """Whether it is a choice."""
        return self.values is not None


@dataclass(frozen=True)
class Original:
    """A control of the original.

    Attributes:
        kind: Ours; None where there is nothing to set.
        dials: Its parameters by name.
        held: Settings of ours that it always has.
    """

    kind: str | None
    dials: Mapping[str, Dial] = field(default_factory=dict)
    held: Mapping[str, Any] = field(default_factory=dict)


def _stem(value: Any) -> str:
    """Return the name of a .blend file without its ending, in the spelling of ours."""
    return PurePosixPath(str(value)).name.removesuffix(".blend").strip().lower()


def _material(value: Any) -> str | None:
    if value == "keep_original":
        return ORIGINAL
    return next((n for n in (_stem(value), _stem(value).replace("_", " ")) if n in MATERIALS), None)


def _occluder(value: Any) -> str | None:
    return _stem(value) if _stem(value) in OBJECTS else None


def _direction(value: Any) -> str | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(DIRECTIONS)
    return list(DIRECTIONS)[value] if known else None


def _span(setting: str, low: float, high: float) -> Dial:
    return Dial(setting, low, high)


_COLOR = {"H": _span("hue", 0, 1), "S": _span("saturation", 0, 1), "V": _span("value", 0, 1)}

ORIGINALS = {
    "orientation": Original(
        "orientation",
        {f"rotation_{axis}": _span(f"rotation_{axis}", -math.pi, math.pi) for axis in "xyz"},
    ),
    "position": Original("position", {f"offset_{axis}": _span(f"offset_{axis}", -1, 1) for axis in "xyz"}),
    "scale": Original("scale", {"factor": _span("factor", 0.25, 1)}),
    "pin_to_ground": Original("pin_to_ground", {"z_ground": _span("z_ground", 0, 1)}),
    "camera": Original(
        "camera",
        {
            "view_point_x": _span("view_point_x", -1, 1),
            "view_point_y": _span("view_point_y", -1, 1),
            "view_point_z": _span("view_point_z", 0, 1),
            "zoom_factor": _span("zoom_factor", 0.5, 2),
            "aperture": _span("aperture", 1, 32),
            "focal_length": _span("focal_length", 10, 400),
        },
    ),
    "obj_loc_in_frame": Original(
        "location_in_frame", {"x_shift": _span("x_shift", -1, 1), "y_shift": _span("y_shift", -1, 1)}
    ),
    "occlusion": Original(
        "occlusion",
        {
            "occlusion_ratio": _span("ratio", 0.01, 0.8),
            "zoom": _span("nearness", 0.01, 0.4),
            "scale": Dial(
                None,
                0.01,
                1,
                why="it is in sizes of the occluder's own file; here it is in those of the object, and stays 1.5",
            ),
            "direction": Dial(
                "direction", values=tuple(range(8)), read=_direction, why="it is none of 0 to 7"
            ),
            "occluder": Dial(
                "occluder",
                values=(),
                read=_occluder,
                why="a file of Blender's is not read; a panel takes its place",
            ),
        },
        {"occluder": "panel"},
    ),
    "material": Original(
        "material",
        {
            "replacement_material": Dial(
                "replacement",
                values=(),
                read=_material,
                why="a file of Blender's is not read, and no material here is so called",
            )
        },
    ),
    "mug_liquid": Original(
        "liquid", {"ratio_milk": _span("milk", 0, 1), "ratio_coffee": _span("coffee", 0, 1)}
    ),
    "pointlight": Original(
        "light",
        {
            **_COLOR,
            "intensity": _span("power", 1000, 10000),
            "distance": _span("distance", 5, 20),
            "dir_x": _span("direction_x", -1, 1),
            "dir_y": _span("direction_y", -1, 1),
            "dir_z": _span("direction_z", 0, 1),
        },
    ),
    "background": Original("background", _COLOR),
    "imagenet_c": Original(
        "corruption",
        {
            "corruption_name": Dial(
                "name",
                values=KINDS,
                read=lambda v: v if v in KINDS else None,
                why="it is no kind of ImageNet-C",
            ),
            "severity": Dial("severity", values=(1, 2, 3, 4, 5)),
        },
    ),
    "denoiser": Original(None),  # renderers that have one always use it
}
"""The original's controls by the last part of their modules' names."""
