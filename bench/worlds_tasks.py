"""Frames that agents of every task of Isle live per CPU-second, without a camera, on one thread.

All tasks are measured in turn, several times over; the table has the median with the range. Worlds are loaded anew every
200 frames, and within 10 frames when an agent has died; the first columns count the time that this takes, the last ones
do not. Frames after a death are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import product

import numpy as np
from worlds import ENVS, walking

from similitude.worlds import make_world
from similitude.worlds.engine.columns import FRAME
from similitude.worlds.simulation import Simulation
from similitude.worlds.tasks.catalog import TASKS
from similitude.worlds.world import World

EPISODE, LOOK = 200, 10
"""Frames until worlds are loaded anew, and between two looks for agents that have died."""


class Player:
    """Agents that walk in worlds, and how long it took."""

    def __init__(self, worlds: list[World], backend: str) -> None:
        self.worlds = worlds
        self.simulation = Simulation(len(worlds), backend=backend)
        self.actions = walking()
        self.lived = self.loading = self.stepping = 0.0

    def load(self, which: np.ndarray) -> None:
        """Put environments at the beginning."""
        begin = time.process_time()
        for e in which.tolist():
            self.lived += float(self.simulation.body[e, FRAME])
            self.simulation.load(e, self.worlds[e])
        self.loading += time.process_time() - begin

    def step(self, frames: range) -> None:
        """Play frames."""
        begin = time.process_time()
        for frame in frames:
            self.simulation.step(self.actions[frame % len(self.actions)])
        self.stepping += time.process_time() - begin

    def play(self, seconds: float) -> tuple[float, float]:
        """Return frames lived per CPU-second, with the loading of worlds and without."""
        everyone = np.arange(len(self.worlds))
        self.load(everyone)
        self.step(range(3))  # compiles
        self.load(everyone)
        self.lived = self.loading = self.stepping = 0.0
        while self.loading + self.stepping < seconds:
            for first in range(0, EPISODE, LOOK):
                self.step(range(first, first + LOOK))
                self.load(np.flatnonzero(self.simulation.finished()))
            self.load(everyone)
        return self.lived / (self.loading + self.stepping), self.lived / self.stepping


def told(rates: list[float]) -> str:
    """Return the median with the range."""
    return f"{statistics.median(rates):>14,.0f}{f'{min(rates):,.0f} to {max(rates):,.0f}':>24}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=",".join(TASKS), help="with commas between them; all")
    parser.add_argument("--difficulty", nargs="+", type=float, default=[0.5, 1.0], help="of their worlds")
    parser.add_argument("--backend", default="numba", help="numba, or warp:cpu")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of one measurement")
    options = parser.parse_args()
    cells = list(product(options.tasks.split(","), options.difficulty))
    worlds = {cell: [make_world(*cell, seed) for seed in range(ENVS)] for cell in cells}
    found: dict[tuple[str, float], list[tuple[float, float]]] = {cell: [] for cell in cells}
    for _, cell in product(range(options.rounds), cells):
        found[cell].append(Player(worlds[cell], options.backend).play(options.seconds))
    print(f"frames lived per CPU-second, {options.backend}, {ENVS} environments, one thread, no camera")
    print(f"{'task':<10}{'difficulty':>10}{'with loading':>14}{'range':>24}{'steps only':>14}{'range':>24}")
    for cell in cells:
        with_loading, steps_only = (list(rates) for rates in zip(*found[cell], strict=True))
        print(f"{cell[0]:<10}{cell[1]:>10}{told(with_loading)}{told(steps_only)}")


if __name__ == "__main__":
    main()
