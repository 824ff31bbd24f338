"""Claims of paper 1 on what large gammas do over time: sharpness, plateaus, staircases, collapse, the best gamma."""

from __future__ import annotations

import functools
import tempfile

import numpy as np
import torch

from similitude.claims.charts import means
from similitude.claims.gamma_descent import LinearRuns, descend, sharpness
from similitude.claims.gamma_nets import FreshInputs, make
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.scaling.richness import plateau_scale, sharpness_power
from similitude.studies.richness.phase_sweep import sweep
from similitude.studies.richness.rescaled_time import Collapse, collapse
from similitude.theory.gradient_flows.plateaus import LossStaircase, find_staircase
from similitude.training.losses import mean_squared_error

LAYERS = (2, 3, 4)
RICH = (1e2, 1e3, 1e4)
LAZY = (1e-4, 1e-3, 1e-2)
RATE = 0.1
"""Rate of gradient descent at gamma = 1, about a twentieth of the largest stable one where weights have grown."""

STEPS = {2: 300, 3: 1200, 4: 3000}
"""Steps after which the largest gamma is fitted, by the number of layers."""

SINGULAR_VALUES = (4.0, 1.0, 0.25)
FLOOR = 2e-3  # losses below it are none: the last plateau is that of a fitted network
BUDGETS = (20, 60, 200)


