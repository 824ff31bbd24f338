"""Claims of paper 7, A Spectral Condition for Feature Learning: norms of weights, updates and features at every width."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from similitude.checking.slopes import Slope
from similitude.claims.judged import judged, judged_slopes
from similitude.claims.norms import (
    BASE,
    CLASSES,
    PIXELS,
    Norms,
    Setting,
    frobenius_groups,
    gaussian_norm,
    measure,
    slopes,
)
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence

WIDTHS = (64, 128, 256, 512, 1024)
FULL_WIDTHS = (64, 256, 1024, 2048)
SEEDS = (0, 1, 2)
STEPS = 8
FIRST_AND_LAST = (1, STEPS)
"""Steps after which what is trained by the spectral condition is recorded, for all claims about it."""
_TOGETHER = "MLPs by the spectral condition"
_OPTIMIZERS = ("sgd", "adam")


@claim(
    "7.updates",
    paper=7,
    statement="With learning rates by the spectral condition, natural norms of updates and changes of features "
    "are the same at every width, for SGD and Adam (Condition 1); muP is that same parametrization.",
    claimed="growth exponents of both, in every layer and for both optimizers and rules, within 0.1 of 0, over widths 64 "
    "to 1024, at full size to 2048",
    minutes=0.4,
    full_minutes=1,
    together=_TOGETHER,
)
def updates(*, full: bool = False) -> Measured:
    """Fit the growth of updates and feature changes over 8 steps under the rules spectral and muP."""
    steps = {"spectral": FIRST_AND_LAST, "mup": (STEPS,)}
    widths = FULL_WIDTHS if full else WIDTHS
    rows = [
        row
        for rule, optimizer in itertools.product(steps, _OPTIMIZERS)
        for row in _growth(Setting(rule, optimizer), ("update", "features"), steps=steps[rule], widths=widths)
    ]
    return _flat("updates and features", rows, tolerance=0.1)


@claim(
    "7.standard",
    paper=7,
    statement="In the standard parametrization they are not: hidden updates of Adam grow with width, and under SGD "
    "some layers stop learning while others blow up (Section 5).",
    claimed="exponents of Adam's hidden updates at least 0.5; under SGD one at most -0.4 and one at least 0.4",
    minutes=0.1,
)
def standard() -> Measured:
    """Fit the growth of updates over 8 steps in the standard parametrization."""
    adam = _growth(Setting("sp", "adam"), ("update",))
    sgd = _growth(Setting("sp", "sgd"), ("update",))
    hidden = [slope for _, slope in adam[1:-1]]
    least = min(hidden, key=lambda slope: slope.value)
    values = [slope.value for _, slope in sgd]
    holds = least.value >= 0.5 and min(values) <= -0.4 and max(values) >= 0.4
    summary = (
        f"hidden updates of Adam grow with exponent {least.value:.2f} or more; those of SGD with "
        f"{min(values):.2f} to {max(values):.2f}"
    )
    return judged_slopes(holds, summary, least, [*adam, *sgd])


@claim(
    "7.kernel_regime",
    paper=7,
    statement="In the NTK parametrization features change less and less with width, as width^-1/2 (Section 5).",
    claimed="exponents of updates and feature changes of every layer but the last in [-0.6, -0.4]",
    minutes=0.1,
)
def kernel_regime() -> Measured:
    """Fit the growth of updates and feature changes over 8 steps of SGD under the rule ntp."""
    rows = _growth(Setting("ntp", "sgd"), ("update", "features"))
    inner = [(name, slope) for name, slope in rows if f"layer {_last()}" not in name]
    worst = max((slope for _, slope in inner), key=lambda slope: abs(slope.value + 0.5))
    holds = abs(worst.value + 0.5) <= 0.1
    return judged_slopes(holds, f"the exponent farthest from -0.5 is {worst.value:+.2f}", worst, rows)


@claim(
    "7.frobenius",
    paper=7,
    statement="Learning rates that keep Frobenius norms in proportion are wrong: updates have a low rank, so their "
    "spectral norms then grow with width (Section 6).",
    claimed="exponents of Adam's hidden updates at rates falling as fan-in^-1/2: at least 0.25",
    minutes=0.1,
)
def frobenius() -> Measured:
    """Fit the growth of Adam's updates over 8 steps where the rate falls with the root of the fan-in alone."""
    setting = Setting("spectral", "adam", frobenius_groups)
    rows = _growth(setting, ("update",))
    least = min((slope for _, slope in rows[1:-1]), key=lambda slope: slope.value)
    return judged_slopes(
        least.value >= 0.25, f"hidden updates grow with exponent {least.value:.2f} or more", least, rows
    )


