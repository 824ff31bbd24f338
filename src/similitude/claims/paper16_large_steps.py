"""Claims of paper 16, large first steps: two regimes, tau*, transfer across widths, and steps on real images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from similitude.claims.charts import equality, means, theory
from similitude.claims.gaussian_designs import images
from similitude.claims.judged import judged
from similitude.claims.one_step_nets import Link, Setting, drawn, measured_risks
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.theory.one_step.alignment import whitened
from similitude.theory.one_step.asymptotic import one_step_risk
from similitude.theory.one_step.hermite import hermite_moments
from similitude.theory.one_step.large_step import tau_star
from similitude.theory.one_step.network import TwoLayer
from similitude.theory.one_step.report import OneStepReport, one_step_report

Array = np.ndarray


def erf(z: Tensor) -> Tensor:
    """Return erf(z / sqrt 2), the activation that Gaussian smoothing keeps in its family."""
    return torch.erf(z / math.sqrt(2))


LARGE, LARGE_SHARES = (128, 512, 1024), (0.0, 0.01, 0.05, 0.2, 1.0, 3.0, 10.0)
RIDGES = tuple(10.0**p for p in range(-4, 2))
PAIRS: dict[str, tuple[Link, Link]] = {
    "erf, erf": (erf, erf),
    "ReLU, ReLU": (torch.relu, torch.relu),
    "tanh, ReLU": (torch.tanh, torch.relu),
}
TAU_SIZES, TAU_SHARES = (128, 512, 4096), (1.0, 3.0, 10.0)
TRANSFER_WIDTHS, TRANSFER_SHARES = (256, 512, 1024), (0.1, 0.3, 1.0, 3.0, 10.0)
SCALING = 0.5  # the power of the width that a large step is of
IMAGES, IMAGE_SAMPLES, IMAGE_DIMENSION, IMAGE_WIDTH = 2000, 500, 40, 300
IMAGE_SHARES, IMAGE_RIDGES = (0.5, 1.0, 3.0), (0.1, 0.3, 1.0, 3.0)


@claim(
    "16.two_regimes",
    paper=16,
    statement="Steps of eta = O(1) leave the risk above that of the best linear function; steps of the order of "
    "sqrt(N) take it below, with enough samples per dimension.",
    claimed="erf student and teacher, d 128, N 512, n 1024, best of six ridges: above at eta up to sqrt(N) / 20, below "
    "at eta = 3 sqrt(N)",
    minutes=0.2,
)
def two_regimes() -> Measured:
    """Scan the step from O(1) to beyond sqrt(N) at the best ridge."""
    d, N, n = LARGE
    found = _best_risks((erf, erf), LARGE, LARGE_SHARES, draws=6)
    floor = hermite_moments(erf).rest ** 2
    evidence = [
        Evidence(f"risk at eta = {share:g} sqrt(N)", float(values.mean()), t_interval(values))
        for share, values in zip(LARGE_SHARES, found, strict=True)
    ]
    small = [float(v.mean()) for share, v in zip(LARGE_SHARES, found, strict=True) if share <= 0.05]
    large = float(found[LARGE_SHARES.index(3.0)].mean())
    etas = [share * math.sqrt(N) for share in LARGE_SHARES]

    def predicted(eta: float) -> float:
        sizes = {"n": n, "width": N, "dimension": d, "noise": 0.01}
        return min(one_step_risk(erf, erf, **sizes, eta=eta, ridge=ridge).risk for ridge in RIDGES)

    figure = Chart(
        "Two regimes of the first step",
        "eta",
        "risk at the best ridge",
        (means("erf", etas[1:], list(found[1:])), theory("erf", etas[1], N**0.25, predicted)),
        "To eta = N^1/4 marks should lie on the line for small steps, which ends above the best linear function; at "
        "sqrt(N) they should be below it.",
        x_scale="log",
        y_scale="log",
        levels={"best linear": floor, "no step": float(found[0].mean())},
        places={"sqrt(N)": math.sqrt(N)},
    )
    summary = (
        f"risks of {min(small):.4f} and more at small steps, {large:.4f} at eta = 3 sqrt(N); the best linear function "
        f"has {floor:.4f}"
    )
    ends = t_interval(found[LARGE_SHARES.index(3.0)] / floor)
    holds = min(small) > floor > large
    return judged(holds, large / floor, "risk / best linear", summary, evidence, ends, figures=(figure,))


@claim(
    "16.tau_star",
    paper=16,
    statement="With eta of the order of sqrt(N) and many samples per dimension, features beat every kernel that is "
    "invariant to rotations where tau* is far below the best linear function's risk.",
    claimed="three students and teachers, d 128, N 512, n 4096, best of three steps and six ridges: below the best "
    "linear function for erf, erf and ReLU, ReLU, whose tau* is below it, and not for tanh, ReLU, whose tau* is above",
    minutes=0.2,
)
def which_teachers() -> Measured:
    """Take large steps for three pairs of student and teacher."""
    evidence, right, said = [], [], []
    for name, pair in PAIRS.items():
        draws = _best_risks(pair, TAU_SIZES, TAU_SHARES, draws=2)
        best = draws[int(draws.mean(1).argmin())]
        said.append(tau_star(*pair))
        measured = float(best.mean())
        right.append((measured < said[-1].linear) == said[-1].beats_linear)
        side = "below" if said[-1].beats_linear else "above"
        expected = f"{side} {said[-1].linear:.4f}: tau* is {said[-1].value:.4f}"
        evidence.append(Evidence(f"risk, {name}", measured, (float(best.min()), float(best.max())), expected))
    places = range(len(PAIRS))
    figure = Chart(
        "Large steps against the best linear function",
        "student, teacher",
        "risk",
        (
            Series("measured", places, [row.value or 0.0 for row in evidence]),
            Series("tau*", places, [found.value for found in said]),
            Series("best linear", places, [found.linear for found in said]),
        ),
        "The risk should be below the best linear function where tau* is.",
        x_names=tuple(PAIRS),
    )
    summary = f"{sum(right)} of {len(right)} pairs are on the side of the best linear function that tau* says"
    return judged(all(right), float(sum(right)), "pairs as said", summary, evidence, figures=(figure,))


@claim(
    "16.transfer",
    paper=16,
    statement="eta of the order of sqrt(N) is the scaling of maximal update: the best eta / sqrt(N) is the same at every "
    "width.",
    claimed="tanh student and teacher, d 128, n 1024, five eta / sqrt(N) from 0.1 to 10: the same one is best at N 256, "
    "512 and 1024, and neither the smallest nor the largest",
    minutes=0.3,
)
def transfer() -> Measured:
    """Scan the step at three widths."""
    evidence, best, series = [], [], []
    for N in TRANSFER_WIDTHS:
        found = _best_risks((torch.tanh, torch.tanh), (LARGE[0], N, LARGE[2]), TRANSFER_SHARES, draws=3)
        risks = found.mean(1)
        best.append(TRANSFER_SHARES[int(risks.argmin())])
        series.append(means(f"N = {N}", TRANSFER_SHARES, list(found), kind="joined"))
        evidence.append(Evidence(f"best eta / sqrt(N) at N {N}", best[-1]))
        evidence += [
            Evidence(f"risk at N {N}, eta {share:g} sqrt(N)", float(risk))
            for share, risk in zip(TRANSFER_SHARES, risks, strict=True)
        ]
    figure = Chart(
        "The best first step at several widths",
        "eta / sqrt(N)",
        "risk at the best ridge",
        tuple(series),
        "All curves should be lowest at the same place.",
        x_scale="log",
        y_scale="log",
        ordered=True,
    )
    words = ", ".join(f"{share:g} at N {N}" for share, N in zip(best, TRANSFER_WIDTHS, strict=True))
    octaves = float(np.log2(max(best) / min(best)))
    summary = f"the best eta / sqrt(N) is {words}"
    holds = octaves == 0 and TRANSFER_SHARES[0] < best[0] < TRANSFER_SHARES[-1]
    return judged(holds, octaves, "octaves of eta / sqrt(N)", summary, evidence, figures=(figure,))


def _best_risks(
    pair: tuple[Link, Link], sizes: tuple[int, int, int], shares: Sequence[float], *, draws: int
) -> Array:
    """Return risks at the best ridge after steps of eta = share sqrt(N), shape (shares, draws)."""
    d, N, n = sizes
    setting = Setting(*pair, d, N, n, 0.01)
    etas = [share * N**SCALING for share in shares]
    found = np.array([measured_risks(drawn(setting, seed), etas, RIDGES) for seed in range(draws)])
    best = found.mean(0).argmin(1)
    return found[:, np.arange(len(etas)), best].T


@claim(
    "16.images",
    paper=16,
    statement="On real images, beyond what is proven: spike and alignment follow from the correlation of inputs and "
    "labels, regression errors from the features' own spectrum, and a step of the order of sqrt(N) makes features "
    "better.",
    claimed="2,000 whitened images, odd against even classes, ReLU, steps of sqrt(N) / 2 and more, away from the "
    "threshold: top singular values within 5 % and squared cosines within 0.05 of the prediction, errors within 10 %, "
    "and lower after steps of sqrt(N) and 3 sqrt(N)",
    minutes=0.1,
)
def real_images() -> Measured:
    """Take steps on whitened images, regress on the features, and test on the rest."""
    name, pixels, rows = images(IMAGES)
    x, y = whitened(pixels, IMAGE_DIMENSION), rows.argmax(1) % 2 * 2.0 - 1
    net = TwoLayer.random(torch.relu, width=IMAGE_WIDTH, dimension=IMAGE_DIMENSION, seed=16)
    reports = {
        share: one_step_report(
            net, x, y, eta=share * math.sqrt(IMAGE_WIDTH), ridges=IMAGE_RIDGES, draws=6, n=IMAGE_SAMPLES
        )
        for share in IMAGE_SHARES
    }
    evidence, tops, cosines, errors = [], [], [], []
    for share, report in reports.items():
        tops.append(abs(float(report.top.mean() / report.predicted_top.mean()) - 1))
        cosines.append(abs(float(report.alignment.mean() - report.predicted_alignment.mean())))
        errors += [
            float(np.abs(side.pooled / side.measured.mean(0) - 1).max())
            for side in (report.before, report.after)
        ]
        evidence += _image_rows(share, report)
    better = [
        reports[share].after.measured.mean(0).min() < reports[share].before.measured.mean(0).min()
        for share in IMAGE_SHARES[1:]
    ]
    pairs = [
        (float(p), float(m), side)
        for report in reports.values()
        for side, found in (("before", report.before), ("after", report.after))
        for p, m in zip(found.pooled, found.measured.mean(0), strict=True)
    ]
    figure = Chart(
        f"Regression on features of {name}",
        "predicted from the features' own spectrum",
        "measured error",
        (
            *(
                Series(
                    label,
                    [p for p, _, side in pairs if side == label],
                    [m for _, m, side in pairs if side == label],
                )
                for label in ("before", "after")
            ),
            equality([p for p, _, _ in pairs]),
        ),
        "Marks should be on the dotted line, those after the step lower than those before.",
    )
    summary = (
        f"on {name} singular values are at most {100 * max(tops):.1f} % off, squared cosines {max(cosines):.3f}, errors "
        f"{100 * max(errors):.1f} %; large steps {'lower' if all(better) else 'do not all lower'} the error"
    )
    holds = max(tops) <= 0.05 and max(cosines) <= 0.05 and max(errors) <= 0.1 and all(better)
    return judged(holds, max(errors), "largest relative distance", summary, evidence, figures=(figure,))


def _image_rows(share: float, report: OneStepReport) -> list[Evidence]:
    """Return the rows of one step on images."""
    at = f"eta {share:g} sqrt(N)"
    rows = [
        ("top singular value", report.top, report.predicted_top),
        ("squared cosine with the linear teacher", report.alignment, report.predicted_alignment),
    ]
    rows += [
        (f"error {word}", side.measured[:, side.best], side.pooled[side.best : side.best + 1])
        for word, side in (("before", report.before), ("after", report.after))
    ]
    return [
        Evidence(f"{label}, {at}", float(found.mean()), t_interval(found), f"{float(said.mean()):.4g}")
        for label, found, said in rows
    ]
