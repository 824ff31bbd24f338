"""The factors of a rendered picture, where they vary in training, and the shifts that leave that range one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from similitude.core.seeding import numpy_generator
from similitude.scenes.assets.animal_textures import ANIMALS
from similitude.scenes.scene import Scene

OBJECTS = ("mug", "teapot", "banana", "dumbbell", "traffic_light", "park_bench", "table_lamp", "umbrella")
"""Classes by default: their outlines differ, and none is the same from all sides."""

TEXTURES = ("original", "wood", "marble", "denim", "plaid")
"""Looks in training; the first, the object's own, is drawn half of the time."""

YAW = 0.8
"""Largest angle to either side in training, in radians."""

ELEVATION = (0.1, 0.5)
"""Angles of the camera above the object in training, in radians."""

FACTORS = ("object", "yaw", "elevation", "texture", "light", "background")
"""What varies in training, and is probed."""

_BACKGROUNDS = ("grass", "pebbles", "brick", "planks")
_CORRUPTIONS = ("gaussian_noise", "defocus_blur", "contrast", "pixelate")
_SIDES = ("left", "right", "top", "bottom")


@dataclass(frozen=True)
class Factors:
    """What a picture shows.

    Attributes:
        object: Place of the object among the classes.
        yaw: Its angle about z, in radians.
        elevation: Angle of the camera above it, in radians.
        texture: Place in `TEXTURES`.
        light: From where the lamp shines: -1 left, 1 right.
        background: Hue of what is behind, 0 to 1, a circle.
    """

    object: int
    yaw: float
    elevation: float
    texture: int
    light: float
    background: float


def draw_factors(seed: int, split: str, index: int, *, classes: int) -> Factors:
    """Draw the factors of one picture; every picture has numbers of its own, whatever the size of the set.

    Args:
        seed: Seed of the pictures.
        split: "train" or "test".
        index: Place in the split; classes take turns.
        classes: How many there are.
    """
    rng = numpy_generator(seed, "factors", split, index)
    own = rng.random() < 0.5
    return Factors(
        object=index % classes,
        yaw=float(rng.uniform(-YAW, YAW)),
        elevation=float(rng.uniform(*ELEVATION)),
        texture=0 if own else int(rng.integers(1, len(TEXTURES))),
        light=float(rng.uniform(-1, 1)),
        background=float(rng.random()),
    )


def scene_of(
    factors: Factors, objects: Sequence[str], *, resolution: int, samples: int | None = None
) -> Scene:
    """Return the scene of some factors."""
    return Scene(
        objects[factors.object],
        {
            "orientation": {"rotation_z": factors.yaw},
            "camera": {
                "view_point_x": 0.0,
                "view_point_y": -math.cos(factors.elevation),
                "view_point_z": math.sin(factors.elevation),
                "zoom_factor": 0.85,
            },
            "texture": {"name": TEXTURES[factors.texture]},
            "light": {"direction_x": factors.light},
            "background": {"hue": factors.background, "saturation": 0.5, "value": 0.7},
        },
        resolution=resolution,
        samples=samples,
    )


Shift = Callable[[Scene, np.random.Generator], Scene]
"""Changes one factor of a scene to what training never has."""


def unseen_pose(scene: Scene, rng: np.random.Generator) -> Scene:
    """Turn the object far to a side or around, and look from higher up."""
    yaw = float(rng.choice([-1, 1]) * rng.uniform(1.4, math.pi))
    elevation = float(rng.uniform(0.8, 1.2))
    camera = {"view_point_y": -math.cos(elevation), "view_point_z": math.sin(elevation)}
    return changed(scene, orientation={"rotation_z": yaw}, camera=camera)


def animal_coat(scene: Scene, rng: np.random.Generator) -> Scene:
    """Wrap the object in the coat of an animal."""
    return changed(scene, texture={"name": str(rng.choice(list(ANIMALS)))})


def other_light(scene: Scene, rng: np.random.Generator) -> Scene:
    """Light the object from behind by a warm, weaker lamp under the evening sky."""
    side = float(rng.uniform(-1, 1))
    lamp = {"direction_x": side, "direction_y": 0.8, "direction_z": 0.3, "kelvin": 2500.0, "power": 80.0}
    return replace(changed(scene, light=lamp), environment="sunset")


def other_background(scene: Scene, rng: np.random.Generator) -> Scene:
    """Put a picture in the place of the plain background."""
    return changed(scene, background={"picture": str(rng.choice(_BACKGROUNDS))})


def occluded(scene: Scene, rng: np.random.Generator) -> Scene:
    """Hide two fifths of what is seen of the object behind a panel."""
    return changed(scene, occlusion={"ratio": 0.4, "direction": str(rng.choice(_SIDES))})


def corrupted(scene: Scene, rng: np.random.Generator) -> Scene:
    """Corrupt the picture as in ImageNet-C, at severity 3."""
    return changed(scene, corruption={"name": str(rng.choice(_CORRUPTIONS)), "severity": 3})


SHIFTS: Mapping[str, Shift] = {
    "pose": unseen_pose,
    "texture": animal_coat,
    "light": other_light,
    "background": other_background,
    "occlusion": occluded,
    "corruption": corrupted,
}
"""What each shifted test set changes; the rest of every scene is that of the test in distribution."""


def changed(scene: Scene, **controls: Mapping[str, Any]) -> Scene:
    """Return a scene with other settings of some controls; those that are not named stay."""
    merged = {name: dict(values) for name, values in scene.controls.items()}
    for name, values in controls.items():
        merged[name] = {**merged.get(name, {}), **values}
    return replace(scene, controls=merged)


def targets(name: str, drawn: Sequence[Factors], *, classes: int) -> np.ndarray:
    """Return what a linear probe of a factor is to predict.

    Args:
        name: One of `FACTORS`.
        drawn: Factors of the pictures.
        classes: Number of objects.

    Returns:
        float64, shape (pictures, numbers): one-hot for object and texture, cosine and sine of the hue, else the number.
    """
    values = np.array([getattr(one, name) for one in drawn])
    if name in ("object", "texture"):
        return np.eye(classes if name == "object" else len(TEXTURES))[values]
    if name == "background":
        return np.stack([np.cos(2 * np.pi * values), np.sin(2 * np.pi * values)], 1)
    return values[:, None].astype(np.float64)
