"""What a body feels: the 23 named vectors of an observation, for many environments at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import DT

if TYPE_CHECKING:
    from similitude.worlds.simulation import Simulation

PER_METRE = 0.1
"""Scale of positions."""
PER_DEGREE = 0.005
"""Scale of angles."""
PER_FRAME = 1e-4
"""Scale of frames."""

VECTORS: tuple[tuple[str, int], ...] = (
    ("body_delta_position", 3),
    ("body_delta_rotation", 3),
    ("head_delta_position", 3),
    ("head_delta_rotation", 3),
    ("left_hand_delta_position", 3),
    ("left_hand_delta_rotation", 3),
    ("right_hand_delta_position", 3),
    ("right_hand_delta_rotation", 3),
    ("head_position", 3),
    ("head_rotation", 3),
    ("left_hand_position", 3),
    ("left_hand_rotation", 3),
    ("right_hand_position", 3),
    ("right_hand_rotation", 3),
    ("left_hand_touches", 1),
    ("left_hand_holds", 1),
    ("right_hand_touches", 1),
    ("right_hand_holds", 1),
    ("fall_damage", 1),
    ("enemy_damage", 1),
    ("energy_eaten", 1),
    ("hit_points", 1),
    ("frames_remaining", 1),
)
"""Names and lengths. Positions are (right, up, forward) in the body's frame, rotations (pitch, yaw, roll); positions and
rotations of head and hands are relative to the body, whose own are only felt as changes."""

PROPRIOCEPTION = sum(length for _, length in VECTORS)
"""Numbers in all of them together."""

_ENDS = np.cumsum([length for _, length in VECTORS])
PLACE = {name: slice(int(end) - length, int(end)) for (name, length), end in zip(VECTORS, _ENDS, strict=True)}
"""Where each stands among all of them."""


def proprioception(simulation: Simulation) -> np.ndarray:
    """Return the 23 vectors one after the other, scaled and clipped to [-1, 1].

    Returns:
        float32, (environments, 51), in the order of `VECTORS`.
    """
    body, hands, meta = simulation.body, simulation.hands, simulation.meta
    felt = np.zeros((len(body), PROPRIOCEPTION))
    degrees = PER_DEGREE * 180.0 / np.pi
    turn = (np.cos(body[:, c.YAW]), np.sin(body[:, c.YAW]))

    feet = body[:, None, c.BX : c.BZ + 1]
    ways = np.concatenate(
        [
            body[:, None, c.DX : c.DZ + 1],
            DT * hands[:, :, c.HVX : c.HVZ + 1],
            hands[:, :, c.HX : c.HZ + 1] - feet,
        ],
        axis=1,
    )
    ways = PER_METRE * in_frame(ways, turn)
    felt[:, PLACE["body_delta_position"]] = ways[:, 0]
    felt[:, PLACE["body_delta_rotation"].start + 1] = degrees * body[:, c.DYAW]
    felt[:, PLACE["head_delta_position"].start + 1] = PER_METRE * body[:, c.DHEAD]
    felt[:, PLACE["head_delta_rotation"].start] = degrees * body[:, c.DPITCH]
    felt[:, PLACE["head_delta_rotation"].start + 2] = degrees * body[:, c.DROLL]
    felt[:, PLACE["head_position"].start + 1] = PER_METRE * body[:, c.HEAD]
    felt[:, PLACE["head_rotation"].start] = degrees * body[:, c.PITCH]
    felt[:, PLACE["head_rotation"].start + 2] = degrees * body[:, c.ROLL]
    for side, name in enumerate(("left_hand", "right_hand")):
        hand = hands[:, side]
        felt[:, PLACE[f"{name}_delta_position"]] = ways[:, 1 + side]
        felt[:, PLACE[f"{name}_delta_rotation"]] = degrees * hand[:, c.HDPITCH : c.HDROLL + 1]
        felt[:, PLACE[f"{name}_position"]] = ways[:, 3 + side]
        felt[:, PLACE[f"{name}_rotation"]] = degrees * hand[:, c.HPITCH : c.HROLL + 1]
        felt[:, PLACE[f"{name}_touches"].start] = hand[:, c.TOUCH] >= 0
        felt[:, PLACE[f"{name}_holds"].start] = hand[:, c.HELD] >= 0
    felt[:, PLACE["fall_damage"].start] = body[:, c.FALL]
    felt[:, PLACE["enemy_damage"].start] = body[:, c.ENEMY]
    felt[:, PLACE["energy_eaten"].start] = body[:, c.EATEN]
    felt[:, PLACE["hit_points"].start] = body[:, c.HP]
    felt[:, PLACE["frames_remaining"].start] = PER_FRAME * (meta[:, c.LIMIT] - body[:, c.FRAME])
    return felt.clip(-1.0, 1.0).astype(np.float32)


def in_frame(vectors: np.ndarray, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return vectors of the world as (right, up, forward) of bodies.

    Args:
        vectors: x, y, z, (environments, ..., 3).
        turn: Cosine and sine of the bodies' yaw, (environments,).
    """
    shape = (-1,) + (1,) * (vectors.ndim - 2)
    cos, sin = turn[0].reshape(shape), turn[1].reshape(shape)
    x, y = vectors[..., 0], vectors[..., 1]
    turned = np.empty(vectors.shape)
    turned[..., 0] = x * sin - y * cos
    turned[..., 1] = vectors[..., 2]
    turned[..., 2] = x * cos + y * sin
    return turned
