"""One gradient step on a user's own data: ridge regression on the features before and after, measured and predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.intervals import t_interval
from similitude.core.seeding import numpy_generator
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.finite_width.given import number, whole
from similitude.theory.one_step.alignment import (
    linear_teacher,
    one_step_alignment,
    squared_cosine,
    top_direction,
)
from similitude.theory.one_step.equivalent import feature_spectrum
from similitude.theory.one_step.network import TwoLayer, row
from similitude.theory.one_step.task import GaussianTask
from similitude.theory.ridge.arrays import numbers
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray
_RIDGES = tuple(10.0**p for p in np.arange(-4, 2.01, 0.5))


@dataclass(frozen=True, eq=False)
class FeatureErrors:
    """Errors of ridge regression on the features of one first layer, measured and predicted.

    Attributes:
        measured: Mean squared errors on held-out samples, shape (draws, ridges).
        pooled: Predicted from the features' own spectrum on the samples that the step has not seen (paper 6), mean over
            draws, shape (ridges,).
        gaussian: Predicted for Gaussian inputs of the data's mean, covariance and correlation with the labels, mean over
            draws, shape (ridges,): what features would do if labels depended on the inputs in no other way.
    """

    measured: Array
    pooled: Array
    gaussian: Array

    @property
    def best(self) -> int:
        """Position of the ridge with the smallest measured error."""
        return int(self.measured.mean(0).argmin())


@dataclass(frozen=True, eq=False)
class OneStepReport:
    """Features before and after a step, on held-out samples. Made by `one_step_report`.

    Attributes:
        n: Samples of the step, and again of every regression.
        ridges: Those tried, shape (ridges,).
        before: Errors on features of the network as it was.
        after: The same after the step.
        linear: Errors of linear ridge regression on the inputs, shape (draws, ridges).
        alignment: Squared cosines of the top input direction after the step with the linear teacher, shape (draws,).
        predicted_alignment: By `one_step_alignment`, shape (draws,).
        top: Largest singular values of the first layer after the step, shape (draws,).
        predicted_top: By `one_step_alignment`, shape (draws,).
        verdict: Whether the step makes features better at the best ridge of each.
    """

    n: int
    ridges: Array
    before: FeatureErrors
    after: FeatureErrors
    linear: Array
    alignment: Array
    predicted_alignment: Array
    top: Array
    predicted_top: Array
    verdict: Verdict

    def raise_if_bad(self) -> None:
        """Raise unless the step makes features better."""
        self.verdict.raise_if_bad()

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.verdict.outcome}: {self.verdict.summary}", *map(str, self.verdict.evidence)]
        )


@cites(16, "ridge regression on the conjugate kernel before and after a step, on any data")
def one_step_report(
    net: TwoLayer,
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    eta: float,
    n: int | None = None,
    ridges: Sequence[float] = _RIDGES,
    draws: int = 5,
    seed: int = 0,
) -> OneStepReport:
    """Take one step on part of your data, regress on the features of another part, and test on the rest.

    For Gaussian inputs spike and risks are proven. For yours they are measured, beside a prediction from the features'
    own spectrum and one for Gaussian inputs of the same covariance and correlation with the labels.

    Args:
        net: The network before the step.
        X: Inputs, shape (samples, dimension); whiten them for what theory says of the spike.
        y: Labels, shape (samples,); their mean over the step's samples is subtracted.
        eta: Step size: a learning rate of eta sqrt(width).
        n: Samples of the step and of the regression each; a quarter of all by default; with more, errors at
            small ridges are predicted too low (docs/ridge.md).
        ridges: lambdas, at least 0; n / width times these are added to the diagonal.
        draws: Times that data is split anew, at least 2.
        seed: Of the splits.

    Raises:
        TheoryError: Shapes do not fit, or there are too few samples.

    Cost: per draw, singular values of the features of all samples, before and after.
    """
    x = net.inputs(X)
    labels = row(y, len(x))
    eta, draws = number("eta", eta), whole("draws", draws, least=2)
    tried = numbers(ridges, "ridges")
    if float(tried.min()) < 0:
        raise TheoryError(f"ridges has {float(tried.min()):g}. Pass numbers of at least 0.")
    n = len(x) // 4 if n is None else whole("n", n, least=2)
    if 2 * n >= len(x) or n < 2:
        raise TheoryError(
            f"n={n}: the step and the regression take {2 * n} of {len(x)} samples and the test the rest. Pass more "
            "samples or a smaller n."
        )
    task, teacher = GaussianTask.from_data(x, labels), linear_teacher(x, labels)
    shape = (draws, len(tried))
    found = {name: np.empty((3, *shape)) for name in ("before", "after")}
    linear, spikes = np.empty(shape), np.empty((4, draws))
    for draw in range(draws):
        order = numpy_generator(seed, "one step", draw).permutation(len(x))
        step, pool = order[:n], order[n:]
        level = labels - labels[step].mean()
        moved = net.step(x[step], level[step], eta=eta)
        for name, made in (("before", net), ("after", moved)):
            found[name][:, draw] = _errors(made, x[pool], level[pool], n, tried, task)
        linear[draw] = ridge_errors(x[pool[:n]], level[pool[:n]], x[pool[n:]], level[pool[n:]], tried)
        spike = one_step_alignment(net, x[step], level[step], eta=eta, direction=teacher)
        top, direction = top_direction(moved.weight)
        spikes[:, draw] = squared_cosine(direction, teacher), spike.alignment, top, spike.top
    before, after = (FeatureErrors(e[0], e[1].mean(0), e[2].mean(0)) for e in found.values())
    verdict = _judge(before, after, linear, spikes)
    aligned, foretold, top, predicted_top = spikes
    return OneStepReport(n, tried, before, after, linear, aligned, foretold, top, predicted_top, verdict)


def ridge_errors(
    features: Array, labels: Array, test_features: Array, test_labels: Array, ridges: Sequence[float] | Array
) -> Array:
    """Return mean squared errors on test samples of ridge regression with an intercept.

    Args:
        features: Of n training samples, shape (n, width); divided by sqrt(width) here.
        labels: Shape (n,).
        test_features: Shape (tests, width).
        test_labels: Shape (tests,).
        ridges: lambdas; n / width times these are added to the diagonal. 0 is the fit of least norm.

    Returns:
        One error per ridge.
    """
    n, width = features.shape
    centre, level = features.mean(0), labels.mean()
    left, values, right = np.linalg.svd((features - centre) / np.sqrt(width), full_matrices=False)
    parts, seen = left.T @ (labels - level), (test_features - centre) / np.sqrt(width) @ right.T
    kept = values > values.max(initial=0.0) * max(n, width) * 2.0**-52
    squares = np.where(kept, values**2, 1.0)
    errors = []
    for ridge in ridges:
        weights = np.where(kept, values / (squares + ridge * n / width), 0.0) * parts
        errors.append(float(np.mean((seen @ weights + level - test_labels) ** 2)))
    return np.array(errors)


def pool_spectrum(features: Array, labels: Array) -> Spectrum:
    """Return the spectrum of features on a pool of samples, divided by sqrt(width), means subtracted.

    Args:
        features: Shape (samples, width).
        labels: Shape (samples,).
    """
    samples, width = features.shape
    level = labels - labels.mean()
    left, values, _ = np.linalg.svd((features - features.mean(0)) / np.sqrt(width), full_matrices=False)
    squares = (left.T @ level) ** 2 / samples
    beyond = max(float(level @ level) / samples - float(squares.sum()), 0.0)
    if len(values) == samples:
        return Spectrum(values**2 / samples, squares, pool=samples)
    count = np.append(np.ones(len(values)), samples - len(values))
    return Spectrum(np.append(values**2 / samples, 0.0), np.append(squares, beyond), count, pool=samples)


def _errors(net: TwoLayer, x: Array, labels: Array, n: int, ridges: Array, task: GaussianTask) -> Array:
    """Return errors measured, predicted from the pool and predicted for Gaussian inputs, shape (3, ridges)."""
    features = net.features(x)
    measured = ridge_errors(features[:n], labels[:n], features[n:], labels[n:], ridges)
    pool = pool_spectrum(features, labels)
    gaussian, unexplained = feature_spectrum(net, task)
    scaled = [float(ridge) * n / net.width for ridge in ridges]
    return np.array(
        [
            measured,
            [rf_risk(pool, n, ridge=ridge).test for ridge in scaled],
            [rf_risk(gaussian, n, ridge=ridge, noise=unexplained + task.noise).test for ridge in scaled],
        ]
    )


def _judge(before: FeatureErrors, after: FeatureErrors, linear: Array, spikes: Array) -> Verdict:
    """Compare errors at the best ridge of each, draw by draw."""
    own, moved = (side.measured[:, side.best] for side in (before, after))
    plain = linear[:, int(linear.mean(0).argmin())]
    low, high = t_interval(own - moved)
    said = [
        f"{side.pooled[side.best]:.3g} by the features' spectrum, {side.gaussian[side.best]:.3g} for Gaussian inputs"
        for side in (before, after)
    ]
    evidence = (
        Evidence("error before the step", float(own.mean()), t_interval(own), said[0]),
        Evidence("error after the step", float(moved.mean()), t_interval(moved), said[1]),
        Evidence("error of linear regression", float(plain.mean()), t_interval(plain)),
        Evidence(
            "squared cosine with the linear teacher",
            float(spikes[0].mean()),
            t_interval(spikes[0]),
            f"{float(spikes[1].mean()):.3g}",
        ),
        Evidence(
            "top singular value",
            float(spikes[2].mean()),
            t_interval(spikes[2]),
            f"{float(spikes[3].mean()):.3g}",
        ),
    )
    outcome = Outcome.OK if low > 0 else Outcome.INCONSISTENT if high < 0 else Outcome.CANNOT_TELL
    what = {
        Outcome.OK: "lowers",
        Outcome.INCONSISTENT: "raises",
        Outcome.CANNOT_TELL: "does not clearly change",
    }[outcome]
    summary = (
        f"one step {what} the error at the best ridge: {float(own.mean()):.4g} before, {float(moved.mean()):.4g} after; "
        f"linear regression has {float(plain.mean()):.4g}"
    )
    advice = "" if outcome is Outcome.OK else "take eta nearer to sqrt(width), more samples or more draws."
    return Verdict(outcome, summary, evidence, next=advice)
