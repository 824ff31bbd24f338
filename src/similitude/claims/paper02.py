"""Claims of paper 2, Super Consistency: the sharpness along training at every width and depth, and its edge."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch

from similitude.claims import paper02_charts as charts
from similitude.claims.judged import judged
from similitude.claims.landscapes import CLASSES, PIXELS, edge, over_depth
from similitude.claims.linear_sharpness import POWERS, largest_difference, sharpness_before_and_after, task
from similitude.claims.registry import Measured, claim
from similitude.claims.widths import convnet_study, mlp_study
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.models import MLP
from similitude.models.resmlp import Block
from similitude.scaling.depth import STANDARD
from similitude.studies.consistency_nets import make_mlp
from similitude.studies.consistency_records import Consistency
from similitude.theory.two_layer_linear import TwoLayerLinear

SEEDS = (0, 1, 2)
_NAMES = {"mup": "muP", "ntp": "NTP"}
_WIDTHS = (16, 64, 256, 1024)
_EDGE_OF_ADAM = (32.0, 42.0)
_EDGE_STEPS = (0, *range(20, 200, 20), *range(200, 301, 10))
_ADAM_STEPS = (10, *range(20, 300, 20), *range(300, 401, 5))
MLP_LR, ADAM_LR = 90.0, 0.01
DEPTHS, DEPTH_SEEDS, DEPTH_STEPS = (8, 16, 48), tuple(range(8)), 40
ONE_LAYER_LR, TWO_LAYERS_LR = 6.0, 2.2
"""Rates at which the sharpness about triples and stays below the edge of stability, where all depths would meet."""
DEPTH_ALIKE, DEPTH_APART = 1.15, 1.2
"""Largest over smallest sharpness over depth that counts as the same, and smallest that does not."""


@claim(
    "2.theorem",
    paper=2,
    statement="The training of a two-layer linear network of any width is closed in w, e = EE' / (ND) and "
    "v = |V|^2 / (ND) (Theorem 5.1).",
    claimed="networks of widths 4, 16 and 256, trained 200 steps by autograd in muP and NTP, are off by at most 1e-10",
    minutes=0.1,
)
def theorem() -> Measured:
    """Train networks by autograd, and step the recursion beside them."""
    rows = {
        (name, width): largest_difference(width, power, steps=200, seed=0)
        for name, power in POWERS.items()
        for width in (4, 16, 256)
    }
    worst = max(rows.values())
    evidence = tuple(
        Evidence(f"largest difference, {_NAMES[name]}, width {width}", off, None, "at most 1e-10")
        for (name, width), off in rows.items()
    )
    summary = f"over 200 steps w, e and v are off by at most {worst:.1e} at widths 4, 16 and 256"
    figures = (charts.differences(rows),)
    return judged(worst <= 1e-10, worst, "largest difference of an entry", summary, evidence, figures=figures)


@claim(
    "2.sharpening",
    paper=2,
    statement="Under muP a two-layer linear network sharpens while it learns, by the same at every width; under NTP the "
    "less, the wider it is (Section 5).",
    claimed="sharpness after slow training: under muP within 3 % of 2 s sqrt(1/D^2 + |w*|^2/D) at all widths from 64 on; "
    "under NTP it changes by at most 2 % at width 1024, and by less than at 16",
    minutes=0.1,
)
def sharpening() -> Measured:
    """Train networks of four widths at a small rate, and find the largest eigenvalue of their Hessians."""
    law = TwoLayerLinear.limit("mup", *task(whitened=True)).final_sharpness()
    evidence, ends, changes = [], {}, {}
    for name, power in POWERS.items():
        for width in _WIDTHS:
            found = np.array(
                [sharpness_before_and_after(width, power, eta=0.05, steps=500, seed=seed) for seed in SEEDS]
            )
            ends[name, width] = found[:, 1]
            changes[name, width] = float(np.abs(found[:, 1] / found[:, 0] - 1).mean())
            evidence.append(
                Evidence(
                    f"sharpness at the end, {_NAMES[name]}, width {width} (start {found[:, 0].mean():.3f})",
                    float(found[:, 1].mean()),
                    (float(found[:, 1].min()), float(found[:, 1].max())),
                    f"{law:.3f}" if name == "mup" else "as at the start",
                )
            )
    off = max(abs(float(ends["mup", width].mean()) / law - 1) for width in _WIDTHS[1:])
    lazy = changes["ntp", _WIDTHS[-1]]
    holds = off <= 0.03 and lazy <= 0.02 and lazy < changes["ntp", _WIDTHS[0]]
    summary = (
        f"under muP the sharpness ends at {ends['mup', 1024].mean():.3f} at width 1024, within {100 * off:.1f} % of the "
        f"limit's {law:.3f} from width 64 on; under NTP it changes by {100 * changes['ntp', 16]:.0f} % at width 16 and "
        f"by {100 * lazy:.1f} % at 1024"
    )
    figures = (charts.final_sharpness(ends, law),)
    return judged(holds, off, "relative deviation", summary, tuple(evidence), figures=figures)


@claim(
    "2.edge_of_stability",
    paper=2,
    statement="Full-batch gradient descent comes to hover where learning rate times sharpness is 2 (Section 3).",
    claimed="mean over steps 200 to 300 within 8 % of 2 for three seeds of a tanh MLP on digits",
    minutes=0.1,
)
def edge_of_stability() -> Measured:
    """Train a tanh MLP by gradient descent, and follow its sharpness."""
    runs = [
        edge(
            functools.partial(make_mlp, 64),
            functools.partial(torch.optim.SGD, lr=MLP_LR),
            images=256,
            steps=300,
            at=_EDGE_STEPS,
            seed=seed,
        )
        for seed in SEEDS
    ]
    late = [run[_EDGE_STEPS.index(200) :] for run in runs]
    means = [float(np.mean(run)) for run in late]
    worst = max(means, key=lambda mean: abs(mean - 2) if math.isfinite(mean) else math.inf)
    evidence = tuple(
        Evidence(
            f"eta x lambda over steps 200 to 300, seed {seed} (start {run[0]:.2f})",
            mean,
            (min(after), max(after)),
            "2",
        )
        for seed, run, after, mean in zip(SEEDS, runs, late, means, strict=True)
    )
    summary = f"eta x lambda hovers around {', '.join(f'{mean:.2f}' for mean in means)} (three seeds)"
    figures = (charts.edge(_EDGE_STEPS, dict(zip(SEEDS, runs, strict=True)), 2.0),)
    return judged(abs(worst - 2) <= 0.16, worst, "eta x lambda", summary, evidence, figures=figures)


@claim(
    "2.adam_edge",
    paper=2,
    statement="Adam comes to hover where learning rate times preconditioned sharpness is (2 + 2 beta1) / (1 - beta1) "
    "(Section 3, after Cohen et al.).",
    claimed="90th percentile of the last 100 of 400 full-batch steps in 32 to 42 at beta1 = 0.9, where theory has 38, "
    "for two seeds of a tanh MLP on digits",
    minutes=0.1,
)
def adam_edge() -> Measured:
    """Train a tanh MLP by Adam, and follow its sharpness in Adam's own geometry."""
    make = functools.partial(MLP, PIXELS, CLASSES, width=64, depth=2, activation="tanh")
    adam = functools.partial(torch.optim.Adam, lr=ADAM_LR)
    runs = [edge(make, adam, images=256, steps=400, at=_ADAM_STEPS, seed=seed) for seed in SEEDS[:2]]
    late = [run[_ADAM_STEPS.index(300) :] for run in runs]
    found = [float(np.percentile(run, 90)) for run in late]
    low, high = _EDGE_OF_ADAM
    evidence = tuple(
        Evidence(
            f"90th percentile of eta x lambda over steps 300 to 400, seed {seed} (step 10: {run[0]:.1f})",
            value,
            (min(after), max(after)),
            "38",
        )
        for seed, run, after, value in zip(SEEDS, runs, late, found, strict=False)
    )
    worst = max(found, key=lambda value: abs(value - 38) if math.isfinite(value) else math.inf)
    summary = f"the 90th percentile is {' and '.join(f'{value:.1f}' for value in found)} (two seeds)"
    figures = (charts.edge(_ADAM_STEPS, dict(zip(SEEDS, runs, strict=False)), 38.0),)
    holds = all(low <= value <= high for value in found)
    return judged(holds, worst, "eta x lambda", summary, evidence, figures=figures)


