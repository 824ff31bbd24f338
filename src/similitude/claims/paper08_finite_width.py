"""Claims of paper 8, the Les Houches lectures, on networks of finite width: criticality, fluctuations, the catapult."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from similitude.claims import paper08_charts as charts
from similitude.claims.judged import judged
from similitude.claims.random_nets import Phi, plain_preactivations, tangent_kernels
from similitude.claims.registry import Measured, claim
from similitude.core.seeding import numpy_generator
from similitude.core.verdict import Evidence
from similitude.theory.finite_width.catapult import catapult_window
from similitude.theory.finite_width.criticality import critical_line, criticality
from similitude.theory.finite_width.cumulants import variance_cumulants
from similitude.theory.finite_width.log_normal import relu_log_normal
from similitude.theory.finite_width.ntk_fluctuation import ntk_relative_second_moment

_ORDERED = (1.3, 0.3)  # C_W and C_b of a tanh network in the ordered phase
_BIAS = 0.05  # C_b at which the critical line of tanh is crossed
_WIDTH = 768  # of networks that stand for wide ones
_RESAMPLES = 200


@claim(
    "8.depth_scale",
    paper=8,
    statement="In the ordered phase two inputs grow alike in a wide random network as exp(-l / xi), with xi = -1 / log "
    "chi_perp and chi_perp = C_W <phi'^2> at the fixed point of the variance.",
    claimed="decay of 1 - cosine over layers 3 to 8 of wide tanh networks with C_W = 1.3, C_b = 0.3: xi within 4 % of "
    "theory",
    minutes=0.1,
)
def depth_scale() -> Measured:
    """Fit how the distance of two inputs falls with the layer, averaged over networks of 768 units."""
    C_W, C_b = _ORDERED
    expected = criticality(torch.tanh, C_W, C_b=C_b)
    x = _pair(math.sqrt((expected.variance - C_b) / C_W), cosine=0.9)
    layers = plain_preactivations(x, [_WIDTH] * 8, phi=torch.tanh, C_W=C_W, C_b=C_b, networks=40, seed=81)
    # Squared distances decay as 1 - cosine does, and have no noise from the variance itself.
    apart = torch.stack([(z[:, 0] - z[:, 1]).square().mean(-1) for z in layers[2:]]).numpy()
    scales = _resampled(apart.T, lambda rows: _decay(rows.mean(0)))
    measured = _decay(apart.mean(1))
    off = measured / expected.depth_scale - 1
    evidence = (
        Evidence("depth scale in layers", measured, _ends(scales), f"{expected.depth_scale:.4g} in theory"),
        Evidence("chi_perp in theory", expected.chi_perp),
    )
    summary = f"inputs grow alike over {measured:.3f} layers, theory says {expected.depth_scale:.3f}"
    figures = (charts.depth_scale(apart.mean(1), expected.depth_scale, first=3),)
    return judged(abs(off) <= 0.04, measured, "layers", summary, evidence, _ends(scales), figures=figures)


@claim(
    "8.critical_line",
    paper=8,
    statement="Wide tanh networks are ordered below a critical C_W and chaotic above it: near inputs grow alike, or "
    "apart.",
    claimed="factor on the squared distance of near inputs per layer at C_b = 0.05, C_W over its critical value: within "
    "0.02 of 1 at 1, below 0.95 at 0.8, above 1.03 at 1.2",
    minutes=0.1,
)
def critical() -> Measured:
    """Measure how two near inputs move apart from layer to layer, on the line and on both sides of it."""
    line = critical_line(torch.tanh, _BIAS)
    found = {share: _growth(share * line) for share in (0.8, 1.0, 1.2)}
    value, interval = found[1.0]
    holds = abs(value - 1) <= 0.02 and found[0.8][0] < 0.95 and found[1.2][0] > 1.03
    evidence = tuple(
        Evidence(f"factor per layer at {share:g} of the critical C_W", factor, ends)
        for share, (factor, ends) in found.items()
    )
    words = ", ".join(f"{factor:.3f} at {share:g} x {line:.3f}" for share, (factor, _) in found.items())
    summary, figures = f"squared distances grow by {words}", (charts.critical_line(found),)
    return judged(holds, value, "factor per layer", summary, evidence, interval, figures=figures)


@claim(
    "8.fourth_cumulant",
    paper=8,
    statement="Preactivations of finite networks are not Gaussian: Var(S) / K^2 = kappa4 / K^2 follows a recursion over "
    "layers, of order L/n; for ReLU it is (1 + 5/n)^L - 1.",
    claimed="Var(S) / K^2 of the output within 6 % or 3 standard errors of the recursion, at five pairs (n, L) with L/n "
    "up to 1/4 for tanh, and three for ReLU",
    minutes=0.2,
)
def fourth_cumulant() -> Measured:
    """Draw networks with all their weights, and compare the products of squares of two output units."""
    evidence, theories, worst, holds = [], [], 0.0, True
    cases = [(torch.tanh, 1.0, 0.0, n, L) for n, L in ((32, 4), (32, 8), (64, 16))]
    cases += [(torch.tanh, 1.5, 0.2, n, L) for n, L in ((24, 4), (24, 6))]
    cases += [(torch.relu, 2.0, 0.0, n, L) for n, L in ((24, 2), (24, 6), (48, 8))]
    for phi, C_W, C_b, n, L in cases:
        theory = variance_cumulants(phi, [n] * L, C_W=C_W, C_b=C_b, first=C_W + C_b).ratio[-1]
        value, error = _size_variance(phi, C_W, C_b, n, L)
        theories.append(theory)
        off = abs(value - theory)
        holds = holds and off <= max(0.06 * theory, 3 * error)
        worst = max(worst, off / theory)
        name = f"Var(S) / K^2, {'relu' if phi is torch.relu else 'tanh'} ({C_W:g}, {C_b:g}), n {n}, L {L}"
        evidence.append(Evidence(name, value, (value - 2 * error, value + 2 * error), f"{theory:.4g}"))
    summary = f"Var(S) / K^2 is at most {100 * worst:.1f} % off the recursion in {len(cases)} cases"
    labels = [f"{'relu' if phi is torch.relu else 'tanh'}, C_W {C_W:g}" for phi, C_W, *_ in cases]
    figures = (charts.fourth_cumulant(labels, [L / n for *_, n, L in cases], theories, evidence),)
    return judged(holds, worst, "largest relative deviation", summary, tuple(evidence), figures=figures)


@claim(
    "8.log_normal",
    paper=8,
    statement="The size of a deep ReLU network's output is log-normal: log |z^L|^2 / |z^0|^2 ~ N(-beta/2, beta) with "
    "beta = 5 L/n, whatever L and n are by themselves.",
    claimed="beta by mean and by variance of the log within 8 % or 3 standard errors of theory at (n, L) = (64, 8), "
    "(128, 16), (96, 24); the first two agree within 10 %",
    minutes=0.1,
)
def log_normal() -> Measured:
    """Measure mean and variance of the log size of random ReLU networks."""
    evidence, holds, variances, logs = [], True, {}, {}
    for n, L, networks in ((64, 8, 4000), (128, 16, 1500), (96, 24, 1500)):
        beta = relu_log_normal([n] * L)
        (*_, last) = plain_preactivations(
            _pair(1.0)[:1], [n] * L, phi=torch.relu, C_W=2.0, networks=networks, seed=n
        )
        log = last.relu().square().mean((1, 2)).log().numpy()  # a mean square of expectation 1
        logs[n, L] = log
        spread, shift = float(log.var(ddof=1)), float(-2 * log.mean())
        errors = spread * math.sqrt(2 / networks), 2 * math.sqrt(spread / networks)
        for what, value, error in (("variance", spread, errors[0]), ("mean", shift, errors[1])):
            holds = holds and abs(value - beta) <= max(0.08 * beta, 3 * error)
            ends = (value - 2 * error, value + 2 * error)
            evidence.append(
                Evidence(f"beta by the {what} of the log, n {n}, L {L}", value, ends, f"{beta:.4g}")
            )
        variances[n] = spread
    collapse = variances[64] / variances[128]
    holds = holds and abs(collapse - 1) <= 0.1
    summary = (
        f"variances of the log at L/n = 1/8 are in the ratio {collapse:.3f}, and all agree with beta = 5 L/n"
    )
    if not holds:
        summary = f"variances of the log at L/n = 1/8 are in the ratio {collapse:.3f}; not all agree with beta = 5 L/n"
    figures = charts.log_normal(logs, evidence)
    return judged(holds, collapse, "ratio of variances", summary, tuple(evidence), figures=figures)


@claim(
    "8.ntk_fluctuation",
    paper=8,
    statement="The tangent kernel of a finite ReLU network is random: E[Theta^2] / E[Theta]^2 grows with L/n, at a rate "
    "e^(5 L/n).",
    claimed="second moment by autograd within 3 standard errors of the mean over layers i, j of (1 + 5/n)^(L - |i - j|) "
    "(1 + 1/n)^|i - j|, and its product over layers at unequal widths",
    minutes=0.1,
)
def ntk_fluctuation() -> Measured:
    """Take tangent kernels of thousands of small networks."""
    cases = (([32] * 2, 8000), ([32] * 4, 8000), ([32] * 8, 6000), ([64] * 8, 3000), ([24, 96, 16, 48], 8000))
    evidence, worst, found = [], 0.0, []
    for widths, networks in cases:
        theta = tangent_kernels(widths, networks=networks, seed=8).numpy()
        ratios = _resampled(theta, _moment)
        theory, value, interval = ntk_relative_second_moment(widths), _moment(theta), _ends(ratios)
        worst = max(worst, abs(value - theory) / float(ratios.std()))
        name = f"E[Theta^2] / E[Theta]^2, widths {widths if len(set(widths)) > 1 else f'{widths[0]} x {len(widths)}'}"
        evidence.append(Evidence(name, value, interval, f"{theory:.4g}"))
        found.append((widths, value, interval))
    summary = (
        f"second moments of the tangent kernel are within {worst:.1f} standard errors of the closed form"
    )
    figures = (charts.tangent_fluctuation(found),)
    return judged(worst <= 3, worst, "standard errors", summary, tuple(evidence), figures=figures)


@claim(
    "8.catapult",
    paper=8,
    statement="Gradient descent on a wide two-layer linear network converges below eta lambda = 2, is catapulted to a "
    "flatter place between 2 and 4, and diverges above 4.",
    claimed="of networks trained at eta lambda from 0.5 to 6, all do what the window says, and catapulted ones end below "
    "2 / eta",
    minutes=0.1,
)
def catapult() -> Measured:
    """Train networks of 1,024 units at learning rates on both sides of 2 and 4 over their initial curvature."""
    rates, right, evidence, trained = (0.5, 1.5, 1.9, 2.3, 3.0, 3.7, 4.4, 6.0), 0, [], 0
    found = {}
    for rate in rates:
        ends = []
        for seed in range(5):
            seen, end, lr, curvature = _trained(rate, seed)
            flat = seen != "catapult" or end < 2
            right += seen == catapult_window(lr, curvature) and flat
            trained += 1
            ends.append(end)
        evidence.append(Evidence(f"final eta lambda from {rate:g}, median", float(np.median(ends))))
        found[rate] = ends
    share = right / trained
    summary = f"{right} of {trained} trained networks do what their window says"
    figures = (charts.catapult(found),)
    return judged(share == 1, share, "share of networks", summary, tuple(evidence), figures=figures)


def _pair(size: float, *, cosine: float = 0.0, features: int = 64) -> Tensor:
    """Return two inputs with mean square size^2 and a given cosine."""
    half = torch.ones(features)
    other = half.clone()
    other[features // 2 :] = -1
    return size * torch.stack([half, cosine * half + math.sqrt(1 - cosine**2) * other])


def _decay(apart: np.ndarray) -> float:
    """Fit the number of layers over which distances fall by e."""
    return float(-1 / np.polyfit(np.arange(len(apart)), np.log(apart), 1)[0])


def _growth(C_W: float) -> tuple[float, tuple[float, float]]:
    """Return the factor on the squared distance of near inputs per layer, behind the layers in which K settles."""
    settled = 12
    x = _pair(1.0, cosine=1 - 1e-6)
    layers = plain_preactivations(
        x, [256] * (settled + 8), phi=torch.tanh, C_W=C_W, C_b=_BIAS, networks=60, seed=82
    )
    apart = torch.stack([(z[:, 0] - z[:, 1]).square().mean(-1) for z in layers[settled:]]).numpy().T
    factors = _resampled(apart, lambda rows: _factor(rows.mean(0)))
    return _factor(apart.mean(0)), _ends(factors)


def _factor(apart: np.ndarray) -> float:
    return float(np.exp(np.polyfit(np.arange(len(apart)), np.log(apart), 1)[0]))


def _size_variance(phi: Phi, C_W: float, C_b: float, n: int, L: int) -> tuple[float, float]:
    """Return Var(S) / K^2 of the output, from products of squares of different outputs, and its standard error."""
    x, outputs = _pair(1.0)[:1], 64
    networks = 16_000 if n * L < 300 else 8000
    (*_, z) = plain_preactivations(
        x, [n] * L, phi=phi, C_W=C_W, C_b=C_b, networks=networks, seed=83, outputs=outputs
    )
    squares = z[:, 0].square().sum(-1)
    fourth = (z[:, 0] ** 4).sum(-1)
    pairs = ((squares**2 - fourth) / (outputs * (outputs - 1))).numpy()
    mean = squares.numpy() / outputs
    rows = np.stack([pairs, mean], 1)
    values = _resampled(rows, lambda r: float(r[:, 0].mean() / r[:, 1].mean() ** 2 - 1))
    return float(pairs.mean() / mean.mean() ** 2 - 1), float(values.std())


def _moment(theta: np.ndarray) -> float:
    return float((theta**2).mean() / theta.mean() ** 2)


def _trained(rate: float, seed: int) -> tuple[str, float, float, float]:
    """Train one network; return what it did, its final eta lambda, the learning rate and the first curvature."""
    n, rng = 1024, numpy_generator(seed, "catapult", rate)
    u, v = rng.standard_normal((2, n))
    curvature = float(u @ u + v @ v) / n
    lr, first, peak = rate / curvature, abs(float(u @ v)), 0.0
    for _ in range(500):
        f = float(u @ v) / math.sqrt(n)
        peak = max(peak, abs(f) * math.sqrt(n))
        if peak > 1e6 * first:
            return "divergent", math.inf, lr, curvature
        u, v = u - lr * f * v / math.sqrt(n), v - lr * f * u / math.sqrt(n)
    seen = "catapult" if peak > 1.001 * first else "monotone"
    return seen, lr * float(u @ u + v @ v) / n, lr, curvature


def _resampled(rows: np.ndarray, statistic: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return a statistic of bootstrap samples of networks, which are the first axis."""
    rng = numpy_generator(0, "resampled networks")
    return np.array([statistic(rows[rng.integers(len(rows), size=len(rows))]) for _ in range(_RESAMPLES)])


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
