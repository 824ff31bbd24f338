"""Claims of paper 21, Tensor Programs IIb: wide nets of any architecture train as their tangent kernel says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from similitude.checking.slopes import Slope
from similitude.claims.charts import power_guide
from similitude.claims.judged import judged_slopes
from similitude.claims.registry import Measured, claim
from similitude.claims.wide_nets import WIDTHS, compared
from similitude.core.chart import Chart, Series
from similitude.studies.universality_records import Architecture
from similitude.studies.universality_verdict import BAND

LEVEL = -0.15
"""Power of the width from which a change counts as not falling."""

_UNKNOWN = Slope(math.nan, math.nan, math.nan, math.nan)


@claim(
    "21.universality",
    paper=21,
    statement="Wide nets of any architecture in the NTK parametrization train by gradient descent as kernel gradient "
    "descent with the limit of their tangent kernel (main theorem).",
    claimed="MLP, ConvNet, ResNet with norms and transformer on digits, full batch: the deviation from kernel gradient "
    "descent from the net's own start, on test digits and largest of all times, goes with the width to a power between "
    "-0.7 and -0.3",
    minutes=4.1,
    together="four architectures",
)
def universal() -> Measured:
    """Train four architectures at four or five widths beside their kernels, and fit the powers."""
    return _powers("deviations", "the deviation from kernel gradient descent", _in_band)


@claim(
    "21.sgd",
    paper=21,
    statement="The theorem holds for stochastic gradient descent, whatever the size of the batches (main theorem).",
    claimed="MLP and transformer, one digit per step, to widths 1024 and 256, at full size to 2048 and 512: the same "
    "power of the width between -0.7 and -0.3",
    minutes=0.7,
    full_minutes=2,
)
def sgd(*, full: bool = False) -> Measured:
    """Train two architectures with single examples beside their kernels, and fit the powers."""
    return _powers(
        "deviations",
        "the deviation with one example per step",
        _in_band,
        names=("MLP", "transformer"),
        batch_size=1,
        full=full,
    )


@claim(
    "21.kernel_at_start",
    paper=21,
    statement="The tangent kernel of a random net converges to a limit that does not depend on chance (Theorem of "
    "Tensor Programs II, on which this one builds).",
    claimed="the four architectures: the relative error of the kernel at the start goes with the width to a power "
    "between -0.7 and -0.3",
    minutes=4.1,
    together="four architectures",
)
def kernel_at_start() -> Measured:
    """Fit the powers of the kernel's error of the nets of `21.universality`."""
    return _powers("kernel_errors", "the error of the tangent kernel at the start", _in_band)


@claim(
    "21.frozen",
    paper=21,
    statement="In the NTK parametrization the tangent kernel does not change in training (main theorem).",
    claimed="the four architectures: the relative change of the kernel falls with the width, to a power of at most -0.4",
    minutes=4.1,
    together="four architectures",
)
def frozen() -> Measured:
    """Fit the powers of the kernel's change in the training of the nets of `21.universality`."""
    return _powers("kernel_changes", "the change of the tangent kernel", lambda slope: slope.value <= -0.4)


@claim(
    "21.feature_learning",
    paper=21,
    statement="That kernels freeze is due to the parametrization: under muP they change at any width (contrast in the "
    "discussion; Tensor Programs IV).",
    claimed="the same smallest nets made wider under muP, at richness 4: the change of the kernel goes with the width to "
    f"a power of at least {LEVEL:g}",
    minutes=4.1,
    together="four architectures",
)
def feature_learning() -> Measured:
    """Fit the powers of the kernel's change under muP."""
    return _powers(
        "contrast_changes", "the change of the tangent kernel under muP", lambda slope: slope.value >= LEVEL
    )


def _in_band(slope: Slope) -> bool:
    return BAND[0] <= slope.value <= BAND[1]


def _powers(
    quantity: str,
    what: str,
    holds: Callable[[Slope], bool],
    *,
    names: tuple[str, ...] = tuple(WIDTHS),
    batch_size: int | None = None,
    full: bool = False,
) -> Measured:
    """Judge the power of the width of one quantity in some architectures.

    The first one that does not hold stands for all, else the largest power.
    """
    found: dict[str, Architecture] = {name: compared(name, batch_size, full=full) for name in names}
    slopes = {name: one.exponents.get(quantity) or _UNKNOWN for name, one in found.items()}
    failed = [slope for slope in slopes.values() if not holds(slope)]
    shown = failed[0] if failed else max(slopes.values(), key=lambda slope: slope.value)
    listed = ", ".join(f"{slope.value:.2f} ({name})" for name, slope in slopes.items())
    rows = [(f"power of the width, {name}", slope) for name, slope in slopes.items()]
    summary, figures = f"{what} goes with the width to the {listed}", _charts(found, quantity, what)
    return judged_slopes(all(map(holds, slopes.values())), summary, shown, rows, figures=figures)


def _charts(found: Mapping[str, Architecture], quantity: str, what: str) -> tuple[Chart, ...]:
    """Draw a quantity of some architectures against the width: means over seeds; nothing where none was measured."""
    series = []
    for name, one in found.items():
        widths = [each.width for each in one.widths if getattr(each, quantity)]
        values = [float(np.mean(getattr(each, quantity))) for each in one.widths if getattr(each, quantity)]
        if values:
            series.append(Series(name, widths, values, kind="joined"))
    if not series:
        return ()
    steep = quantity != "contrast_changes"
    guide = power_guide("width^-1/2", series[0].x, series[0].y[0], -0.5)
    chart = Chart(
        f"{what[:1].upper()}{what[1:]}",
        "width",
        "relative distance",
        (*series, guide),
        "Lines should fall as steeply as the dotted one, whatever the architecture."
        if steep
        else "Lines should stay level, not fall as the dotted one.",
        x_scale="log2",
        y_scale="log",
    )
    return (chart,)
