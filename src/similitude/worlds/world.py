"""A world as pure data: terrain, what stands and moves on it, where the agent starts, and how it can be solved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.arrayfile import npz_path, write_arrays
from similitude.worlds.budget import Value

VERSION = "isle-1"
"""Version of worlds and dynamics; scores of different versions are not comparable."""

SOLID_FIELDS = ("x", "y", "z", "cos", "sin", "half_x", "half_y", "half_z", "shape", "color", "climbs")
"""Columns of `World.solids`, in the order of `engine.columns`."""

THING_FIELDS = (
    *("kind", "x", "y", "z", "cos", "sin", "half_x", "half_y", "half_z"),
    *("mass", "state", "energy", "points", "link", "opens"),
)
"""Columns of `World.things`."""


@dataclass(frozen=True)
class Step:
    """One step of a solution: what an agent does that knows everything.

    What the steps with a thing mean:

    - "take": grasp `thing` from where the walk before it ended; `at[0]`, where given, is the point to grasp.
    - "place": let go of the held `thing` so that its centre comes to rest at `at[0]` (x, y, z); `at[1]`, where given, is
      a point to which its own long axis then points (a log across a gap).
    - "push": walk against `thing` along the points (x, y) of `at`, which its centre follows; after the
      last but one it falls by itself to the last, if that has a z (down in a chasm).
    - "throw": throw `thing` from `at[0]` at the animal `target` until it is dead; any other tool will do as well.
    - "strike": go to the animal `target` with `thing` in the hand, or await it, until it is dead.
    - "throw" without a target: `thing` is a closed food that opens when it is thrown hard at the ground, near `at[0]`.
    - "strike" at a food: hit the closed food `target` with the rock `thing` until it is open.
    - "eat": go to `thing`, take it and eat it.

    Attributes:
        do: "walk", "jump", "climb", "drop", "take", "place", "push", "throw", "strike", "unlock", "open", "eat", "wait".
        at: Where, as (x, y) or (x, y, z): for "walk" and "climb" the points of a path, one after the other.
        thing: Index of the thing that it is about, or -1.
        target: Index of the thing that it is aimed at, or -1.
    """

    do: str
    at: tuple[tuple[float, ...], ...] = ()
    thing: int = -1
    target: int = -1

    def to_list(self) -> list[Any]:
        """Return plain data for JSON."""
        return [self.do, [list(point) for point in self.at], self.thing, self.target]


@dataclass(frozen=True, eq=False)
class World:
    """A world: (task, difficulty, seed) names it, and its bytes are the same on every machine.

    Its arrays cannot be written to: a world that is at hand is played by many.

    Attributes:
        task: Name of the task.
        difficulty: In [0, 1].
        seed: Whole number.
        height: Heights of the terrain's corners in units of 1/128 m, int16, (n, n); rows along y, columns along x, 0.5 m
            apart, the middle of the map at x = y = 0. The sea stands at 0.
        ground: Biome of every cell, plus 128 where it can be climbed, uint8, (n, n).
        solids: What never moves, float32, (s, 11), columns `SOLID_FIELDS`.
        things: What can move, float32, (k, 15), columns `THING_FIELDS`.
        spawn: Where the agent's feet start and which way it looks: x, y, z in metres, cos and sin of the yaw.
        parameters: Every choice of the generator by name.
        solution: Steps with which it can be solved.
    """

    task: str
    difficulty: float
    seed: int
    height: np.ndarray
    ground: np.ndarray
    solids: np.ndarray
    things: np.ndarray
    spawn: tuple[float, float, float, float, float]
    parameters: Mapping[str, Value] = field(default_factory=dict)
    solution: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            kept = getattr(self, name).view()  # what the caller holds stays as it was
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)

    @property
    def size(self) -> int:
        """Corners per side."""
        return self.height.shape[0]

    @property
    def name(self) -> str:
        """Task, difficulty and seed as one word."""
        return f"{self.task}-{self.difficulty:g}-{self.seed}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it, as 64 hexadecimal digits."""
        total = hashlib.sha256(_text(self).encode())
        for name, kind in _ARRAYS.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=kind)
            total.update(f"{name}{array.shape}".encode())
            total.update(array.tobytes())
        return total.hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write it to one compressed npz file; the same world always gives the same bytes.

        Returns:
            The file, with the suffix .npz.
        """
        target = npz_path(path)
        arrays = {
            name: np.ascontiguousarray(getattr(self, name), dtype=kind) for name, kind in _ARRAYS.items()
        }
        arrays["text"] = np.frombuffer(_text(self).encode(), dtype=np.uint8)
        arrays["digest"] = np.frombuffer(self.digest.encode(), dtype=np.uint8)
        write_arrays(target, arrays)
        return target

    @classmethod
    def load(cls, path: str | Path) -> World:
        """Read what `save` wrote.

        Raises:
            WorldError: The file is not there, broken, of another version, or not a world.
        """
        from similitude.worlds.worldfile import read

        return read(Path(path))


_ARRAYS: Mapping[str, str] = {"height": "<i2", "ground": "|u1", "solids": "<f4", "things": "<f4"}
"""Arrays of a world with their types, little-endian everywhere."""


def _text(world: World) -> str:
    content = {
        "version": VERSION,
        "task": world.task,
        "difficulty": world.difficulty,
        "seed": world.seed,
        "spawn": list(world.spawn),
        "parameters": dict(world.parameters),
        "solution": [step.to_list() for step in world.solution],
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def checked_name(difficulty: float, seed: int) -> tuple[float, int]:
    """Return difficulty and seed as they are kept.

    Raises:
        WorldError: The difficulty is not in [0, 1], or the seed is not a whole number of 0 or more.
    """
    if isinstance(difficulty, bool) or not isinstance(difficulty, (int, float, np.floating, np.integer)):
        raise WorldError(f"the difficulty {difficulty!r} is not a number. Give one from 0 to 1.")
    if not 0.0 <= float(difficulty) <= 1.0:
        raise WorldError(
            f"the difficulty {difficulty!r} is not in [0, 1]: 0 is the easiest world, 1 the hardest."
        )
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise WorldError(f"the seed {seed!r} is not a whole number. Give one, such as seed=0.")
    if not 0 <= int(seed) < 2**63:
        raise WorldError(f"the seed {seed} is not in [0, 2**63).")
    return float(difficulty) + 0.0, int(seed)  # -0.0, which equals 0.0 and draws other numbers, becomes 0.0