@claim(
    "2.depth_one_layer",
    paper=2,
    statement="Under Depth-muP residual networks with one layer per block are super consistent over depth (Section 4).",
    claimed="learning rate times sharpness of networks of 8, 16 and 48 branches, trained on digits: largest over "
    "smallest at most 1.15 at steps 0, 20 and 40, while it rises",
    minutes=0.3,
)
def depth_one_layer() -> Measured:
    """Train the branches of networks of three depths, and compare the means of their sharpness over seeds."""
    found = _over_depth("act_last", "depth_mup", lr=ONE_LAYER_LR)
    return _depths(found, "one layer per block", holds=lambda ratio: ratio <= DEPTH_ALIKE)


@claim(
    "2.depth_two_layers",
    paper=2,
    statement="With two layers per block they are not: blocks become linear in what they learn as networks become deeper "
    "(Section 4).",
    claimed="the same networks with two matrices per block: largest over smallest at least 1.2 at one of these steps",
    minutes=0.4,
)
def depth_two_layers() -> Measured:
    """Train the branches of networks of three depths with two layers per block."""
    found = _over_depth("two_layers", "depth_mup", lr=TWO_LAYERS_LR)
    return _depths(found, "two layers per block", holds=lambda ratio: ratio >= DEPTH_APART)


