"""What the camera needs besides the state: colours of the land, highest corners of its blocks, and room to work in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.engine.constants import COARSE, UNITS
from similitude.worlds.engine.scene import SCENE
from similitude.worlds.viewing.colors import cell_colors, solid_palette, thing_palette
from similitude.worlds.world import World


class Scenery:
    """Arrays of the camera for a simulation's environments, made when it first looks at a world.

    Args:
        num_envs: Environments.
        resolution: Rows and columns of the images.

    Attributes:
        coarse: Highest corner of every block, float32, (E, b, b).
        colors: Colours of the cells, uint8, (E, N, N, 3).
        scene: Room for what is in sight, float64, (E, items, SCENE).
        depth: Metres along the line of sight, float32, (E, rows, columns).
    """

    def __init__(self, num_envs: int, resolution: tuple[int, int]) -> None:
        self.coarse = np.zeros((num_envs, 1, 1), np.float32)
        self.colors = np.zeros((num_envs, 1, 1, 3), np.uint8)
        self.scene = np.zeros((num_envs, 1, SCENE))
        self.depth = np.zeros((num_envs, *resolution), np.float32)
        self.palette = thing_palette()
        self.solid_palette = solid_palette()
        self._seen: list[World | None] = [None] * num_envs

    def look_at(self, worlds: Sequence[World | None], size: int, solids: int, things: int) -> None:
        """Take in the worlds that are new.

        Args:
            worlds: The world of every environment.
            size: Corners per side that the simulation's arrays have room for.
            solids: Solids that they have room for.
            things: Things that they have room for.

        Raises:
            WorldError: An environment has no world yet.
        """
        envs = len(worlds)
        if self.colors.shape[1] != size:
            self.coarse = np.zeros((envs, -(-size // COARSE), -(-size // COARSE)), np.float32)
            self.colors = np.zeros((envs, size, size, 3), np.uint8)
            self._seen = [None] * envs
        items = 1 + solids + 2 * things + 2
        if self.scene.shape[1] != items:
            self.scene = np.zeros((envs, items, SCENE))
        for e, world in enumerate(worlds):
            if world is None:
                raise WorldError(f"environment {e} has no world to look at: call load({e}, world) first.")
            if world is not self._seen[e]:
                tops = block_tops(world.height)
                self.coarse[e, : len(tops), : len(tops)] = tops
                self.colors[e, : world.size, : world.size] = cell_colors(world.height, world.ground)
                self._seen[e] = world


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
