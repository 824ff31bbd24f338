"""Reading world files: everything in them is checked before it is used, and nothing is unpickled."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.kinds import COLORS, KINDS
from similitude.worlds.tasks.catalog import TASKS
from similitude.worlds.world import SOLID_FIELDS, THING_FIELDS, VERSION, Step, World, checked_name
from similitude.worlds.worldbounds import flaws

LARGEST = 16 * 2**20
"""Most bytes of one array: a map of 2,048 corners per side has half of them."""
LARGEST_NUMBER = 2**63
"""Largest whole number in the text; larger ones are no floats."""
MAP = (32, 2048)
"""Fewest and most corners per side of a map."""
MOST = 4096
"""Most solids, things or steps."""
_TYPES = {"height": "<i2", "ground": "|u1", "solids": "<f4", "things": "<f4", "text": "|u1", "digest": "|u1"}
_KEYS = {"version", "task", "difficulty", "seed", "spawn", "parameters", "solution"}
AGAIN = "Make the world again: make_world(task, difficulty, seed).save(path)."


def read(path: Path) -> World:
    """Read a world from what `World.save` wrote.

    Args:
        path: An npz file.

    Raises:
        WorldError: There is no such file, it is no archive or a truncated one, an array is missing or of another type or
            shape, numbers are not finite, the version is another, or the content does not have the digest stored with it.
    """
    try:
        arrays = _arrays(path)
    except FileNotFoundError:
        raise WorldError(f"there is no world file {str(path)!r}. {AGAIN}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise WorldError(f"the world file {str(path)!r} cannot be read: {error.strerror}.") from None
    # a directory that was changed leads to places before the file's beginning: OSError, ValueError
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
    ) as error:
        raise WorldError(
            f"{str(path)!r} is no world file: it is not a whole npz archive ({error}). {AGAIN}"
        ) from None
    try:
        world = _world(arrays)
    except _BrokenError as flaw:
        raise WorldError(f"the world file {str(path)!r} is broken: {flaw}. {AGAIN}") from None
    return world


class _BrokenError(Exception):
    """What is wrong with a file, as the middle of a sentence."""


def _arrays(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        wanted = [f"{name}.npy" for name in _TYPES]
        if set(members) != set(wanted):
            raise WorldError(
                f"{str(path)!r} is no world file: it holds {sorted(members)[:8]}, not {sorted(wanted)}. {AGAIN}"
            )
        for name, kind in _TYPES.items():
            info = members[f"{name}.npy"]
            with archive.open(info) as stream:
                data = stream.read(LARGEST + 1)
            if info.file_size > LARGEST or len(data) > LARGEST:
                raise WorldError(
                    f"the array {name!r} of {str(path)!r} is larger than {LARGEST >> 20} MiB, and no world's is. {AGAIN}"
                )
            try:
                arrays[name] = _array(data, kind)
            except _BrokenError as flaw:
                raise WorldError(f"the array {name!r} of {str(path)!r} is broken: {flaw}. {AGAIN}") from None
    return arrays


def _array(data: bytes, kind: str) -> np.ndarray:
    """Return an array from the bytes of an npy file; what its header says is checked against their number."""
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise _BrokenError("it is of another version of the npy format than 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TypeError) as error:
        raise _BrokenError(f"it has no npy header ({str(error).splitlines()[0]})") from None
    if fortran or dtype.hasobject or dtype != np.dtype(kind):
        raise _BrokenError(f"its type is {dtype}, not {np.dtype(kind)}")
    body = data[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise _BrokenError(
            f"its shape {shape} takes {math.prod(shape) * dtype.itemsize} bytes, and there are {len(body)}"
        )
    return np.frombuffer(body, dtype=dtype).reshape(shape)


def _world(arrays: dict[str, np.ndarray]) -> World:
    height, ground, solids, things = (arrays[name] for name in ("height", "ground", "solids", "things"))
    n = height.shape[0] if height.ndim == 2 else 0
    if height.shape != (n, n) or n % 2 or not MAP[0] <= n <= MAP[1]:
        raise _BrokenError(
            f"heights have the shape {height.shape}, not (n, n) with an even n from {MAP[0]} to {MAP[1]}"
        )
    if ground.shape != (n, n):
        raise _BrokenError(f"ground has the shape {ground.shape}, and the heights {height.shape}")
    for name, rows, fields in (("solids", solids, SOLID_FIELDS), ("things", things, THING_FIELDS)):
        if rows.ndim != 2 or rows.shape[1] != len(fields) or len(rows) > MOST:
            raise _BrokenError(
                f"{name} have the shape {rows.shape}, not (up to {MOST}, {len(fields)}): {', '.join(fields)}"
            )
        bad = np.argwhere(~np.isfinite(rows))
        if len(bad):
            row, column = bad[0].tolist()
            raise _BrokenError(
                f"{fields[column]} of {name}[{row}] is {rows[row, column]}, not a finite number"
            )
    _numbered(solids, SOLID_FIELDS.index("shape"), 3, "the shape of a solid")
    _numbered(solids, SOLID_FIELDS.index("color"), len(COLORS), "the colour of a solid")
    _numbered(things, THING_FIELDS.index("kind"), len(KINDS), "the kind of a thing")
    _numbered(things, THING_FIELDS.index("link"), len(things), "the link of a thing", low=-1)
    text = _text(arrays["text"])
    world = World(
        task=text["task"],
        difficulty=text["difficulty"],
        seed=text["seed"],
        height=height.astype(np.int16),
        ground=ground.astype(np.uint8),
        solids=solids.astype(np.float32),
        things=things.astype(np.float32),
        spawn=text["spawn"],
        parameters=text["parameters"],
        solution=tuple(_step(step, len(things)) for step in text["solution"]),
    )
    digest = bytes(arrays["digest"].tobytes()).decode("ascii", "replace")
    if world.digest != digest:
        raise _BrokenError(
            f"its content has the digest {world.digest[:12]}..., and {digest[:12]}... was stored with it: it was changed"
        )
    for flaw in flaws(world):
        raise _BrokenError(flaw)
    return world


def _numbered(rows: np.ndarray, column: int, count: int, name: str, *, low: int = 0) -> None:
    values = rows[:, column]
    bad = (values < low) | (values >= max(count, low + 1)) | (values != np.floor(values))
    if bad.any():
        raise _BrokenError(f"{name} is {values[bad][0]:g}, not a whole number from {low} to {count - 1}")


def _text(array: np.ndarray) -> dict[str, Any]:
    try:
        text = json.loads(array.tobytes().decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _BrokenError(f"its text is not JSON ({error})") from None
    if not isinstance(text, dict) or "version" not in text:
        raise _BrokenError("its text has no version")
    if text["version"] != VERSION:
        raise _BrokenError(f"it is of version {text['version']!r}, and this release reads {VERSION!r}")
    if set(text) != _KEYS:
        raise _BrokenError(f"its text has the keys {sorted(text)}, not {sorted(_KEYS)}")
    if text["task"] not in TASKS:
        raise _BrokenError(f"its task {text['task']!r} is none of {', '.join(TASKS)}")
    try:
        text["difficulty"], text["seed"] = checked_name(text["difficulty"], text["seed"])
    except WorldError as error:
        raise _BrokenError(str(error).rstrip(".")) from None
    spawn, parameters = text["spawn"], text["parameters"]
    if not isinstance(spawn, list) or len(spawn) != 5 or not all(map(_is_number, spawn)):
        raise _BrokenError(f"its spawn is {spawn!r}, not five finite numbers: x, y, z, cos, sin")
    if not isinstance(parameters, dict) or not all(
        isinstance(value, (str, bool)) or _is_number(value) for value in parameters.values()
    ):
        raise _BrokenError("its parameters are not numbers, truth values and texts by name")
    if not isinstance(text["solution"], list) or len(text["solution"]) > MOST:
        raise _BrokenError(f"its solution is not a list of at most {MOST} steps")
    text["spawn"] = tuple(map(float, spawn))
    return text


def _is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= LARGEST_NUMBER if isinstance(value, int) else math.isfinite(value)


def _step(step: object, things: int) -> Step:
    match step:
        case [str(do), list(at), int(thing), int(target)] if max(thing, target) < things:
            whole = not isinstance(thing, bool) and not isinstance(target, bool)
            if whole and all(isinstance(point, list) and all(map(_is_number, point)) for point in at):
                return Step(do, tuple(tuple(map(float, point)) for point in at), thing, target)
    raise _BrokenError(f"its solution has the step {str(step)[:80]}, not [do, points, thing, target]")