@claim(
    "2.no_depth_rule",
    paper=2,
    statement="Without a rule of depth the sharpness grows with the depth (Section 4).",
    claimed="one layer per block, branches as they are at every depth: sharpness at the start at least twice as large "
    "at 16 branches as at 8, and at least 10 times at 48",
    minutes=0.2,
)
def no_depth_rule() -> Measured:
    """Measure the sharpness at the start without a rule of depth."""
    found = _over_depth("act_last", STANDARD, lr=ONE_LAYER_LR, steps=0)
    starts = [float(found[depth][:, 0].mean()) for depth in DEPTHS]
    twice, ratio = starts[1] / starts[0], starts[2] / starts[0]
    summary = f"eta x lambda starts at {starts[0]:.2f}, {starts[1]:.2f} and {starts[2]:.3g} at 8, 16 and 48 branches"
    evidence = tuple(
        Evidence(f"eta x lambda at the start, {depth} branches", start)
        for depth, start in zip(DEPTHS, starts, strict=True)
    )
    figures = (charts.starts(DEPTHS, starts),)
    return judged(twice >= 2 and ratio >= 10, ratio, "ratio", summary, evidence, figures=figures)


@claim(
    "2.consistency",
    paper=2,
    statement="Under muP the sharpness is the same at every width all along training (Super Consistency, Section 3).",
    claimed="tanh MLPs on digits, full batch: learning rate times sharpness differs over widths 256 and 512, at full "
    "size to 1024, by at most 12 % in every window of 300 steps",
    minutes=1.5,
    full_minutes=5,
    together="MLPs of several widths",
)
def consistency(*, full: bool = False) -> Measured:
    """Train four or five widths with three seeds, and compare their sharpness window by window."""
    return _alike(mlp_study(full=full), at_most=0.12)


@claim(
    "2.ntp_inconsistent",
    paper=2,
    statement="Under NTP the sharpness depends on the width: the wider, the less it rises (Section 3).",
    claimed="the same networks under NTP: a difference of at least 25 % over the same widths from step 100 on",
    minutes=1.5,
    full_minutes=5,
    together="MLPs of several widths",
)
def ntp_inconsistent(*, full: bool = False) -> Measured:
    """Train four or five widths with three seeds under NTP, and compare their sharpness window by window."""
    return _apart(mlp_study(full=full), at_least=0.25, after=100)


@claim(
    "2.loss_gap",
    paper=2,
    statement="The loss has effects of the width that grow with time, under muP too, while the sharpness under muP has "
    "not (Section 3).",
    claimed="distance to the widest network, last window over the first after the start: of the loss at least 1.5 under "
    "both rules; of the sharpness under muP at most 1.5",
    minutes=1.5,
    full_minutes=5,
    together="MLPs of several widths",
)
def loss_gap(*, full: bool = False) -> Measured:
    """Compare how distances of loss and sharpness to the widest network grow."""
    study = mlp_study(full=full)
    growth = {(rule, g.quantity): g for rule, found in study.rules.items() for g in found.growths}
    names = {
        (rule, what): growth[rule, what].value for rule in ("mup", "ntp") for what in ("loss", "sharpness")
    }
    values = {key: math.nan if value is None else value for key, value in names.items()}
    holds = min(values["mup", "loss"], values["ntp", "loss"]) >= 1.5 and values["mup", "sharpness"] <= 1.5
    evidence = tuple(
        Evidence(f"growth of the {what} gap, {_NAMES[rule]}", values[rule, what], growth[rule, what].interval)
        for rule, what in values
    )
    summary = (
        f"the gap of the loss grows {values['mup', 'loss']:.1f}-fold under muP and {values['ntp', 'loss']:.1f}-fold "
        f"under NTP, that of the sharpness {values['mup', 'sharpness']:.1f}-fold under muP"
    )
    interval = growth["mup", "loss"].interval
    figures = charts.gaps(study)
    return judged(
        holds, values["mup", "loss"], "growth of the loss gap", summary, evidence, interval, figures=figures
    )


