"""Recordings of episodes: a world's name and the actions, which is all that an exact replay needs."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.arrayfile import npz_path, write_arrays
from similitude.worlds.simulation import ACTION
from similitude.worlds.tasks.catalog import checked_task
from similitude.worlds.world import VERSION, checked_name

FORMAT = "isle-recording-1"
"""Version of the files."""
LONGEST = 20_000
"""Most frames of a recording; no episode has more than 9,000."""
_LARGEST = LONGEST * ACTION * 8 + 4096
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("version", "task", "world", "subject", "state"), (str,)),
    **dict.fromkeys(("difficulty", "score"), (int, float)),
    **dict.fromkeys(("seed", "limit"), (int,)),
    "success": (bool,),
}


@dataclass(frozen=True, eq=False)
class Recording:
    """An episode as it was played.

    Attributes:
        task: Task of the world.
        difficulty: Its difficulty.
        seed: Its seed.
        world: Its digest.
        limit: Frames that the episode might take.
        subject: Who played.
        actions: What was done, float64, (frames, 21), in [-1, 1].
        score: Score at the end.
        success: Whether all food had been eaten.
        state: SHA-256 of the bodies, hands and things at the end.
        version: Version of worlds and dynamics.
    """

    task: str
    difficulty: float
    seed: int
    world: str
    limit: int
    subject: str
    actions: np.ndarray
    score: float
    success: bool
    state: str
    version: str = VERSION

    @property
    def frames(self) -> int:
        """Frames that were played."""
        return len(self.actions)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return _digest(self._text(), np.ascontiguousarray(self.actions, dtype="<f8"))

    def save(self, path: str | Path) -> Path:
        """Write it to one compressed npz file, whole or not at all; the same recording always gives the same bytes.

        Args:
            path: The file; the suffix .npz is added where it is missing.

        Returns:
            The file.

        Raises:
            ReportError: It cannot be written.
        """
        from similitude.report.files import replacing

        given = npz_path(path)
        arrays = {
            "actions": np.ascontiguousarray(self.actions, dtype="<f8"),
            "text": np.frombuffer(self._text(), dtype=np.uint8),
            "digest": np.frombuffer(self.digest.encode(), dtype=np.uint8),
        }
        with replacing(given) as (target, temporary):
            write_arrays(temporary, arrays)
            os.replace(temporary, target)
        return given

    @classmethod
    def load(cls, path: str | Path) -> Recording:
        """Read what `save` wrote; nothing in it is run.

        Raises:
            WorldError: The file is not there, broken, changed, or no recording.
        """
        path = Path(path)
        try:
            with zipfile.ZipFile(path) as archive:
                actions, text, digest = (_array(archive, name) for name in ("actions", "text", "digest"))
        except FileNotFoundError:
            raise WorldError(f"there is no recording {str(path)!r}.") from None
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            KeyError,
            ValueError,
            SyntaxError,
        ) as error:
            raise WorldError(f"{str(path)!r} is no whole recording ({_first(error)}).") from None
        except (NotImplementedError, RuntimeError) as error:  # encrypted, or packed in another way
            raise WorldError(f"{str(path)!r} is no recording ({_first(error)}).") from None
        if _digest(text.tobytes(), actions) != digest.tobytes().decode("ascii", "replace"):
            raise WorldError(
                f"the recording {str(path)!r} was changed: its content has another digest than the one stored with it."
            )
        return cls(actions=_checked_actions(actions, path), **_fields(text.tobytes(), path))

    def _text(self) -> bytes:
        fields = {name: getattr(self, name) for name in _KINDS}
        return json.dumps({"format": FORMAT, **fields}, sort_keys=True, separators=(",", ":")).encode()


def _digest(text: bytes, actions: np.ndarray) -> str:
    return hashlib.sha256(text + b"\0" + str(actions.shape).encode() + actions.tobytes()).hexdigest()


def _first(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:100]


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return an array of an npz file.

    Raises:
        ValueError: It is too large, or of another type.
    """
    with archive.open(f"{name}.npy") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"{name} are more than {LONGEST} frames")
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    if array.dtype != np.dtype("<f8" if name == "actions" else "|u1"):
        raise ValueError(f"{name} are of type {array.dtype}")
    return array


def _checked_actions(actions: np.ndarray, path: Path) -> np.ndarray:
    if actions.ndim != 2 or actions.shape[1] != ACTION or not (np.abs(actions) <= 1.0).all():
        raise WorldError(
            f"the recording {str(path)!r} has actions of shape {actions.shape}: expected are (frames, {ACTION}), all in "
            "[-1, 1]."
        )
    return actions


def _fields(text: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT or set(found) != set(_KINDS):
        raise WorldError(f"{str(path)!r} is no recording of the form {FORMAT}.")
    for name, kinds in _KINDS.items():
        value = found[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and name != "success"):
            raise WorldError(f"the recording {str(path)!r} says that {name} is {value!r}.")
    if found["version"] != VERSION:
        raise WorldError(
            f"the recording {str(path)!r} was made in worlds of version {found['version']!r}, and these are {VERSION!r}. "
            "Replay it with the release that made it."
        )
    checked_task(found["task"])
    found["difficulty"], found["seed"] = checked_name(found["difficulty"], found["seed"])
    if not math.isfinite(found["score"]) or found["limit"] < 0:
        raise WorldError(
            f"the recording {str(path)!r} has the score {found['score']} in {found['limit']} frames."
        )
    return found
