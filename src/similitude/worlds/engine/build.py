"""Make the engine run: as plain Python, or the same text compiled by numba."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from similitude.core.errors import WorldError

MODULES = (
    *("constants", "columns", "ground", "passage", "falling", "body", "climbing", "hands", "grasping"),
    *("items", "animals", "doors", "scoring", "step"),
)
"""The physics' modules, each after those that it uses."""

CAMERA = ("view",)
"""The camera's modules."""


@dataclass(frozen=True)
class Engine:
    """An engine that runs.

    Attributes:
        name: "plain" or "numba".
        step: Moves environments lo to hi on by one frame: (lo, hi, height, ground, meta, solids, things, body, hands,
            action).
        view: Draws what environments lo to hi see: (lo, hi, height, coarse, colors, meta, solids, things, body, hands,
            palette, solid_palette, depth, images).
    """

    name: str
    step: Callable[..., None]
    view: Callable[..., None]


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


def engine(backend: str) -> Engine:
    """Return the engine of a backend.

    Raises:
        WorldError: There is no such backend, or what it needs is not installed.
    """
    if backend == "plain":
        return plain()
    raise WorldError(f"no backend {backend!r}: use numba, plain or warp.")