@claim(
    "2.convnet",
    paper=2,
    statement="Convolutional networks are super consistent under muP and not under NTP (Section 3).",
    claimed="two convolutions of 8 to 64 channels on digits: a difference over 32 and 64 channels of at most 15 % in "
    "every window from step 50 on under muP, and of at least 25 % under NTP",
    minutes=0.6,
)
def convnet() -> Measured:
    """Train four numbers of channels with three seeds under both rules."""
    mup, ntp = (
        _alike(convnet_study(), at_most=0.15, after=50),
        _apart(convnet_study(), at_least=0.25, after=50),
    )
    evidence = (*mup.verdict.evidence, *ntp.verdict.evidence)
    summary = f"{mup.verdict.summary}; {ntp.verdict.summary}"
    holds, figures = mup.verdict.ok and ntp.verdict.ok, (*mup.figures, *ntp.figures)
    return judged(holds, mup.value, mup.unit, summary, evidence, mup.interval, figures=figures)


def _over_depth(block: Block, rule: str, *, lr: float, steps: int = DEPTH_STEPS) -> dict[int, np.ndarray]:
    """Follow the sharpness of every depth: shape (seeds, times)."""
    at = tuple(sorted({0, steps // 2, steps}))
    return {
        depth: np.array(
            [
                over_depth(block, rule, depth=depth, lr=lr, steps=steps, at=at, seed=seed)
                for seed in DEPTH_SEEDS
            ]
        )
        for depth in DEPTHS
    }


def _depths(found: dict[int, np.ndarray], what: str, *, holds: Callable[[float], bool]) -> Measured:
    """Judge the largest ratio of means over seeds between two depths at one time."""
    means = np.array([runs.mean(axis=0) for runs in found.values()])
    ratio = float((means.max(axis=0) / means.min(axis=0)).max())
    evidence = tuple(
        Evidence(
            f"eta x lambda after {step} of {DEPTH_STEPS} steps, {depth} branches",
            float(runs[:, k].mean()),
            t_interval(runs[:, k]),
        )
        for depth, runs in found.items()
        for k, step in enumerate((0, DEPTH_STEPS // 2, DEPTH_STEPS))
    )
    rise = means[:, -1] / means[:, 0]
    summary = (
        f"with {what} eta x lambda differs over 8 to 48 branches by up to a factor {ratio:.2f}; it rises "
        f"{', '.join(f'{r:.2f}' for r in rise)}-fold at 8, 16 and 48"
    )
    figures = (charts.over_depth(found, (0, DEPTH_STEPS // 2, DEPTH_STEPS), what),)
    good = math.isfinite(ratio) and holds(ratio)
    return judged(good, ratio, "largest over smallest", summary, evidence, figures=figures)


def _alike(study: Consistency, *, at_most: float, after: int = 0) -> Measured:
    """Judge whether sizes agree under muP in every window that begins at some step or later."""
    found = study.rules["mup"]
    late = [spread for spread in found.spreads if spread.window.first >= after]
    values = [math.nan if spread.value is None else spread.value for spread in late]
    worst = max(values) if np.isfinite(values).all() else math.nan
    evidence = tuple(
        Evidence(f"spread under muP, {spread.window}", spread.value, spread.interval, f"at most {at_most:g}")
        for spread in late
    )
    over = late[0].compared
    summary = (
        f"under muP eta x lambda differs over widths {over[0]} to {over[-1]} by at most {100 * worst:.0f} % in any "
        f"window from step {after} on ({found.verdict.outcome})"
    )
    interval = next((spread.interval for spread in late if spread.value == worst), None)
    figures = (charts.over_width(found),)
    return judged(worst <= at_most, worst, "relative spread", summary, evidence, interval, figures=figures)


def _apart(study: Consistency, *, at_least: float, after: int) -> Measured:
    """Judge whether sizes differ under NTP in every window that begins at some step or later."""
    found = study.rules["ntp"]
    late = [spread for spread in found.spreads if spread.window.first >= after]
    values = [math.nan if spread.value is None else spread.value for spread in late]
    least = min(values) if np.isfinite(values).all() else math.nan
    evidence = tuple(
        Evidence(
            f"spread under NTP, {spread.window}", spread.value, spread.interval, f"at least {at_least:g}"
        )
        for spread in late
    )
    summary = (
        f"under NTP eta x lambda differs by at least {100 * least:.0f} % in every window from step {after} on "
        f"({found.verdict.outcome})"
    )
    interval = next((spread.interval for spread in late if spread.value == least), None)
    figures = (charts.over_width(found),)
    return judged(least >= at_least, least, "relative spread", summary, evidence, interval, figures=figures)
