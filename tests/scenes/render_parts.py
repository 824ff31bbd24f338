"""Stages and meshes for tests of renderers, and what closed forms say about them."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.scenes.assets.environments import environment_pixels
from similitude.scenes.frame import Frame
from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.renderers.optics import linear
from similitude.scenes.stage import Camera, Environment, Light, Material, Placed, Stage, ground_at

DARK = Environment("white", strength=0.0)
GREY = 0.735  # sRGB
MATT = Material("matt", (GREY, GREY, GREY), roughness=1.0)
ALBEDO = float(linear(np.float32(GREY)))
ABOVE = Camera(position=(0.1, -0.5, 2.0))


def lamp_stage() -> tuple[Stage, float]:
    """Return a matt sheet under one lamp, and its radiance in the middle by Lambert's law."""
    lamp = Light((0.5, 0.5, 2.0), 60.0, radius=0.1)
    distance = np.sqrt(0.5**2 + 0.5**2 + 2.0**2)
    radiance = 60.0 / (4 * np.pi * distance**2) * (2.0 / distance) * ALBEDO / np.pi
    return Stage(Placed("plane", material=MATT), camera=ABOVE, lights=(lamp,), environment=DARK), float(
        radiance
    )


def sky_stage() -> tuple[Stage, float]:
    """Return a matt ball under even light from all around, and its radiance."""
    even = environment_pixels("white")
    assert np.ptp(even) == 0
    sky = Environment("white", strength=0.9)
    stage = Stage(Placed("ball", material=MATT), camera=Camera(), lights=(), environment=sky)
    return stage, 0.9 * float(even.mean()) * ALBEDO


def crowded_stage() -> Stage:
    """Return a stage that uses what can go wrong: turns, mirrored scale, shift, an occluder, a ground."""
    wood = Material("floor", (0.8, 0.7, 0.6), "checker", "box", 1.0, 1.0)
    sheet = Placed("plane", (0.1, 0.0, 0.1), (0.4, 0.2, -0.6), (1.0, -0.8, 1.0))
    mug = Placed("mug", (-0.2, -0.6, -0.2), (0.0, 0.0, 1.0), (0.4, 0.4, 0.4), segment=2)
    camera = Camera((0.5, -2.2, 1.2), focal_length=60.0, shift=(0.1, -0.05))
    return Stage(sheet, (mug, ground_at(-0.5, wood)), camera=camera)


def middle(frame: Frame) -> float:
    """Return the mean linear light of the pixels in the middle."""
    half = frame.resolution[0] // 2
    return float(linear(frame.rgb[half - 3 : half + 3, half - 3 : half + 3]).mean())


def sheet(name: str = "sheet", *, material: Material | None = None, **textures: np.ndarray) -> ObjectModel:
    """Return a square in the plane of x and z that looks to -y, with textures of its own."""
    v = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]], np.float32)
    f = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    n = np.tile(np.array([0, -1, 0], np.float32), (4, 1))
    mesh = Mesh(v, f, n, v[:, [0, 2]] + np.float32(0.5), material or MATT)
    return ObjectModel(name, (mesh,), textures=textures)


def known(monkeypatch: pytest.MonkeyPatch, *models: ObjectModel) -> None:
    """Let renderers find models by their names, and others in the catalogue."""
    from similitude.scenes.objects.catalog import find_object

    own = {model.name: model for model in models}
    for place in ("raster", "described"):
        monkeypatch.setattr(
            f"similitude.scenes.renderers.{place}.find_object",
            lambda name: own.get(name) or find_object(name),
        )
