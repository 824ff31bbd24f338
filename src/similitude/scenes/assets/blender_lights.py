"""The eight environments that come with Blender under CC0: city, courtyard, forest, interior, night and others."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError

PREFIX = "blender:"
"""How their names begin, as in "blender:forest"."""

_FOLDERS = ("*/datafiles/studiolights/world", "datafiles/studiolights/world")
_FIND = "import importlib.util as u; print(u.find_spec('bpy').submodule_search_locations[0])"
_ASK = "import bpy; print('AT', bpy.utils.resource_path('SYSTEM') or bpy.utils.resource_path('LOCAL'))"


def blender_light(name: str) -> Path:
    """Return the file of one of Blender's environments.

    Args:
        name: Without the "blender:" before it.

    Raises:
        SceneError: Blender is not installed, or has no such environment.
    """
    from similitude.scenes.renderers.blender import INSTALL, blender_command

    command = blender_command()
    if command is None:
        raise SceneError(
            f"the environment '{PREFIX}{name}' comes with Blender, which is not installed. Install it: {INSTALL}"
        )
    found = _lights(command[0])
    if name not in found:
        raise SceneError(
            f"Blender has no environment {name!r}. "
            + did_you_mean(name, found)
            + (f"It has {', '.join(found)}." if found else "It has none.")
        )
    return found[name]


@lru_cache(maxsize=4)
def _lights(program: str) -> dict[str, Path]:
    """Return the files of the environments by name, for a Python with bpy or for Blender itself."""
    itself = Path(program).name.startswith("blender")
    arguments = ["-b", "--factory-startup", "--python-expr", _ASK] if itself else ["-c", _FIND]
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = [
        line.removeprefix("AT ") for line in done.stdout.splitlines() if not itself or line.startswith("AT ")
    ]
    root = Path(lines[-1]) if lines else Path()
    files = [file for folder in _FOLDERS for place in root.glob(folder) for file in place.glob("*.exr")]
    return {file.stem: file for file in sorted(files)}
