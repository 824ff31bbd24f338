"""Predict the learning curves of a kernel on a pool of data, measure them, and say what would help most."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence

import numpy as np

from similitude.core.errors import StudyError, TheoryError
from similitude.studies.kernel_regressions import (
    Features,
    feature_regressions,
    gaussian_features,
    kernel_regressions,
)
from similitude.studies.learning_curve_records import Buy, CurvePoint, LearningCurveStudy, MeasuredCurve
from similitude.studies.learning_curve_verdict import learning_curve_verdict
from similitude.theory.ridge.exponents import exponents
from similitude.theory.ridge.leave_one_out import overfitting_coefficient
from similitude.theory.ridge.optimal import optimal_ridge
from similitude.theory.ridge.overfitting import taxonomy
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray
NONE, BEST = "no ridge", "best ridge"
_SMALLEST, _COUNT = 16, 6
_DOWN = (0.25, 0.5, 1.0)
_LARGEST = 1e12  # of the mean diagonal, stands for an infinite ridge where regressions are measured


def learning_curve_study(
    K: Array,
    y: Array,
    *,
    sizes: Sequence[int] | None = None,
    widths: Sequence[int] | None = None,
    features: Features | None = None,
    features_are: str = "drawn from a Gaussian process with this kernel",
    noise: float = 0.0,
    draws: int = 6,
    name: str = "network",
    data: str = "data",
    kernel: str = "ntk",
    seed: int = 0,
    notes: Sequence[str] = (),
) -> LearningCurveStudy:
    """Hold predicted learning curves against kernel regressions on samples of the pool.

    Args:
        K: Kernel of the pool, shape (N, N).
        y: Targets, shape (N,) or (N, outputs).
        sizes: Training samples of the curve; by default 6 up to half of the pool.
        widths: Random features of the second curve; by default around half of the largest size. Empty for none.
        features: Gives random features; by default Gaussian ones with K as their covariance.
        features_are: What they are, in words.
        noise: Variance of noise to add to all labels, beside what they have.
        draws: Times that samples, and features, are drawn; two at least.
        name: What to call the network.
        data: What to call the data.
        kernel: What to call the kernel.
        seed: Seed of all draws.
        notes: What was done before, in sentences.

    Raises:
        StudyError: Sizes, widths or draws are out of range.
        TheoryError: K or y is no kernel or target.
    """
    started = time.monotonic()
    spectrum = Spectrum.from_kernel(K, y)
    rows = np.asarray(y, float).reshape(len(K), -1)
    if not spectrum.power > 0:
        raise StudyError("the targets are all zero: there is nothing to learn. Pass others.")
    if draws < 2:
        raise StudyError(f"draws={draws}: intervals need 2 at least.")
    found = _sizes(sizes, len(K))
    sampled = tuple(
        MeasuredCurve(label, tuple(_point(K, rows, spectrum, n, label, noise, draws, seed) for n in found))
        for label in (NONE, BEST)
    )
    middle = found[-2] if len(found) > 1 else found[-1]
    made = gaussian_features(K, seed=seed) if features is None else features
    counts = _widths(widths, middle)
    wide = tuple(
        MeasuredCurve(
            label,
            tuple(_wide_point(made, k, rows, spectrum, middle, label, noise, draws, seed) for k in counts),
        )
        for label in (NONE, BEST)
        if counts
    )
    laws = _exponents(K, rows, draws, seed)
    coefficient, said = _coefficient(K, found[-1], seed)
    return LearningCurveStudy(
        name=name,
        data=data,
        kernel=kernel,
        pool=len(K),
        power=spectrum.power + noise,
        noise=noise,
        samples=sampled,
        widths=wide,
        features=features_are,
        alpha=laws[0],
        beta=laws[1],
        coefficient=coefficient,
        taxonomy=taxonomy(spectrum, [share * found[-1] for share in _DOWN]).kind,
        ridge=sampled[1].points[-1].ridge,
        buys=_buys(spectrum, sampled, wide, middle, noise),
        verdict=learning_curve_verdict((*sampled, *wide), pool=len(K), draws=draws),
        seconds=time.monotonic() - started,
        notes=(*notes, *said),
    )


def _point(
    K: Array, rows: Array, spectrum: Spectrum, n: int, label: str, noise: float, draws: int, seed: int
) -> CurvePoint:
    if label == BEST:
        best = optimal_ridge(spectrum, n, noise=noise)
        ridge, risk = best.ridge, best.risk
    else:
        ridge, risk = 0.0, rf_risk(spectrum, n, noise=noise)
    test, train = kernel_regressions(
        K, rows, n, [_finite(ridge, spectrum)], noise=noise, draws=draws, seed=seed
    )
    return _made(n, math.inf, ridge, risk.test, risk.train, test, train)


def _wide_point(
    features: Features, count: int, rows: Array, spectrum: Spectrum, n: int, label: str, noise: float, draws: int,
    seed: int,
) -> CurvePoint:  # fmt: skip
    if label == BEST:
        best = optimal_ridge(spectrum, n, count, noise=noise)
        ridge, risk = best.ridge, best.risk
    else:
        ridge, risk = 0.0, rf_risk(spectrum, n, count, noise=noise)
    test, train = feature_regressions(
        features, count, rows, n, [_finite(ridge, spectrum)], noise=noise, draws=draws, seed=seed
    )
    return _made(n, count, ridge, risk.test, risk.train, test, train)


def _made(
    n: int, features: float, ridge: float, predicted: float, trained: float, test: Array, train: Array
) -> CurvePoint:
    return CurvePoint(
        n, features, ridge, predicted, trained, tuple(test[:, 0].tolist()), tuple(train[:, 0].tolist())
    )


def _finite(ridge: float, spectrum: Spectrum) -> float:
    return min(ridge, _LARGEST * spectrum.trace)


def _sizes(given: Sequence[int] | None, pool: int) -> list[int]:
    if given is None:
        if pool < 4 * _SMALLEST:
            raise StudyError(
                f"a pool of {pool} samples is too small for a curve: give {4 * _SMALLEST} at least."
            )
        return np.unique(np.geomspace(_SMALLEST, pool // 2, _COUNT).round().astype(int)).tolist()
    found = sorted({int(n) for n in given})
    if not found or found[0] < 2 or found[-1] >= pool:
        raise StudyError(
            f"sizes={tuple(given)}: pass numbers of training samples from 2 to below the pool's {pool}."
        )
    return found


def _widths(given: Sequence[int] | None, n: int) -> list[int]:
    if given is None:
        return sorted({max(1, round(n * share)) for share in (0.25, 0.5, 2.0, 4.0)})
    found = sorted({int(k) for k in given})
    if found and found[0] < 1:
        raise StudyError(f"widths={tuple(given)}: pass numbers of features of at least 1, or none.")
    return found


def _exponents(
    K: Array, rows: Array, draws: int, seed: int
) -> tuple[tuple[float, float, float] | None, tuple[float, float, float] | None]:
    try:
        laws = exponents(K, rows, trials=draws, seed=seed)
    except TheoryError:  # too small a pool, or duplicates in it
        return None, None
    return tuple((s.value, s.low, s.high) for s in (laws.alpha, laws.beta))  # type: ignore[return-value]


def _coefficient(K: Array, n: int, seed: int) -> tuple[float | None, tuple[str, ...]]:
    """Estimate E_0 on the first draw of the largest size."""
    chosen = np.random.default_rng(seed).permutation(len(K))[:n]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = overfitting_coefficient(K[np.ix_(chosen, chosen)])
    except TheoryError as error:
        return None, (f"no overfitting coefficient: {error}",)
    return found, tuple(str(warning.message) for warning in caught)


def _buys(
    spectrum: Spectrum, sampled: Sequence[MeasuredCurve], wide: Sequence[MeasuredCurve], n: int, noise: float
) -> tuple[Buy, ...]:
    none, best = ({p.n: p.predicted for p in curve.points} for curve in sampled)
    largest = max(best)
    found = [Buy(f"the best ridge, at {largest} samples", none[largest], best[largest], measured=True)]
    if n < largest:
        found.append(
            Buy(
                f"{largest / n:.3g} times the data ({n} to {largest} samples)",
                best[n],
                best[largest],
                measured=True,
            )
        )
    if wide:
        points = wide[1].points
        k = min((p.features for p in points), key=lambda count: abs(math.log(count / n)))
        at = next(p for p in points if p.features == k)
        found.append(
            Buy(f"endless features in place of {k:g}, at {n} samples", at.predicted, best[n], measured=True)
        )
    # The slope of the predicted curve at its end, carried on: the pool itself ends there.
    before = optimal_ridge(spectrum, largest / 2, noise=noise).risk.test
    if noise < best[largest] < before:
        power = math.log2((best[largest] - noise) / (before - noise))
        after = noise + (best[largest] - noise) * 4**power
        found.append(
            Buy(
                f"4 times the data ({largest} to {4 * largest}, extrapolated)",
                best[largest],
                after,
                measured=False,
            )
        )
    return tuple(found)
