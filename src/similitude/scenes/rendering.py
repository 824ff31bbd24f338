"""From a scene to its picture: controls arrange a stage, a renderer draws it, effects develop the picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.controls.catalog import in_order
from similitude.scenes.controls.control import Picture, PictureControl, StageControl
from similitude.scenes.frame import Frame
from similitude.scenes.renderers.open_renderers import opened
from similitude.scenes.renderers.renderer import Renderer
from similitude.scenes.scene import Scene
from similitude.scenes.stage import Environment, Placed, Stage

GREY = 0.6
"""Background where neither a control nor a visible environment gives one, in sRGB."""


def stage_of(scene: Scene) -> Stage:
    """Return all that a renderer needs for a scene.

    Raises:
        SceneError: The object cannot be found, or a control cannot have such settings for it.
    """
    from similitude.scenes.objects.catalog import find_object

    model = find_object(scene.object)
    stage = Stage(Placed(scene.object), environment=Environment(scene.environment))
    for _, control, values in in_order(scene.controls):
        if isinstance(control, StageControl):
            stage = control.arrange(stage, values, model)
    return stage


def stage_digest(stage: Stage) -> str:
    """Return the SHA-256 of all that a stage is made of: its numbers, and the contents of the files that it names."""
    from similitude.scenes.assets.environments import environment_digest
    from similitude.scenes.assets.textures import texture_digest
    from similitude.scenes.objects.catalog import find_object

    parts = [json.dumps(stage.to_dict()), environment_digest(stage.environment.name)]
    for placed in stage.placed:
        model = find_object(placed.model)
        parts.append(model.digest)
        materials = [placed.material] if placed.material else [mesh.material for mesh in model.meshes]
        for material in materials:
            if material.texture is not None and material.texture not in model.textures:
                parts.append(texture_digest(material.texture))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def render(scene: Scene, renderer: str | Renderer = "raster") -> Frame:
    """Return the picture of a scene.

    Args:
        scene: What is seen.
        renderer: "raster", "cycles", "mitsuba" (made once in a process and kept open), or a renderer of your own.

    Returns:
        The frame; its colours are on the background and rounded to 8 bits, as in a file.

    Raises:
        SceneError: The scene names what is not there, or the renderer is not installed or broke down.
    """
    made = opened(renderer) if isinstance(renderer, str) else renderer
    stage = stage_of(scene)
    frame = made.draw(stage, resolution=scene.resolution, samples=scene.samples)
    return develop(scene, stage, frame)


def develop(scene: Scene, stage: Stage, frame: Frame) -> Frame:
    """Put a renderer's frame on its background and apply the effects of a scene.

    Raises:
        SceneError: The frame has colours that are not finite.
    """
    from similitude.scenes.assets.environments import backdrop

    if not np.isfinite(frame.rgb).all():
        raise SceneError("the renderer gave colours that are not finite: the picture cannot be used.")
    size = frame.resolution
    if stage.environment.visible:
        behind = backdrop(stage.environment, stage.camera, size)
    else:
        behind = np.full((*size, 3), GREY, np.float32)
    picture = Picture(frame, behind, scene.noise_seed)
    for _, control, values in in_order(scene.controls):
        if isinstance(control, PictureControl):
            picture = control.develop(picture, values)
    return replace(picture.frame, rgb=picture.composed).quantized()
