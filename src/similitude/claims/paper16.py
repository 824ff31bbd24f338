"""Claims of paper 16, small first steps: a gradient of rank one, its spike, and ridge regression before and after."""

from __future__ import annotations

import math

import numpy as np
import torch

from similitude.claims.charts import means, power_guide, theory
from similitude.claims.judged import judged
from similitude.claims.one_step_nets import Drawn, Link, Setting, drawn, measured_risks
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.theory.one_step.alignment import squared_cosine, top_direction
from similitude.theory.one_step.asymptotic import one_step_risk
from similitude.theory.one_step.hermite import hermite_moments
from similitude.theory.one_step.spike import one_step_spike

Array = np.ndarray


STUDENTS: dict[str, Link] = {"tanh": torch.tanh, "ReLU": torch.relu}
NOISE = 1 / 16
WIDTHS, RANK_ONE_DRAWS = (400, 800, 1600), 3
FULL = 4
"""Widths of the first gradient at full size over the usual ones."""
SPIKE_SIZES, SPIKE_ETAS, SPIKE_DRAWS = (500, 750, 1500), (0.5, 1.0, 5.0, 8.0, 12.0), 4
RISKS = ((300, 600, 600, 1e-2), (300, 300, 1200, 1e-2), (300, 900, 450, 0.1))
RISK_ETAS, RISK_DRAWS = (0.0, 1.0, 2.0, 4.0), 6


