"""The highest corner of every block of cells: what the camera needs to pass over empty space."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine.constants import COARSE, UNITS


def block_tops(height: np.ndarray) -> np.ndarray:
    """Return the height of the highest corner of each block of COARSE x COARSE cells.

    Args:
        height: Corners, int16 in units of 1/128 m, (n, n).

    Returns:
        Metres, float32 (exact), (b, b) with b = ceil(n / COARSE); a block's last corners belong to the next one too.
    """
    n = height.shape[0]
    blocks = -(-n // COARSE)
    padded = np.pad(height, ((0, blocks * COARSE + 1 - n),) * 2, mode="edge")
    tops = padded[:-1, :-1].reshape(blocks, COARSE, blocks, COARSE).max((1, 3))
    edge_rows = padded[COARSE::COARSE, :-1].reshape(blocks, blocks, COARSE).max(2)
    edge_columns = padded[:-1, COARSE::COARSE].reshape(blocks, COARSE, blocks).max(1)
    corners = padded[COARSE::COARSE, COARSE::COARSE]
    highest = np.maximum(np.maximum(tops, edge_rows), np.maximum(edge_columns, corners))
    return (highest / UNITS).astype(np.float32)
