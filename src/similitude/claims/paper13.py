"""Claims of paper 13, Tensor Programs VI: which parametrization of depth is stable, diverse, and transfers."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from similitude.checking.diversity import diversity
from similitude.checking.diversity_records import FAR, Diversity
from similitude.claims import paper13_charts as charts
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
from similitude.claims.valley import best_multipliers, valley_slope
from similitude.core.chart import Chart
from similitude.core.seeding import seeded, torch_generator
from similitude.core.verdict import Evidence
from similitude.models import ResMLP
from similitude.models.resmlp import Block, ResActivation
from similitude.theory.linear_resnet import linear_resnet_limit

FEATURES, OUTPUTS = 16, 10
_ALPHAS = (0.0, 0.25, 0.5, 1.0)
_CORRELATIONS: Mapping[ResActivation, float] = {"relu": 0.5, "abs": 0.0, "tanh": 0.76, "linear": 1.0}


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
    ratios = {alpha: _size(alpha, 256) / _size(alpha, 16) for alpha in _ALPHAS}
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
    minutes=0.4,
)
def gradient_diversity() -> Measured:
    """Measure the cosine of the gradients of neighbouring branches at width 192 and depth 64."""
    evidence, off, least = [], 0.0, 1.0
    for activation, expected in _CORRELATIONS.items():
        last, first = (_gradients(activation, block) for block in ("act_last", "act_first"))
        off = max(off, abs(last[0] - expected))
        least = min(least, first[0])
        evidence += [
            Evidence(f"{activation}(W x), neighbours", last[0], None, f"{expected:g}"),
            Evidence(f"{activation}(W x), {FAR} apart", last[1]),
            Evidence(f"W {activation}(x), neighbours", first[0], None, "1"),
        ]
    summary = f"cosines are within {off:.3f} of theory for phi(W x), and at least {least:.3f} for W phi(x)"
    figures = (charts.cosines(_CORRELATIONS, [row.value for row in evidence]),)
    holds = off <= 0.03 and least >= 0.95
    return judged(holds, off, "deviation of a cosine", summary, tuple(evidence), figures=figures)


@claim(
    "13.feature_diversity",
    paper=13,
    statement="Trained by Depth-muP (alpha 1/2), layers a share e of the depth apart differ by e^1/2: they are as "
    "diverse as can be. At alpha 1 they come to differ by e: redundant (Claims 7.4 and 7.5).",
    claimed="exponents of distances along the stream after training at depth 128: at most 0.62 at alpha 1/2; at alpha 1 "
    "at least 0.7, and 0.05 above that at depth 32",
    minutes=1.0,
)
def feature_diversity() -> Measured:
    """Train 60 steps of Adam at depths 32 and 128 under both rules, and fit the exponents of distances."""
    found = {(rule, depth): _trained(rule, depth) for rule in (0.5, 1.0) for depth in (32, 128)}
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
    minutes=1.0,
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
    claimed="shift from 4 to 16 branches on digits within 0.15 octave per doubling of depth under depth_mup, at most "
    "-0.25 under sp",
    minutes=1.5,
)
def depth_transfer() -> Measured:
    """Sweep the learning rate on noisy digits at depths 4, 8 and 16 under Depth-muP and without a rule."""
    shifts, figures = _shifts(noisy_digits(), "depth_mup", "sp")
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
    minutes=2.5,
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
    statement="Networks whose layers are more diverse learn more: branches |W x| beat relu(W x), and both beat branches "
    "W phi(x), each at its best learning rate.",
    claimed="final losses with 16 branches, memorising digits with shuffled labels: abs at most 0.8 of relu, relu at "
    "most 0.9 of W relu(x)",
    minutes=1.5,
)
def absolute_value() -> Measured:
    """Compare losses at the best learning rate of three kinds of branches at depth 16."""
    kinds: Mapping[str, tuple[ResActivation, Block]] = {
        "|W x|": ("abs", "act_last"),
        "relu(W x)": ("relu", "act_last"),
        "W relu(x)": ("relu", "act_first"),
    }
    losses = {name: best_losses(*kind, depth=16) for name, kind in kinds.items()}
    means = [float(row.mean()) for row in losses.values()]
    ratio = means[0] / means[1]
    holds = ratio <= 0.8 and means[1] <= 0.9 * means[2]
    evidence = tuple(
        Evidence(f"final loss of {name}", float(row.mean()), (float(row.min()), float(row.max())))
        for name, row in losses.items()
    )
    words = ", ".join(f"{mean:.3f} for {name}" for name, mean in zip(losses, means, strict=True))
    summary, figures = f"final losses are {words}", (charts.kinds(losses),)
    return judged(holds, ratio, "loss of |W x| over that of relu(W x)", summary, evidence, figures=figures)


@claim(
    "13.two_layers",
    paper=13,
    statement="With two matrices per block no parametrization transfers: at small depth the best multiplier of the "
    "branches falls with the square of the learning rate, at large depth in proportion.",
    claimed="slope of log multiplier on log rate, over rates of 1/2 to 8: with two matrices at most -1.5 at depth 1 and "
    "at least -1.25 at depth 16; with one matrix within 0.45 of -1 at both, and less of a change",
    minutes=4,
)
def two_layers() -> Measured:
    """Find the valley of (rate, multiplier) of both kinds of blocks at depths 1 and 16."""
    found: dict[tuple[Block, int], float] = {}
    valleys: dict[tuple[str, int], Mapping[float, float]] = {}
    evidence = []
    for block, depth in itertools.product(("two_layers", "act_last"), (1, 16)):
        valley = best_multipliers(
            block,
            depth,
            rates=[2.0**k for k in range(-1, 4)],
            multipliers=[2.0**k for k in range(-4, 8)],
            width=40,
            steps=120,
            seeds=(0, 1),
        )
        found[block, depth], valleys[block, depth] = valley_slope(valley), valley
        evidence.append(Evidence(f"slope of the valley, {block}, depth {depth}", found[block, depth]))
    shallow, deep = found["two_layers", 1], found["two_layers", 16]
    single = found["act_last", 1], found["act_last", 16]
    holds = shallow <= -1.5 and deep >= -1.25 and all(abs(slope + 1) <= 0.45 for slope in single)
    holds = holds and deep - shallow > single[1] - single[0]
    summary = (
        f"the valley's slope goes from {shallow:.2f} at depth 1 to {deep:.2f} at 16 with two matrices per block, from "
        f"{single[0]:.2f} to {single[1]:.2f} with one"
    )
    figures = (charts.valleys(valleys),)
    return judged(holds, deep - shallow, "change of the slope", summary, tuple(evidence), figures=figures)


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


@functools.cache
def _inputs() -> torch.Tensor:
    return torch.randn(128, FEATURES, generator=torch_generator(13, "inputs"))


def _size(alpha: float, depth: int) -> float:
    """Root mean square of the stream behind the last branch of a network of width 192."""
    with seeded(depth):
        model = ResMLP(FEATURES, OUTPUTS, width=192, depth=depth, branch=depth**-alpha)
    seen: list[torch.Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        model(_inputs())
    hook.remove()
    return float(seen[0].double().square().mean().sqrt())


def _gradients(activation: ResActivation, block: Block) -> tuple[float, float]:
    def make(width: int, depth: int) -> ResMLP:
        return ResMLP(
            FEATURES,
            OUTPUTS,
            width=width,
            depth=depth,
            activation=activation,
            block=block,
            branch=depth**-0.5,
        )

    found = diversity(make, _inputs(), base={"width": 192, "depth": 64}, steps=0, seeds=2)
    assert found.gradient_near is not None, "every branch ends in a matrix"
    assert found.gradient_far is not None, "the stream is deep enough"
    return found.gradient_near, found.gradient_far


def _trained(alpha: float, depth: int) -> Diversity:
    def make(width: int, depth: int) -> ResMLP:
        return ResMLP(FEATURES, OUTPUTS, width=width, depth=depth, branch=(depth / 4) ** -alpha)

    def loss(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    labels = torch.randint(OUTPUTS, (len(_inputs()),), generator=torch_generator(13, "labels"))
    rate = 2.0**-6 * (depth / 4) ** (alpha - 1)
    return diversity(
        make,
        (_inputs(), labels),
        base={"width": 64, "depth": depth},
        loss=loss,
        optimizer=torch.optim.Adam,
        lr=rate,
        steps=60,
        seeds=2,
    )
