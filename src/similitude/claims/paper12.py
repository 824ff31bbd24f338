"""Claims of paper 12 (Avalon): one body and one reward for all tasks, worlds that can be solved, made and played fast."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from similitude.claims.judged import judged
from similitude.claims.needs import check_needs
from similitude.claims.paper12_agents import (
    Acting,
    Erring,
    account,
    chance_agent,
    episode,
    oracle_agent,
    worlds,
)
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence
from similitude.worlds.protocol.summary import success_share
from similitude.worlds.tasks.catalog import BASIC, TASKS

FIRST = 2**40
"""Seed of the first world, of the range that training never sees."""
BARS = {"without images": 200_000.0, "with images": 500.0}
"""Steps per second of one core."""
ENVIRONMENTS = 16
MEDIAN = 0.030
"""Seconds of a core for a world."""


@claim(
    "12.solvable",
    paper=12,
    statement="Twenty tasks are put to one body with one action space, and every task can be solved with it (Section 3).",
    claimed="agents that carry out a known solution through that action space succeed, task by task, on 90 % of "
    "the worlds of the 16 basic tasks at difficulty 0 and on half at difficulty 1, and on half of the 4 compositional "
    "ones at difficulty 0; acting at random on less than 40 % of eat and 15 % of any other, at difficulty 0",
    minutes=3.0,
    full_minutes=10,
    needs=("numba",),
)
def solvable(*, full: bool = False) -> Measured:
    """Play worlds of all tasks with oracles, and the easiest with chance too."""
    # Bars for chance are low, and a few lucky worlds must not decide.
    seeds, many = (range(FIRST + 1000, FIRST + 1000 + n) for n in ((100, 200) if full else (20, 60)))
    easy, hard, chance = (
        {task: _successes(task, difficulty, seeds if oracle else many, oracle) for task in tasks}
        for difficulty, tasks, oracle in ((0.0, TASKS, True), (1.0, BASIC, True), (0.0, TASKS, False))
    )
    bars = [(f"{task}, oracle, difficulty 0", easy[task], 0.9 if task in BASIC else 0.5, 1) for task in TASKS]
    bars += [(f"{task}, oracle, difficulty 1", hard[task], 0.5, 1) for task in BASIC]
    bars += [
        (f"{task}, chance, difficulty 0", chance[task], 0.4 if task == "eat" else 0.15, -1) for task in TASKS
    ]
    missed, evidence = [], []
    for name, outcomes, bar, side in bars:
        share = float(np.mean(outcomes))
        missed += [] if (share >= bar if side > 0 else share < bar) else [name]
        wanted = f"at least {bar:g}" if side > 0 else f"below {bar:g}"
        evidence.append(Evidence(name, share, success_share(outcomes).interval, wanted))
    shown = (("oracle, difficulty 0", easy), ("oracle, difficulty 1", hard), ("chance, difficulty 0", chance))
    figure = Chart(
        "Success by task",
        "task",
        "share of worlds solved",
        tuple(
            Series(
                label,
                [TASKS.index(task) for task in found],
                [float(np.mean(found[task])) for task in found],
                [success_share(found[task]).interval for task in found],
            )
            for label, found in shown
        ),
        "Oracles should stand at the top, chance at the bottom.",
        x_names=TASKS,
        y_range=(0.0, 1.0),
    )
    together = [outcome for found in (easy, hard) for own in found.values() for outcome in own]
    share = float(np.mean(together))
    lacking = f"; missed by {', '.join(missed)}" if missed else ""
    met = len(bars) - len(missed)
    summary = f"oracles solve {share:.1%} of {len(together)} worlds; {met} of {len(bars)} bars are met"
    return judged(
        not missed,
        share,
        "share of worlds",
        summary + lacking,
        evidence,
        success_share(together).interval,
        figures=(figure,),
    )


@claim(
    "12.one_reward",
    paper=12,
    statement="The reward, the dynamics and the actions are the same for every task; tasks differ in their worlds alone "
    "(abstract).",
    claimed="every reward and score of stumbling agents in all 20 tasks follows from energy eaten, damage and frames "
    "alone (to 1e-12, the energy read off the foods that are gone); a world under the name of another task gives the "
    "same rewards bit for bit for the same actions; the spaces of actions and observations are equal",
    minutes=0.5,
    full_minutes=2,
    needs=("numba",),
)
def one_reward(*, full: bool = False) -> Measured:
    """Keep the books of episodes by what is eaten and felt, and play worlds again under other names."""
    seeds = range(FIRST + 2000, FIRST + 2000 + (20 if full else 4))
    off, renamed, damage, energy = {}, {}, {}, {}
    for place, task in enumerate(TASKS):
        other = TASKS[(place + 7) % len(TASKS)]
        books = []
        for i, world in enumerate([w for d in (0.2, 0.8) for w in worlds(task, d, seeds)]):
            first = account(Erring(world.seed, share=0.3 if i % 2 else 0.0), world)
            again = account(_Replayed(first.actions), dataclasses.replace(world, task=other), like=first)
            books.append((first, float(np.abs(first.rewards - again.rewards).max())))
        off[task] = max(book.off for book, _ in books)
        renamed[task] = max(difference for _, difference in books)
        damage[task] = float(np.mean([book.damage for book, _ in books]))
        energy[task] = float(np.mean([book.energy for book, _ in books]))
    same = len({(repr(env.action_space), repr(env.observation_space)) for env in _environments()}) == 1
    evidence = [
        Evidence("largest difference from the books", max(off.values()), expected="at most 1e-12"),
        Evidence("largest difference under another name", max(renamed.values()), expected="0"),
        Evidence("tasks with the same spaces", len(TASKS) if same else 0.0, expected=f"{len(TASKS)}"),
        *(Evidence(f"{task}: energy eaten", energy[task]) for task in TASKS),
        *(Evidence(f"{task}: damage", damage[task]) for task in TASKS),
    ]
    places = range(len(TASKS))
    figure = Chart(
        "What rewards were made of",
        "task",
        "per episode",
        (
            Series("energy eaten", places, [energy[task] for task in TASKS]),
            Series("damage", places, [damage[task] for task in TASKS]),
        ),
        "The books balance in tasks with and without damage.",
        x_names=TASKS,
    )
    worst = max(*off.values(), *renamed.values())
    summary = (
        f"rewards and scores differ from the books by at most {max(off.values()):.1e}, by {max(renamed.values()):.1e} "
        f"under another task's name; spaces are {'equal' if same else 'not equal'}"
    )
    holds = max(off.values()) <= 1e-12 and max(renamed.values()) == 0.0 and same
    return judged(holds, worst, "reward", summary, evidence, figures=(figure,))


@claim(
    "12.worlds",
    paper=12,
    statement="Worlds are generated: highly diverse, as many as one likes, for every task and difficulty (abstract).",
    claimed="over 20 tasks and difficulties 0, 0.5 and 1: a world takes a median of at most 30 ms of a core, no two "
    "worlds have the same land and things, and another process with another hash seed makes the same bytes",
    minutes=0.5,
    full_minutes=2,
    needs=("numba",),
)
def made_worlds(*, full: bool = False) -> Measured:
    """Make worlds, time them, compare their contents, and make some of them elsewhere."""
    count = 34 if full else 4
    seconds: dict[float, list[float]] = {}
    contents, digests, failed = [], {}, 0
    _warmed()
    for difficulty in (0.0, 0.5, 1.0):
        for task in TASKS:
            for seed in range(FIRST + 3000, FIRST + 3000 + count):
                started = time.process_time()
                made = worlds(task, difficulty, [seed])
                seconds.setdefault(difficulty, []).append(time.process_time() - started)
                failed += not made
                contents += [_content(world) for world in made]
                if seed == FIRST + 3000 and made:
                    digests[task, difficulty, seed] = made[0].digest
    everything = np.concatenate(list(seconds.values()))
    median = float(np.median(everything))
    twins = len(contents) - len(set(contents))
    elsewhere = _made_elsewhere(list(digests))
    differ = sum(digest != other for digest, other in zip(digests.values(), elsewhere, strict=True))
    interval = _median_interval(everything)
    evidence = [
        Evidence("median seconds of a core", median, interval, f"at most {MEDIAN:g}"),
        *(Evidence(f"median seconds, difficulty {d:g}", float(np.median(own))) for d, own in seconds.items()),
        Evidence("worlds that are like another", twins, expected="0"),
        Evidence(f"of {len(digests)} worlds, other bytes in another process", differ, expected="0"),
        Evidence("seeds that gave no world", failed),
    ]
    shares = np.arange(1, len(seconds[0.0]) + 1) / len(seconds[0.0])
    figure = Chart(
        "Seconds for a world",
        "seconds of a core",
        "share of worlds made in that time",
        tuple(Series(f"difficulty {d:g}", sorted(own), shares, kind="joined") for d, own in seconds.items()),
        "Half of the worlds should be left of the bar.",
        x_scale="log",
        places={"bar": MEDIAN},
        ordered=True,
    )
    summary = (
        f"a world takes {1e3 * median:.1f} ms in the median of {len(everything)}; {twins} are like another, {differ} of "
        f"{len(digests)} differ in another process"
    )
    holds = median <= MEDIAN and not twins and not differ
    return judged(holds, median, "seconds", summary, evidence, interval, figures=(figure,))


@claim(
    "12.speed",
    paper=12,
    statement="The simulator is highly efficient (abstract).",
    claimed="with 16 environments in a process of one thread: at least 500 steps per second of a core with images of 96 "
    "x 96 in colour and depth, and 200,000 without (the best of five stretches, since other programs disturb)",
    minutes=0.5,
    needs=("numba",),
)
def speed() -> Measured:
    """Walk about in worlds of a task at difficulty 0.5, with and without looking."""
    rates = {name: _rates(camera=name == "with images") for name in BARS}
    best = {name: max(own) for name, own in rates.items()}
    evidence = [
        Evidence(
            f"steps per second, {name}", best[name], (min(rates[name]), best[name]), f"at least {bar:,.0f}"
        )
        for name, bar in BARS.items()
    ]
    figure = Chart(
        "Steps per second of a core",
        "",
        "steps per second over the bar",
        (
            Series(
                "best of five stretches, with their range",
                range(len(BARS)),
                [best[name] / bar for name, bar in BARS.items()],
                [(min(rates[name]) / bar, best[name] / bar) for name, bar in BARS.items()],
            ),
        ),
        "Marks should be above 1.",
        y_scale="log",
        levels={"bar": 1.0},
        x_names=tuple(BARS),
    )
    slowest = min(best[name] / bar for name, bar in BARS.items())
    summary = f"{best['with images']:,.0f} steps per second of a core with images, {best['without images']:,.0f} without"
    return judged(slowest >= 1.0, slowest, "times the bar", summary, evidence, figures=(figure,))


class _Replayed:
    """Actions that were taken before."""

    def __init__(self, actions: Sequence[np.ndarray]) -> None:
        self.left = iter(actions)

    def act_on(self, simulation: Any, e: int) -> np.ndarray:
        """Return the next of them."""
        return next(self.left)


def _successes(task: str, difficulty: float, seeds: Sequence[int], oracle: bool) -> list[bool]:
    def agent(seed: int) -> Acting:
        return oracle_agent() if oracle else chance_agent(seed)

    return [episode(agent(world.seed), world).success for world in worlds(task, difficulty, seeds)]


def _environments() -> list[Any]:
    """Return the environment of every task as Gymnasium makes it."""
    import gymnasium

    import similitude.worlds  # noqa: F401  # registers them

    return [gymnasium.make(f"similitude/Isle-{task}-v1") for task in TASKS]


def _warmed() -> None:
    """Import what making worlds needs, so that the first world is not timed with it."""
    for task in TASKS:
        worlds(task, 0.0, [0])


def _content(world: Any) -> str:
    """Return a digest of land, things and start, without the world's name."""
    arrays = (world.height, world.ground, world.solids, world.things, np.asarray(world.spawn))
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def _made_elsewhere(names: Sequence[tuple[str, float, int]]) -> list[str]:
    """Return the digests of worlds that a process of its own made, in the opposite order."""
    code = (
        "import json, sys\nfrom similitude.worlds.making import make_world\n"
        "print(json.dumps([make_world(*name).digest for name in json.load(sys.stdin)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(list(reversed(names))),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    return list(reversed(json.loads(done.stdout)))


def _median_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a median, by order statistics."""
    half = 0.98 * np.sqrt(len(values))
    ends = np.clip([len(values) / 2 - half, len(values) / 2 + half], 0, len(values) - 1).astype(int)
    low, high = np.sort(values)[ends].tolist()
    return low, high


def _rates(*, camera: bool, stretches: int = 5, seconds: float = 1.5) -> list[float]:
    """Return steps per second of a core, stretch by stretch."""
    from similitude.worlds.simulation import Simulation

    check_needs(("numba",))
    simulation = Simulation(ENVIRONMENTS, resolution=(96, 96))
    islands = [worlds("eat", 0.5, [seed])[0] for seed in range(ENVIRONMENTS)]
    actions = 0.3 * np.random.default_rng(0).uniform(-1, 1, (64, ENVIRONMENTS, 21))
    actions[:, :, [1, 3, 5]] = 0.0  # heads stay level and see land
    actions[:, :, 2] = 0.8
    found, frame = [], 0
    for stretch in range(stretches + 1):
        done, started = 0, time.process_time()
        while time.process_time() - started < (seconds if stretch else 0.05):  # the first one compiles
            if frame % 200 == 0:
                for e, world in enumerate(islands):
                    simulation.load(e, world)
            simulation.step(actions[frame % 64])
            if camera:
                simulation.view()
            frame, done = frame + 1, done + ENVIRONMENTS
        found.append(done / (time.process_time() - started))
    return found[1:]
