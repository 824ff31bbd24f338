"""Mitsuba 3, a path tracer, in a process of its own: what ends it does not end a study."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.renderers.remote import Remote, threads
from similitude.scenes.renderers.versions import mitsuba_version
from similitude.scenes.stage import Stage

SAMPLES = 16
"""Samples per pixel where nothing else is asked for; there is no denoiser without an NVIDIA card."""

INSTALL = "pip install mitsuba"


class Mitsuba:
    """Draws stages with Mitsuba 3, always by its plain variant `scalar_rgb`.

    The variant that compiles with LLVM is never taken: with some versions of LLVM it ends the whole process.

    Args:
        threads: Of the process; None for `OMP_NUM_THREADS`, or else as many as there are processors for this one.
        limit: Seconds that a picture may take.

    Raises:
        SceneError: It is not installed.
    """

    name = "mitsuba"

    def __init__(self, *, threads: int | None = None, limit: float = 300.0) -> None:
        self._told = (threads, limit)
        if find_spec("mitsuba") is None:
            raise SceneError(f"the renderer mitsuba is not installed. Install it: {INSTALL}")
        self._remote = Remote("mitsuba", _command, help=f"Install it again: {INSTALL}", limit=limit)

    @property
    def version(self) -> str:
        """Version of this module and of Mitsuba."""
        return mitsuba_version() or "?"

    @property
    def pid(self) -> int | None:
        """Number of the process; None before the first picture and after `close`."""
        return self._remote.pid

    def draw(self, stage: Stage, *, resolution: int, samples: int | None = None) -> Frame:
        """Draw a stage; see `Renderer.draw`."""
        options = {"threads": self._told[0] or threads()}
        return self._remote.draw(stage, resolution=resolution, samples=samples or SAMPLES, options=options)

    def close(self) -> None:
        """End the process; the next picture starts a new one."""
        self._remote.close()

    def __reduce__(self) -> Any:
        """Copies in other processes have processes of their own."""
        return _made, self._told


def _made(threads: int | None, limit: float) -> Mitsuba:
    return Mitsuba(threads=threads, limit=limit)


def _command() -> list[str]:
    return [sys.executable, "-m", "similitude.scenes.renderers.mitsuba_worker"]