def one_output() -> torch.Tensor:
    """Return a linear function of eight inputs, of norm 1, shape (1, 8)."""
    drawn = torch.randn(1, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return drawn / drawn.norm()


@functools.cache
def rich_runs(layers: int) -> LinearRuns:
    """Train linear networks at the gammas of the rich side, at rates that grow as gamma^(2/L) of this experiment."""
    rates = [RATE * gamma ** (2 / layers) for gamma in RICH]
    return descend(one_output(), layers=layers, gammas=RICH, lrs=rates, steps=STEPS[layers], width=32)


@claim(
    "1.sharpness",
    paper=1,
    statement="The Hessian goes as gamma^-2 in the lazy regime and, where training is stable, as gamma^(-2/L) in the "
    "rich one: stable rates follow its inverse.",
    claimed="linear networks of 2, 3, 4 layers, dense Hessians: exponents of the largest eigenvalue -2 (lazy), -1 (rich, "
    "before training) and -2/L (rich, trained) within 0.05",
    minutes=0.3,
)
def sharpness_powers() -> Measured:
    """Take dense Hessians before and after training."""
    rows, series = [], []
    for layers in LAYERS:
        target = one_output()[:, :3] / one_output()[:, :3].norm()
        rates = [RATE * gamma ** (2 / layers) for gamma in RICH]
        rich = descend(target, layers=layers, gammas=RICH, lrs=rates, steps=STEPS[layers], width=8)
        lazy = descend(target, layers=layers, gammas=LAZY, lrs=[0.0] * len(LAZY), steps=1, width=8)
        for name, runs, trained in (
            ("lazy, as drawn", lazy, False),
            ("rich, as drawn", rich, False),
            ("rich, trained", rich, True),
        ):
            values = sharpness(runs, target, trained=trained)
            slopes = np.polyfit(np.log(runs.gammas), np.log(values), 1)[0]
            law = sharpness_power(runs.gammas[-1], layers, trained=trained)
            rows.append((f"L = {layers}, {name}", slopes, law))
            if trained:
                series.append(means(f"L = {layers}", runs.gammas, list(values)))
                first = float(values[0].mean())
                guide = [first * (gamma / RICH[0]) ** law for gamma in RICH]
                series.append(Series(f"L = {layers}", RICH, guide, kind="line"))
    name, worst, law = max(rows, key=lambda row: abs(row[1].mean() - row[2]))
    off = float(worst.mean() - law)
    evidence = tuple(
        Evidence(f"exponent, {name}", float(values.mean()), t_interval(values), f"{law:.3g}")
        for name, values, law in rows
    )
    figure = Chart(
        "Sharpness of fitted networks",
        "gamma",
        "largest eigenvalue of the Hessian",
        tuple(series),
        "Marks should follow the lines, which have slopes -2/L through the first mark.",
        x_scale="log",
        y_scale="log",
        ordered=True,
    )
    summary = f"of {len(rows)} exponents the farthest off is {worst.mean():.3f} ({name}), where the law has {law:.3f}"
    low, high = t_interval(worst)
    return judged(
        abs(off) <= 0.05,
        off,
        "exponent of gamma, off the law",
        summary,
        evidence,
        (low - law, high - law),
        figures=(figure,),
    )


@claim(
    "1.collapse",
    paper=1,
    statement="At large gamma loss curves are one curve in rescaled time (lr * gamma^(-2/L) * t), but for the length of "
    "the plateau before.",
    claimed="linear networks of 2, 3, 4 layers, gamma 1e2 to 1e4, aligned at the half-drop: curves within 0.06 of the "
    "initial loss, and more than three times as far apart with the exponents of L - 1 and L + 1 layers",
    minutes=0.2,
)
def collapsed() -> Measured:
    """Train at three gammas of the rich side and align the curves."""
    found = {layers: _collapse(layers, layers) for layers in LAYERS}
    others = {layers: min(_collapse(layers, layers + k).discrepancy for k in (-1, 1)) for layers in LAYERS}
    worst = max(found, key=lambda layers: found[layers].discrepancy)
    apart = min(others[layers] / found[layers].discrepancy for layers in LAYERS)
    evidence = [
        Evidence(f"largest distance, L = {layers}", one.discrepancy, one.interval, "at most 0.06")
        for layers, one in found.items()
    ]
    evidence += [
        Evidence(f"with the exponent of one layer more or fewer, L = {layers}", value)
        for layers, value in others.items()
    ]
    figures = tuple(
        Chart(
            f"Loss in rescaled time, L = {layers}",
            "lr * steps / gamma^(2/L), from the half-drop",
            "loss / initial loss",
            tuple(
                Series(f"gamma {gamma:g}", one.time, curve, kind="joined")
                for gamma, curve in one.curves.items()
            ),
            "All gammas should be one curve.",
            ordered=True,
        )
        for layers, one in found.items()
    )
    value = found[worst].discrepancy
    summary = (
        f"curves are within {value:.3f} of each other (L = {worst}), and {apart:.0f} times as far or more in the time of "
        "another depth"
    )
    holds = value <= 0.06 and apart > 3
    return judged(holds, value, "initial losses", summary, evidence, found[worst].interval, figures=figures)


@claim(
    "1.plateau",
    paper=1,
    statement="Larger gammas begin with longer plateaus: at rates that follow gamma^(2/L) their length in steps goes as "
    "log(gamma) with two layers, as gamma^(1-2/L) with more (derived here).",
    claimed="linear networks, gamma 1e3 to 1e4: the time to the half-drop grows by the law's factor within 15 % for L = "
    "3, 4; for L = 2 by equal steps per decade within 15 %",
    minutes=0.2,
)
def plateau() -> Measured:
    """Take the steps until the loss has dropped by half."""
    halves = {
        layers: np.argmax(rich_runs(layers).losses < 0.5 * rich_runs(layers).losses[..., :1], axis=-1)
        for layers in LAYERS
    }
    first, second, third = halves[2]
    two = (third - second) / (second - first)
    two_law = (plateau_scale(RICH[2], 2) - plateau_scale(RICH[1], 2)) / (
        plateau_scale(RICH[1], 2) - plateau_scale(RICH[0], 2)
    )
    rows = [("L = 2, steps of the last decade over those before", two, two_law)]
    for layers in LAYERS[1:]:
        law = plateau_scale(RICH[2], layers) / plateau_scale(RICH[1], layers)
        rows.append((f"L = {layers}, factor of the last decade", halves[layers][2] / halves[layers][1], law))
    name, worst, law = max(rows, key=lambda row: abs(row[1].mean() / row[2] - 1))
    off = float(worst.mean() / law - 1)
    evidence = tuple(
        Evidence(name, float(values.mean()), t_interval(values), f"{law:.3g}") for name, values, law in rows
    )
    figure = Chart(
        "Steps until the loss has dropped by half",
        "gamma",
        "steps",
        tuple(
            means(f"L = {layers}", RICH, list(of.astype(float)), kind="joined")
            for layers, of in halves.items()
        ),
        "Steps should grow as powers 1 - 2/L of gamma, for two layers as its logarithm.",
        x_scale="log",
        y_scale="log",
        ordered=True,
    )
    summary = f"the farthest off is {name}: {worst.mean():.3g}, where the law has {law:.3g}"
    return judged(abs(off) <= 0.15, off, "relative error", summary, evidence, figures=(figure,))


@claim(
    "1.staircase",
    paper=1,
    statement="At large gamma losses fall in a staircase: plateaus, and drops at which one direction is learned.",
    claimed="linear networks on singular values 4, 1, 1/4: three drops to the losses of what is left; times as 1, 4, 16 "
    "(the inverse singular values) within 25 % at gamma 1e12 (L = 2) and 1e4 (L = 3), no staircase at gamma 10",
    minutes=0.4,
)
def staircase() -> Measured:
    """Train on three directions of different strength and find the drops."""
    s = np.array(SINGULAR_VALUES)
    target = torch.diag(torch.tensor(SINGULAR_VALUES, dtype=torch.float64))
    left = [0.5 * float((s[k:] ** 2).sum()) for k in range(len(s))]
    law = drop_times(s)
    evidence, holds, series, errors = [], True, [], []
    for layers, gammas, rate, steps in ((2, (10.0, 1e12), 0.03, 4000), (3, (10.0, 1e4), 0.03, 5000)):
        rates = [rate * gamma ** (2 / layers) for gamma in gammas]
        runs = descend(target, layers=layers, gammas=gammas, lrs=rates, steps=steps, width=16, seeds=8)
        mild, rich = ([_stairs(losses) for losses in row] for row in runs.losses)
        times = [[drop.time for drop in one.drops] for one in rich]
        flat = all(len(one.drops) < len(s) for one in mild)
        if any(len(one) != len(s) for one in times):
            counts = ", ".join(str(len(one)) for one in times)
            evidence.append(
                Evidence(f"drops of L = {layers} ({counts} by seed), fewest", min(map(len, times)), None, "3")
            )
            holds = False
            continue
        ratios = np.array(times) / np.array(times)[:, :1]
        levels = np.exp([[plateau.level for plateau in one.plateaus[:-1]] for one in rich])
        wrong = float(np.abs(levels / left - 1).max())
        for k in (1, 2):
            evidence.append(
                Evidence(
                    f"time of drop {k + 1} over that of the first, L = {layers}",
                    float(ratios[:, k].mean()),
                    t_interval(ratios[:, k]),
                    f"{law[k]:g}",
                )
            )
            errors.append(float(ratios[:, k].mean() / law[k] - 1))
        evidence.append(Evidence(f"levels off what is left, L = {layers}", wrong, None, "at most 0.1"))
        holds = holds and flat and wrong <= 0.1
        shown = slice(None, None, max(1, steps // 300))
        series.append(
            Series(
                f"L = {layers}, gamma {gammas[1]:g}",
                np.arange(steps)[shown] / times[0][0],
                np.maximum(runs.losses[1, 0], FLOOR)[shown],
                kind="joined",
            )
        )
    worst = max(errors, key=abs) if errors else float("nan")
    figure = Chart(
        "Losses at large gamma",
        "step / step of the first drop",
        "loss",
        tuple(series),
        "Three drops, between levels at half the sum of the squares of what is not learned yet.",
        x_scale="log",
        y_scale="log",
        levels={f"without {k} directions": level for k, level in enumerate(left)},
        places={f"{place:g}": float(place) for place in law},
    )
    holds = holds and abs(worst) <= 0.25
    summary = (
        f"drops come at 1, 4, 16 times the first one within {abs(worst):.0%}" if errors else "not three drops"
    )
    return judged(holds, worst, "relative error of the drop times", summary, evidence, figures=(figure,))


@claim(
    "1.compute",
    paper=1,
    statement="Which gamma is best depends on the compute: large gammas need steps to leave their plateau (abstract).",
    claimed=f"on inputs never seen before, each gamma at its best rate: after {BUDGETS[0]} steps the loss at gamma 1000 "
    f"is above that at gamma = 1, after {BUDGETS[-1]} steps below it; one task, so an example of it",
    minutes=0.4,
)
def by_compute() -> Measured:
    """Map three gammas and read the best of each off after three numbers of steps."""
    with tempfile.TemporaryDirectory() as folder:
        found = sweep(
            functools.partial(make, layers=3),
            (1.0, 30.0, 1000.0),
            batches=FreshInputs(),
            base=32,
            loss=mean_squared_error,
            steps=BUDGETS[-1],
            budgets=BUDGETS,
            storage=folder,
        )
    ratios = [budget.losses[1000.0] / budget.losses[1.0] for budget in found.budgets]
    evidence = [
        Evidence(f"loss at gamma 1000 over that at gamma 1, {budget.steps} steps", ratio)
        for budget, ratio in zip(found.budgets, ratios, strict=True)
    ]
    evidence += [
        Evidence(f"best gamma, {b.steps} steps", b.best.gamma, b.best.interval) for b in found.budgets
    ]
    figure = Chart(
        "Loss against gamma by the number of steps",
        "gamma",
        "training loss at the best rate",
        tuple(
            Series(f"{b.steps} steps", list(b.losses), list(b.losses.values()), kind="joined")
            for b in found.budgets
        ),
        "The lowest point should move to larger gammas with more steps.",
        x_scale="log",
        y_scale="log",
        ordered=True,
    )
    summary = (
        f"the loss at gamma 1000 is {ratios[0]:.2f} times that at gamma 1 after {BUDGETS[0]} steps, {ratios[-1]:.2f} "
        f"times after {BUDGETS[-1]}"
    )
    holds = ratios[0] > 1 > ratios[-1]
    return judged(holds, ratios[-1] / ratios[0], "ratio of the ratios", summary, evidence, figures=(figure,))


def drop_times(singular_values: np.ndarray) -> np.ndarray:
    """Return when directions are learned, over the time of the first: as the inverse of their strengths."""
    return singular_values[0] / singular_values


def _collapse(layers: int, supposed: int) -> Collapse:
    """Collapse the runs of some layers in the time of a supposed number of them."""
    runs = rich_runs(layers)
    rates = [RATE * gamma ** (2 / layers) for gamma in RICH]
    losses = runs.losses / runs.losses[..., :1]
    return collapse(dict(zip(RICH, losses, strict=True)), rates, layers=supposed)


def _stairs(losses: np.ndarray) -> LossStaircase:
    """Find plateaus on the scale of the logarithm, where a late small drop is as visible as the first."""
    return find_staircase(np.log(np.maximum(losses, FLOOR)), smallest=0.05, shortest=0.01)
