"""Levels of a ProcGen game as `ppo.Environments`: those to train on, to tune on and to judge by have none in common."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Split = Literal["train", "validation", "held-out"]
LEVELS: dict[Split, tuple[int, int]] = {
    "train": (0, 200),
    "validation": (1_000_000, 500),
    "held-out": (2_000_000, 500),
}
"""First level and number of levels. ProcGen's own benchmark trains on 200 levels of the easy mode, too."""


class Levels:
    """Several environments of one game, on levels of one split.

    Args:
        game: One of ProcGen's 16, e.g. "starpilot".
        split: Which levels; see `LEVELS`.
        count: Environments.
        seed: Of the order in which levels come.
        plain: Whether to draw without background pictures and with one look per kind of object, which is easier to see
            and can be learned within a minute; the benchmark is drawn in full.

    Raises:
        ImportError: procgen is not installed.
    """

    actions = 15

    def __init__(
        self, game: str, split: Split, *, count: int = 32, seed: int = 0, plain: bool = True
    ) -> None:
        try:
            from procgen import ProcgenGym3Env
        except ImportError as error:
            raise ImportError(
                "The levels of ProcGen are in a package of their own: pip install procgen2"
            ) from error
        start, number = LEVELS[split]
        self.count = count
        self._environments: Any = ProcgenGym3Env(
            num=count,
            env_name=game,
            start_level=start,
            num_levels=number,
            distribution_mode="easy",
            use_backgrounds=not plain,
            use_monochrome_assets=plain,
            restrict_themes=plain,
            rand_seed=seed,
            num_threads=0,
        )

    def observe(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rewards (E,), frames uint8 (E, 3, 64, 64), and whether they begin an episode (E,)."""
        rewards, seen, first = self._environments.observe()
        return rewards, np.ascontiguousarray(seen["rgb"].transpose(0, 3, 1, 2)), first

    def act(self, actions: np.ndarray) -> None:
        """Take one action (E,) in each environment."""
        self._environments.act(actions)
