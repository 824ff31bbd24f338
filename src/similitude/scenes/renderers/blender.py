"""Where Blender is: a Python that can import bpy, or an executable; and how to get one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from similitude.core.errors import SceneError

VARIABLE = "SIMILITUDE_BLENDER_PYTHON"
"""Environment variable with the path of a Python that can import bpy."""

INSTALL = "similitude scenes install cycles"
"""Command that installs it."""

WHEELS = {(3, 11): "bpy>=4.5,<4.6", (3, 13): "bpy>=5.1"}
"""What is installed for each minor version of Python that Blender's wheels are made for."""

_WORKER = Path(__file__).with_name("blender_worker.py")


def blender_command() -> list[str] | None:
    """Return the command that runs the worker in Blender's Python, but for its last arguments; None where there is none.

    The first of: the Python that `SIMILITUDE_BLENDER_PYTHON` names, the one that `install_cycles` made, `blender` on
    the path.

    Raises:
        SceneError: The variable names no file that can be run.
    """
    if told := os.environ.get(VARIABLE):
        if not os.access(told, os.X_OK) or not Path(told).is_file():
            raise SceneError(
                f"{VARIABLE}={told} is no file that can be run. Give it the path of a Python that can import bpy, or "
                f"unset it and run: {INSTALL}"
            )
        return [told, str(_WORKER)]
    if _python(folder()).is_file():
        return [str(_python(folder())), str(_WORKER)]
    if (blender := shutil.which("blender")) is not None:
        return [
            blender,
            "-b",
            "-noaudio",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "-P",
            str(_WORKER),
            "--",
        ]
    return None


@lru_cache(maxsize=8)
def blender_version(python: str) -> str:
    """Return the version of Blender without starting it, "?" where that cannot be said.

    Args:
        python: The first word of `blender_command`.
    """
    if Path(python).name == "blender":
        command = [python, "--version"]
    else:
        command = [python, "-c", "import importlib.metadata as m; print(m.version('bpy'))"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return "?"
    words = done.stdout.split("\n")[0].split()
    return words[-1] if words else "?"


def folder() -> Path:
    """Return the folder of the user's cache that `install_cycles` makes."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "similitude" / "blender"


def install_cycles(*, python: str | None = None) -> Path:
    """Make an environment of its own in the user's cache and install Blender's Python module there, about 900 MB.

    Blender is free software under the GPL; it runs as a process apart, and nothing of it is imported here. What is done
    is printed. An environment that is complete is left as it is.

    Args:
        python: An interpreter that Blender's wheels are made for; by default this one, or one of that name on the path.

    Returns:
        The interpreter to be used, which `blender_command` finds by itself.

    Raises:
        SceneError: No interpreter fits, or the installation failed; what pip said last is told.
    """
    place = _python(folder())
    if place.is_file() and _runs(place):
        print(f"Blender {blender_version(str(place))} is there already: {place}")
        return place
    chosen = python or _interpreter()
    minor = _minor(chosen)
    if minor not in WHEELS:
        raise SceneError(
            f"{chosen} is Python {'.'.join(map(str, minor))}, and Blender's wheels are made for "
            f"{' and '.join('.'.join(map(str, m)) for m in WHEELS)}. Give another: --python python3.11"
        )
    print(f"1. environment in {folder()} by {chosen}", flush=True)
    shutil.rmtree(folder(), ignore_errors=True)
    _run([chosen, "-m", "venv", str(folder())])
    print(
        f"2. pip install '{WHEELS[minor]}' (about 370 MB to fetch, 900 MB on disk; licence: GPL)", flush=True
    )
    try:
        _run([str(place), "-m", "pip", "install", "--quiet", WHEELS[minor]])
        if not _runs(place):
            raise SceneError(
                "bpy was installed but cannot be imported: libraries of the desktop are missing. On Debian: "
                "apt-get install libgl1 libxi6 libsm6 libxrender1 libxkbcommon0"
            )
    except SceneError:
        shutil.rmtree(folder(), ignore_errors=True)  # half an installation would be taken for a whole one
        raise
    blender_version.cache_clear()
    print(f"3. Blender {blender_version(str(place))} is ready: {place}", flush=True)
    return place


def _python(root: Path) -> Path:
    return root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _interpreter() -> str:
    if sys.version_info[:2] in WHEELS:
        return sys.executable
    for major, minor in WHEELS:
        if (found := shutil.which(f"python{major}.{minor}")) is not None:
            return found
    raise SceneError(
        f"Blender's wheels are made for Python {' and '.join('.'.join(map(str, m)) for m in WHEELS)}; this is "
        f"{sys.version_info[0]}.{sys.version_info[1]}, and there is none of them on the path. Install one, or Blender "
        "itself: apt-get install blender"
    )


def _minor(python: str) -> tuple[int, int]:
    done = _run([python, "-c", "import sys; print(*sys.version_info[:2])"])
    major, minor = done.split()
    return int(major), int(minor)


def _runs(python: Path) -> bool:
    done = subprocess.run([str(python), "-c", "import bpy"], capture_output=True, check=False)
    return done.returncode == 0


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SceneError(f"{command[0]} cannot be run: {error.strerror}.") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise SceneError(f"`{' '.join(command)}` failed with status {done.returncode}: {said}")
    return done.stdout
