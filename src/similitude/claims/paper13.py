"""Claims of paper 13, Tensor Programs VI: which parametrization of depth is stable, diverse, and transfers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from similitude.checking.diversity_records import FAR
from similitude.claims import paper13_charts as charts
from similitude.claims.branch_nets import gradient_cosines, growth, size_at_init, trained
from similitude.claims.charts import loss_curves
from similitude.claims.depths import (
    BRANCHES_ALONE,
    TOLERANCE,
    DepthTask,
    best_losses,
    memorised_digits,
    noisy_digits,
)
from similitude.claims.judged import judged
from similitude.claims.linear_nets import biases, example_task
from similitude.claims.registry import Measured, claim
from similitude.claims.valley import branch_valley
from similitude.core.chart import Chart
from similitude.core.verdict import Evidence
from similitude.models.resmlp import Block, ResActivation
from similitude.studies.valley_records import Valley
from similitude.theory.depth import phi_correlation
from similitude.theory.linear_resnet import linear_resnet_limit
from similitude.theory.streams import stream_growth

_ALPHAS = (0.0, 0.25, 0.5, 1.0)
_FUNCTIONS: Mapping[ResActivation, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "abs": torch.abs,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
    "linear": lambda z: z,
}
_PREACTIVATIONS = 1.2
"""Mean square of what branches of L^-1/2 take, on average over the depth: it grows from 1 to 1.4."""
GROWTH_DEPTHS = (16, 256)
VALLEY: Mapping[str, Any] = {
    "rates": [2.0**k for k in range(-1, 3)],
    "multipliers": [2.0**k for k in range(-4, 6)],
    "width": 32,
    "steps": 80,
    "seeds": (0, 1, 2),
}


@claim(
    "13.init",
    paper=13,
    statement="At initialization a residual network of any depth is stable if and only if its branches are multiplied "
    "by L^-alpha with alpha at least 1/2 (Claim 7.1).",
    claimed="size of the stream at depth 256 over that at depth 16: within 10 % of 1 at alpha 1/2 and 1, at least 2 at "
    "1/4, at least 1000 at 0",
    minutes=0.1,
)
def init() -> Measured:
    """Compare the size of the stream behind the last branch at depths 16 and 256."""
    ratios = {alpha: size_at_init(alpha, 256) / size_at_init(alpha, 16) for alpha in _ALPHAS}
    stable = [ratios[0.5], ratios[1.0]]
    worst = max(stable, key=lambda ratio: abs(ratio - 1))
    holds = abs(worst - 1) <= 0.1 and ratios[0.25] >= 2 and ratios[0.0] >= 1000
    evidence = tuple(
        Evidence(f"size at depth 256 over that at 16, alpha {a:g}", r) for a, r in ratios.items()
    )
    figures = (charts.growth(ratios),)
    summary = (
        f"from depth 16 to 256 the stream grows by {ratios[0.5]:.3f} at alpha 1/2 and {ratios[1.0]:.3f} at 1, by "
        f"{ratios[0.25]:.2f} at 1/4 and {ratios[0.0]:.2g} at 0"
    )
    return judged(holds, worst, "ratio", summary, evidence, figures=figures)


@claim(
    "13.gradient_diversity",
    paper=13,
    statement="Neighbouring branches phi(W x) get gradients with correlation (E phi')^2 / E phi'^2: diverse for |x|, "
    "redundant without a nonlinearity; branches W phi(x) are redundant whatever phi is.",
    claimed="cosines within 0.03 of 0.5 (relu), 0 (abs), 0.76 (tanh), 1 (linear); at least 0.95 for branches W phi(x)",
    minutes=0.1,
)
def gradient_diversity() -> Measured:
    """Measure the cosine of the gradients of neighbouring branches at width 192 and depth 64."""
    evidence, off, least = [], 0.0, 1.0
    names: tuple[ResActivation, ...] = ("relu", "abs", "tanh", "linear")
    correlations: dict[ResActivation, float] = {name: _correlation(name, "act_last") for name in names}
    for activation, expected in correlations.items():
        last, first = (gradient_cosines(activation, block) for block in ("act_last", "act_first"))
        off = max(off, abs(last[0] - expected))
        least = min(least, first[0])
        evidence += [
            Evidence(f"{activation}(W x), neighbours", last[0], None, f"{expected:.2f}"),
            Evidence(f"{activation}(W x), {FAR} apart", last[1]),
            Evidence(f"W {activation}(x), neighbours", first[0], None, "1"),
        ]
    summary = f"cosines are within {off:.3f} of theory for phi(W x), and at least {least:.3f} for W phi(x)"
    figures = (charts.cosines(correlations, [row.value for row in evidence]),)
    holds = off <= 0.03 and least >= 0.95
    return judged(holds, off, "deviation of a cosine", summary, tuple(evidence), figures=figures)


@claim(
    "13.feature_diversity",
    paper=13,
    statement="Trained by Depth-muP (alpha 1/2), layers a share e of the depth apart differ by e^1/2: they are as "
    "diverse as can be. At alpha 1 they come to differ by e: redundant (Claims 7.4 and 7.5).",
    claimed="exponents of distances along the stream after training at depth 128: at most 0.62 at alpha 1/2; at alpha 1 "
    "at least 0.7, and 0.05 above that at depth 32",
    minutes=0.3,
)
def feature_diversity() -> Measured:
    """Train 60 steps of Adam at depths 32 and 128 under both rules, and fit the exponents of distances."""
    found = {(rule, depth): trained(rule, depth) for rule in (0.5, 1.0) for depth in (32, 128)}
    evidence, slopes = [], {}
    for (alpha, depth), measured in found.items():
        assert measured.trained is not None, "the rates are small enough to train at"
        slopes[alpha, depth] = measured.trained.slope
        evidence.append(
            Evidence(
                f"exponent at alpha {alpha:g}, depth {depth}",
                measured.trained.slope,
                (measured.trained.low, measured.trained.high),
                "1/2" if alpha == 0.5 else "to 1",
            )
        )
    diverse, redundant = slopes[0.5, 128], slopes[1.0, 128]
    holds = diverse <= 0.62 and redundant >= 0.7 and redundant - slopes[1.0, 32] >= 0.05
    summary = (
        f"from depth 32 to 128 the exponent goes from {slopes[0.5, 32]:.2f} to {diverse:.2f} at alpha 1/2, from "
        f"{slopes[1.0, 32]:.2f} to {redundant:.2f} at alpha 1"
    )
    figures = (charts.distances(found),)
    return judged(
        holds, redundant - diverse, "difference of exponents", summary, tuple(evidence), figures=figures
    )


@claim(
    "13.linear_width",
    paper=13,
    statement="A linear residual network of width n, trained by SGD, has an exact limit of infinite width (Section 4); "
    "the mean of finite networks is off by 1/n.",
    claimed="n times the mean deviation of the outputs at n = 64 and 256: equal within four standard errors, and not 0",
    minutes=0.3,
)
def linear_width() -> Measured:
    """Train thousands of networks of widths 64 and 256, and compare their mean outputs with the limit."""
    found = {n: biases(width=n, depth=8, lr=0.3, seeds=seeds) for n, seeds in ((64, 2400), (256, 600))}
    (small, e1), (large, e2) = ((width * mean, width * error) for width, (mean, error) in found.items())
    step = int(np.argmax(np.abs(small) / np.maximum(e1, 1e-12)))
    apart = np.abs(small - large) / np.maximum(np.hypot(e1, e2), 1e-12)
    holds = bool(apart.max() <= 4 and abs(small[step]) > 4 * e1[step])
    evidence = tuple(
        Evidence(
            f"n times the bias at step {t}, n = {n}",
            float(b[t]),
            (float(b[t] - 2 * e[t]), float(b[t] + 2 * e[t])),
        )
        for n, (b, e) in ((64, (small, e1)), (256, (large, e2)))
        for t in range(1, len(b))
    )
    summary = (
        f"n times the mean deviation is {small[step]:.2f} at n = 64 and {large[step]:.2f} at 256 where it is clearest; "
        f"all steps agree within {apart.max():.1f} standard errors"
    )
    low, high = small[step] - 2 * e1[step], small[step] + 2 * e1[step]
    figures, ends = (charts.biases({64: (small, e1), 256: (large, e2)}),), (float(low), float(high))
    return judged(holds, float(small[step]), "n x bias", summary, evidence, ends, figures=figures)


@claim(
    "13.linear_depth",
    paper=13,
    statement="Under Depth-muP the infinitely wide linear network has a limit of infinite depth, which is approached as "
    "1/L (Section 4).",
    claimed="change of the outputs per doubling of depth, 8 to 128: exponent of depth within 0.1 of -1",
    minutes=0.1,
)
def linear_depth() -> Measured:
    """Fit how the outputs of the limit change from depth to depth."""
    xi, y = example_task()
    depths = (8, 16, 32, 64, 128)
    outputs = [linear_resnet_limit(xi, y, depth=depth, lr=0.3).outputs for depth in depths]
    changes = [float(np.abs(b - a).max()) for a, b in itertools.pairwise(outputs)]
    exponent = float(np.polyfit(np.log(depths[:-1]), np.log(changes), 1)[0])
    evidence = tuple(
        Evidence(f"largest change of an output from depth {depth} to {2 * depth}", change)
        for depth, change in zip(depths, changes, strict=False)
    )
    summary = f"doubling the depth changes the outputs as depth^{exponent:.2f}"
    figures = (charts.doublings(depths[:-1], changes),)
    return judged(abs(exponent + 1) <= 0.1, exponent, "exponent of depth", summary, evidence, figures=figures)


@claim(
    "13.depth_transfer",
    paper=13,
    statement="Under Depth-muP the best learning rate of Adam is the same at every depth, with blocks of one matrix; in "
    "the standard parametrization it falls.",
    claimed="shift from 4 to 16 branches, at full size to 32, on digits within 0.15 octave per doubling of depth under "
    "depth_mup, at most -0.25 under sp",
    minutes=0.5,
    full_minutes=1,
)
def depth_transfer(*, full: bool = False) -> Measured:
    """Sweep the learning rate on noisy digits at depths 4, 8, 16 and perhaps 32 under Depth-muP and without a rule."""
    task = noisy_digits((4, 8, 16, 32) if full else (4, 8, 16))
    shifts, figures = _shifts(task, "depth_mup", "sp")
    ours, standard = shifts["depth_mup"][0], shifts["sp"][0]
    holds = abs(ours) <= TOLERANCE and standard <= -0.25
    return _moved(holds, shifts, figures)


@claim(
    "13.wrong_exponents",
    paper=13,
    statement="Only alpha = 1/2 together with a rate x L^-1/2 transfers in full: a rate that stays is too high for deep "
    "networks, and at alpha = 1 the best rate grows with the depth.",
    claimed="shift from 4 to 16 branches, memorising digits with shuffled labels: within 0.15 under depth_mup; at most "
    "-0.15 with branches alone; at least 0.1 under complete_p; at most -0.5 under sp",
    minutes=0.5,
)
def wrong_exponents() -> Measured:
    """Sweep the learning rate of memorisation at depths 4 and 16 under the right exponents and three wrong pairs."""
    shifts, figures = _shifts(memorised_digits(), "depth_mup", BRANCHES_ALONE, "complete_p", "sp")
    right, alone, smooth, standard = (shift for shift, _ in shifts.values())
    holds = abs(right) <= TOLERANCE and alone <= -TOLERANCE and smooth >= 0.1 and standard <= -0.5
    return _moved(holds, shifts, figures)


@claim(
    "13.absolute_value",
    paper=13,
    statement="Networks whose layers are more diverse learn more: branches |W x|, whose gradients do not correlate, beat "
    "every other nonlinearity, and branches phi(W x) beat W phi(x), each at its best learning rate.",
    claimed="final losses with 16 branches, memorising digits with shuffled labels: abs at most 0.8 of relu, gelu and "
    "tanh, relu at most 0.9 of W relu(x); that losses follow the correlation among the others is not claimed",
    minutes=0.6,
)
def absolute_value() -> Measured:
    """Compare losses at the best learning rate of five kinds of branches at depth 16."""
    kinds: Mapping[str, tuple[ResActivation, Block]] = {
        "|W x|": ("abs", "act_last"),
        "relu(W x)": ("relu", "act_last"),
        "gelu(W x)": ("gelu", "act_last"),
        "tanh(W x)": ("tanh", "act_last"),
        "W relu(x)": ("relu", "act_first"),
    }
    losses = {name: best_losses(*kind, depth=16) for name, kind in kinds.items()}
    means = {name: float(row.mean()) for name, row in losses.items()}
    others = [means[name] for name in ("relu(W x)", "gelu(W x)", "tanh(W x)")]
    ratio = means["|W x|"] / min(others)
    holds = ratio <= 0.8 and means["relu(W x)"] <= 0.9 * means["W relu(x)"]
    evidence = tuple(
        Evidence(
            f"final loss of {name}, gradients of layers correlated by {correlation:.2f}",
            means[name],
            (float(row.min()), float(row.max())),
        )
        for (name, row), correlation in zip(
            losses.items(), itertools.starmap(_correlation, kinds.values()), strict=True
        )
    )
    words = ", ".join(f"{mean:.3f} for {name}" for name, mean in means.items())
    summary, figures = f"final losses are {words}", (charts.kinds(losses),)
    return judged(holds, ratio, "loss of |W x| over the least of others", summary, evidence, figures=figures)


@claim(
    "13.two_layers",
    paper=13,
    statement="With two matrices per block no parametrization transfers: at small depth the best multiplier of the "
    "branches falls with the square of the learning rate, at large depth in proportion.",
    claimed="slope of log multiplier on log rate, over rates of 1/2 to 4: with two matrices at most -1.5 at depth 1 and "
    "at least -1.25 at depth 16; with one matrix within 0.5 of -1 at both, and less of a change",
    minutes=0.6,
)
def two_layers() -> Measured:
    """Find the valley of (rate, multiplier) of both kinds of blocks at depths 1 and 16."""
    found: dict[tuple[Block, int], Valley] = {}
    for block in ("two_layers", "act_last"):
        study = branch_valley(block, (1, 16), **VALLEY)
        found |= {(block, valley.size["depth"]): valley for valley in study.valleys}
    slopes = {key: math.nan if valley.slope is None else valley.slope for key, valley in found.items()}
    evidence = tuple(
        Evidence(f"slope of the valley, {block}, depth {depth}", slopes[block, depth], valley.interval)
        for (block, depth), valley in found.items()
    )
    shallow, deep = slopes["two_layers", 1], slopes["two_layers", 16]
    single = slopes["act_last", 1], slopes["act_last", 16]
    holds = shallow <= -1.5 and deep >= -1.25 and all(abs(slope + 1) <= 0.5 for slope in single)
    holds = holds and deep - shallow > single[1] - single[0]
    summary = (
        f"the valley's slope goes from {shallow:.2f} at depth 1 to {deep:.2f} at 16 with two matrices per block, from "
        f"{single[0]:.2f} to {single[1]:.2f} with one"
    )
    figures = (charts.valleys(found),)
    return judged(holds, deep - shallow, "change of the slope", summary, evidence, figures=figures)


@claim(
    "13.mean_subtraction",
    paper=13,
    statement="Branches of 1/sqrt(L) need their mean subtracted: means of nonlinearities that are not odd have one sign "
    "in all layers and add up, so that deep networks blow up without (Section 5).",
    claimed="log of the stream's growth over 16 and 256 branches with and without subtraction, for relu, abs and tanh: "
    "within 0.05 of the recursion of infinite width; without at least 3 at depth 256 for relu and abs",
    minutes=0.1,
)
def mean_subtraction() -> Measured:
    """Measure how random networks of width 192 grow with and without mean subtraction, beside their limits."""
    names: tuple[ResActivation, ...] = ("relu", "abs", "tanh")
    cases = list(itertools.product(names, (True, False), GROWTH_DEPTHS))
    grown = {
        (name, center, depth): math.log(growth(name, depth, center=center)) for name, center, depth in cases
    }
    limits = {(name, center, depth): math.log(_limit(name, depth, center)) for name, center, depth in cases}
    worst = max(abs(grown[case] - limits[case]) for case in cases)
    least = min(grown[name, False, GROWTH_DEPTHS[-1]] for name in ("relu", "abs"))
    holds = least >= 3 and worst <= 0.05
    evidence = tuple(
        Evidence(
            f"log growth, {name}, {'mean subtracted' if center else 'as it is'}, {depth} branches",
            grown[name, center, depth],
            None,
            f"{limits[name, center, depth]:.3f}",
        )
        for name, center, depth in cases
    )
    summary = (
        f"at depth {GROWTH_DEPTHS[-1]} streams of relu and abs grow by e^{least:.1f} or more where means are kept; logs "
        f"of growth are within {worst:.3f} of their limits"
    )
    figures = (charts.means_kept(grown, limits),)
    return judged(holds, least, "log of the growth", summary, evidence, figures=figures)


_Shifts = dict[str, tuple[float, tuple[float, float] | None]]


def _shifts(task: DepthTask, *rules: str) -> tuple[_Shifts, list[Chart]]:
    """Return octaves per doubling of depth and their interval by rule, and the losses of each drawn.

    A shift is nan where a depth has no best rate.
    """
    found = {rule: task.sweep(rule) for rule in rules}
    shifts = {rule: (math.nan if t.shift is None else t.shift, t.shift_interval) for rule, t in found.items()}
    return shifts, [loss_curves(one, "learning rate") for one in found.values()]


def _moved(holds: bool, shifts: _Shifts, figures: Sequence[Chart] = ()) -> Measured:
    evidence = tuple(
        Evidence(f"shift under {rule}, octaves per doubling of depth", shift, interval)
        for rule, (shift, interval) in shifts.items()
    )
    words = ", ".join(f"{shift:+.2f} under {rule}" for rule, (shift, _) in shifts.items())
    summary = f"the best rate moves by {words}, in octaves per doubling of depth"
    value, interval = shifts["depth_mup"]
    return judged(holds, value, "octaves per doubling of depth", summary, evidence, interval, figures=figures)


def _correlation(activation: ResActivation, block: Block) -> float:
    """Correlation of the gradients of neighbouring branches, by theory."""
    if block == "act_first":
        return 1.0  # what a branch's last matrix gives is multiplied by no slope
    return phi_correlation(_FUNCTIONS[activation], std=math.sqrt(_PREACTIVATIONS))


def _limit(activation: ResActivation, depth: int, center: bool) -> float:
    return float(stream_growth(_FUNCTIONS[activation], depth=depth, centred=center)[-1])
