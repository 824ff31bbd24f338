"""Claims of paper 19: infinitely wide nets with bottlenecks learn features, and some of them faster."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from similitude.checking.slopes import Slope, fit
from similitude.claims.bottleneck_nets import Nets, make_bottleneck_net
from similitude.claims.cores import engine_here
from similitude.claims.judged import WIDTH_EXPONENT, judged, judged_slopes
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.seeding import torch_generator
from similitude.core.verdict import Evidence
from similitude.studies.bottleneck import bottleneck
from similitude.studies.bottleneck_records import BottleneckStudy, mean_of
from similitude.studies.bottleneck_verdict import BAND
from similitude.studies.universality_nets import digits_task
from similitude.theory.bottleneck.heads import erf_kernel
from similitude.theory.bottleneck.limit import WideKernels, without_bottleneck
from similitude.theory.bottleneck.linear import linear_speed_up
from similitude.theory.bottleneck.run import BottleneckRun, steps_to
from similitude.theory.bottleneck.segment import Segment
from similitude.theory.bottleneck.training import train_bottlenecks
from similitude.theory.finite_width.activation import read_activation
from similitude.theory.finite_width.duals import products, slope_products

WIDTHS = (128, 512, 2048)
SEEDS = 16
STEPS = 60
FEATURES = 10
EXAMPLES = 16
LARGE = 512
"""Units of the hidden layers of nets whose steps are counted, and of those that have no bottleneck."""
GOAL = 0.1
"""Share of the squared error of outputs 0 to which steps are counted."""

_LINEAR = (16, 64), (1.0, 2.0, 4.0)
"""Bottlenecks of linear nets, and sizes of their targets over sqrt(d)."""

_UNKNOWN = Slope(math.nan, math.nan, math.nan, math.nan)


@claim(
    "19.function_space",
    paper=19,
    statement="A net that is infinitely wide but for a bottleneck is trained exactly in function space, by the kernels "
    "of its two parts; wide nets follow, and the kernel at the start does not tell how they train.",
    claimed="bottlenecks of 2 and 8, n = 128 to 2048, 12 + 8 Gaussian inputs: the largest deviation in training goes "
    "with n to a power between -0.7 and -0.3, times sqrt(n) it is below 2.5, and the kernel at the start is at least 4 "
    "times as far off at n = 2048",
    minutes=0.8,
)
def function_space() -> Measured:
    """Train 48 nets per bottleneck beside function space."""
    x = torch.randn(20, FEATURES, generator=torch_generator(19, "function space"))
    y = 1.5 * torch.sin(2 * x[:12] @ _direction() / math.sqrt(FEATURES))
    studies = {f"d = {d}": _study(x, y, d, WIDTHS) for d in (2, 8)}
    return _powers(studies, "synthetic data")


@claim(
    "19.digits",
    paper=19,
    statement="The same on real images.",
    claimed="a bottleneck of 4, n = 128 to 2048, at full size to 8192, 12 + 8 digits, even or odd: the same three bounds",
    minutes=0.4,
    full_minutes=1,
)
def digits(*, full: bool = False) -> Measured:
    """Train nets on digits beside function space, 16 of every width."""
    widths = (*WIDTHS, 8192) if full else WIDTHS
    task = digits_task(train=12, test=8)
    even = task.targets.argmax(1) % 2 == 0
    y = torch.where(even, 1.0, -1.0)
    return _powers({"d = 4": _study(task.inputs, y, 4, widths)}, "digits")


@claim(
    "19.feature_learning",
    paper=19,
    statement="A narrow bottleneck learns features: the tangent kernel of an infinitely wide net grows along the targets "
    "in training, which that of a net without a bottleneck does not.",
    claimed="n = 1024, 16 examples, targets of rms 3, medians of 8 nets: y' Theta y grows by at least 2 at d = 2 and by "
    "less than 2 at d = 64; both within 15 % of function space from the nets' own start",
    minutes=0.1,
)
def feature_learning() -> Measured:
    """Take the tangent kernels of nets before and after training, by autograd."""
    x, y = _examples()
    y = 3 * y
    rows, growth, apart, series = [], {}, {}, []
    for d in (2, 64):
        nets = Nets(FEATURES, bottleneck=d, width=1024, nets=8, seed=190)
        starts, before = nets.starts(x), nets.kernels(x)
        nets.train(x, y, lr=0.01, steps=60, kept=(60,))
        after, target = nets.kernels(x), y[:, 0].double()
        found = ((target @ after @ target) / (target @ before @ target)).numpy()
        expected = [_run(x, y, h, head, lr=0.01, steps=60).growth for h, head in starts]
        growth[d], apart[d] = float(np.median(found)), float(np.median(found / expected))
        series.append(Series(f"d = {d}", expected, found))
        aligned = [float(np.median(_alignment(kernels, target))) for kernels in (before, after)]
        rows += [
            Evidence(f"growth of the kernel along the targets, d {d}", growth[d]),
            Evidence(f"growth over that in function space, d {d}", apart[d], None, "0.85 to 1.15"),
            Evidence(f"alignment at the start, d {d}", aligned[0]),
            Evidence(f"alignment at the end, d {d}", aligned[1]),
        ]
    holds = growth[2] >= 2 and growth[64] < 2 and all(abs(ratio - 1) <= 0.15 for ratio in apart.values())
    summary = (
        f"the kernel along the targets grows by {growth[2]:.2f} at d = 2 and by {growth[64]:.2f} at d = 64"
    )
    ends = [min(min(one.x) for one in series), max(max(one.x) for one in series)]
    figure = Chart(
        "Growth of the tangent kernel along the targets, by network",
        "in function space",
        "of the network",
        (*series, Series("equal", ends, ends, kind="guide")),
        "Marks of every network should lie near the dotted line: far from 1 with the narrow bottleneck, near 1 with the "
        "wide one.",
        x_scale="log",
        y_scale="log",
    )
    return judged(holds, growth[2], "factor of growth", summary, rows, figures=(figure,))


@claim(
    "19.acceleration",
    paper=19,
    statement="A bottleneck accelerates training: the net needs fewer steps than the infinitely wide one without it.",
    claimed="it depends on the size of the targets: with rms 3 the best of d = 2, 4, 8 takes at most 0.7 of the steps to "
    "10 % of the error, with rms 1 d = 2 and 4 take more steps; steps within 15 % of function space (medians of 24 nets, "
    "n = 512)",
    minutes=0.3,
)
def acceleration() -> Measured:
    """Count the steps of nets with bottlenecks, and of nets whose hidden layers are all wide."""
    x, y = _examples()
    slowest = float(np.linalg.eigvalsh(_without(x).ntk)[-1])
    ratios: dict[tuple[float, int], float] = {}
    rows: list[Evidence] = []
    apart: list[float] = []
    for rms in (1.0, 3.0):
        lr = 0.4 / slowest / max(1.0, rms / 2)
        without = float(np.median(_steps(x, rms * y, None, lr=lr)[0]))
        for d in (2, 4, 8):
            found, expected = _steps(x, rms * y, d, lr=lr)
            both = np.isfinite(found[: len(expected)]) & np.isfinite(expected)
            apart += (found[: len(expected)][both] / expected[both]).tolist()
            ratios[rms, d] = float(np.median(found)) / without
            rows.append(
                Evidence(
                    f"steps over those without a bottleneck, targets of rms {rms:g}, d {d}", ratios[rms, d]
                )
            )
        rows.append(Evidence(f"steps without a bottleneck, targets of rms {rms:g}", without))
    theory = float(np.median(apart))
    rows.append(Evidence("steps over those in function space", theory, None, "0.85 to 1.15"))
    best = min(ratios[3.0, d] for d in (2, 4, 8))
    holds = best <= 0.7 and min(ratios[1.0, d] for d in (2, 4)) > 1 and abs(theory - 1) <= 0.15
    figure = Chart(
        "Steps to 10 % of the error with a bottleneck, over those without",
        "bottleneck d",
        "ratio of steps",
        tuple(
            Series(f"targets of rms {rms:g}", (2, 4, 8), [ratios[rms, d] for d in (2, 4, 8)], kind="joined")
            for rms in (1.0, 3.0)
        ),
        "Below 1 the bottleneck makes training faster: it should for the large targets, and not for the small ones.",
        x_scale="log2",
        levels={"without a bottleneck": 1.0},
    )
    words = f"{best:.2f} of the steps with targets of rms 3, {ratios[1.0, 2]:.2f} times the steps with rms 1 (d = 2)"
    return judged(
        holds, best, "ratio of steps", f"with a bottleneck nets take {words}", rows, figures=(figure,)
    )


@claim(
    "19.linear_law",
    paper=19,
    statement="Deep linear nets explain it: through a bottleneck of d the rate grows with |w*| / sqrt(d).",
    claimed="linear nets of four layers, n = 1024, d = 16 and 64, white inputs: times to 10 % of the error along the "
    "target, over that without a bottleneck, fall on one curve of |w*| / sqrt(d) = 1, 2, 4 (medians of 24 nets, within "
    "10 %)",
    minutes=0.4,
)
def linear_law() -> Measured:
    """Train linear nets of four layers, two on each side of the bottleneck, and time them."""
    worst, rows, points = 1.0, [], {}
    bottlenecks, scales = _LINEAR
    for d in bottlenecks:
        for s in scales:
            law = linear_speed_up(s * math.sqrt(d), d, upper=2, lower=2)
            found = _linear_times(s * math.sqrt(d), d)
            factor = law.time_without / float(np.median(found))
            points[d, s] = factor
            off = factor / law.factor
            worst = max(worst, off, 1 / off)
            rows.append(Evidence(f"speed-up at |w*|/sqrt(d) {s:g}, d {d}", factor, None, f"{law.factor:.3f}"))
    line = np.geomspace(0.25, 16, 40)
    figure = Chart(
        "Speed-up of deep linear nets by a bottleneck",
        "|w*| / sqrt(d)",
        "time without over time with the bottleneck",
        (
            Series("law", line, [linear_speed_up(s * 8, 64).factor for s in line], kind="line"),
            *(Series(f"d = {d}", scales, [points[d, s] for s in scales]) for d in bottlenecks),
        ),
        "Both bottlenecks should lie on the line, which starts at 1: small targets are not learned faster.",
        x_scale="log2",
        y_scale="log2",
    )
    least, most = min(points.values()), max(points.values())
    summary = f"speed-ups of {least:.2f} to {most:.2f} are within a factor of {worst:.3f} of the law"
    return judged(worst <= 1.1, most, "speed-up", summary, rows, figures=(figure,))


@claim(
    "19.missed_directions",
    paper=19,
    statement="The other side of it: along directions of the input that a narrow bottleneck does not see, training "
    "starts slower than without one, by the size of the layers above alone.",
    claimed="linear nets of four layers, n = 512, 20 features: the tangent kernel at the start along its 20 - d smallest "
    "directions, over that without a bottleneck, is median(chi^2_d) / 2d for d = 1, 4, 16, within 0.05 (medians of 256 "
    "nets)",
    minutes=0.1,
)
def missed_directions() -> Measured:
    """Take the eigenvalues of the tangent kernels of random linear nets."""
    features, worst, rows, ds = 20, 0.0, [], (1, 4, 16)
    shown: tuple[list[float], list[float]] = [], []
    x = math.sqrt(features) * torch.eye(features)
    for d in ds:
        nets = _linear_nets(features, d, width=512, nets=256)
        values = torch.linalg.eigvalsh(nets.kernels(x))[:, : features - d].median(1).values
        found = float(values.median()) / 4
        expected = linear_speed_up(1.0, d, features=features, upper=2, lower=2).missed
        worst = max(worst, abs(found - expected))
        shown[0].append(found)
        shown[1].append(expected)
        rows.append(Evidence(f"kernel in missed directions, d {d}", found, None, f"{expected:.3f}"))
    first = rows[0].value or math.nan
    summary = f"directions that are missed have {first:.3f} of the kernel at d = 1; all are within {worst:.3f} of the law"
    figure = Chart(
        "Tangent kernel in directions that the bottleneck misses",
        "bottleneck d",
        "share of that without a bottleneck",
        (Series("nets", ds, shown[0]), Series("median(chi^2_d) / 2d", ds, shown[1], kind="line")),
        "Marks should lie on the line, which rises to 1/2: the layers above alone.",
        x_scale="log2",
        levels={"layers above alone": 0.5},
    )
    return judged(worst <= 0.05, first, "share of the kernel", summary, rows, figures=(figure,))


@claim(
    "19.wide_bottleneck",
    paper=19,
    statement="As the bottleneck grows, the kernel at the start becomes that of the net without one.",
    claimed="distance of the tangent kernels of 16 nets, n = 2048, from the limit, d = 2 to 64: goes as d^-1/2 +- 0.15",
    minutes=0.1,
)
def wide_bottleneck() -> Measured:
    """Take tangent kernels of nets at their start, by autograd."""
    x, _ = _examples()
    limit = torch.from_numpy(_without(x).ntk)
    ds, rows, table = (2, 4, 8, 16, 32, 64), [], []
    for d in ds:
        kernels = Nets(FEATURES, bottleneck=d, width=2048, nets=16, seed=191).kernels(x)
        away = ((kernels - limit).flatten(1).norm(dim=1) / limit.norm()).numpy()
        table.append(away)
        rows.append(Evidence(f"distance from the limit, d {d}", float(away.mean()), t_interval(away)))
    slope = fit(ds, table) or _UNKNOWN
    figure = Chart(
        "Kernels at the start against the bottleneck",
        "bottleneck d",
        "relative distance from the kernel without a bottleneck",
        (
            Series(
                "nets", ds, [row.value or math.nan for row in rows], [row.interval for row in rows], "joined"
            ),
        ),
        "The distance should fall as d^-1/2: by a factor of 2 from each second mark to the next.",
        x_scale="log2",
        y_scale="log",
    )
    holds = abs(slope.value + 0.5) <= 0.15
    summary = f"kernels near the limit as d^{slope.value:.2f}"
    return judged(
        holds, slope.value, "exponent of d", summary, rows, (slope.low, slope.high), figures=(figure,)
    )


def _study(x: Tensor, y: Tensor, d: int, widths: Sequence[int]) -> BottleneckStudy:
    make = functools.partial(make_bottleneck_net, features=x[0].numel(), bottleneck=d)
    return bottleneck(
        make,
        x,
        targets=y,
        widths=widths,
        seeds=range(SEEDS),
        steps=STEPS,
        step_size=0.3,
        engine=engine_here(),
    )


def _powers(studies: dict[str, BottleneckStudy], data: str) -> Measured:
    """Judge the power of the width, the size of the deviation, and the frozen kernel's, of some studies."""
    slopes = {name: study.exponent or _UNKNOWN for name, study in studies.items()}
    low, high = BAND
    holds, series = True, []
    for name, study in studies.items():
        means = {width: mean_of(nets, "deviation") for width, nets in study.by_width().items() if width}
        frozen = {width: mean_of(nets, "frozen") for width, nets in study.by_width().items() if width}
        widest = max(means)
        sized = all(value * math.sqrt(width) < 2.5 for width, value in means.items())
        holds = holds and low <= slopes[name].value <= high
        holds = holds and sized and frozen[widest] >= 4 * means[widest]
        spread = [t_interval(np.array([net.deviation for net in nets])) for nets in study.by_width().values()]
        series += [
            Series(name, list(means), list(means.values()), spread, "joined"),
            Series(f"kernel at the start, {name}", list(frozen), list(frozen.values()), kind="joined"),
        ]
    figure = Chart(
        f"Deviation of nets from function space, {data}",
        "width n",
        "largest rms difference in training, over that of the targets",
        tuple(series),
        "The deviation from function space should fall as n^-1/2, that from the kernel at the start should stay.",
        x_scale="log2",
        y_scale="log",
    )
    listed = ", ".join(f"{slope.value:.2f} ({name})" for name, slope in slopes.items())
    shown = max(slopes.values(), key=lambda slope: abs(slope.value + 0.5))
    rows = [(f"{WIDTH_EXPONENT}, {name}", slope) for name, slope in slopes.items()]
    return judged_slopes(holds, f"the deviation goes with n to the {listed}", shown, rows, figures=(figure,))


