"""Blender's path tracer Cycles, in a process of Blender's own Python."""

from __future__ import annotations

from typing import Any

from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.renderers.blender import INSTALL, VARIABLE, blender_command
from similitude.scenes.renderers.remote import Remote, threads
from similitude.scenes.renderers.versions import cycles_version
from similitude.scenes.stage import Stage

SAMPLES = 8
"""Samples per pixel where nothing else is asked for; noise is taken away afterwards."""


class Cycles:
    """Draws stages with Blender's Cycles, in one process that is started with the first picture.

    Args:
        threads: Of the process; None for `OMP_NUM_THREADS`, or else as many as there are processors for this one.
        denoise: Whether Intel's Open Image Denoise goes over the picture.
        limit: Seconds that a picture may take.

    Raises:
        SceneError: There is no Blender.
    """

    name = "cycles"

    def __init__(self, *, threads: int | None = None, denoise: bool = True, limit: float = 300.0) -> None:
        self._told = (threads, denoise, limit)
        _command()
        self._remote = Remote(
            "cycles",
            _command,
            help=f"It needs a Python that can import bpy: {INSTALL}, or set {VARIABLE}.",
            limit=limit,
        )

    @property
    def version(self) -> str:
        """Version of this module and of Blender."""
        return cycles_version(denoised=self._told[1]) or "?"

    @property
    def pid(self) -> int | None:
        """Number of the process; None before the first picture and after `close`."""
        return self._remote.pid

    def draw(self, stage: Stage, *, resolution: int, samples: int | None = None) -> Frame:
        """Draw a stage; see `Renderer.draw`."""
        options = {"threads": self._told[0] or threads(), "denoise": self._told[1]}
        return self._remote.draw(stage, resolution=resolution, samples=samples or SAMPLES, options=options)

    def close(self) -> None:
        """End the process; the next picture starts a new one."""
        self._remote.close()

    def __reduce__(self) -> Any:
        """Copies in other processes have processes of their own."""
        return _made, self._told


def _made(threads: int | None, denoise: bool, limit: float) -> Cycles:
    return Cycles(threads=threads, denoise=denoise, limit=limit)


def _command() -> list[str]:
    command = blender_command()
    if command is None:
        raise SceneError(
            f"the renderer cycles is not installed: there is no Blender. Install it: {INSTALL}, or set {VARIABLE} to a "
            "Python that can import bpy."
        )
    return command
