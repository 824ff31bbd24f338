"""How learning rates go with gamma on its lazy and its rich side, against the law; and which gamma is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from similitude.checking.slopes import fit
from similitude.core.seeding import numpy_generator
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.richness import power_of
from similitude.studies.gamma_records import BestGamma, Exponent, GammaPoint
from similitude.studies.optimum import optimum
from similitude.studies.stable_rates import PER_OCTAVE

LAZY = 1e-2
RICH = 1e2
"""Where the two sides of the law begin: between them rates bend from one power to the other."""

TOLERANCE = {"sgd": 0.15, "entrywise": 0.2, "orthogonalized": 0.2}
"""How far an exponent may be off the law: what networks of finite size and training leave of it."""

STABLE, BEST = "largest stable rate", "best rate"
_SIDES: dict[str, Callable[[float], bool]] = {"lazy": lambda g: g <= LAZY, "rich": lambda g: g >= RICH}


def exponents(points: Sequence[GammaPoint], *, layers: int | None, family: str) -> tuple[Exponent, ...]:
    """Fit the exponents of gamma that learning rates follow.

    Args:
        points: What was found, by increasing gamma.
        layers: Number of weight layers, for the exponents that the law expects; None where it is not known.
        family: Optimizer family.

    Returns:
        Those of the largest stable and of the best rate on each side with at least two gammas at which they are known.
    """
    found = []
    for side, lies in _SIDES.items():
        of = [point for point in points if lies(point.gamma)]
        for quantity, fitted in ((STABLE, _stable), (BEST, _best)):
            usable = [point for point in of if _known(point, quantity)]
            if len(usable) < 2:
                continue
            value, interval = fitted(usable)
            expected = None if layers is None else power_of(usable[0].gamma, layers, family)
            gammas = tuple(point.gamma for point in usable)
            found.append(Exponent(side, quantity, value, interval, expected, gammas))
    return tuple(found)


def _known(point: GammaPoint, quantity: str) -> bool:
    return None not in point.stable if quantity == STABLE else point.best.bracketed


def _stable(points: Sequence[GammaPoint]) -> tuple[float, tuple[float, float]]:
    gammas = [point.gamma for point in points]
    slope = fit(gammas, [[rate for rate in point.stable if rate is not None] for point in points])
    assert slope is not None, "rates are positive"
    # Rates are rounded down to the lattice, by up to a step at either end.
    rounding = 1 / PER_OCTAVE / math.log2(gammas[-1] / gammas[0])
    return slope.value, (slope.low - rounding, slope.high + rounding)


def _best(points: Sequence[GammaPoint]) -> tuple[float, tuple[float, float]]:
    x = np.log2([point.gamma for point in points])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    value = float(weights @ np.log2([point.best.lr or math.nan for point in points]))
    draws = [np.array(point.best.draws) for point in points]
    if any(len(row) == 0 for row in draws):
        return value, (-math.inf, math.inf)
    # Every curve was drawn with the same generator, so their draws are shuffled into independent ones.
    mixed = [numpy_generator(i, "mix").permutation(row) for i, row in enumerate(draws)]
    low, high = np.quantile(weights @ np.stack(mixed), [0.025, 0.975])
    return value, (min(float(low), value), max(float(high), value))


def judge_law(found: Sequence[Exponent], family: str) -> Verdict:
    """Say whether the largest stable rates follow the law of paper 1.

    Args:
        found: What `exponents` returns.
        family: Optimizer family, for the tolerance.
    """
    tolerance = TOLERANCE[family]
    held = [(e, e.expected) for e in found if e.quantity == STABLE and e.expected is not None]
    evidence = tuple(
        Evidence(f"exponent of the {e.quantity}, {e.side} side", e.value, e.interval, f"{expected:.3g}")
        for e, expected in held
    )
    if not held:
        return Verdict(
            Outcome.CANNOT_TELL,
            f"the law of learning rates was not tested: that takes two gammas of at most {LAZY:g} or at least {RICH:g}, "
            "and a plain stack of weight layers that can be counted (norms and residual branches have no law)",
            next=f"--gammas 0.001,{LAZY:g},0.1,1,10,{RICH:g},1000",
        )
    texts = [f"gamma^{e.value:.2f} on the {e.side} side (law {expected:.2f})" for e, expected in held]
    summary = f"largest stable rates follow {' and '.join(texts)}"
    off = [
        (e, expected)
        for e, expected in held
        if abs(e.value - expected) > tolerance and not e.interval[0] <= expected <= e.interval[1]
    ]
    if off:
        causes = (
            "residual branches or norms: the law is that of feed-forward networks without them",
            "too few steps for the rich side to learn at rates below the largest stable one",
            "a loss without a scale of its own, such as cross-entropy after every example is right",
        )
        step = f"use the rates of the table in place of those of plan(gamma=...), or train longer; {off[0][0].side} side"
        return Verdict(Outcome.INCONSISTENT, summary, evidence, causes, step)
    if any(abs(e.value - expected) > tolerance for e, expected in held):
        return Verdict(Outcome.CANNOT_TELL, summary, evidence, next="--seeds 5, or more gammas on this side")
    return Verdict(Outcome.CONSISTENT, summary, evidence)


def best_gamma(points: Sequence[GammaPoint]) -> BestGamma:
    """Find the best richness from the losses that every gamma has at its own best rate, as a best rate is found.

    Args:
        points: What was found, by increasing gamma.
    """
    alive = [point for point in points if point.at_best]
    tried = f"{points[0].gamma:g} to {points[-1].gamma:g}"
    if not alive:
        verdict = Verdict(Outcome.DIVERGED, f"no learning rate was stable at any gamma from {tried}")
        return BestGamma(None, None, math.nan, None, verdict)
    means = {point.gamma: float(np.mean(point.at_best)) for point in alive}
    best = min(means, key=means.__getitem__)
    if len(alive) < 3:
        verdict = Verdict(
            Outcome.CANNOT_TELL,
            f"{len(alive)} gamma{'' if len(alive) == 1 else 's'} of {tried} cannot bracket an optimum",
            next="--gammas 0.1,1,10,100",
        )
        return BestGamma(best, None, means[best], None, verdict)
    # One octave of the routine for learning rates stands for one step of this grid, decades as a rule.
    logs = [math.log(point.gamma) for point in alive]
    step = float(np.median([high - low for low, high in pairwise(logs)]))
    units = tuple(2.0 ** ((log - logs[0]) / step) for log in logs)
    found = optimum(replace(alive[0].curve, lrs=units, losses=tuple(point.at_best for point in alive)))
    assert found.lr is not None, "a loss is finite"

    def back(unit: float) -> float:
        return math.exp(logs[0] + math.log2(unit) * step)

    interval = None if found.interval is None else (back(found.interval[0]), back(found.interval[1]))
    gamma = back(found.lr)
    return BestGamma(
        gamma, interval, found.loss, found.edge, _say(found.verdict.outcome, gamma, interval, found.edge)
    )


def _say(outcome: Outcome, gamma: float, interval: tuple[float, float] | None, edge: str | None) -> Verdict:
    """Word the verdict on the best gamma."""
    evidence = (Evidence("best gamma", gamma, interval),)
    if outcome is Outcome.OK:
        return Verdict(outcome, f"the best gamma at this compute is {gamma:.3g}", evidence)
    if outcome is Outcome.NOT_BRACKETED:
        end = {"low": "smallest", "high": "largest"}.get(edge or "", "last")
        where, way = (
            f"near {gamma:.3g}, at the {end} that were tried",
            {"low": "smaller", "high": "larger"}.get(edge or ""),
        )
        return Verdict(
            outcome,
            f"the best gamma lies {where}, or beyond: losses there do not rise beyond noise",
            evidence,
            next=f"{way or 'more'} --gammas, or more --seeds",
        )
    return Verdict(
        outcome,
        f"the best gamma is near {gamma:.3g}, but losses of neighbouring gammas differ too little beside their noise",
        evidence,
        ("gamma matters little for this model and amount of training",),
        "--seeds 6",
    )
