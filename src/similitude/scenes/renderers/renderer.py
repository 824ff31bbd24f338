"""What a renderer is, and where the known ones are found."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.stage import Stage


class Renderer(Protocol):
    """Draws stages; the picture depends on the stage, the resolution and the samples alone."""

    @property
    def name(self) -> str:
        """Its name in commands."""
        ...

    @property
    def version(self) -> str:
        """Version of what draws; stored pictures of another one are not used."""
        ...

    def draw(self, stage: Stage, *, resolution: int, samples: int | None = None) -> Frame:
        """Draw a stage.

        Args:
            stage: What there is.
            resolution: Rows and columns.
            samples: Samples per pixel; None for its own choice.

        Returns:
            The frame, its colours over black (each times its alpha), background left out.

        Raises:
            SceneError: The stage names what is not there, or the renderer broke down.
        """
        ...

    def close(self) -> None:
        """End the processes that it holds; it may be used again."""
        ...


@dataclass(frozen=True)
class RendererEntry:
    """A renderer that is known.

    Attributes:
        name: Its name in commands.
        summary: What it is, in a line.
        home: "module:class", made without arguments.
        install: The line that installs it.
    """

    name: str
    summary: str
    home: str
    install: str


RENDERERS = {
    entry.name: entry
    for entry in (
        RendererEntry(
            "raster",
            "rays against Embree's trees, shading by numpy: for large sweeps",
            "similitude.scenes.renderers.raster:Raster",
            "pip install 'similitude[scenes]'",
        ),
        RendererEntry(
            "cycles",
            "Blender's path tracer, in a process of its own interpreter",
            "similitude.scenes.renderers.cycles:Cycles",
            "similitude scenes install cycles",
        ),
        RendererEntry(
            "mitsuba",
            "Mitsuba 3, a path tracer",
            "similitude.scenes.renderers.mitsuba:Mitsuba",
            "pip install mitsuba",
        ),
    )
}
"""Renderers by name."""


def missing(name: str) -> str | None:
    """Return why a renderer cannot be used and how that is changed, in a sentence or two; None where it can.

    Nothing is started: an installation that is broken is only noticed by the first picture.

    Raises:
        SceneError: There is none of that name.
    """
    try:
        renderer_named(name).close()
    except SceneError as error:
        _entry(name)
        return str(error)
    return None


def renderer_named(name: str) -> Renderer:
    """Return a renderer.

    Raises:
        SceneError: There is none of that name, or it is not installed; the line that installs it is said.
    """
    entry = _entry(name)
    module, _, cls = entry.home.partition(":")
    try:
        return getattr(import_module(module), cls)()
    except ImportError as error:
        raise SceneError(
            f"the renderer {name} is not installed ({error}). Install it: {entry.install}"
        ) from error


def _entry(name: str) -> RendererEntry:
    if name not in RENDERERS:
        raise SceneError(
            f"there is no renderer {name!r}. "
            + did_you_mean(name, RENDERERS)
            + f"There are: {', '.join(RENDERERS)}."
        )
    return RENDERERS[name]
