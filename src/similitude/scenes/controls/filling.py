"""Water, milk and coffee in vessels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.frame import LIQUID
from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.renderers.optics import linear, shown
from similitude.scenes.stage import Material, Placed, Stage, Vector
from similitude.tuning.space.dimensions import Linear

WATER, MILK, COFFEE = (0.74, 0.78, 0.79), (0.96, 0.95, 0.91), (0.13, 0.06, 0.03)
"""Colours of the surfaces, sRGB. Water is as in a white cup, and no glass: no light gets through glass to what is under
it where paths that bend are left out, and it would look like ink."""

SCATTERING = (0.002, 1.0, 0.02)
"""How strongly each scatters light, milk being 1; of water a trace, so that it alone has its colour."""

_BRIMS = (0.001, 0.01, 0.03)  # how far below the brim a vessel is cut, as some lie a little above their wall


class Liquid:
    """Pours a mixture into a vessel: milk and coffee by their shares, the rest is water.

    Shares that make more than the whole are divided by their sum, so that every corner of the range is possible. The
    surface stands as the vessel does: it is tilted with it.
    """

    kind = "liquid"
    summary = "water, milk and coffee in a vessel"
    phase = Phase.FILLING
    settings: Mapping[str, Setting] = {
        "milk": Setting(
            Linear(0.0, low=0.0, high=1.0), "share of milk; the rest is water", least=0.0, most=1.0
        ),
        "coffee": Setting(
            Linear(1.0, low=0.0, high=1.0), "share of coffee; the rest is water", least=0.0, most=1.0
        ),
        "level": Setting(
            Linear(0.85, low=0.1, high=0.95), "share of the vessel's depth that is full", least=0.01, most=1.0
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the liquid's surface.

        Raises:
            SceneError: The object is no vessel.
        """
        middle, radius = surface_of(model, float(values["level"]))
        material = mixture(float(values["milk"]), float(values["coffee"]))
        subject = stage.subject
        x, y, z = (subject.matrix @ np.array([*middle, 1.0]))[:3]
        sx, sy, sz = subject.scale
        disc = Placed(
            "disc",
            (float(x), float(y), float(z)),
            subject.rotation,
            (2 * radius * sx, 2 * radius * sy, sz),
            material,
            LIQUID,
        )
        return replace(stage, props=(*stage.props, disc))


def mixture(milk: float, coffee: float) -> Material:
    """Return how a mixture looks, by the theory of Kubelka and Munk: absorption and scattering add up by shares.

    A deep layer reflects R with (1 - R)^2 / (2 R) = absorption / scattering; what scatters decides how much the rest
    matters: a little milk makes coffee light, a little coffee hardly makes milk dark.

    Args:
        milk: Its share.
        coffee: Its share; both are divided by their sum where that is above 1, the rest is water.
    """
    total = max(1.0, milk + coffee)
    shares = np.array([1 - (milk + coffee) / total, milk / total, coffee / total])
    scattering = shares * SCATTERING
    alone = np.stack([linear(np.asarray(c)) for c in (WATER, MILK, COFFEE)]).astype(np.float64)
    ratio = scattering @ ((1 - alone) ** 2 / (2 * alone)) / scattering.sum()
    color = shown(1 + ratio - np.sqrt(ratio**2 + 2 * ratio))
    tint: Vector = (round(float(color[0]), 6), round(float(color[1]), 6), round(float(color[2]), 6))
    return Material("liquid", tint, roughness=0.08)


def surface_of(model: ObjectModel, level: float) -> tuple[np.ndarray, float]:
    """Return the middle and the radius of a liquid's surface in a vessel's own frame.

    The vessel is round about an upright axis, that of the largest circle in its brim; its wall may lean.

    Args:
        model: The vessel.
        level: Share of its depth, from the bottom on its axis to the brim.

    Raises:
        SceneError: It is no vessel.
    """
    if model.liquid is None:
        raise SceneError(
            f"control 'liquid': the object '{model.name}' has no brim that liquid could be poured into. Take a vessel, "
            "e.g. a mug, or give your model its `liquid`."
        )
    brim, radius = model.liquid
    found: list[tuple[Mesh, np.ndarray]] = []
    for below in _BRIMS:
        cuts = [(mesh, _cut(mesh, brim - below)) for mesh in model.meshes]
        found = found or [(mesh, cut) for mesh, cut in cuts if _is_closed(cut)]
    if not found:
        raise SceneError(
            f"control 'liquid': nothing of the object '{model.name}' goes around at the height of its brim, {brim:g}. "
            "Correct the model's `liquid`."
        )
    holes = [(mesh, *_hole(cut)) for mesh, cut in found]
    mesh, axis, _ = min(holes, key=lambda one: abs(one[2] - radius))
    bottom = _bottom(mesh, axis, brim)
    height = bottom + level * (brim - bottom)
    wall = _cut(mesh, height)
    inner = float(np.linalg.norm(wall - axis, axis=1).min()) if len(wall) else radius
    # A little into the wall, so that no gap shows between the corners of two circles.
    return np.array([*axis, height]), 1.005 * inner if inner < radius else radius


def _is_closed(cut: np.ndarray) -> bool:
    """Return whether a cut goes around its middle."""
    if len(cut) < 3:
        return False
    apart = cut - (cut.min(0) + cut.max(0)) / 2
    angles = np.sort(np.arctan2(apart[:, 1], apart[:, 0]))
    return float(np.diff(angles, append=angles[0] + 2 * np.pi).max()) < 1.0


def _hole(cut: np.ndarray) -> tuple[np.ndarray, float]:
    """Return middle and radius of the largest circle about the middle of a cut that no point of it is in."""
    from scipy.optimize import minimize

    start = (cut.min(0) + cut.max(0)) / 2
    step = 0.05 * float(np.ptp(cut, axis=0).max())
    simplex = start + step * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

    def shortfall(middle: np.ndarray) -> float:
        away = float(np.linalg.norm(middle - start))
        if away > 3 * step:  # circles outside of the cut can be of any size
            return away
        return -float(np.linalg.norm(cut - middle, axis=1).min())

    found = minimize(
        shortfall,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-8},
    )
    return found.x, -float(found.fun)


def _cut(mesh: Mesh, height: float) -> np.ndarray:
    """Return where a mesh's edges pass a height, shape (N, 2)."""
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    a, b = (mesh.vertices[edges[:, k]].astype(np.float64) for k in (0, 1))
    above = a[:, 2] >= height
    passing = above != (b[:, 2] >= height)
    a, b = a[passing], b[passing]
    share = ((height - a[:, 2]) / (b[:, 2] - a[:, 2]))[:, None]
    return (a + share * (b - a))[:, :2]


def _bottom(mesh: Mesh, axis: np.ndarray, brim: float) -> float:
    """Return the height of the vessel's bottom: the highest of a mesh on its axis that is below the brim."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    a, b, c = (corners[:, k, :2] - axis for k in range(3))

    def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    parts = np.stack([cross(b, c), cross(c, a), cross(a, b)], 1)
    area = parts.sum(1)
    flat = np.abs(area) > 1e-12  # seen from above; walls are not
    shares = parts[flat] / area[flat, None]
    over = (shares >= -1e-6).all(1)
    heights = (shares[over] * corners[flat][over][:, :, 2]).sum(1)
    below = heights[heights < brim - 1e-3]
    return float(below.max()) if len(below) else float(mesh.vertices[:, 2].min())
