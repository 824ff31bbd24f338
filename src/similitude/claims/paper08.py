"""Claims of paper 8, the Les Houches lectures, part A: kernels of random nets, and ensembles of trained ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from similitude.checking.slopes import fit
from similitude.claims.charts import equality, power_guide
from similitude.claims.judged import judged
from similitude.claims.registry import Measured, claim
from similitude.claims.wide_nets import (
    C_B,
    C_W,
    even_or_odd,
    limit_kernels,
    make_biased_mlp,
    rate_of,
    trained_ensemble,
)
from similitude.core.chart import Chart, Series
from similitude.core.intervals import t_interval
from similitude.core.seeding import derive, seeded
from similitude.core.verdict import Evidence
from similitude.kernels.ensemble import ensemble
from similitude.kernels.train_test import TrainTest
from similitude.landscape.ntk import ntk_gram

WIDTHS = (64, 128, 256, 512, 1024)
HIDDEN = 3
"""Hidden layers of the nets whose kernels are followed to large widths."""

ENSEMBLE, WIDTH, STEPS = 200, 256, 150
STEP_SIZE = 1.8
"""Learning rate of the ensembles in units of 1 / the largest eigenvalue: nearly all is learned after `STEPS` steps."""


@claim(
    "8.nngp",
    paper=8,
    statement="The covariance of a random net's preactivations converges to the NNGP kernel (part A: K recursion).",
    claimed="MLPs of 3 hidden layers of ReLUs: the relative distance of one net's covariance to the kernel goes with the "
    "width to the -1/2 within 0.15, and its mean over nets at width 1024, at full size 4096, has no bias beyond two "
    "standard errors",
    minutes=0.2,
    full_minutes=1,
)
def nngp(*, full: bool = False) -> Measured:
    """Measure the covariance of the output given the last hidden layer in random nets of five widths, or of seven."""
    widths = (*WIDTHS, 2048, 4096) if full else WIDTHS
    return _converges(0, "the covariance of preactivations", drawn_covariance, 64, widths=widths)


@claim(
    "8.ntk",
    paper=8,
    statement="The tangent kernel of a random net converges to a fixed one (part A: Theta recursion).",
    claimed="such nets: the relative distance of one net's tangent kernel to the limit goes with the width to the -1/2 "
    "within 0.15, and its mean over nets at width 1024 has no bias beyond two standard errors",
    minutes=0.1,
)
def ntk() -> Measured:
    """Measure the tangent kernel of random nets of five widths."""
    return _converges(1, "the tangent kernel", drawn_tangent_kernel, 16, widths=WIDTHS)


@claim(
    "8.ensemble_mean",
    paper=8,
    statement="The mean prediction of trained wide nets is Theta(x, X) Theta(X, X)^-1 y (part A: trained ensembles).",
    claimed=f"{ENSEMBLE} MLPs of width {WIDTH} trained on digits: the mean on every test digit within 3 standard errors "
    "of the formula",
    minutes=0.3,
    together="trained ensemble",
)
def ensemble_mean() -> Measured:
    """Train an ensemble, and compare its mean."""
    outputs, expected, _ = trained()
    scores = (outputs.mean(0) - expected) / (outputs.std(0) / len(outputs) ** 0.5)
    worst = float(scores.abs().max())
    evidence = tuple(
        Evidence(
            f"mean of nets on test digit {i}",
            float(outputs[:, i].mean()),
            t_interval(outputs[:, i].numpy()),
            f"{float(value):.3f}",
        )
        for i, value in enumerate(expected)
    )
    summary = (
        f"the means of {len(outputs)} trained nets on test digits are within {worst:.1f} standard errors"
    )
    means = outputs.mean(0).tolist()
    figure = Chart(
        "Mean prediction of trained networks",
        "mean by the kernels",
        "mean over networks",
        (
            Series("test digits", expected.tolist(), means, [row.interval for row in evidence]),
            equality(expected.tolist()),
        ),
        "Marks should lie on the dotted line within their bars.",
        source="part A",
    )
    return judged(worst <= 3, worst, "standard errors", summary, evidence, figures=(figure,))


@claim(
    "8.ensemble_covariance",
    paper=8,
    statement="The covariance of the predictions of trained wide nets is K - A K - K A' + A K A' (part A: trained "
    "ensembles).",
    claimed="the same nets: the root of the mean variance over test digits within 10 % of the formula",
    minutes=0.3,
    together="trained ensemble",
)
def ensemble_covariance() -> Measured:
    """Train an ensemble, and compare its covariance."""
    outputs, _, expected = trained()
    measured = torch.cov(outputs.T)
    ratio = float((measured.trace() / expected.trace()).sqrt())
    # The trace of a sample covariance of N Gaussian draws has variance 2 |C|^2 / (N - 1).
    half = 1.96 * ratio * float(expected.norm() / expected.trace()) / math.sqrt(2 * (len(outputs) - 1))
    apart = float((measured - expected).norm() / expected.norm())
    evidence = (
        Evidence("root of the mean variance, measured over expected", ratio, (ratio - half, ratio + half)),
        Evidence("relative distance of the covariance matrices", apart),
    )
    summary = f"the standard deviation of trained nets is {ratio:.3f} of the expected one"
    found, theory = measured.diagonal().sqrt().tolist(), expected.diagonal().sqrt().tolist()
    wide = 1.96 / math.sqrt(2 * (len(outputs) - 1))  # of a standard deviation of Gaussian draws, relative
    figure = Chart(
        "Spread of the predictions of trained networks",
        "standard deviation by the kernels",
        "standard deviation over networks",
        (
            Series("test digits", theory, found, [(s * (1 - wide), s * (1 + wide)) for s in found]),
            equality(theory),
        ),
        "Marks should lie about the dotted line within their bars; all to one side of it is what finite width does.",
        source="part A",
    )
    holds, ends = abs(ratio - 1) <= 0.1, (ratio - half, ratio + half)
    return judged(holds, ratio, "ratio", summary, evidence, ends, figures=(figure,))


def _converges(
    place: int, what: str, drawn: Callable[[int, int], Tensor], draws: int, *, widths: Sequence[int]
) -> Measured:
    """Judge how the distance of one of the kernels to its limit goes with the width, and whether its mean has a bias."""
    inputs, _ = even_or_odd()
    limit = limit_kernels(inputs, hidden=HIDDEN)[place]
    found = {width: torch.stack([drawn(width, draw) for draw in range(draws)]) for width in widths}
    apart = {width: [_distance(one, limit) for one in kernels] for width, kernels in found.items()}
    slope = fit(widths, list(apart.values()))
    assert slope is not None, "no random net has exactly the kernel of the limit"
    last = widths[-1]
    bias = _distance(found[last].mean(0), limit)
    error = (sum(one**2 for one in apart[last]) / draws / draws) ** 0.5
    summary = (
        f"the distance of {what} to the limit goes with the width to the {slope.value:.2f}; the mean of {draws} nets of "
        f"width {last} is {100 * bias:.1f} % off, with a standard error of {100 * error:.1f} %"
    )
    evidence = (
        Evidence("power of the width", slope.value, (slope.low, slope.high), "-0.5 within 0.15"),
        Evidence(f"distance of the mean at width {last}", bias, None, f"up to twice {error:.2g}"),
    )
    holds = abs(slope.value + 0.5) <= 0.15 and bias <= 2 * error
    middles = [sum(apart[width]) / draws for width in widths]
    figure = Chart(
        f"Distance of {what} from the limit",
        "width",
        "relative distance",
        (
            Series("nets", [w for w in widths for _ in range(draws)], [d for w in widths for d in apart[w]]),
            Series("mean", widths, middles, kind="joined"),
            power_guide("width^-1/2", widths, middles[0], -0.5),
        ),
        "The mean should fall along the dotted line.",
        source="part A",
        x_scale="log2",
        y_scale="log",
    )
    ends = (slope.low, slope.high)
    return judged(holds, slope.value, "exponent of width", summary, evidence, ends, figures=(figure,))


def drawn_covariance(width: int, draw: int) -> Tensor:
    """Return the covariance of the output of one random net given its last hidden layer.

    Args:
        width: Units per hidden layer.
        draw: Number of the net.
    """
    net = _drawn(width, draw)
    with torch.no_grad():
        features = net[:-1](even_or_odd()[0]).double()
    return C_W * features @ features.T / width + C_B


def drawn_tangent_kernel(width: int, draw: int) -> Tensor:
    """Return the tangent kernel of one random net; arguments as of `drawn_covariance`."""
    net = _drawn(width, draw)
    rates = {name: rate_of(name, p) for name, p in net.named_parameters()}
    return ntk_gram(net, even_or_odd()[0], rates=rates).matrix.double()


def _drawn(width: int, draw: int) -> nn.Sequential:
    with seeded(derive(draw, "kernels", width)):
        net = make_biased_mlp(width, hidden=HIDDEN)
    assert isinstance(net, nn.Sequential)
    return net


def _distance(found: Tensor, limit: Tensor) -> float:
    return float((found - limit).norm() / limit.norm())


@functools.cache
def trained() -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs (nets, test digits) of trained nets, and the mean and covariance that the kernels give."""
    inputs, targets = even_or_odd()
    n = len(targets)
    kernels = limit_kernels(inputs)
    lr = STEP_SIZE / float(torch.linalg.eigvalsh(kernels[1][:n, :n])[-1])
    nngp_blocks, ntk_blocks = (TrainTest(k[:n, :n], k[n:, :n], k[n:, n:]) for k in kernels)
    expected = ensemble(nngp_blocks, ntk_blocks, targets.double(), time=lr * STEPS)
    assert expected.cov is not None
    make = functools.partial(make_biased_mlp, WIDTH)
    outputs = trained_ensemble(make, inputs, targets, nets=ENSEMBLE, lr=lr, steps=STEPS)
    return outputs, expected.mean[:, 0], expected.cov
