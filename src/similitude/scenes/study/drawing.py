"""Jobs of an engine: a few scenes are drawn and developed, each of which may fail alone."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from similitude.core.errors import SceneError
from similitude.runs.engine import one_line
from similitude.scenes.frame import Frame
from similitude.scenes.renderers.open_renderers import opened
from similitude.scenes.renderers.renderer import Renderer
from similitude.scenes.rendering import develop, stage_digest, stage_of
from similitude.scenes.scene import Scene
from similitude.scenes.stage import Stage


@dataclass(frozen=True, eq=False)
class Drawn:
    """What became of a scene.

    Attributes:
        frame: Its developed picture; None where it failed.
        key: Digest of all that the raw frame depends on, under which it is kept.
        raw: The raw frame as a file, where it is new; None where it was there already.
        labels: Names of the classes that are right for the object.
        seconds: What drawing and developing took.
        error: Why there is no picture; empty where there is one.
    """

    frame: Frame | None = None
    key: str = ""
    raw: bytes | None = None
    labels: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""


def draw_scenes(scenes: Sequence[Scene], *, renderer: str | Renderer, frames: str | None) -> list[Drawn]:
    """Draw scenes; what one of them raises is in its place.

    Args:
        scenes: The scenes.
        renderer: A renderer, or its name: then one is made in this process, and kept open.
        frames: Folder of raw frames that were drawn before; None where none are kept.
    """
    made = opened(renderer) if isinstance(renderer, str) else renderer
    return [draw_scene(scene, made, None if frames is None else Path(frames)) for scene in scenes]


def draw_scene(scene: Scene, renderer: Renderer, frames: Path | None) -> Drawn:
    """Draw and develop a scene, from the raw frame where there is one."""
    from similitude.scenes.objects.catalog import find_object

    started = time.monotonic()
    try:
        stage = stage_of(scene)
        key = frame_key(stage, renderer, scene)
        raw = None if frames is None else _kept(frames / f"{key}.npz")
        new = raw is None
        if raw is None:
            raw = _drawn(scene, stage, renderer).to_bytes()
        # From the file's precision on, so that a picture drawn again from it is the same.
        frame = develop(scene, stage, Frame.from_bytes(raw))
        labels = find_object(scene.object).labels
    except Exception as error:  # whatever a renderer or a file of the user's raises
        return Drawn(error=one_line(error), seconds=time.monotonic() - started)
    return Drawn(frame, key, raw if new else None, labels, time.monotonic() - started)


def _drawn(scene: Scene, stage: Stage, renderer: Renderer) -> Frame:
    frame = renderer.draw(stage, resolution=scene.resolution, samples=scene.samples)
    if not (np.isfinite(frame.rgb).all() and np.isfinite(frame.alpha).all()):
        raise SceneError(
            f"the renderer {renderer.name} gave colours that are not finite: the picture cannot be used."
        )
    return frame


def frame_key(stage: Stage, renderer: Renderer, scene: Scene) -> str:
    """Return the digest of all that a raw frame depends on."""
    parts = [stage_digest(stage), renderer.name, renderer.version, scene.resolution, scene.samples]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _kept(place: Path) -> bytes | None:
    try:
        raw = place.read_bytes()
        Frame.from_bytes(raw)
    except Exception:  # not there, or torn by whatever killed its writer: it is drawn again
        return None
    return raw
