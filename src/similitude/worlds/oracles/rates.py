"""How often policies succeed: `python -m similitude.worlds.oracles.rates --tasks eat,move --worlds 20`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.worlds.engine import columns as c


@dataclass(frozen=True)
class Outcome:
    """How one episode ended.

    Attributes:
        task: Name of the task.
        difficulty: Of the world.
        seed: Of the world.
        success: Whether all food was eaten.
        score: Score of the episode.
        frames: Frames that it took.
        points: Hit points left.
        eaten: Foods eaten, of all.
        foods: Foods there were.
    """

    task: str
    difficulty: float
    seed: int
    success: bool
    score: float
    frames: int
    points: float
    eaten: int
    foods: int


def play(
    policy: Any, task: str, difficulty: float, seed: int, *, simulation: Any, limit: int | None = None
) -> Outcome:
    """Play one episode in environment 0 of a simulation and return how it ended.

    Args:
        policy: Has `act_on(simulation, environment)`.
        task: Name of the task.
        difficulty: Of the world.
        seed: Of the world.
        simulation: Of one environment.
        limit: Frames; by default those of an evaluation.
    """
    from similitude.worlds.making import make_world
    from similitude.worlds.tasks.limits import frame_limit

    world = make_world(task, difficulty, seed)
    simulation.load(0, world, limit=frame_limit(task, difficulty) if limit is None else limit)
    foods = int(simulation.body[0, c.FOOD_LEFT])
    policy.reset()
    while not simulation.done(0) and simulation.body[0, c.FOOD_LEFT] > 0:
        simulation.step(policy.act_on(simulation, 0)[None])
    body = simulation.body[0]
    left = int(body[c.FOOD_LEFT])
    return Outcome(
        *(task, difficulty, seed, left == 0, float(body[c.SCORE])),
        *(int(body[c.FRAME]), float(body[c.HP]), foods - left, foods),
    )


def play_all(
    make: Callable[[int], Any],
    tasks: Sequence[str],
    *,
    difficulties: Sequence[float] = (0.0, 1.0),
    seeds: Sequence[int] = range(20),
    backend: str = "numba",
    limit: int | None = None,
    verbose: bool = False,
) -> list[Outcome]:
    """Play a world for every task, difficulty and seed, and return how each ended.

    Args:
        make: Makes the policy for the world of a seed, so that chance does not do the same in all of them.
        tasks: Names of tasks.
        difficulties: Of the worlds.
        seeds: Of the worlds.
        backend: Backend of the simulation.
        limit: Frames; by default those of an evaluation.
        verbose: Print every failure.
    """
    from similitude.worlds.simulation import Simulation

    simulation = Simulation(1, backend=backend, resolution=(8, 8))
    outcomes = []
    for task in tasks:
        for difficulty in difficulties:
            start = time.process_time()
            part = []
            for seed in seeds:
                outcome = play(make(seed), task, difficulty, seed, simulation=simulation, limit=limit)
                part.append(outcome)
                if verbose and not outcome.success:
                    print("   ", outcome)
            outcomes += part
            share = sum(outcome.success for outcome in part) / len(part)
            frames = sum(outcome.frames for outcome in part)
            print(
                f"{task:9s} {difficulty:4.2f}  success {share:4.0%}  {frames / len(part):6.0f} frames a world  "
                f"{1e6 * (time.process_time() - start) / max(frames, 1):5.0f} us a frame",
                flush=True,
            )
    return outcomes


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of rates."""
    from similitude.worlds.oracles.policy import oracle, random_policy
    from similitude.worlds.tasks.catalog import TASKS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--difficulty", default="0,1")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first world")
    parser.add_argument("--policy", choices=("oracle", "random"), default="oracle")
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--verbose", action="store_true")
    asked = parser.parse_args(arguments)
    play_all(
        random_policy if asked.policy == "random" else lambda seed: oracle(),
        asked.tasks.split(","),
        difficulties=[float(value) for value in asked.difficulty.split(",")],
        seeds=range(asked.first, asked.first + asked.worlds),
        backend=asked.backend,
        limit=asked.limit,
        verbose=asked.verbose,
    )


if __name__ == "__main__":
    main()
