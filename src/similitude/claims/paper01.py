"""Claims of paper 1, The Optimization Landscape of SGD Across the Feature Learning Strength: the dial gamma."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np
import torch

from similitude.claims.charts import means
from similitude.claims.gamma_nets import DIGITS, FRESH, GAMMAS, GammaTask, swept
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.richness import power_of
from similitude.studies.gamma_records import GammaSweep

LAYERS = (2, 3, 4)
STEPS = 300
UNIT = "exponent of gamma"

ADAM = functools.partial(torch.optim.Adam, betas=(0.9, 0.95), eps=1e-20)
"""Adam that forgets within a run: with beta2 = 0.999 one huge gradient shortens all later steps, so that rates far above
the stable ones seem to recover. eps is far below every gradient, which is 1 / gamma of its usual size."""


SIZES = {False: ((1e-4, 1e-2, 1e2, 3e3), 150), True: (GAMMAS, STEPS)}
"""Gammas and steps of the sweeps of rates, at the size that takes a minute and at the full one."""

DEEP = 4
DEEP_STEPS = 250
"""With this many layers the largest gamma needs more steps to leave its plateau."""


@claim(
    "1.sgd_rates",
    paper=1,
    statement="The largest stable learning rate of SGD goes as gamma^2 in the lazy regime and as gamma^(2/L) in the rich "
    "one, with L layers (abstract).",
    claimed="exponents for gamma <= 0.01 and gamma >= 100 within 0.15 of 2 and 2/L, for ReLU MLPs of 2, 3 and 4 layers",
    minutes=0.7,
    full_minutes=2,
)
def sgd_rates(*, full: bool = False) -> Measured:
    """Sweep gamma and the rate of SGD for three numbers of layers."""
    return _rates(torch.optim.SGD, FRESH, tolerance=0.15, full=full)


@claim(
    "1.digits_rates",
    paper=1,
    statement="The law of stable learning rates holds on real data.",
    claimed="digits of scikit-learn, squared error, SGD: exponents for gamma <= 0.01 and gamma >= 100 within 0.15 of 2 "
    "and 2/L, for ReLU MLPs of 2, 3 and 4 layers",
    minutes=0.7,
    full_minutes=2.5,
)
def digits_rates(*, full: bool = False) -> Measured:
    """Sweep gamma and the rate of SGD on real images."""
    return _rates(torch.optim.SGD, DIGITS, tolerance=0.15, full=full)


@claim(
    "1.adam_rates",
    paper=1,
    statement="By the same argument (derived here, the abstract speaks of SGD) the exponents of Adam, whose steps do not "
    "depend on the size of gradients, are half of those.",
    claimed="exponents for gamma <= 0.01 and gamma >= 100 within 0.2 of 1 and 1/L, for ReLU MLPs of 2, 3 and 4 layers",
    minutes=0.7,
    full_minutes=2,
)
def adam_rates(*, full: bool = False) -> Measured:
    """Sweep gamma and the rate of Adam for three numbers of layers."""
    return _rates(ADAM, FRESH, tolerance=0.2, full=full)


@claim(
    "1.large_gamma",
    paper=1,
    statement="Optimal online performance is often found at large gamma, and is missed where gamma is not tuned "
    "(abstract).",
    claimed="on inputs never seen before, each gamma at its best rate: the loss at gamma = 1000 is below that at "
    "gamma = 1, and the kernel regime (gamma = 0.01) has at least twice as much; one task, so an example of it",
    minutes=0.7,
)
def large_gamma() -> Measured:
    """Compare three gammas at their best rates of SGD, seed by seed."""
    sweep = swept(torch.optim.SGD, layers=3, steps=STEPS, gammas=(1e-2, 1.0, 1e3))
    kernel, usual, rich = (np.array(point.at_best) for point in sweep.points)
    change = np.log(rich / usual)
    mean, excess = float(change.mean()), float(kernel.mean() / usual.mean())
    low, high = np.exp(t_interval(change)).tolist()
    evidence = tuple(
        Evidence(f"loss at gamma {point.gamma:g}, rate {point.best.lr:.3g}", float(np.mean(point.at_best)))
        for point in sweep.points
    )
    summary = (
        f"the loss at gamma 1000 is {float(np.exp(mean)):.2f} times that at gamma 1, and the kernel regime's "
        f"{excess:.1f} times, after {STEPS} steps"
    )
    outcome = Outcome.OK if mean < 0 and excess >= 2 else Outcome.INCONSISTENT
    if outcome is Outcome.OK and high >= 1:
        outcome = Outcome.CANNOT_TELL
    gammas = [point.gamma for point in sweep.points]
    figure = Chart(
        f"Loss after {STEPS} steps on inputs never seen before",
        "gamma",
        "loss at the best rate",
        (means("SGD", gammas, [kernel, usual, rich], kind="joined"),),
        "The loss should be lower at a large gamma than at 1, and much higher in the kernel regime on the left.",
        x_scale="log",
        y_scale="log",
    )
    verdict = Verdict(outcome, summary, evidence)
    return Measured(float(np.exp(mean)), (low, high), "loss over that at gamma 1", verdict, (figure,))


def _rates(optimizer: OptimizerLike, task: GammaTask, *, tolerance: float, full: bool) -> Measured:
    """Hold the exponents of the largest stable rate against the law for every number of layers."""
    gammas, steps = SIZES[full]
    sweeps = {
        layers: swept(
            optimizer,
            layers=layers,
            steps=max(steps, DEEP_STEPS) if layers >= DEEP else steps,
            gammas=gammas,
            task=task,
        )
        for layers in LAYERS
    }
    rows = [
        (f"L = {layers}, {side} side", sweep.exponent(side))
        for layers, sweep in sweeps.items()
        for side in ("lazy", "rich")
    ]
    missing = [name for name, exponent in rows if exponent is None]
    known = [(name, e, e.expected) for name, e in rows if e is not None and e.expected is not None]
    evidence = tuple(Evidence(name, e.value, e.interval, f"{law:.3g}") for name, e, law in known)
    if missing or not known:
        verdict = Verdict(Outcome.CANNOT_TELL, f"no stable rates at {', '.join(missing)}", evidence)
        return Measured(float("nan"), None, UNIT, verdict, (_rates_chart(sweeps),))
    name, worst, law = max(known, key=lambda row: abs(row[1].value - row[2]))
    holds = abs(worst.value - law) <= tolerance
    summary = f"of {len(known)} exponents the farthest off is {worst.value:.2f} at {name}, where the law has {law:.2f}"
    interval = (worst.interval[0] - law, worst.interval[1] - law)
    figures = (_rates_chart(sweeps),)
    return judged(
        holds, worst.value - law, f"{UNIT}, off the law", summary, evidence, interval, figures=figures
    )


def _rates_chart(sweeps: Mapping[int, GammaSweep]) -> Chart:
    """Draw the largest stable rate against gamma for every number of layers, with the law's slopes."""
    series = []
    for layers, sweep in sweeps.items():
        points = [(p.gamma, [lr for lr in p.stable if lr is not None]) for p in sweep.points]
        middles = [(gamma, math.exp(float(np.log(lrs).mean()))) for gamma, lrs in points if lrs]
        series.append(Series(f"L = {layers}", [gamma for gamma, _ in middles], [lr for _, lr in middles]))
        for side in ([m for m in middles if m[0] < 1], [m for m in middles if m[0] > 1]):
            if len(side) > 1:
                first = side[0]
                powers = [power_of(gamma, layers, sweep.family) for gamma, _ in side]
                law = [
                    first[1] * (gamma / first[0]) ** power
                    for (gamma, _), power in zip(side, powers, strict=True)
                ]
                series.append(Series(f"L = {layers}", [gamma for gamma, _ in side], law, kind="line"))
    return Chart(
        "Largest stable learning rate against gamma",
        "gamma",
        "learning rate",
        tuple(series),
        "Lines have the slopes of the law and go through the first mark of their side. On the left all networks should "
        "go alike, on the right the flatter the deeper.",
        source="the abstract",
        x_scale="log",
        y_scale="log",
        ordered=True,
    )
