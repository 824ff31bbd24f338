"""The plane of (weight, sharpness) in which a two-layer linear network on one feature moves: paper 2, Section 5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.core.seeding import numpy_generator
from similitude.theory.two_layer_linear import TwoLayerLinear

_GRID = (11, 9)  # arrows along w and along the sharpness


@dataclass(frozen=True)
class FieldPath:
    """One network's training in the plane.

    Attributes:
        width: Hidden units N.
        w: Weight before every step, shape (steps + 1,).
        sharpness: Largest eigenvalue of gamma^2 times the Gauss-Newton matrix, likewise.
    """

    width: int
    w: np.ndarray
    sharpness: np.ndarray


@dataclass(frozen=True)
class FieldPanel:
    """The plane under one parametrization.

    Attributes:
        name: "muP" or "NTP".
        kappa: gamma^2 / N at infinite width: 1 or 0.
        w: Where arrows start, shape (arrows,); points that no network has are left out.
        sharpness: Likewise.
        dw: Change of w in one step over eta, shape (arrows,).
        dsharpness: Change of the sharpness in one step over eta, likewise.
        paths: Training of networks of finite width.
    """

    name: str
    kappa: float
    w: np.ndarray
    sharpness: np.ndarray
    dw: np.ndarray
    dsharpness: np.ndarray
    paths: tuple[FieldPath, ...]


@dataclass(frozen=True)
class TwoLayerField:
    """The vector field of gradient descent on one feature. Made by `two_layer_field`.

    Attributes:
        target: The weight w* that fits the data.
        eta: Learning rate, which stability bounds by 2 / sharpness.
        top: Largest sharpness that is of interest.
        flow: Sharpness at which gradient flow ends under muP, from w = 0.
        panels: muP, then NTP.
    """

    target: float
    eta: float
    top: float
    flow: float
    panels: tuple[FieldPanel, ...]


@cites(2, "Section 5: the vector field of residual and sharpness")
def two_layer_field(
    target: float = 2.0,
    *,
    eta: float = 0.4,
    widths: Sequence[int] = (16, 128, 1024),
    steps: int = 60,
    seed: int = 0,
) -> TwoLayerField:
    """Compute how weight and sharpness of a two-layer linear network on one feature of mean square 1 drive each other.

    With one feature, Theorem 5.1 closes in w and the sharpness e + v alone. Every point of the line w = target is a
    minimum, which gradient descent can rest at where its sharpness is below 2 / eta. No network has a sharpness below
    2 sqrt(kappa) |w|.

    Args:
        target: The weight w* that fits the data, positive.
        eta: Learning rate; the weights are trained at eta gamma^2.
        widths: Widths of networks to train.
        steps: Steps of each.
        seed: Draws their weights from N(0, 1).

    Raises:
        PlanError: A number is out of range.

    Source: paper 2 (arXiv 2402.17457), Section 5 and its figure of the field.
    """
    if not (math.isfinite(target) and target > 0):
        raise PlanError(f"target={target}: the field is drawn for a positive weight. Pass e.g. 2.0.")
    if not widths or min(widths) < 1:
        raise PlanError(f"widths={tuple(widths)}: pass one width at least, and none below 1.")
    limits = {"mup": TwoLayerLinear.limit("mup", [[1.0]], [target])}
    limits["ntp"] = TwoLayerLinear.limit("ntp", [[1.0]], [target])
    flow = limits["mup"].final_sharpness()
    top = 1.3 * max(flow, 2 / eta if eta > 0 else 0.0)
    panels = []
    for name, label in (("mup", "muP"), ("ntp", "NTP")):
        w, sharpness, moved = _arrows(limits[name], target, top, eta)
        paths = tuple(_path(name, target, eta, width, steps, seed) for width in widths)
        panels.append(FieldPanel(label, limits[name].kappa, w, sharpness, moved[0], moved[1], paths))
    return TwoLayerField(target, eta, top, flow, tuple(panels))


def _arrows(
    net: TwoLayerLinear, target: float, top: float, eta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Step once from every point of a grid that some network has."""
    points, changes = [], []
    for w in np.linspace(-0.25 * target, 1.75 * target, _GRID[0]):
        for sharpness in np.linspace(0.06 * top, 0.97 * top, _GRID[1]):
            if sharpness < 2 * math.sqrt(net.kappa) * abs(w):
                continue
            half = sharpness / 2  # the steps do not depend on how e and v share it
            after = TwoLayerLinear(net.S, net.b, np.array([w]), np.array([[half]]), half, net.kappa).step(eta)
            points.append((w, sharpness))
            changes.append((after.w[0] - w, after.gauss_newton_sharpness() - sharpness))
    at = np.array(points)
    return at[:, 0], at[:, 1], np.array(changes).T / eta


def _path(name: str, target: float, eta: float, width: int, steps: int, seed: int) -> FieldPath:
    rng = numpy_generator(seed, "vector field", width)
    E, V = rng.standard_normal((1, width)), rng.standard_normal(width)
    gamma = math.sqrt(width) if name == "mup" else 1.0
    run = TwoLayerLinear.of([[1.0]], [target], E=E, V=V, gamma=gamma).run(eta, steps)
    w = np.array([float(state.w[0]) for state in run])
    return FieldPath(width, w, np.array([state.gauss_newton_sharpness() for state in run]))
