"""Training an agent: cloning of oracles, then PPO on a curriculum; what was reached is kept, and a kill costs little."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from similitude.core.errors import WorldError
from similitude.core.seeding import derive, numpy_generator, torch_generator
from similitude.worlds.gym.spaces import ObservationKind
from similitude.worlds.learning.building import Rule, build
from similitude.worlds.learning.cloning import Cloning, clone
from similitude.worlds.learning.curriculum import Curriculum
from similitude.worlds.learning.demonstrations import Demonstrations, record, training_worlds
from similitude.worlds.learning.fields import Field
from similitude.worlds.learning.networks import PolicyNetwork
from similitude.worlds.learning.policies import PortablePolicy, save_policy
from similitude.worlds.learning.pools import WorldPool
from similitude.worlds.learning.ppo import PPO, improve, roll_out
from similitude.worlds.learning.saving import load_checkpoint, save_checkpoint
from similitude.worlds.learning.watching import made_worlds, unseen_worlds, watch
from similitude.worlds.tasks.catalog import checked_task

CHECKPOINT, POLICY, DEMONSTRATIONS = "checkpoint.pt", "policy.pt", "demonstrations.npz"
TRYING = -1.5
"""Least logarithm of standard deviations at the start of PPO: a clone that is too certain tries nothing."""
LATEST = 200
"""Episodes whose share of successes is noted along the way."""


@dataclass(frozen=True)
class Training:
    """Everything that determines a training, but for how long it runs.

    Attributes:
        tasks: Names of tasks.
        observation: "state" or "flat" (a camera).
        width: Width of the network.
        depth: Its hidden layers.
        base: Width at which the learning rates were found.
        rule: "mup" or "sp": how learning rates follow the width.
        resolution: Rows and columns of images.
        demonstrations: Episodes of oracles that are cloned first; 0 for none.
        difficulty: Largest difficulty.
        start: Difficulty at which the curriculum of PPO begins.
        climb: What a success adds to a task's level, and a failure takes.
        envs: Environments of PPO.
        pool: Worlds of each task that PPO keeps at hand.
        watched: Validation worlds of each task.
        every: Rollouts between validations.
        seed: Of everything.
        cloning: Settings of cloning.
        ppo: Settings of PPO.

    Raises:
        WorldError: A setting cannot be.
    """

    tasks: tuple[str, ...]
    observation: ObservationKind = "state"
    width: int = 64
    depth: int = 2
    base: int = 64
    rule: Rule = "mup"
    resolution: tuple[int, int] = (48, 48)
    demonstrations: int = 200
    difficulty: float = 0.3
    start: float = 0.0
    climb: float = 2e-3
    envs: int = 64
    pool: int = 400
    watched: int = 50
    every: int = 20
    seed: int = 0
    cloning: Cloning = field(default_factory=Cloning)
    ppo: PPO = field(default_factory=PPO)

    def __post_init__(self) -> None:
        if not self.tasks:
            raise WorldError("there is no task to learn. Name some, such as eat,move.")
        for task in self.tasks:
            checked_task(task)
        if self.observation not in ("state", "flat"):
            raise WorldError(f"agents learn from observations state or flat, not {self.observation!r}.")
        for name in ("envs", "pool", "watched", "every"):
            if getattr(self, name) < 1:
                raise WorldError(f"{name}={getattr(self, name)}: give 1 or more.")
        if self.demonstrations < 0:
            raise WorldError(f"demonstrations={self.demonstrations}: give 0 or more.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return json.loads(json.dumps(asdict(self)))


@dataclass
class Progress:
    """How far a training is; it goes into every checkpoint.

    Attributes:
        stage: "begun", "cloned", "learning" or "done".
        frames: Frames of PPO.
        rollouts: Rollouts of PPO.
        seconds: Wall time, of all sessions together.
        cpu: CPU seconds likewise.
        solved: Share of worlds that oracles solved while they were recorded; None without cloning.
        demonstrated: Frames that were recorded.
        cloning: (step, held-out loss) of cloning.
        learning: Along PPO: frames, share of latest episodes that succeeded, levels, and what `improve` says.
        watched: Validations: frames, seconds, task, worlds solved, worlds.
        latest: Outcomes of the latest episodes.
    """

    stage: str = "begun"
    frames: int = 0
    rollouts: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    solved: float | None = None
    demonstrated: int = 0
    cloning: list[tuple[int, float]] = field(default_factory=list)
    learning: list[dict[str, Any]] = field(default_factory=list)
    watched: list[dict[str, Any]] = field(default_factory=list)
    latest: list[bool] = field(default_factory=list)


class Trainer:
    """A training in a folder: `checkpoint.pt`, `policy.pt`, and the demonstrations.

    The same folder and settings go on where they were; given the same settings, a training that was killed and resumed
    ends with the very weights of one that was not.

    Args:
        settings: What is trained.
        out: The folder.
        backend: Backend of the simulation.
        threads: Threads that step and draw.
        on_progress: Called with a line of text now and then.

    Raises:
        WorldError: The folder holds a training with other settings, or something else.
    """

    def __init__(
        self,
        settings: Training,
        out: str | Path,
        *,
        backend: str = "numba",
        threads: int = 1,
        on_progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.settings, self.out = settings, Path(out)
        self.progress = Progress()
        self._backend, self._threads, self._say = backend, threads, on_progress
        self._clocks = (time.monotonic(), time.process_time())
        self.network, self._optimizer = self._built(settings.ppo.learning_rate)
        self._generator = torch_generator(settings.seed, "actions")
        self._random = numpy_generator(settings.seed, "minibatches")
        curriculum = Curriculum(
            settings.tasks, start=settings.start, highest=settings.difficulty, step=settings.climb
        )
        self.field = Field(
            settings.tasks,
            settings.envs,
            observation=settings.observation,
            resolution=settings.resolution,
            curriculum=curriculum,
            pool=WorldPool(settings.tasks, size=settings.pool, seed=settings.seed),
            seed=derive(settings.seed, "field"),
            backend=backend,
            threads=threads,
        )
        self._validation = None
        self._resume()

    def run(self, frames: int, *, minutes: float | None = None) -> Progress:
        """Train, from where it was, and save.

        Args:
            frames: Frames of PPO in all; 0 for cloning alone.
            minutes: Wall time in all sessions together after which PPO stops; None for no limit.
        """
        settings, progress = self.settings, self.progress
        if progress.stage == "begun":
            if settings.demonstrations:
                self._clone()
            progress.stage = "cloned"
            self._watch()
            self._save()
        if frames and progress.stage == "cloned":
            if settings.demonstrations:
                with torch.no_grad():
                    self.network.spread.clamp_(min=TRYING)
            progress.stage = "learning"
        while progress.frames < frames and not (minutes and self._seconds() > 60.0 * minutes):
            self._learn()
            if progress.rollouts % settings.every == 0:
                self._watch()
                self._save()
        if progress.frames and progress.watched[-1]["frames"] != progress.frames:
            self._watch()
        self._save()
        save_policy(PortablePolicy(self.network, settings.observation, seed=settings.seed), self.out / POLICY)
        return progress

    def _clone(self) -> None:
        settings, progress, path = self.settings, self.progress, self.out / DEMONSTRATIONS
        if path.exists():
            shown = Demonstrations.load(path)
        else:
            shown = record(
                training_worlds(
                    settings.tasks, settings.demonstrations, highest=settings.difficulty, seed=settings.seed
                ),
                observation=settings.observation,
                resolution=settings.resolution,
                seed=derive(settings.seed, "strays"),
                backend=self._backend,
                on_done=lambda n: self._say(f"recorded {n} of {settings.demonstrations} episodes of oracles"),
            )
            shown.save(path)
        progress.solved, progress.demonstrated = shown.solved, len(shown)
        chosen = settings.cloning
        _, optimizer = self._built(chosen.learning_rate, network=self.network)
        progress.cloning = clone(
            self.network,
            shown,
            optimizer,
            settings=chosen,
            seed=settings.seed,
            on_step=lambda step, loss: self._say(f"cloning: step {step} of {chosen.steps}, loss {loss:.2f}"),
        )

    def _learn(self) -> None:
        settings, progress = self.settings, self.progress
        rollout = roll_out(self.network, self.field, settings=settings.ppo, generator=self._generator)
        said = improve(
            self.network,
            self._optimizer,
            rollout,
            settings=settings.ppo,
            random=self._random,
            only_critic=progress.rollouts < settings.ppo.patience,
        )
        progress.rollouts += 1
        progress.frames += rollout.rewards.numel()
        progress.latest = [*progress.latest, *(success for _, _, success in rollout.episodes)][-LATEST:]
        share = float(np.mean(progress.latest)) if progress.latest else 0.0
        levels = dict(self.field.curriculum.levels)
        progress.learning.append(
            {
                "frames": progress.frames,
                "seconds": self._seconds(),
                "success": share,
                "levels": levels,
                **said,
            }
        )
        shown = ", ".join(f"{task} {level:.3g}" for task, level in levels.items())
        self._say(f"{progress.frames:,} frames: {share:.0%} of episodes solved, levels {shown}")

    def _watch(self) -> None:
        settings, progress = self.settings, self.progress
        if self._validation is None:
            names = unseen_worlds(settings.tasks, settings.watched, highest=settings.difficulty)
            self._validation = made_worlds(names)
        solved = watch(
            self.network,
            self._validation,
            observation=settings.observation,
            resolution=settings.resolution,
            training=True,
            seed=settings.seed,
            backend=self._backend,
            threads=self._threads,
        )
        for task in settings.tasks:
            own = [one for one, world in zip(solved, self._validation, strict=True) if world.task == task]
            progress.watched.append(
                {
                    "frames": progress.frames,
                    "seconds": self._seconds(),
                    "task": task,
                    "solved": sum(own),
                    "worlds": len(own),
                }
            )
            self._say(f"validation, {task}: {sum(own)} of {len(own)} worlds solved")

    def _built(
        self, learning_rate: float, *, network: PolicyNetwork | None = None
    ) -> tuple[PolicyNetwork, torch.optim.Adam]:
        settings = self.settings
        return build(
            settings.observation,
            width=settings.width,
            depth=settings.depth,
            resolution=settings.resolution,
            base=settings.base,
            rule=settings.rule,
            learning_rate=learning_rate,
            seed=settings.seed,
            network=network,
        )

    def _seconds(self) -> float:
        now = time.monotonic(), time.process_time()
        self.progress.seconds += now[0] - self._clocks[0]
        self.progress.cpu += now[1] - self._clocks[1]
        self._clocks = now
        return self.progress.seconds

    def _save(self) -> None:
        self._seconds()
        state = {
            "settings": self.settings.to_dict(),
            "progress": asdict(self.progress),
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "random": repr(self._random.bit_generator.state),
            "field": self.field.state() if self.progress.frames else None,
        }
        save_checkpoint(self.out / CHECKPOINT, state)

    def _resume(self) -> None:
        from ast import literal_eval

        state = load_checkpoint(self.out / CHECKPOINT)
        if state is None:
            return
        mine = self.settings.to_dict()
        if state["settings"] != mine:
            other = next(
                name for name in [*mine, *state["settings"]] if state["settings"].get(name) != mine.get(name)
            )
            raise WorldError(
                f"{self.out} holds a training with {other} {state['settings'].get(other)!r}, and this one has "
                f"{mine.get(other)!r}. Give the same settings, or another folder."
            )
        self.progress = Progress(**state["progress"])
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._random.bit_generator.state = literal_eval(state["random"])
        if state["field"] is not None:
            self.field.restore(state["field"])
        self._say(f"resumed at {self.progress.frames:,} frames")