@claim(
    "7.init",
    paper=7,
    statement="Gaussian weights of standard deviation min(1, sqrt(fan-out / fan-in)) / sqrt(fan-in) have natural "
    "norms of order 1 (Parametrization 1).",
    claimed="at width 1024 within 5 % of 2 in hidden layers, 1 + sqrt(inputs / width) in the first, and of the same "
    "formula in the last; the formulas are limits, and narrow layers fall short of them",
    minutes=0.4,
    together=_TOGETHER,
)
def init() -> Measured:
    """Compare natural norms at initialization, as the plan of the rule spectral gives them, with closed forms."""
    table = _recorded(Setting("spectral", "sgd"), FIRST_AND_LAST)[1]
    evidence, worst = [], dict.fromkeys(WIDTHS, 0.0)
    for width, runs in zip(WIDTHS, table, strict=True):
        for layer, expected in enumerate(expected_norms(width)):
            norm = sum(run[layer].weight for run in runs) / len(runs)
            worst[width] = max(worst[width], abs(norm / expected - 1))
            evidence.append(Evidence(f"layer {layer + 1}, width {width}", norm, None, f"{expected:.3f}"))
    last = WIDTHS[-1]
    summary = (
        f"natural norms at initialization are within {100 * worst[last]:.1f} % of the limits at width {last}, within "
        f"{100 * worst[WIDTHS[0]]:.1f} % at width {WIDTHS[0]}"
    )
    layers = len(expected_norms(BASE))
    found = [row.value for row in evidence if row.value is not None]
    series = []
    for layer in range(layers):
        label = f"layer {layer + 1}"
        series += [
            Series(label, WIDTHS, found[layer::layers]),
            Series(label, WIDTHS, [expected_norms(width)[layer] for width in WIDTHS], kind="line"),
        ]
    figure = Chart(
        "Natural norms of weights at initialization",
        "width",
        "natural spectral norm",
        tuple(series),
        "Marks should come to their lines, the limits, as the width grows.",
        x_scale="log2",
        y_scale="log",
    )
    return judged(
        worst[last] <= 0.05, worst[last], "relative deviation", summary, evidence, figures=(figure,)
    )


@claim(
    "7.stable_rank",
    paper=7,
    statement="Updates have a low stable rank at every width, so that spectral and Frobenius norms agree up to a "
    "constant (Section 4).",
    claimed="stable ranks of first updates of 64 examples at most 16, with exponents of width within 0.15 of 0",
    minutes=0.4,
    together=_TOGETHER,
)
def low_rank() -> Measured:
    """Measure the stable rank of the first update of SGD and Adam."""
    rows, largest = [], 0.0
    for optimizer in _OPTIMIZERS:
        table = _recorded(Setting("spectral", optimizer), FIRST_AND_LAST)[1]
        rows += [(f"{optimizer}, {name}", slope) for name, slope in _named(slopes(WIDTHS, table, "rank"))]
        largest = max(largest, *(layer.rank for runs in table for run in runs for layer in run))
    flat = _flat("stable ranks", rows, tolerance=0.15)
    holds = flat.verdict.ok and largest <= 16
    summary = f"stable ranks are at most {largest:.1f}; {flat.verdict.summary}"
    first = Evidence("largest stable rank of a first update", largest, None, "at most 16")
    return judged(holds, largest, "rank", summary, (first, *flat.verdict.evidence), figures=flat.figures)


@claim(
    "7.alignment",
    paper=7,
    statement="Updates stay aligned with the inputs of their layer, to the same degree at every width, and not only "
    "in the first step (Claim 1).",
    claimed="exponents of |dW h| / (|dW| |h|) after 1, 10 and 100 steps within 0.15 of 0, under spectral rates",
    minutes=0.3,
)
def aligned() -> Measured:
    """Measure the alignment of accumulated updates with inputs over 100 steps of SGD and Adam."""
    widths, steps = (64, 256, 1024), (1, 10, 100)
    rows = []
    for optimizer in _OPTIMIZERS:
        tables = measure(Setting("spectral", optimizer), widths, seeds=SEEDS, steps=steps)
        rows += [
            (f"{optimizer}, {step} step{'s' if step > 1 else ''}, {name}", slope)
            for step in steps
            for name, slope in _named(slopes(widths, tables[step], "aligned"))
        ]
    return _flat("alignments", rows, tolerance=0.15)


def expected_norms(width: int) -> list[float]:
    """Return the closed forms of the natural norms at initialization, layer by layer.

    Hidden and first layers start from variance 1 / fan-in. The last one does so at the base, and the plan makes it
    follow sqrt(fan-out) / fan-in from there.

    Args:
        width: Width of the MLP.
    """
    return [
        gaussian_norm(PIXELS, width, PIXELS**-0.5),
        gaussian_norm(width, width, width**-0.5),
        gaussian_norm(width, width, width**-0.5),
        gaussian_norm(width, CLASSES, BASE**-0.5 * BASE / width),
    ]


def _last() -> int:
    return len(expected_norms(BASE))


@functools.cache
def _recorded(
    setting: Setting, steps: tuple[int, ...], widths: tuple[int, ...] = WIDTHS
) -> dict[int, list[list[list[Norms]]]]:
    return measure(setting, widths, seeds=SEEDS, steps=steps)


def _growth(
    setting: Setting,
    quantities: Sequence[str],
    *,
    steps: tuple[int, ...] = (STEPS,),
    widths: tuple[int, ...] = WIDTHS,
) -> list[tuple[str, Slope]]:
    table = _recorded(setting, steps, widths)[STEPS]
    return [
        (f"{quantity} of {name}, {setting.rule} {setting.optimizer}", slope)
        for quantity in quantities
        for name, slope in _named(slopes(widths, table, quantity))
    ]


def _named(found: Sequence[Slope]) -> list[tuple[str, Slope]]:
    return [(f"layer {i + 1}", slope) for i, slope in enumerate(found)]


def _flat(what: str, rows: Sequence[tuple[str, Slope]], *, tolerance: float) -> Measured:
    """Judge that no exponent is farther from 0 than the tolerance."""
    name, worst = max(rows, key=lambda row: abs(row[1].value))
    summary = f"of {len(rows)} exponents of {what} the farthest from 0 is {worst.value:+.3f} ({name})"
    return judged_slopes(abs(worst.value) <= tolerance, summary, worst, rows)
