"""How far functions of a first layer are from Gaussian where its weights are uniform and its inputs few.

Sums of few uniform numbers are no Gaussians, so that phi of a first layer has other second moments than its dual says;
all later layers see these alone. Covariances of the layer itself, and kernels of linear networks, are exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from similitude.kernels.run import Run
from similitude.kernels.scales import ScaleTable
from similitude.kernels.values import Data, Image, Linear, Rows, Wide

MOST_INPUTS = 64
"""Inputs of a neuron beyond which nothing is measured: the difference falls as their number, and is below 1 % of ReLU."""

FEW_INPUTS = 3
"""Inputs up to which there is a warning: of ReLU the difference is then 3 to 4 %, of tanh 6 to 11 %."""

POINTS, ROWS = 2**15, 8


def is_uniform(scales: ScaleTable, name: str) -> bool:
    """Tell whether the weights of a layer were recognized as uniform."""
    return "uniform" in scales.notes.get((name, "matrix"), "")


@torch.no_grad()
def gap(image: Image, run: Run, scales: ScaleTable) -> float | None:
    """Return by how much second moments of phi(u) and phi'(u) differ from those of a Gaussian u, relative to the largest.

    Both are averages over the same Sobol points: uniform weights and biases in one, Gaussian ones in the other.

    Args:
        image: phi of u.
        run: Inputs; some samples and positions of them are looked at.
        scales: Laws and variances of the parameters.

    Returns:
        None where u is no first layer of uniform weights on at most `MOST_INPUTS` inputs, with or without a bias.
    """
    found = _first_layer(image.root)
    if found is None:
        return None
    layer, data, bias = found
    if not is_uniform(scales, layer.weight) or data.features > MOST_INPUTS:
        return None
    x = run.read(data).flatten(0, 1)[:ROWS].double()
    x = x * math.sqrt(scales.variance[layer.weight, "matrix"] / data.features)
    if bias is not None:
        x = torch.cat([x, torch.full_like(x[:, :1], math.sqrt(scales.variance[bias.weight, bias.role]))], 1)
    engine = torch.quasirandom.SobolEngine(x.shape[1], scramble=True, seed=0)
    points = (
        engine.draw(POINTS, dtype=torch.float64).clamp_(2.0**-31, 1 - 2.0**-31).mul_(2).sub_(1).to(x.device)
    )
    own = _moments(image, x @ points.T * math.sqrt(3))
    gaussian = _moments(image, x @ torch.erfinv(points).T * math.sqrt(2))
    return max(
        float((a - b).abs().max() / b.abs().max().clamp_min(1e-300))
        for a, b in zip(own, gaussian, strict=True)
    )


def _first_layer(root: Wide) -> tuple[Linear, Data, Rows | None] | None:
    """Return the layer, its inputs and its bias, where a value is these alone."""
    atoms = [t.atom for t in root.terms]
    if any(t.coefficient.leaves or t.coefficient.scale != 1 or t.where is not None for t in root.terms[:1]):
        return None
    layers = [(a, a.source) for a in atoms if isinstance(a, Linear) and isinstance(a.source, Data)]
    biases = [a for a in atoms if isinstance(a, Rows) and a.role == "bias"]
    if len(layers) != 1 or len(biases) > 1 or len(layers) + len(biases) != len(atoms):
        return None
    return *layers[0], biases[0] if biases else None


def _moments(image: Image, u: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        u = u.requires_grad_()
        values = image.function.call(u)
        (slopes,) = torch.autograd.grad(values.sum(), u)
    values = values.detach()
    return values @ values.T / u.shape[1], slopes @ slopes.T / u.shape[1]
