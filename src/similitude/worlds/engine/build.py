"""Make the engine run: as plain Python, or the same text compiled by numba."""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from similitude.core.errors import WorldError
from similitude.worlds.engine.text import bundle

STATE = "height, ground, meta, solids, things, body, hands, action"
SCENE = (
    "height, coarse, colors, meta, solids, things, body, hands, palette, solid_palette, scene, depth, image"
)

JIT = '@numba.njit(nogil=True, error_model="numpy", fastmath=False, _nrt=False, {how})\n'
"""No fast math: every machine and backend shall round alike. No run time: the text allocates nothing, and counting the
references of all arrays at every call takes half of the time."""

INNER = "no_cpython_wrapper=True, no_cfunc_wrapper=True"
"""Functions that only compiled ones call compile a quarter sooner without entries from Python."""

RANGE = """
def {name}_range(lo, hi, {arrays}):
    for e in range(lo, hi):
        {name}(e, {arrays})
"""


_IMPORTING = threading.Lock()


@dataclass(frozen=True)
class Engine:
    """An engine that runs.

    Attributes:
        name: "plain", "numba" or "warp".
        step: Moves environments lo to hi on by one frame: (lo, hi, height, ground, meta, solids, things, body, hands,
            action).
        view: Draws what environments lo to hi see: (lo, hi, height, coarse, colors, meta, solids, things, body, hands,
            palette, solid_palette, scene, depth, image); scene and depth are scratch space.
        loaded: Told of an environment that has a new world, for engines that keep arrays elsewhere.
    """

    name: str
    step: Callable[..., None]
    view: Callable[..., None]
    loaded: Callable[[int], None] = lambda e: None


def engine(backend: str) -> Engine:
    """Return the engine of a backend.

    Raises:
        WorldError: There is no such backend, or what it needs is not installed.
    """
    if backend == "plain":
        return plain()
    if backend == "numba":
        return compiled()
    if isinstance(backend, str) and backend.partition(":")[0] == "warp":
        from similitude.worlds.engine.warp_build import warped

        return warped(backend.partition(":")[2])
    raise WorldError(f"there is no backend {backend!r}: use numba (compiled), plain (Python, slow) or warp.")


@functools.cache
def plain() -> Engine:
    """Return the engine as plain Python: slow, and what the others are held to."""

    def step_range(lo: int, hi: int, *arrays: Any) -> None:
        from similitude.worlds.engine.step import step

        for e in range(lo, hi):
            step(e, *arrays)

    def view_range(lo: int, hi: int, *arrays: Any) -> None:
        from similitude.worlds.engine.view import view

        for e in range(lo, hi):
            view(e, *arrays)

    return Engine("plain", step_range, view_range)


@functools.cache
def compiled() -> Engine:
    """Return the engine compiled by numba; the first call of each part compiles it, later processes find it cached.

    Raises:
        WorldError: numba is not installed.
    """
    if importlib.util.find_spec("numba") is None:
        raise WorldError(
            "the compiled engine needs numba, which is not installed: pip install 'similitude[worlds]', or take "
            'backend="plain" (some hundred times slower).'
        )

    def step_range(*arguments: Any) -> None:
        _module("step").step_range(*arguments)

    def view_range(*arguments: Any) -> None:
        _module("view").view_range(*arguments)

    return Engine("numba", step_range, view_range)


def numba_text(part: str) -> str:
    """Return the text that numba compiles for "step" or "view"."""
    text = bundle(part).replace("import math\n", "import math\n\nimport numba\n", 1)
    text = re.sub(r"^(?=def )", JIT.format(how=INNER), text, flags=re.MULTILINE)
    arrays = SCENE if part == "view" else STATE
    return text + "\n\n" + JIT.format(how="cache=True") + RANGE.format(name=part, arrays=arrays).lstrip()


def _module(part: str) -> ModuleType:
    """Import the compiled text of a part, once also where threads ask for it together."""
    with _IMPORTING:
        return _imported(part)


@functools.cache
def _imported(part: str) -> ModuleType:
    text = numba_text(part)
    name = f"{part}_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    path = stored(f"{name}.py", text)
    spec = importlib.util.spec_from_file_location(f"similitude_engine_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def stored(name: str, text: str) -> Path:
    """Return a file with this text in the user's cache, or in a folder of this process where that cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    folder = (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "similitude" / "engine"
    try:
        return _write(folder / name, text)
    except OSError:
        return _write(Path(_scratch()) / name, text)


@functools.cache
def _scratch() -> str:
    folder = tempfile.mkdtemp(prefix="similitude-engine-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _write(path: Path, text: str) -> Path:
    """Write a file in one stroke, unless it is there already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        # The compiler writes beside it.
        if os.access(path.parent, os.W_OK):
            return path
        raise PermissionError(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
    return path
