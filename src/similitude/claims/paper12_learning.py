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

TASK = "eat"
EASIEST, HARDEST = 0.5, 1.0
"""Ends of difficulty: several foods, closed ones, on trees and in the ground."""
COUNTS = (1, 8, 64)
"""Worlds that are trained on."""
EPISODES = 64
"""Demonstrations in all, however many worlds they are spread over, and episodes of a test."""
STEPS = 1500
"""Steps of the optimizer."""
FRAMES = 500
"""Frames of a test episode; an oracle needs some 200."""
UNSEEN = 2**40 + 7000


@claim(
    "12.generalization",
    paper=12,
    statement="The benchmark separates generalization within a task from memory: agents are tested on worlds of the task "
    "that they were not trained on (Section 3).",
    claimed=f"networks cloned from {EPISODES} episodes of an oracle on 1, 8 or 64 worlds of eat: trained on one, they "
    "solve it in 90 % of their episodes; the gap between worlds they were trained on and unseen ones shrinks from 1 "
    "world to 64 (t-interval over seeds above 0) to below 10 points, and they solve more unseen worlds",
    minutes=1.5,
    full_minutes=6,
    needs=("numba",),
)
def generalization(*, full: bool = False) -> Measured:
    """Clone oracles on equally many demonstrations of more and more worlds, and play seen and unseen ones."""
    check_needs(("numba",))
    seeds = range(20 if full else 5)
    seen, unseen = ({count: np.zeros(len(seeds)) for count in COUNTS} for _ in range(2))
    fresh = _worlds(range(UNSEEN, UNSEEN + EPISODES))
    for seed in seeds:
        for count in COUNTS:
            own = _worlds(range(10_000 * seed, 10_000 * seed + count))
            network = _cloned(own, seed)
            seen[count][seed], unseen[count][seed] = _solved(network, own), _solved(network, fresh)
    gaps = {count: seen[count] - unseen[count] for count in COUNTS}
    closed = gaps[COUNTS[0]] - gaps[COUNTS[-1]]
    interval = t_interval(closed)
    evidence = [
        Evidence(f"{count} worlds: solved of {name}", float(found[count].mean()), t_interval(found[count]))
        for name, found in (("those trained on", seen), ("unseen ones", unseen))
        for count in COUNTS
    ]
    evidence += [
        Evidence(f"{count} worlds: gap", float(gaps[count].mean()), t_interval(gaps[count]))
        for count in COUNTS
    ]
    evidence.append(Evidence("how far the gap closes", float(closed.mean()), interval, "above 0"))
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
    few, many = COUNTS[0], COUNTS[-1]
    summary = (
        f"the gap between training and unseen worlds goes from {100 * gaps[few].mean():.0f} to "
        f"{100 * gaps[many].mean():.0f} points as {few} training world becomes {many}; unseen ones solved: "
        f"{unseen[few].mean():.0%} and {unseen[many].mean():.0%}"
    )
    grows = unseen[many].mean() > unseen[few].mean()
    holds = interval[0] > 0 and gaps[many].mean() < 0.1 and grows and seen[few].mean() >= 0.9
    return judged(
        bool(holds), float(closed.mean()), "share of worlds", summary, evidence, interval, figures=(figure,)
    )


def _worlds(seeds: range) -> list[Any]:
    from similitude.worlds.making import make_world

    levels = np.random.default_rng(seeds.start).uniform(EASIEST, HARDEST, len(seeds))
    return [make_world(TASK, round(float(level), 4), seed) for level, seed in zip(levels, seeds, strict=True)]


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
    clone(network, shown, optimizer, settings=Cloning(steps=STEPS, batch=256), seed=seed)
    return network


def _solved(network: Any, worlds: list[Any]) -> float:
    """Return the share of episodes that a network solves, in worlds by turns, with actions drawn as it was taught."""
    import torch

    from similitude.core.seeding import torch_generator
    from similitude.worlds.engine import columns as c
    from similitude.worlds.gym.observing import observe
    from similitude.worlds.learning.policies import numbers_of, sample
    from similitude.worlds.simulation import Simulation

    generator = torch_generator(0, "episodes of clones")
    simulation = Simulation(EPISODES, resolution=(8, 8))
    for e in range(EPISODES):
        simulation.load(e, worlds[e % len(worlds)], limit=FRAMES)
    with torch.no_grad():
        while not simulation.finished().all():
            actions = sample(network(numbers_of(observe(simulation, "state"))), generator).clamp(-1.0, 1.0)
            simulation.step(actions.numpy().astype(np.float64))
    return float((simulation.body[:, c.FOOD_LEFT] == 0).mean())
