"""Ridge regression on the features of given weights, before or after a step: Gaussian equivalence (paper 16)."""

from __future__ import annotations

import math
import warnings

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number
from similitude.theory.one_step.hermite import moments_at
from similitude.theory.one_step.network import TwoLayer
from similitude.theory.one_step.task import GaussianTask
from similitude.theory.ridge.arrays import positive
from similitude.theory.ridge.risk import RidgeRisk, rf_risk
from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray
_DOMINANT = (
    0.1  # share of the preactivations' variance along one direction, from which features are not Gaussian
)


def feature_spectrum(net: TwoLayer, task: GaussianTask) -> tuple[Spectrum, float]:
    """Return the spectrum of a layer's features under Gaussian equivalence, and the variance that they cannot explain.

    The preactivation of neuron i is N(l_i, s_i^2); its feature is replaced by mu_0i + mu_1i z_i + mu_2i times independent
    noise, with the moments of phi(l_i + s_i z), so that weights of any norm, biases and inputs with a mean have their
    place. Features are divided by sqrt(width), their means subtracted.

    Args:
        net: The network.
        task: Inputs and labels.

    Raises:
        TheoryError: Shapes do not fit, or features do not vary.
    """
    if net.weight.shape[1] != len(task.mean):
        raise TheoryError(
            f"the first layer takes {net.weight.shape[1]} inputs and the task has {len(task.mean)}. Pass the data "
            "that the network is for."
        )
    pushed = net.weight @ task.covariance
    scale = np.sqrt(np.maximum(np.einsum("ij,ij->i", pushed, net.weight), 0.0))
    _, linear, rest = moments_at(net.phi, net.weight @ task.mean + net.bias, scale)
    # Features without a scale are constant; their rows are zero.
    slope = np.divide(linear, scale, out=np.zeros_like(linear), where=scale > 0) / math.sqrt(net.width)
    C = slope[:, None] * (pushed @ net.weight.T) * slope + np.diag(rest**2) / net.width
    values, vectors = np.linalg.eigh((C + C.T) / 2)
    values = np.maximum(values, 0.0)
    top = float(values[-1])
    if not top > 0:
        raise TheoryError(
            "no feature varies over the task's inputs. Pass weights and a phi that let inputs through."
        )
    parts = vectors.T @ (slope * (net.weight @ task.correlation))
    kept = values > top * len(values) * 2.0**-52
    coefficients = np.divide(parts**2, values, out=np.zeros_like(parts), where=kept)
    values = np.where(kept, values, 0.0)
    return Spectrum(values, coefficients), max(task.power - float(coefficients.sum()), 0.0)


@cites(16, "Gaussian equivalence, conditional on the first layer")
def equivalent_risk(net: TwoLayer, task: GaussianTask, *, n: float, ridge: float) -> RidgeRisk:
    """Predict ridge regression on the features of a network with these weights, trained or not.

    n fresh samples are regressed on phi(weight x + bias) / sqrt(width), means subtracted, with the ridge n / width times
    `ridge` on the diagonal.

    Args:
        net: The network, before a step or after it: `TwoLayer.of(model[0], torch.relu)`.
        task: `GaussianTask.from_data(X, y)` of your data, or `from_teacher`.
        n: Training samples of the regression.
        ridge: lambda, at least 0.

    Returns:
        The errors; `test` counts the task's noise.

    Warns:
        UserWarning: More than a tenth of the preactivations' variance is along one direction, as after a large step: the
            features are then not Gaussian, and do better than is predicted.

    Raises:
        TheoryError: A number is out of range, or shapes do not fit.

    Example:
        >>> import torch
        >>> net = TwoLayer.random(torch.tanh, width=300, dimension=300, seed=0)
        >>> task = GaussianTask.from_teacher(torch.relu, np.eye(300)[0], noise=1 / 16)
        >>> round(equivalent_risk(net, task, n=1200, ridge=0.01).test - 1 / 16, 2)  # one_step_risk has 0.2100
        0.21

    Proven for Gaussian inputs, features of random weights, and eta of the order of 1. For inputs of a covariance that is
    matched to data it was measured only (docs/one_step.md).

    Cost: eigenvalues of a matrix of the width.
    """
    positive(n, "n", "n=1000")
    number("ridge", ridge)
    spectrum, unexplained = feature_spectrum(net, task)
    share = _largest_share(net, task)
    if share > _DOMINANT:
        warnings.warn(
            f"{100 * share:.0f} % of the variance of preactivations is along one direction of the inputs, more than "
            f"{100 * _DOMINANT:.0f} %: features are not Gaussian then, and the risk is predicted too high. Whiten "
            "the inputs, take a smaller step, or more than 10 inputs.",
            stacklevel=2,
        )
    return rf_risk(spectrum, n, ridge=ridge * n / net.width, noise=unexplained + task.noise)


def _largest_share(net: TwoLayer, task: GaussianTask) -> float:
    """Return the share of the preactivations' variance along the direction with most of it."""
    values, vectors = np.linalg.eigh(task.covariance)
    half = net.weight @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    variances = np.linalg.svd(half, compute_uv=False) ** 2
    total = float(variances.sum())
    return float(variances[0]) / total if total > 0 else 0.0