def _direction() -> Tensor:
    return torch.randn(FEATURES, generator=torch_generator(19, "direction"))


def _examples() -> tuple[Tensor, Tensor]:
    """Return Gaussian inputs (N, features), and targets (N, 1) of root mean square 1."""
    x = torch.randn(EXAMPLES, FEATURES, generator=torch_generator(19, "examples"))
    y = torch.sin(2 * x @ _direction() / math.sqrt(FEATURES))
    return x, (y / y.square().mean().sqrt())[:, None]


def _below(x: Tensor) -> WideKernels:
    """Return the kernels of the ReLUs below the bottleneck."""
    q = 2 * (x.double() @ x.double().T / x.shape[1]).numpy()
    relu = read_activation(torch.relu)
    above = products(relu, q)
    return WideKernels(above, above + slope_products(relu, q) * q)


def _without(x: Tensor) -> WideKernels:
    return without_bottleneck(*_below(x), phi=torch.erf)


def _run(
    x: Tensor, y: Tensor, h: Tensor, head: Callable[[Tensor], Tensor], *, lr: float, steps: int
) -> BottleneckRun:
    return train_bottlenecks(_below(x).ntk, h, Segment(erf_kernel, head), y, lr=lr, steps=steps)


def _steps(x: Tensor, y: Tensor, d: int | None, *, lr: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of nets, and of the first of them in function space; of d None, without a bottleneck."""
    nets = Nets(FEATURES, bottleneck=d or LARGE, width=LARGE, nets=24 if d else 8, seed=193)
    starts = nets.starts(x)[:5] if d else []
    out = nets.train(x, y, lr=lr, steps=100)
    found = [steps_to(one, y.double(), GOAL) for one in out.unbind(1)]
    expected = [_run(x, y, h, head, lr=lr, steps=100).steps_to(GOAL) for h, head in starts]
    return np.array(found), np.array(expected)


def _alignment(kernels: Tensor, y: Tensor) -> np.ndarray:
    return ((y @ kernels @ y) / (kernels.flatten(1).norm(dim=1) * (y @ y))).numpy()


def _linear_nets(features: int, d: int, *, width: int, nets: int) -> Nets:
    return Nets(
        features,
        bottleneck=d,
        width=width,
        nets=nets,
        seed=194,
        below=torch.clone,
        above=torch.clone,
        gain=1.0,
    )


def _linear_times(norm: float, d: int, *, features: int = 4, share: float = 0.1) -> Sequence[float]:
    """Return the times at which linear nets have a share of the error left along their target."""
    x, y = math.sqrt(features) * torch.eye(features), torch.zeros(features, 1)
    y[0] = norm
    lr = 0.03 / (4 + 4 * norm / math.sqrt(d))
    steps = math.ceil(1.5 * -math.log(share) / 4 / lr)
    out = _linear_nets(features, d, width=1024, nets=24).train(x, y, lr=lr, steps=steps)[:, :, 0, 0]
    below = (out - norm).abs() <= share * norm
    return [float(one.nonzero()[0]) * lr if bool(one.any()) else math.inf for one in below.T]