@claim(
    "16.rank_one",
    paper=16,
    statement="The first gradient of the first layer is, but for a vanishing part, the rank-one matrix "
    "mu_1 / (n sqrt N) X'y a'.",
    claimed="tanh and ReLU students of a ReLU teacher, n = N = 2 d: the relative error of the rank-one matrix in "
    "operator norm at N = 1600 is half of that at 400, at full size that at 6400 of that at 1600, within 25 %",
    minutes=0.1,
    full_minutes=4,
)
def rank_one(*, full: bool = False) -> Measured:
    """Take gradients at three widths, and compare with the rank-one matrix."""
    widths = tuple(FULL * N for N in WIDTHS) if full else WIDTHS
    evidence, series, ratios = [], [], {}
    for name, phi in STUDENTS.items():
        linear = hermite_moments(phi).linear
        errors = []
        for N in widths:
            setting = Setting(phi, torch.relu, N // 2, N, N, NOISE)
            draws = [_rank_one_error(drawn(setting, seed), linear) for seed in range(RANK_ONE_DRAWS)]
            errors.append(np.array(draws))
            evidence.append(
                Evidence(f"relative error, {name}, N {N}", float(np.mean(draws)), t_interval(errors[-1]))
            )
        series.append(means(name, widths, errors, kind="joined"))
        ratios[name] = float(errors[-1].mean() / errors[0].mean())
    series.append(power_guide("N^-1/2", widths, 1.25 * series[0].y[0], -0.5))
    figure = Chart(
        "Distance of the first gradient from rank one",
        "width N",
        "relative error in operator norm",
        tuple(series),
        "Marks should fall as the dotted line: a fourfold width halves what is left beside the rank-one matrix.",
        x_scale="log2",
        y_scale="log",
    )
    worst = max(ratios.values(), key=lambda ratio: abs(ratio - 0.5))
    said = " and ".join(f"{ratio:.2f} for {name}" for name, ratio in ratios.items())
    summary = f"from N = {widths[0]} to {widths[-1]} the part that is not of rank one falls to {said}"
    return judged(
        abs(worst - 0.5) <= 0.125, worst, "last error over first", summary, evidence, figures=(figure,)
    )


def _rank_one_error(draw: Drawn, linear: float) -> float:
    expected = (
        math.sqrt(draw.net.width) * linear * np.outer(draw.net.readout, draw.x.T @ draw.y / len(draw.x))
    )
    return top_direction(draw.change - expected)[0] / top_direction(draw.change)[0]


@claim(
    "16.spike",
    paper=16,
    statement="After a step of eta = O(1) above a threshold, one singular value leaves the bulk, its direction aligned "
    "with the teacher's; both have closed forms.",
    claimed="tanh and ReLU students, d 500, N 750, n 1500, five eta from 0.5 to 12, four draws: top singular values "
    "within 5 % and squared cosines with the teacher within 0.05 of the closed form",
    minutes=0.1,
)
def spike() -> Measured:
    """Take steps of five sizes, and decompose the weights."""
    d, N, n = SPIKE_SIZES
    evidence, off, tops, cosines = [], [], [], []
    for name, phi in STUDENTS.items():
        draws = [drawn(Setting(phi, torch.relu, d, N, n, NOISE), seed) for seed in range(SPIKE_DRAWS)]
        found = np.array([[_spike(draw, eta) for draw in draws] for eta in SPIKE_ETAS])
        sizes = {"n": n, "width": N, "dimension": d, "noise": NOISE}
        for eta, values in zip(SPIKE_ETAS, found, strict=True):
            said = one_step_spike(phi, torch.relu, **sizes, eta=eta)
            off += [float(values[:, 0].mean()) / said.top - 1, float(values[:, 1].mean()) - said.alignment]
            for i, (what, expected) in enumerate(
                (("top singular value", said.top), ("squared cosine", said.alignment))
            ):
                row = float(values[:, i].mean()), t_interval(values[:, i])
                evidence.append(Evidence(f"{what}, {name}, eta {eta:g}", *row, f"{expected:.3f}"))
        ends = SPIKE_ETAS[0], SPIKE_ETAS[-1]
        tops += [
            means(name, SPIKE_ETAS, list(found[:, :, 0])),
            theory(
                name,
                *ends,
                lambda eta, phi=phi, sizes=sizes: one_step_spike(phi, torch.relu, **sizes, eta=eta).top,
            ),
        ]
        cosines += [
            means(name, SPIKE_ETAS, list(found[:, :, 1])),
            theory(
                name,
                *ends,
                lambda eta, phi=phi, sizes=sizes: one_step_spike(phi, torch.relu, **sizes, eta=eta).alignment,
            ),
        ]
    look = "Marks should lie on their lines: nothing to the threshold, and then a spike that turns to the teacher."
    figures = (
        Chart(
            "Alignment with the teacher",
            "eta",
            "squared cosine",
            tuple(cosines),
            look,
            "Figure 2",
            x_scale="log",
        ),
        Chart("Top singular value", "eta", "singular value", tuple(tops), look, x_scale="log"),
    )
    worst = max(off, key=abs)
    summary = (
        f"singular values are at most {100 * max(map(abs, off[::2])):.1f} % off the closed form, squared cosines at most "
        f"{max(map(abs, off[1::2])):.3f}"
    )
    return judged(abs(worst) <= 0.05, abs(worst), "largest distance", summary, evidence, figures=figures)


def _spike(draw: Drawn, eta: float) -> tuple[float, float]:
    top, direction = top_direction(draw.after(eta).weight)
    return top, squared_cosine(direction, draw.beta)


@claim(
    "16.small_step",
    paper=16,
    statement="After a step of eta = O(1), ridge regression on the features is better than before, by an amount with a "
    "closed form, and never better than the best linear function.",
    claimed="three settings, two students, eta 0, 1, 2, 4, six draws: all mean risks within three standard errors or 5 % "
    "of the closed form, falling with eta, and above the best linear function's",
    minutes=0.4,
)
def small_step() -> Measured:
    """Regress on features before and after steps of three sizes, on the same samples."""
    evidence, off, hits, falls, series = [], [], [], [], []
    floor = hermite_moments(torch.relu).rest ** 2
    for name, phi in STUDENTS.items():
        for d, N, n, ridge in RISKS:
            setting = Setting(phi, torch.relu, d, N, n, NOISE)
            found = np.array(
                [measured_risks(drawn(setting, seed), RISK_ETAS, [ridge])[:, 0] for seed in range(RISK_DRAWS)]
            )

            def predicted(
                eta: float, phi: Link = phi, d: int = d, N: int = N, n: int = n, ridge: float = ridge
            ) -> float:
                sizes = {"n": n, "width": N, "dimension": d, "noise": NOISE}
                return one_step_risk(phi, torch.relu, **sizes, eta=eta, ridge=ridge).risk

            falls.append(bool((np.diff(found.mean(0)) < 0).all()))
            for eta, values in zip(RISK_ETAS, found.T, strict=True):
                mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
                expected = predicted(eta)
                off.append(abs(mean / expected - 1))
                hits.append(abs(mean - expected) <= max(3 * error, 0.05 * expected))
                label = f"risk, {name}, d {d}, N {N}, n {n}, eta {eta:g}"
                evidence.append(Evidence(label, mean, t_interval(values), f"{expected:.4f}"))
            label = f"{name}, N {N}, n {n}"
            series += [
                means(label, RISK_ETAS, list(found.T)),
                theory(label, 0.0, RISK_ETAS[-1], predicted, log=False),
            ]
    figure = Chart(
        "Risk of ridge regression after a small step",
        "eta",
        "risk",
        tuple(series),
        "Marks should lie on their lines, fall with eta, and stay above the best linear function.",
        levels={"best linear": floor},
    )
    above = min(row.value for row in evidence if row.value is not None) > floor
    middle = float(np.median(off))
    summary = (
        f"{sum(hits)} of {len(hits)} risks are as predicted, {100 * middle:.1f} % off in the median; they "
        f"{'fall' if all(falls) else 'do not all fall'} with eta and {'stay' if above else 'do not stay'} above "
        f"{floor:.4f}"
    )
    holds = all(hits) and all(falls) and above
    return judged(holds, middle, "median relative distance", summary, evidence, figures=(figure,))
