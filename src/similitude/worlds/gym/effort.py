"""What effort costs in training: a trace of the energy spent, so that of two ways the lazier is better."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BODY_MASS, GRAVITY

PER_JOULE = 1e-8
"""Reward lost per joule that the body gains."""
PER_RADIAN = 1e-6
"""Reward lost per frame and radian of the head's pitch, and of its roll."""


def effort(body: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the last frame cost.

    Args:
        body: Bodies, (environments, columns).
        before: Squared speed one frame earlier, in m2/s2, (environments,).

    Returns:
        The cost, and the squared speed now.
    """
    square = np.square(body[:, c.BVX : c.BVZ + 1]).sum(axis=1)
    kinetic = 0.5 * BODY_MASS * np.maximum(square - before, 0.0)
    potential = BODY_MASS * GRAVITY * np.maximum(body[:, c.DZ], 0.0)
    tilt = np.abs(body[:, c.PITCH]) + np.abs(body[:, c.ROLL])
    return PER_JOULE * (kinetic + potential) + PER_RADIAN * tilt, square
