"""Many environments as arrays: worlds are loaded into them, actions move them on, a camera looks out of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.beginning import Beginning, beginning
from similitude.worlds.engine import build
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import AFTER_FOOD, COARSE, FRAME_COST
from similitude.worlds.world import World

if TYPE_CHECKING:
    from similitude.worlds.scenery import Scenery

ACTION = 21
"""Numbers in an action."""

LIMIT_OF_FRAMES = 3000
"""Frames of an episode unless `load` is told another number."""


class Simulation:
    """Environments side by side; their whole state is in the arrays, so that it can be copied and put back.

    Args:
        num_envs: How many.
        backend: "numba" (compiled), "plain" (Python, for tests) or "warp" (NVIDIA Warp on a GPU where
            there is one; "warp:cpu", "warp:cuda:1").
        resolution: Rows and columns of the images.
        threads: Over how many threads the environments are spread.
        frame_price: Reward lost per frame.

    Attributes:
        height: Terrain, int16, (E, N, N), in units of 1/128 m.
        ground: Biomes and climbable cells, uint8, (E, N, N).
        meta: float64, (E, META and more); as those below, in the columns of `engine.columns`.
        solids: float64, (E, S, SOLID).
        things: float64, (E, K, THING).
        body: float64, (E, BODY).
        hands: float64, (E, 2, HAND), left and right.
        images: uint8, (E, rows, columns, 4): red, green, blue, and depth where 255 is SIGHT.
        worlds: The world of every environment; None before its first `load`.

    A world that is larger than those before it makes `load` replace arrays by larger ones: read them as attributes.

    Example:
        >>> from similitude.worlds import make_world
        >>> simulation = Simulation(1, backend="plain")
        >>> simulation.load(0, make_world("eat", 0.0, 0))
        >>> simulation.step(np.zeros((1, 21)))
        >>> float(simulation.body[0, c.FRAME])
        1.0
    """

    def __init__(
        self,
        num_envs: int,
        *,
        backend: str = "numba",
        resolution: tuple[int, int] = (96, 96),
        threads: int = 1,
        frame_price: float = FRAME_COST,
    ) -> None:
        if not _is_whole(num_envs) or num_envs < 1:
            raise WorldError(f"a simulation of {num_envs!r} environments: give a whole number of 1 or more.")
        if not (
            isinstance(resolution, (tuple, list)) and len(resolution) == 2 and all(map(_is_whole, resolution))
        ):
            raise WorldError(f"the resolution {resolution!r} is not two whole numbers (rows, columns).")
        if min(resolution) < 1 or max(resolution) > 4096:
            raise WorldError(
                f"the resolution {resolution} is not two numbers from 1 to 4096 (rows, columns)."
            )
        if not np.isfinite(frame_price):
            raise WorldError(f"the price of a frame is {frame_price}: give a finite number, such as 1e-4.")
        self.num_envs = num_envs
        self.backend = backend
        self.resolution = resolution
        self.threads = min(max(threads, 1), num_envs)
        self.frame_price = frame_price
        self.worlds: list[World | None] = [None] * num_envs
        self.engine = build.engine(backend)
        self._pool: ThreadPoolExecutor | None = None
        self._scenery: Scenery | None = None
        self.height = np.zeros((num_envs, 8, 8), np.int16)
        self.ground = np.zeros((num_envs, 8, 8), np.uint8)
        self.solids = np.zeros((num_envs, 1, c.SOLID))
        self.things = np.zeros((num_envs, 1, c.THING))
        self.things[..., c.ROLE] = c.GONE
        self.meta = np.zeros((num_envs, c.META))
        self.body = np.zeros((num_envs, c.BODY))
        self.hands = np.zeros((num_envs, 2, c.HAND))
        self.images = np.zeros((num_envs, *resolution, 4), np.uint8)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the engine, the threads and the camera's room, which copies make anew."""
        return {**vars(self), "engine": None, "_pool": None, "_scenery": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.engine = build.engine(self.backend)

    def load(self, e: int, world: World, *, limit: int | None = None) -> None:
        """Put environment `e` at the beginning of a world.

        Args:
            e: Which environment.
            world: Its new world.
            limit: Frames of the episode; 3000 by default.

        Raises:
            WorldError: There is no such environment, or the limit is not a whole number of 0 or more.
        """
        if not _is_whole(e) or not 0 <= e < self.num_envs:
            raise WorldError(f"there is no environment {e!r}: give one from 0 to {self.num_envs - 1}.")
        if limit is not None and (not _is_whole(limit) or limit < 0):
            raise WorldError(f"the limit of {limit!r} frames is not a whole number of 0 or more.")
        begin = beginning(world)
        self._grow(world, begin)
        n, solids, things = world.size, len(begin.solids), len(begin.things)
        self.worlds[e] = world
        self.height[e, :n, :n] = world.height
        self.ground[e, :n, :n] = world.ground
        self.meta[e, : len(begin.meta)] = begin.meta
        self.meta[e, c.LIMIT] = LIMIT_OF_FRAMES if limit is None else limit
        self.meta[e, c.FRAME_PRICE] = self.frame_price
        self.solids[e, :solids] = begin.solids
        self.things[e, :things] = begin.things
        self.things[e, things:] = 0.0
        self.things[e, things:, c.ROLE] = c.GONE
        self.body[e] = begin.body
        self.hands[e] = begin.hands
        self.engine.loaded(e)

    def step(self, actions: np.ndarray) -> None:
        """Move all environments on by one frame.

        Args:
            actions: (E, 21), each number in [-1, 1].

        Raises:
            WorldError: An action has another shape, is not finite, or is outside its bounds.
        """
        action = checked_actions(actions, self.num_envs)
        state = (self.height, self.ground, self.meta, self.solids, self.things, self.body, self.hands)
        self._spread(self.engine.step, *state, action)

    def view(self) -> np.ndarray:
        """Draw what all environments see.

        Returns:
            `images`, which the next call draws over.

        Raises:
            WorldError: An environment has no world yet.
        """
        from similitude.worlds.scenery import Scenery

        scenery = self._scenery = self._scenery or Scenery(self.num_envs, self.resolution)
        scenery.look_at(self.worlds, self.height.shape[1], self.solids.shape[1], self.things.shape[1])
        self._spread(
            *(
                self.engine.view,
                self.height,
                scenery.coarse,
                scenery.colors,
                self.meta,
                self.solids,
                self.things,
            ),
            *(self.body, self.hands, scenery.palette, scenery.solid_palette, scenery.scene, scenery.depth),
            self.images,
        )
        return self.images

    def done(self, e: int) -> bool:
        """Return whether the episode of environment `e` is over."""
        return bool(self.finished()[e])

    def finished(self) -> np.ndarray:
        """Return which episodes are over, bool, (E,): dead, all food eaten for 20 frames, or out of frames."""
        dead = self.body[:, c.HP] <= 0.0
        full = self.body[:, c.SINCE] > AFTER_FOOD
        return dead | full | (self.body[:, c.FRAME] >= self.meta[:, c.LIMIT])

    def _spread(self, work, *arrays) -> None:
        """Run work(lo, hi, *arrays) over all environments, on as many threads as asked for."""
        if self.threads == 1:
            work(0, self.num_envs, *arrays)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads)
        edges = [self.num_envs * i // self.threads for i in range(self.threads + 1)]
        parts = [self._pool.submit(work, lo, hi, *arrays) for lo, hi in pairwise(edges)]
        for part in parts:
            part.result()

    def _grow(self, world: World, begin: Beginning) -> None:
        """Make the arrays large enough for a world."""
        if len(begin.meta) > self.meta.shape[1]:
            # A little more than that, so that it does not grow with every other world.
            self.meta = _larger(self.meta, (self.num_envs, len(begin.meta) * 5 // 4))
        n = world.size
        if n > self.height.shape[1]:
            n += -n % COARSE
            self.height = _larger(self.height, (self.num_envs, n, n))
            self.ground = _larger(self.ground, (self.num_envs, n, n))
        if len(world.solids) > self.solids.shape[1]:
            self.solids = _larger(self.solids, (self.num_envs, len(world.solids), c.SOLID))
        if len(world.things) > self.things.shape[1]:
            old = self.things.shape[1]
            self.things = _larger(self.things, (self.num_envs, len(world.things), c.THING))
            self.things[:, old:, c.ROLE] = c.GONE


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def checked_actions(actions: np.ndarray, num_envs: int) -> np.ndarray:
    """Return actions as float64, (E, 21).

    Raises:
        WorldError: They are not numbers, have another shape, or one is not finite or outside [-1, 1].
    """
    try:
        given = np.asarray(actions)
        # complex numbers and times would lose a part without a word
        action = np.ascontiguousarray(given, dtype=np.float64) if given.dtype.kind in "bfiuO" else None
    except (TypeError, ValueError):
        action = None
    if action is None:
        raise WorldError(
            f"actions of type {type(actions).__name__} for {num_envs} environments are no array of real numbers: "
            f"give one of the shape ({num_envs}, {ACTION})."
        )
    if action.shape != (num_envs, ACTION):
        raise WorldError(
            f"actions of shape {action.shape} for {num_envs} environments: give ({num_envs}, {ACTION}), "
            "18 translations and rotations, then left grasp, right grasp, jump."
        )
    # Comparisons with NaN, which `min` and `max` pass on, are false: one test finds all three.
    if not (action.min() >= -1.0 and action.max() <= 1.0):
        e, i = (int(v) for v in np.argwhere(~(np.abs(action) <= 1.0))[0])
        value = action[e, i]
        what = "lies outside [-1, 1]" if np.isfinite(value) else "is not a finite number"
        raise WorldError(
            f"component {i} of the action of environment {e} is {value}, which {what}. "
            "Clip actions to [-1, 1], and look for NaN in the policy's output."
        )
    return action


def _larger(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    new = np.zeros(shape, array.dtype)
    new[tuple(slice(0, s) for s in array.shape)] = array
    return new
