"""Claims of paper 14 on its limits: networks of many seeds beside the nonlinear kernel and the particles of muP."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from similitude.claims.abcd_nets import three_points
from similitude.claims.charts import equality, means, power_guide
from similitude.claims.judged import WIDTH_EXPONENT, judged
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.theory.adaptive_limits.comparison import LimitComparison
from similitude.theory.adaptive_limits.entrywise import Adaptive, Entrywise, Momentum
from similitude.theory.adaptive_limits.networks import table, train_networks
from similitude.theory.adaptive_limits.particles import feature_limit
from similitude.theory.adaptive_limits.perceptron import Make, read_perceptron
from similitude.theory.adaptive_limits.tangent import nonlinear_kernel

CHI = (0.7, -1.1, 0.4)
STEP = 1e-3  # of single steps, whose second order is of this size
WIDE = {1: (4096, 24), 2: (512, 24)}  # width and networks by hidden layers
WIDTHS = (256, 1024, 4096, 16384)
STEPS, RATE, SEEDS = 15, 0.05, 16
SIGNS = {f"SignSGD, eps {eps:g}": Adaptive((0.0, 0.0), eps, inside=True) for eps in (0.5, 0.1)}
MOVING: Mapping[str, Entrywise] = {
    "SGD": Momentum(),
    "SignSGD": Adaptive((0.0, 0.0), 0.05, inside=True),
    "Adam": Adaptive((0.9, 0.95), 0.05, inside=True),
}
SLOWED: Mapping[str, Entrywise] = {
    "Adam": MOVING["Adam"],
    "Adam, eps outside": Adaptive((0.9, 0.95), 0.05),
    "RMSprop": Adaptive((0.0, 0.9), 0.05, corrected=False),
}


def perceptron(hidden: int) -> Make:
    """Return a family of tanh perceptrons with four features, and one output."""

    def make(width: int) -> nn.Module:
        sizes = [4, *[width] * hidden]
        parts: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            parts += [nn.Linear(fan_in, fan_out, bias=False), nn.Tanh()]
        return nn.Sequential(*parts, nn.Linear(width, 1, bias=False))

    return make


def steps_of(hidden: int, rule: Entrywise, chi: Tensor) -> np.ndarray:
    """Return how fast outputs of wide networks fall in one step, with chi given, shape (networks, inputs)."""
    width, seeds = WIDE[hidden]
    task, net = three_points(), read_perceptron(perceptron(hidden))
    runs = train_networks(
        net,
        rule,
        table(net, "ntp"),
        (task.inputs, task.targets),
        width=width,
        seeds=seeds,
        steps=1,
        lr=STEP,
        chi=lambda f, y: chi.expand_as(f),
    )
    return ((runs.outputs[:, 0] - runs.outputs[:, 1]) / STEP).numpy()


@claim(
    "14.nonlinear_kernel",
    paper=14,
    statement="In the neural tangent limit of an entrywise optimizer Q outputs move by the operator K_Q of the errors, "
    "an expectation over independent kets (Theorem 2.4.7).",
    claimed="one and two hidden layers, SGD and SignSGD with two eps: mean steps of wide networks within 5 % of K_Q's "
    "largest entry",
    minutes=0.1,
)
def kernel_steps() -> Measured:
    """Make one step with many networks and hold the mean against the operator."""
    chi, evidence, worst, series = torch.tensor(CHI, dtype=torch.float64), [], 0.0, []
    rules: dict[str, Entrywise] = {"SGD": Momentum(), **SIGNS}
    for hidden, (name, rule) in itertools.product(WIDE, rules.items()):
        made = steps_of(hidden, rule, chi)
        found = nonlinear_kernel(perceptron(hidden), optimizer=rule).update(three_points().inputs, chi)
        expected = found.value.numpy()
        off = float(np.abs(made.mean(0) - expected).max() / np.abs(expected).max())
        worst = max(worst, off)
        label = f"{name}, {hidden} hidden"
        evidence.append(Evidence(f"largest error, {label}", off, None, "at most 0.05"))
        series.append(means(label, list(expected), list(made.T)))
    span = [value for one in series for value in one.x]
    figure = Chart(
        "One step of networks and of the limit",
        "K_Q of the errors",
        "how fast outputs fall, mean over networks",
        (*series, equality(span)),
        "Marks, one per input, should lie on the dotted line.",
        source="Theorem 2.4.7",
    )
    summary = f"the mean steps of {len(series)} kinds of networks differ from K_Q's by at most {worst:.1%}"
    return judged(worst <= 0.05, worst, "relative error", summary, evidence, figures=(figure,))


@claim(
    "14.nonlinearity",
    paper=14,
    statement="The kernel of an adaptive optimizer is not linear in the errors (Section 2.4); with one input and eps = 0 "
    "it knows their sign alone.",
    claimed="|K(2 chi) - 2 K(chi)| / |2 K(chi)| of wide networks under SignSGD, eps = 0.1: within 0.02 of the kernel's, "
    "which is above 0.3; under SGD at most 0.002; one input under SignSGD: equal steps for errors of 0.3 and 2.5, to 1 %",
    minutes=0.1,
)
def nonlinearity() -> Measured:
    """Make steps with errors and with twice the errors."""
    chi = torch.tensor(CHI, dtype=torch.float64)
    task, evidence, off, least, flat = three_points(), [], 0.0, 1.0, 0.0
    scales = (0.25, 0.5, 1.0, 2.0, 4.0)
    series = []
    for hidden in WIDE:
        rule = SIGNS["SignSGD, eps 0.1"]
        kernel = nonlinear_kernel(perceptron(hidden), optimizer=rule)
        made = {s: steps_of(hidden, rule, s * chi).mean(0) for s in scales}
        theory = {s: kernel.update(task.inputs, s * chi).value.numpy() for s in scales}
        measured, predicted = (_bend(steps[1.0], steps[2.0]) for steps in (made, theory))
        plain = _bend(*(steps_of(hidden, Momentum(), s * chi).mean(0) for s in (1.0, 2.0)))
        off, least, flat = max(off, abs(measured - predicted)), min(least, predicted), max(flat, plain)
        label = f"{hidden} hidden"
        evidence += [
            Evidence(f"networks under SignSGD, {label}", measured, None, f"{predicted:.3f}"),
            Evidence(f"networks under SGD, {label}", plain, None, "0"),
        ]
        series += [
            Series(label, scales, [float(np.linalg.norm(made[s])) for s in scales]),
            Series(label, scales, [float(np.linalg.norm(theory[s])) for s in scales], kind="line"),
        ]
    sign = Adaptive((0.0, 0.0), 0.0)
    alone = [steps_of(1, sign, torch.tensor([e, 0.0, 0.0]).double()).mean(0) for e in (0.3, 2.5)]
    apart = float(np.abs(alone[1] - alone[0]).max() / np.abs(alone[1]).max())
    evidence.append(Evidence("one input: steps for 0.3 and 2.5 apart", apart, None, "at most 0.01"))
    holds = off <= 0.02 and least > 0.3 and flat <= 2e-3 and apart <= 0.01
    figure = Chart(
        "Size of a step against the size of the errors",
        "errors / chi",
        "size of the step",
        tuple(series),
        "Lines (kernel) should bend away from proportionality, and marks (networks) lie on them.",
        x_scale="log2",
        y_scale="log2",
    )
    summary = (
        f"the nonlinearity of networks is that of the kernel within {off:.3f}, {least:.2f} or more; of SGD {flat:.1e}; "
        f"errors of one input of 0.3 and 2.5 make steps {apart:.1e} apart"
    )
    return judged(holds, off, "difference of nonlinearities", summary, evidence, figures=(figure,))


@claim(
    "14.adam_limit",
    paper=14,
    statement="Trained by an optimizer with memory, such as Adam with momenta, a wide network in the neural tangent "
    "parametrization follows the limit that has frozen kets (Theorem 2.4.9).",
    claimed=f"{STEPS} steps of Adam, with eps under the root and outside, and RMSprop: largest distance from the limit "
    "goes as n^-1/2 within 0.15 and ends below 0.01; the feature kernel's change goes as n^-1 within 0.2",
    minutes=0.2,
)
def adam_limit() -> Measured:
    """Train networks of four widths beside the limit, each from its own initial outputs."""
    task, found = three_points(), {}
    for name, rule in SLOWED.items():
        kernel = nonlinear_kernel(perceptron(1), optimizer=rule, samples=2**14)
        found[name] = kernel.compare(
            task.inputs, task.targets, widths=WIDTHS, steps=STEPS, lr=RATE, seeds=SEEDS
        )
    slopes = {name: (one.slope, one.kernel_slope) for name, one in found.items()}
    ends = {name: float(one.deviations[-1].mean()) for name, one in found.items()}
    evidence, worst = [], None
    holds = max(ends.values()) <= 0.01
    for name, (own, kernel) in slopes.items():
        assert own is not None, "widths differ, and so do networks from the limit"
        assert kernel is not None, "features of a finite network move"
        holds = holds and abs(own.value + 0.5) <= 0.15 and abs(kernel.value + 1) <= 0.2
        worst = own if worst is None or abs(own.value + 0.5) > abs(worst.value + 0.5) else worst
        evidence += [
            Evidence(f"exponent of the distance, {name}", own.value, (own.low, own.high), "-0.5 +- 0.15"),
            Evidence(f"distance at width {WIDTHS[-1]}, {name}", ends[name], None, "at most 0.01"),
            Evidence(
                f"exponent of the kernel's change, {name}",
                kernel.value,
                (kernel.low, kernel.high),
                "-1 +- 0.2",
            ),
        ]
    assert worst is not None, "there are optimizers"
    summary = f"networks come to the limit as n^{worst.value:+.2f}, to {max(ends.values()):.4f} at width {WIDTHS[-1]}"
    figures = (_distances(found, "Distance from the neural tangent limit"), _outputs(found["Adam"]))
    return judged(
        holds, worst.value, WIDTH_EXPONENT, summary, evidence, (worst.low, worst.high), figures=figures
    )


@claim(
    "14.feature_limit",
    paper=14,
    statement="Trained in the maximal update parametrization, a wide shallow network follows a limit whose kets move, "
    "under adaptive optimizers too (Theorem 2.5.2).",
    claimed=f"{STEPS} steps of SGD, SignSGD and Adam: distance from the limit goes as n^-1/2 within 0.1; the feature "
    "kernel's change is within 10 % of the limit's at every width, and above 5 %",
    minutes=0.1,
)
def moving_features() -> Measured:
    """Train networks of four widths beside particles that move."""
    task, found, evidence, off, least, worst = three_points(), {}, [], 0.0, 1.0, None
    for name, rule in MOVING.items():
        limit = feature_limit(perceptron(1), optimizer=rule)
        one = limit.compare(task.inputs, task.targets, widths=WIDTHS, steps=STEPS, lr=RATE, seeds=SEEDS)
        found[name], slope = one, one.slope
        assert slope is not None, "widths differ, and so do networks from the limit"
        worst = slope if worst is None or abs(slope.value + 0.5) > abs(worst.value + 0.5) else worst
        changes = [run.kernel_change.numpy() for run in one.networks]
        off = max(off, *(abs(float(c.mean()) / one.limit_kernel_change - 1) for c in changes))
        least = min(least, one.limit_kernel_change)
        evidence.append(
            Evidence(f"exponent of the distance, {name}", slope.value, (slope.low, slope.high), "-0.5 +- 0.1")
        )
        evidence += [
            Evidence(
                f"kernel's change at width {width}, {name}",
                float(c.mean()),
                t_interval(c),
                f"{one.limit_kernel_change:.3f} +- 10 %",
            )
            for width, c in zip(WIDTHS, changes, strict=True)
        ]
    assert worst is not None, "there are optimizers"
    summary = f"networks come to the limit as n^{worst.value:+.2f}; kernels' changes differ from its by at most {off:.1%}"
    figures = (_distances(found, "Distance from the maximal update limit"), _kernel_changes(found))
    return judged(
        abs(worst.value + 0.5) <= 0.1 and off <= 0.1 and least >= 0.05,
        worst.value,
        WIDTH_EXPONENT,
        summary,
        evidence,
        (worst.low, worst.high),
        figures=figures,
    )


def _bend(one: np.ndarray, two: np.ndarray) -> float:
    """How far the step of twice the errors is from twice the step, relatively."""
    return float(np.linalg.norm(two - 2 * one) / np.linalg.norm(2 * one))


def _distances(found: Mapping[str, LimitComparison], title: str) -> Chart:
    series = [means(name, one.widths, list(one.deviations)) for name, one in found.items()]
    first = max(one.y[0] for one in series)
    return Chart(
        title,
        "width",
        "largest distance of outputs, mean over networks",
        (*series, power_guide("n^-1/2", next(iter(found.values())).widths, first, -0.5)),
        "Marks should fall along the dotted line.",
        x_scale="log",
        y_scale="log",
    )


def _outputs(found: LimitComparison) -> Chart:
    """Draw outputs of a network of the largest width beside its limit."""
    run, limit = found.networks[-1], found.limits[-1]
    steps, series = range(run.outputs.shape[1]), []
    for i in range(run.outputs.shape[2]):
        series.append(Series(f"input {i + 1}", steps, run.outputs[0, :, i].numpy()))
        series.append(Series(f"input {i + 1}", steps, limit[0, :, i].numpy(), kind="line"))
    return Chart(
        f"Outputs of one network of width {run.width} under Adam",
        "step",
        "output",
        tuple(series),
        "Marks (network) should lie on the lines (limit from its own start).",
    )


def _kernel_changes(found: Mapping[str, LimitComparison]) -> Chart:
    series = []
    for name, one in found.items():
        series.append(means(name, one.widths, [run.kernel_change.numpy() for run in one.networks]))
        series.append(Series(name, one.widths, [one.limit_kernel_change for _ in one.widths], kind="line"))
    return Chart(
        "Change of the feature kernel in muP",
        "width",
        "change / size",
        tuple(series),
        "Marks (networks) should lie on the level lines (limit).",
        x_scale="log",
    )
