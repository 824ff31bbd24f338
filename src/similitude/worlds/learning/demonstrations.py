"""Episodes of oracles, recorded frame by frame as flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.gym.observing import observe
from similitude.worlds.gym.spaces import ACTION, REALS, ObservationKind
from similitude.worlds.learning.saving import written_whole
from similitude.worlds.making import ImpossibleWorldError, make_world
from similitude.worlds.simulation import Simulation
from similitude.worlds.splits import drawn_seed
from similitude.worlds.tasks.limits import frame_limit
from similitude.worlds.world import World

TOGETHER = 32
"""Worlds that are played side by side."""
LONGEST_STRAY = 8
"""Frames of the longest interruption of an oracle."""
ARRAYS = ("numbers", "images", "actions", "episode")


@dataclass(frozen=True)
class Demonstrations:
    """What oracles saw and did, frame by frame.

    Attributes:
        numbers: What was seen without eyes, float32, (frames, numbers).
        images: uint8, (frames, rows, columns, 4); of no frames where none were drawn.
        actions: What the oracle did, float32, (frames, 21).
        episode: Number of each frame's episode, int64, (frames,).
        solved: Share of worlds that the oracle solved; only those are here.
    """

    numbers: np.ndarray
    images: np.ndarray
    actions: np.ndarray
    episode: np.ndarray
    solved: float

    def __len__(self) -> int:
        return len(self.actions)

    def save(self, path: str | Path) -> None:
        """Write one npz file, whole or not at all."""
        with written_whole(path) as temporary, open(temporary, "wb") as file:
            arrays = {name: getattr(self, name) for name in ARRAYS}
            np.savez(file, solved=np.float64(self.solved), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Demonstrations:
        """Read what `save` wrote.

        Raises:
            WorldError: The file holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in ARRAYS}
                found = cls(**arrays, solved=float(file["solved"]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise WorldError(
                f"{path} holds no demonstrations ({str(error).splitlines()[0]:.100}). Remove it, and they are recorded "
                "anew."
            ) from error
        frames = len(found)
        if found.actions.shape != (frames, ACTION) or not len(found.numbers) == len(found.episode) == frames:
            raise WorldError(
                f"{path} holds arrays of different lengths. Remove it, and they are recorded anew."
            )
        return found


def training_worlds(tasks: Sequence[str], count: int, *, highest: float, seed: int = 0) -> Iterable[World]:
    """Make worlds of the training split, their difficulties spread evenly, the tasks by turns.

    Args:
        tasks: Names of tasks.
        count: Worlds in all.
        highest: Largest difficulty.
        seed: Which worlds.
    """
    for i in range(count):
        difficulty = round(Draws("clone", seed, i).uniform(0.0, highest), 4)
        for attempt in range(10):
            own = drawn_seed("train", "clone", seed, i, attempt)
            try:
                yield make_world(tasks[i % len(tasks)], difficulty, own)
                break
            except ImpossibleWorldError:
                continue


def record(
    worlds: Iterable[World],
    *,
    observation: ObservationKind = "state",
    resolution: tuple[int, int] = (48, 48),
    strays: float = 0.05,
    seed: int = 0,
    backend: str = "numba",
    on_done: Callable[[int], None] = lambda count: None,
) -> Demonstrations:
    """Let oracles play worlds and record what they see and do until the food is eaten.

    Now and then an oracle's translations and rotations are replaced by chance for some frames; what is recorded is what
    it wanted, and how it comes back. Without that, a clone never sees the states that its own errors lead to
    (DART, arXiv 1703.09327).

    Args:
        worlds: The worlds.
        observation: What is recorded.
        resolution: Rows and columns of images.
        strays: Chance per frame that such an interruption begins.
        seed: Of the interruptions.
        backend: Backend of the simulation.
        on_done: Called with the number of worlds played so far.

    Raises:
        WorldError: No world was solved.
    """
    from similitude.worlds.oracles.policy import OraclePolicy

    simulation = Simulation(TOGETHER, backend=backend, resolution=resolution, frame_price=0.0)
    policy, random = OraclePolicy(), np.random.default_rng(seed)
    parts: list[tuple[np.ndarray, ...]] = []
    played = 0
    for batch in _batches(worlds):
        for e, world in enumerate(batch):
            simulation.load(e, world, limit=frame_limit(world.task, world.difficulty, training=True))
        for e in range(len(batch), TOGETHER):  # the last batch may be smaller: its places stand still
            simulation.load(e, batch[0], limit=0)
        solved, episodes = _play(simulation, policy, random, strays, observation)
        for e in range(len(batch)):
            if solved[e]:
                own = episodes["environment"] == e
                frames = int(own.sum())
                arrays = (episodes["numbers"][own], episodes["images"][own], episodes["actions"][own])
                parts.append((*arrays, np.full(frames, played + e, np.int64)))
        played += len(batch)
        on_done(played)
    if not parts:
        raise WorldError(
            f"the oracle solved none of {played} worlds within the limits of training, so there is nothing to clone. "
            "Take another task, or lower difficulties."
        )
    numbers, images, actions, episode = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Demonstrations(numbers, images, actions, episode, len(parts) / played)


def _play(simulation, policy, random, strays, kind) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Play the worlds that are loaded; return which were solved, and frames in order with their environments."""
    count = simulation.num_envs
    left = np.zeros(count, dtype=int)
    found: dict[str, list[np.ndarray]] = {"numbers": [], "images": [], "actions": [], "environment": []}
    no_images = np.zeros((count, 0, 0, 4), np.uint8)
    while True:
        going = ~simulation.finished() & (simulation.body[:, c.FOOD_LEFT] > 0)
        places = np.flatnonzero(going)
        if not len(places):
            return simulation.body[:, c.FOOD_LEFT] == 0, {k: np.concatenate(v) for k, v in found.items()}
        seen = observe(simulation, kind)
        actions = np.zeros((count, ACTION))
        for e in places.tolist():
            actions[e] = policy.act_on(simulation, e)
        numbers = [seen[name] for name in ("proprioception", "state") if name in seen]
        found["numbers"].append(np.concatenate(numbers, axis=1)[places])
        found["images"].append(seen.get("rgbd", no_images)[places])
        found["actions"].append(actions[places].astype(np.float32))
        found["environment"].append(places)
        begins = (left == 0) & (random.random(count) < strays)
        left = np.where(begins, random.integers(1, LONGEST_STRAY + 1, count), np.maximum(left - 1, 0))
        chance = random.uniform(-1.0, 1.0, (count, REALS))
        actions[:, :REALS] = np.where((left > 0)[:, None], chance, actions[:, :REALS])
        simulation.step(actions)


def _batches(worlds: Iterable[World]) -> Iterable[list[World]]:
    batch: list[World] = []
    for world in worlds:
        batch.append(world)
        if len(batch) == TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch
