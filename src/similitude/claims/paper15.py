"""Claims of paper 15: width and depth limits commute in residual networks with branches of 1/sqrt(L)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from similitude.claims import paper15_charts as charts
from similitude.claims.judged import judged
from similitude.claims.random_nets import covariances, plain_preactivations, residual_streams
from similitude.claims.registry import Measured, claim
from similitude.core.verdict import Evidence
from similitude.theory.finite_width.residual_flow import covariance_profile, resnet_covariance, resnet_ntk

_Q0 = torch.tensor([[0.6695, -0.0712], [-0.0712, 0.7645]])
"""Covariance of the two inputs of the paper's setting: independent ones of 30 features."""
_GRID = (16, 64, 256)
_COSINES = (-0.9, -0.5, 0.0, 0.5, 0.9)


@claim(
    "15.commute",
    paper=15,
    statement="The covariance of a residual network with branches of 1/sqrt(L) converges to that of the covariance flow "
    "whatever the order in which width and depth grow; its error is of the order of width^-1/2 at any depth.",
    claimed="error of the covariance of two inputs on the grid of n and L in 16, 64, 256, at full size also 512: "
    "exponent of width -0.5 +- 0.1; at each width, its ratio between the largest L and 16 within 30 % of 1",
    minutes=0.2,
    full_minutes=2.5,
)
def commute(*, full: bool = False) -> Measured:
    """Draw networks on a grid of widths and depths, and take the error of the covariance of two inputs."""
    grid = (*_GRID, 512) if full else _GRID
    deepest = grid[-1]
    limit = resnet_covariance(_Q0)[0, 1]
    errors, evidence = {}, []
    for n, L in itertools.product(grid, grid):
        networks = 200 if n < 256 else 100
        q = covariances(residual_streams(_Q0, n, depth=L, networks=networks, seed=15)[0])[:, 0, 1].numpy()
        squares = (q - limit) ** 2
        errors[n, L] = math.sqrt(squares.mean())
        half = float(squares.std() / math.sqrt(networks) / errors[n, L])
        ends = (errors[n, L] - half, errors[n, L] + half)
        evidence.append(Evidence(f"error at n {n}, L {L}", errors[n, L], ends))
    logs = np.log([[errors[n, L] for L in grid] for n in grid])
    exponent, low, high = _slope(np.log(grid), logs)
    ratios = {n: errors[n, deepest] / errors[n, 16] for n in grid}
    holds = abs(exponent + 0.5) <= 0.1 and all(abs(ratio - 1) <= 0.3 for ratio in ratios.values())
    words = ", ".join(f"{ratio:.2f} at n {n}" for n, ratio in ratios.items())
    summary = (
        f"errors go as width^{exponent:.2f}; from L = 16 to {deepest} they change by a factor of {words}"
    )
    intervals = dict(zip(errors, [row.interval for row in evidence], strict=True))
    figures = (charts.commute(grid, errors, intervals),)
    return judged(holds, exponent, "exponent of width", summary, evidence, (low, high), figures=figures)


@claim(
    "15.depth_rate",
    paper=15,
    statement="At infinite width, networks of finite depth are 1/L away from the limit of infinite depth.",
    claimed="mean covariance of networks of 48 ReLUs, 1 to 8 branches, on one input: its distance from e^(1/2) goes as "
    "L^-1 +- 0.2",
    minutes=0.1,
)
def depth_rate() -> Measured:
    """Average the covariance over many networks of few branches, which width does not bias."""
    limit = float(resnet_covariance(1.0)[0, 0])
    depths, distances, evidence = (1, 2, 4, 8), [], []
    for L in depths:
        q = (
            covariances(residual_streams(torch.ones(1, 1), 48, depth=L, networks=24_000, seed=L)[0])
            .flatten()
            .numpy()
        )
        half = 2 * float(stats.sem(q))
        distances.append(limit - float(q.mean()))
        ends = (distances[-1] - half, distances[-1] + half)
        evidence.append(Evidence(f"distance from the limit, L {L}", distances[-1], ends))
    if min(distances) <= 0:
        return judged(False, math.nan, "exponent of depth", "a mean is beyond the limit", evidence)
    exponent = float(np.polyfit(np.log(depths), np.log(distances), 1)[0])
    summary = f"distances go as L^{exponent:.2f}"
    holds = abs(exponent + 1) <= 0.2
    figures = (charts.depth_rate(depths, distances, [row.interval for row in evidence]),)
    return judged(holds, exponent, "exponent of depth", summary, evidence, figures=figures)


@claim(
    "15.gaussian",
    paper=15,
    statement="Coordinates of a deep residual network's stream become independent Gaussian, while those of a plain "
    "network of the same depth and width do not.",
    claimed="Wasserstein distance to N(0, q_1) at n = L = 64, relative to its standard deviation: below 2.5/n for the "
    "residual network, above 0.2 for the plain one",
    minutes=0.1,
)
def gaussian() -> Measured:
    """Pool the coordinates of 200 networks of 64 layers of 64 ReLUs, with and without a stream."""
    n = L = 64
    q0, networks = torch.ones(1, 1), 200
    deviation = math.sqrt(resnet_covariance(1.0)[0, 0])
    (stream,) = residual_streams(q0, n, depth=L, networks=networks, seed=150)
    plain = plain_preactivations(
        torch.ones(1, 16), [n] * L, phi=torch.relu, C_W=2.0, networks=networks, seed=150
    )[-1]
    residual = _wasserstein(stream / deviation)
    other = _wasserstein(plain / math.sqrt(2))
    evidence = (
        Evidence("distance to a Gaussian, residual", residual, None, f"below {2.5 / n:.3g}"),
        Evidence("distance to a Gaussian, plain", other, None, "above 0.2"),
        Evidence("kurtosis, residual", _kurtosis(stream)),
        Evidence("kurtosis, plain", _kurtosis(plain)),
    )
    summary = f"coordinates are {residual:.3f} from a Gaussian in the residual network, {other:.2f} in the plain one"
    holds = residual < 2.5 / n and other > 0.2
    figures = (charts.coordinates(stream / deviation, plain / math.sqrt(2)),)
    return judged(holds, residual, "Wasserstein distance", summary, evidence, figures=figures)


@claim(
    "15.correlation",
    paper=15,
    statement="The correlation of two inputs follows an ordinary differential equation in t = l/L.",
    claimed="mean cosine of networks with n = 256, L = 64 at t = 1/4, 1/2, 3/4, 1 from cosines -0.9 to 0.9: within 3.5 "
    "standard errors of the flow, or 0.01",
    minutes=0.1,
)
def correlation() -> Measured:
    """Follow the cosine of five pairs of inputs along networks of 64 branches."""
    stops, evidence, worst, holds = (16, 32, 48, 64), [], 0.0, True
    for cosine in _COSINES:
        q0 = torch.tensor([[1.0, cosine], [cosine, 1.0]])
        flow = covariance_profile(q0, times=[stop / 64 for stop in stops])
        streams = residual_streams(q0, 256, depth=64, networks=40, seed=151, stops=stops)
        for stop, Y, q in zip(stops, streams, flow, strict=True):
            found = covariances(Y)
            # A quotient of means: the mean of quotients is biased by 1/n.
            value, error = _cosine(found.numpy())
            expected = q[0, 1] / math.sqrt(q[0, 0] * q[1, 1])
            off = abs(value - expected)
            worst = max(worst, off)
            holds = holds and off <= max(3.5 * error, 0.01)
            ends = (value - 2 * error, value + 2 * error)
            evidence.append(
                Evidence(f"cosine from {cosine:g} at t = {stop / 64:g}", value, ends, f"{expected:.4f}")
            )
    summary = f"cosines along the depth are at most {worst:.3f} off the flow"
    figures = (charts.flow(_COSINES, [stop / 64 for stop in stops], evidence),)
    return judged(holds, worst, "deviation of a cosine", summary, tuple(evidence), figures=figures)


@claim(
    "15.exponents",
    paper=15,
    statement="Branches of L^-1/2 alone have a limit that is not trivial: with a smaller exponent the stream blows up "
    "with the depth, with a larger one it stays what it was at the input.",
    claimed="growth of the stream over the depth at L = 8, 32, 128 and gamma = 1/4, 1/2, 1: increasing and beyond 50; "
    "within 10 % of e^(1/2); decreasing and within 3 % of 1",
    minutes=0.1,
)
def exponents() -> Measured:
    """Measure the growth of the stream under three exponents at three depths."""
    growth, evidence = {}, []
    for gamma, L in itertools.product((0.25, 0.5, 1.0), (8, 32, 128)):
        start, end = residual_streams(
            torch.ones(1, 1), 64, depth=L, networks=150, seed=152, gamma=gamma, stops=(0, L)
        )
        growth[gamma, L] = float(covariances(end).mean() / covariances(start).mean())
        evidence.append(Evidence(f"growth at gamma {gamma:g}, L {L}", growth[gamma, L]))
    blows = growth[0.25, 8] < growth[0.25, 32] < growth[0.25, 128] > 50
    stays = growth[1.0, 8] > growth[1.0, 32] > growth[1.0, 128] and growth[1.0, 128] < 1.03
    limit = float(resnet_covariance(1.0)[0, 0])
    converges = all(abs(growth[0.5, L] / limit - 1) <= 0.1 for L in (8, 32, 128))
    words = ", ".join(f"{growth[gamma, 128]:.3g} at gamma {gamma:g}" for gamma in (0.25, 0.5, 1.0))
    summary = f"over 128 branches the mean square of the stream grows by a factor of {words}"
    holds = blows and stays and converges
    figures = (charts.growth(growth, limit),)
    return judged(holds, growth[0.5, 128], "factor", summary, tuple(evidence), figures=figures)


@claim(
    "15.fluctuations",
    paper=15,
    statement="Fluctuations of the covariance of residual networks are of the order of 1/n at every depth, while those "
    "of plain networks grow as e^(5 L/n).",
    claimed="n Var(q) / q^2 at L = 16, 64, 128 of ReLU networks between 4 and 5.9, of tanh between 1.9 and 3.1; above 12 "
    "for plain ones with n = L = 64",
    minutes=0.2,
)
def fluctuations() -> Measured:
    """Measure the variance of the covariance at three depths for two activations."""
    evidence, scaled = [], {}
    for phi, n, L in itertools.product((torch.relu, torch.tanh), (48,), (16, 64, 128)):
        networks = 3000 if L < 128 else 2000
        q = covariances(
            residual_streams(torch.ones(1, 1), n, depth=L, networks=networks, seed=153, phi=phi)[0]
        )
        value, half = _scaled_variance(q.flatten().numpy(), n)
        name = "relu" if phi is torch.relu else "tanh"
        scaled[name, L] = value
        evidence.append(Evidence(f"n Var(q) / q^2, {name}, L {L}", value, (value - half, value + half)))
    plain = plain_preactivations(
        torch.ones(1, 16), [64] * 64, phi=torch.relu, C_W=2.0, networks=600, seed=153
    )
    other, _ = _scaled_variance(covariances(plain[-1]).flatten().numpy(), 64)
    evidence.append(Evidence("n Var(q) / q^2, plain relu, n 64, L 64", other))
    relu, tanh = ([value for (name, _), value in scaled.items() if name == kind] for kind in ("relu", "tanh"))
    holds = all(4 <= v <= 5.9 for v in relu) and all(1.9 <= v <= 3.1 for v in tanh) and other > 12
    summary = (
        f"n Var(q) / q^2 is {min(relu):.2f} to {max(relu):.2f} for ReLU and {min(tanh):.2f} to {max(tanh):.2f} for tanh "
        f"at any depth, {other:.0f} for a plain network"
    )
    intervals = dict(zip(scaled, [row.interval for row in evidence], strict=False))
    shallow = {
        L: _scaled_variance(covariances(plain[L - 1]).flatten().numpy(), 64)[0] for L in (4, 8, 16, 32, 64)
    }
    figures = (charts.fluctuations(scaled, intervals, shallow),)
    return judged(holds, relu[-1], "n Var(q) / q^2", summary, tuple(evidence), figures=figures)


@claim(
    "15.tangent_kernel",
    paper=15,
    statement="The tangent kernel of residual networks has a limit of infinite depth, too: Theta_f = (5/2) e^(1/2) q_0 "
    "for ReLU at one input (derived).",
    claimed="mean kernel by autograd at n = 192, L = 24, two inputs: within 3.5 standard errors of the recursion over "
    "layers, and within 6 % of its limit of infinite depth",
    minutes=0.1,
)
def tangent_kernel() -> Measured:
    """Take tangent kernels of random networks, and compare the mean with theory."""
    kernels = np.stack([_tangent(192, 24, seed) for seed in range(24)])
    mean, error = kernels.mean(0), kernels.std(0, ddof=1) / math.sqrt(len(kernels))
    theory, limit = resnet_ntk(_Q0, 24), resnet_ntk(_Q0)
    worst = float((np.abs(mean - theory) / error).max())
    deep = float(np.abs(np.diag(mean) / np.diag(limit) - 1).max())
    evidence = tuple(
        Evidence(
            f"kernel of inputs {i} and {j}",
            mean[i, j],
            _around(mean[i, j], 2 * error[i, j]),
            f"{theory[i, j]:.4f}",
        )
        for i, j in ((0, 0), (0, 1), (1, 1))
    )
    summary = f"mean kernels are within {worst:.1f} standard errors of theory, {100 * deep:.1f} % from the limit of depth"
    holds = worst <= 3.5 and deep <= 0.06
    figures = (charts.tangent_kernel(mean, [row.interval for row in evidence], theory, limit),)
    return judged(holds, worst, "standard errors", summary, evidence, figures=figures)


def _tangent(width: int, depth: int, seed: int) -> np.ndarray:
    """Return the tangent kernel of one network at two inputs of covariance Q0, all weights in the NTK parametrization."""
    g = torch.Generator().manual_seed(seed)
    X = torch.linalg.cholesky(_Q0.double()) * math.sqrt(2)  # two features: X X' / 2 = Q0
    shapes = [(2, width), *[(width, width)] * depth, (width, 1)]
    weights = [torch.randn(shape, generator=g, dtype=torch.float64, requires_grad=True) for shape in shapes]
    with torch.enable_grad():
        Y = X @ weights[0] / math.sqrt(2)
        for weight in weights[1:-1]:
            Y = Y + torch.relu(Y) @ weight / math.sqrt(width * depth)
        outputs = (Y @ weights[-1])[:, 0] / math.sqrt(width)
        rows = [
            torch.cat([p.ravel() for p in torch.autograd.grad(f, weights, retain_graph=True)])
            for f in outputs
        ]
    J = torch.stack(rows)
    return (J @ J.T).numpy()


def _around(value: float, half: float) -> tuple[float, float]:
    return float(value - half), float(value + half)


def _slope(x: np.ndarray, rows: np.ndarray) -> tuple[float, float, float]:
    """Return the slope of all columns of rows on x, with its 95 % interval."""
    every = np.repeat(x, rows.shape[1])
    fitted: Any = stats.linregress(every, rows.ravel())
    half = float(stats.t.ppf(0.975, len(every) - 2)) * float(fitted.stderr)
    return float(fitted.slope), float(fitted.slope) - half, float(fitted.slope) + half


def _wasserstein(values: Tensor) -> float:
    """Return the Wasserstein distance of pooled values to the standard normal distribution."""
    pooled = np.sort(values.flatten().numpy())
    normal = stats.norm.ppf((np.arange(len(pooled)) + 0.5) / len(pooled))
    return float(np.abs(pooled - normal).mean())


def _kurtosis(values: Tensor) -> float:
    return float((values**4).mean() / values.square().mean() ** 2)


def _cosine(q: np.ndarray) -> tuple[float, float]:
    """Return the cosine of mean covariances, and its standard error by the jackknife."""

    def of(rows: np.ndarray) -> float:
        mean = rows.mean(0)
        return float(mean[0, 1] / math.sqrt(mean[0, 0] * mean[1, 1]))

    left = np.array([of(np.delete(q, i, 0)) for i in range(len(q))])
    return of(q), float(math.sqrt((len(q) - 1) * left.var()))


def _scaled_variance(q: np.ndarray, width: int) -> tuple[float, float]:
    """Return n Var(q) / q^2 and half of its 95 % interval."""
    value = width * float(q.var(ddof=1) / q.mean() ** 2)
    fourth = float(((q - q.mean()) ** 4).mean() / q.var() ** 2)
    return value, 2 * value * math.sqrt((fourth - 1) / len(q))
