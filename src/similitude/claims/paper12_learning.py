"""Claim of paper 12 (Avalon) about generalization within a task: what is learned on few worlds, and on many."""

from __future__ import annotations

from typing import Any

import numpy as np

from similitude.claims.charts import means
from similitude.claims.judged import judged
from similitude.claims.needs import check_needs
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence

TASK = "move"
HARDEST = 0.5
"""Difficulties are even from 0 to this."""
COUNTS = (1, 4, 16, 64)
"""Worlds that are trained on."""
EPISODES = 64
"""Demonstrations in all, however many worlds they are spread over."""
UNSEEN = 2**40 + 7000


@claim(
    "12.generalization",
    paper=12,
    statement="The benchmark separates generalization within a task from memory: agents are tested on worlds of the task "
    "that they were not trained on (Section 3).",
    claimed=f"networks cloned from {EPISODES} episodes of an oracle on 1, 4, 16 or 64 worlds of move: all solve 90 % of "
    "the worlds they were trained on; those trained on one solve fewer unseen ones than those trained on 64 (t-interval "
    "over seeds above 0), and at 64 worlds the gap between seen and unseen is below 10 points",
    minutes=3.0,
    full_minutes=15,
    needs=("numba",),
)
def generalization(*, full: bool = False) -> Measured:
    """Clone oracles on equally many demonstrations of more and more worlds, and play seen and unseen ones."""
    check_needs(("numba",))
    seeds = range(20 if full else 6)
    seen, unseen = ({count: np.zeros(len(seeds)) for count in COUNTS} for _ in range(2))
    fresh = _worlds(range(UNSEEN, UNSEEN + 64))
    for seed in seeds:
        for count in COUNTS:
            own = _worlds(range(10_000 * seed, 10_000 * seed + count))
            network = _cloned(own, seed)
            seen[count][seed], unseen[count][seed] = _solved(network, own), _solved(network, fresh)
    gain = unseen[COUNTS[-1]] - unseen[COUNTS[0]]
    gaps = {count: seen[count] - unseen[count] for count in COUNTS}
    interval = t_interval(gain)
    evidence = [
        Evidence(f"{count} worlds: solved of {name}", float(found[count].mean()), t_interval(found[count]))
        for name, found in (("those trained on", seen), ("unseen ones", unseen))
        for count in COUNTS
    ]
    evidence += [Evidence(f"{count} worlds: gap", float(gaps[count].mean())) for count in COUNTS]
    figure = Chart(
        "Success against the number of training worlds",
        "worlds trained on",
        "share of worlds solved",
        (
            means("worlds trained on", COUNTS, list(seen.values()), kind="joined"),
            means("unseen worlds", COUNTS, list(unseen.values()), kind="joined"),
        ),
        "The lines should start apart and meet: with many worlds what is learned is the task.",
        x_scale="log2",
    )
    first, last = (float(gaps[count].mean()) for count in (COUNTS[0], COUNTS[-1]))
    summary = (
        f"unseen worlds: {unseen[COUNTS[0]].mean():.0%} solved after one training world, {unseen[COUNTS[-1]].mean():.0%} "
        f"after {COUNTS[-1]}; the gap to training worlds goes from {100 * first:.0f} to {100 * last:.0f} points"
    )
    holds = interval[0] > 0 and last < 0.1 and min(own.mean() for own in seen.values()) >= 0.9
    return judged(
        holds, float(gain.mean()), "share of worlds", summary, evidence, interval, figures=(figure,)
    )


def _worlds(seeds: range) -> list[Any]:
    from similitude.worlds.making import make_world

    return [
        make_world(TASK, round(float(level), 4), seed)
        for level, seed in zip(
            np.random.default_rng(seeds.start).uniform(0, HARDEST, len(seeds)), seeds, strict=True
        )
    ]


def _cloned(worlds: list[Any], seed: int) -> Any:
    """Return a network that learned from demonstrations spread over worlds."""
    import torch

    from similitude.worlds.learning.cloning import Cloning, clone
    from similitude.worlds.learning.demonstrations import record
    from similitude.worlds.learning.networks import PolicyNetwork

    shown = record([worlds[i % len(worlds)] for i in range(EPISODES)], seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PolicyNetwork(shown.numbers.shape[1], width=64)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    clone(network, shown, optimizer, settings=Cloning(steps=1000, batch=256), seed=seed)
    return network


def _solved(network: Any, worlds: list[Any]) -> float:
    """Return the share of worlds that a network solves within the limits of training, by its most likely actions."""
    import torch

    from similitude.worlds.engine import columns as c
    from similitude.worlds.gym.observing import observe
    from similitude.worlds.learning.policies import PortablePolicy
    from similitude.worlds.simulation import Simulation
    from similitude.worlds.tasks.limits import frame_limit

    policy = PortablePolicy(network, "state", noise=0.0).eval()
    simulation = Simulation(len(worlds), resolution=(8, 8))
    for e, world in enumerate(worlds):
        simulation.load(e, world, limit=frame_limit(TASK, world.difficulty, training=True))
    with torch.no_grad():
        while not simulation.finished().all():
            seen = {name: torch.from_numpy(array) for name, array in observe(simulation, "state").items()}
            simulation.step(policy(seen).numpy().astype(np.float64))
    return float((simulation.body[:, c.FOOD_LEFT] == 0).mean())
