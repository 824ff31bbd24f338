"""What an agent sees and does: names, shapes and scales of observations, and the action as 21 numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from similitude.core.errors import WorldError
from similitude.worlds.gym.privileged import STATE
from similitude.worlds.gym.senses import PROPRIOCEPTION, VECTORS

ObservationKind = Literal["full", "flat", "state"]
ActionKind = Literal["headset", "flat"]

REALS = 18
SWITCHES = 3
ACTION = REALS + SWITCHES
"""Numbers of an action: head, left hand, right hand (translation, then rotation: 3 each), left and right grasp, jump."""


def observation_space(kind: ObservationKind, resolution: tuple[int, int]) -> spaces.Dict:
    """Return the space of the observations of one environment.

    Args:
        kind: "full": image and the named vectors; "flat": image and the vectors as one; "state": no image, the vectors
            as one and what only a simulator knows.
        resolution: Rows and columns of the image.

    Raises:
        WorldError: There is no such kind, or the resolution is not two whole numbers from 8 to 1024.
    """
    rows, columns = checked_resolution(resolution)
    image: dict[str, spaces.Space] = {"rgbd": spaces.Box(0, 255, (rows, columns, 4), np.uint8)}
    if kind == "full":
        return spaces.Dict(image | {name: _box(length) for name, length in VECTORS})
    if kind == "flat":
        return spaces.Dict(image | {"proprioception": _box(PROPRIOCEPTION)})
    if kind == "state":
        return spaces.Dict({"proprioception": _box(PROPRIOCEPTION), "state": _box(STATE)})
    raise WorldError(f"there are no observations {kind!r}. There are: full, flat, state.")


def action_space(kind: ActionKind) -> spaces.Space:
    """Return the space of the actions of one environment.

    Args:
        kind: "headset": real numbers and switches apart; "flat": one box, its last three numbers switches that are on
            above 0.5.

    Raises:
        WorldError: There is no such kind.
    """
    if kind == "headset":
        return spaces.Dict({"real": _box(REALS), "discrete": spaces.MultiBinary(SWITCHES)})
    if kind == "flat":
        return _box(ACTION)
    raise WorldError(f"there are no actions {kind!r}. There are: headset, flat.")


def batched(space: spaces.Space, count: int) -> spaces.Space:
    """Return the space of as many environments at once."""
    return batch_space(space, count)


def action_array(action: Any, count: int) -> np.ndarray:
    """Return actions as the simulation takes them.

    Args:
        action: Of `count` environments (leading axis) or, where that is 1, without the axis: a mapping of "real"
            (18 numbers) and "discrete" (3 switches), or 21 numbers.
        count: Number of environments.

    Returns:
        Actions, float64, (count, 21).

    Raises:
        WorldError: It is something else, or has another shape.
    """
    if isinstance(action, Mapping):
        if set(action) != {"real", "discrete"}:
            raise WorldError(
                f"an action has 'real' and 'discrete', and this one has {', '.join(map(repr, map(str, action)))}. "
                "Give both, or one array of 21 numbers."
            )
        real = _numbers(action["real"], (count, REALS), "the part 'real' of an action")
        discrete = _numbers(action["discrete"], (count, SWITCHES), "the part 'discrete' of an action")
        if not ((discrete == 0) | (discrete == 1)).all():
            wrong = discrete[(discrete != 0) & (discrete != 1)][0]
            raise WorldError(f"the part 'discrete' of an action holds {wrong:g}: its switches are 0 or 1.")
        return np.concatenate([real, discrete], axis=1)
    return _numbers(action, (count, ACTION), "an action")


def checked_resolution(resolution: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of an image.

    Raises:
        WorldError: They are not two whole numbers from 8 to 1024.
    """
    try:
        rows, columns = (int(n) if n == int(n) else 0 for n in resolution)
    except (TypeError, ValueError, OverflowError):
        rows = columns = 0
    if not (8 <= rows <= 1024 and 8 <= columns <= 1024):
        raise WorldError(
            f"the resolution {resolution!r} is not two whole numbers from 8 to 1024. Give rows and columns, such as "
            "resolution=(96, 96)."
        )
    return rows, columns


def _box(length: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (length,), np.float32)


def _numbers(values: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise WorldError(f"{what} is not made of numbers: {values!r:.80}.") from error
    if shape[0] == 1 and array.shape == shape[1:]:
        array = array[None]
    if array.shape != shape:
        raise WorldError(
            f"{what} has the shape {array.shape}, and {shape if shape[0] > 1 else shape[1:]} is expected. See "
            "`env.action_space`."
        )
    return array
