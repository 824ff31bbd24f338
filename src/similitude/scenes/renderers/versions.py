"""Versions of renderers, told from what is installed: nothing is started, and nothing heavy imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

RASTER, CYCLES, MITSUBA = "3", "1", "1"
"""Versions of our own drawing with each; raised whenever the same stage gives another picture."""


def raster_version() -> str | None:
    """Return the version of the fast renderer and of Embree's package; None where there is none."""
    return _with(RASTER, "embreex", "embreex")


def mitsuba_version() -> str | None:
    """Return the version of our worker and of Mitsuba; None where there is none."""
    return _with(MITSUBA, "Mitsuba", "mitsuba")


def cycles_version(*, denoised: bool = True) -> str | None:
    """Return the version of our worker and of Blender; None where there is no Blender."""
    from similitude.scenes.renderers.blender import blender_command

    command = blender_command()
    if command is None:
        return None
    return f"{CYCLES}, Blender {_blender(command[0])}" + (", denoised" if denoised else "")


VERSIONS: Mapping[str, Callable[[], str | None]] = {
    "raster": raster_version,
    "cycles": cycles_version,
    "mitsuba": mitsuba_version,
}
"""What says the version of a renderer, by its name."""


def _with(ours: str, name: str, package: str) -> str | None:
    try:
        return f"{ours}, {name} {version(package)}"
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=8)
def _blender(program: str) -> str:
    """Return the version of Blender as its installation says; asked of the program itself where that says nothing."""
    from similitude.scenes.renderers.blender import blender_version

    # bin/python -> lib/python3.11/site-packages
    folders = [str(place) for place in Path(program).parent.parent.glob("lib*/python3*/site-packages")]
    found = next(iter(distributions(name="bpy", path=folders)), None) if folders else None
    return found.version if found is not None else blender_version(program)
