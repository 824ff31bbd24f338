"""The search for the scenes in which a model does worst: a Gaussian process says where losses may be high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from similitude.core.seeding import derive, numpy_generator
from similitude.scenes.controls.control import Value
from similitude.scenes.search.cube import settings_at
from similitude.scenes.search.embedding import Embedding
from similitude.scenes.search.policy import COUNT, check_option
from similitude.scenes.search.promising import promising
from similitude.tuning.space.space import Space

STARTS = 8
"""Scenes of a Sobol sequence before anything is modelled."""

PATIENCE = 12
"""Scenes without a higher loss after which the neighbourhood of the highest one is left."""


class Adversarial:
    """Asks for scenes where a model's loss may be high, given what it lost before.

    It begins with a few scenes that fill the space. From then on a Gaussian process is fitted to the losses
    (`promising`), and the next scene is the candidate whose loss may be the highest. Where the highest loss is not
    surpassed for a while, its neighbourhood is left, and the search goes on elsewhere: what it finds are several ways to
    fail.

    What is asked for depends on the seed and on what was told, and on nothing else. A scene that failed to be drawn
    counts as one of the median loss. It ends before its count where there are no other settings.

    Args:
        space: What varies.
        count: How many scenes.
        seed: Seed of the random numbers.
        starts: Scenes that are asked for before anything is modelled.
        batch: Scenes that are asked for at once, for as many workers; each is chosen as if those before it had what is
            expected of them.
        patience: Scenes without a higher loss after which a neighbourhood is left.

    Raises:
        SceneError: A number is not possible.

    Cost:
        For each batch 0.02 s of one core after some 20 scenes, 0.1 s after 200.
    """

    def __init__(
        self,
        space: Space,
        *,
        count: int | None = None,
        seed: int = 0,
        starts: int = STARTS,
        batch: int = 1,
        patience: int = PATIENCE,
    ) -> None:
        for name, value in (("starts", starts), ("batch", batch), ("patience", patience)):
            check_option("adversarial", name, value)
        self.space, self.seed = space, seed
        self.total = COUNT if count is None else count
        self.starts, self.batch, self.patience = starts, batch, patience
        self.embedding = Embedding(space)
        self.points = np.empty((0, len(space)))
        self.losses: list[float] = []
        self._next: np.ndarray | None = None

    @property
    def done(self) -> bool:
        """Whether the count is reached, or there are no other settings."""
        return len(self.losses) >= self.total or not len(self._upcoming())

    def ask(self, count: int) -> Sequence[Mapping[str, Value]]:
        """Return the next settings, at most a batch of them once losses are known."""
        if self.done:
            return []
        self._next = self._upcoming()[:count]
        return [settings_at(self.space, point) for point in self._next]

    def tell(
        self, settings: Sequence[Mapping[str, Value]], losses: Sequence[float], seconds: Sequence[float]
    ) -> None:
        """Learn the losses of what was last asked for."""
        asked = self._upcoming()
        if len(losses) != len(asked):
            raise ValueError(f"{len(asked)} settings were asked for, and {len(losses)} losses are told.")
        self.points = np.concatenate([self.points, asked])
        self.losses.extend(map(float, losses))
        self._next = None

    def _upcoming(self) -> np.ndarray:
        """Return the points that are asked for next, found once."""
        if self._next is None:
            told = len(self.losses)
            if told < self.starts:
                self._next = self._first()[told : self.total]
            else:
                self._next = promising(
                    self.embedding,
                    self.points,
                    np.array(self.losses),
                    count=min(self.batch, self.total - told),
                    patience=self.patience,
                    rng=numpy_generator(self.seed, "adversarial", told),
                )
        return self._next

    def _first(self) -> np.ndarray:
        from scipy.stats import qmc

        # Called rng from scipy 1.15 on, and seed by all versions.
        seed = derive(self.seed, "adversarial", "starts") % 2**32
        sequence = qmc.Sobol(len(self.space), scramble=True, seed=seed)  # pyright: ignore[reportCallIssue]
        return sequence.random_base2((self.starts - 1).bit_length())[: self.starts]
