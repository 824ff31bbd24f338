"""The proportional limit of samples, width and dimension, and how far a gradient step moves the weights in it."""

from __future__ import annotations

from dataclasses import dataclass

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Phi
from similitude.theory.finite_width.given import number
from similitude.theory.one_step.hermite import HermiteMoments, has_linear_part, moments_of


@dataclass(frozen=True)
class Proportions:
    """Ratios and moments of one problem. Made by `proportions`.

    Attributes:
        student: Moments of the network's activation.
        teacher: Moments of the teacher's link function.
        noise: Variance of the labels' noise.
        n: Samples over the dimension (psi_1).
        width: Width over the dimension (psi_2).
        gradient: |v|, the norm of the correlation X^T y / n of inputs and labels, in the limit.
        aimed: Share of |v|^2 along the teacher, and `strayed` the rest, from few samples.
        strayed: 1 - `aimed`, without cancellation.
    """

    student: HermiteMoments
    teacher: HermiteMoments
    noise: float
    n: float
    width: float
    gradient: float
    aimed: float
    strayed: float


def proportions(
    student: Phi | HermiteMoments,
    teacher: Phi | HermiteMoments,
    *,
    n: float,
    width: float,
    dimension: float,
    noise: float,
) -> Proportions:
    """Check what a prediction is asked for, and take its ratios.

    Raises:
        TheoryError: A number is out of range, or the student has no linear part.
    """
    n = number("n", n, above=True)
    width = number("width", width, above=True)
    dimension = number("dimension", dimension, above=True)
    noise = number("noise", noise)
    own, target = moments_of(student, "student"), moments_of(teacher, "teacher")
    if not has_linear_part(own):
        raise TheoryError(
            f"student has no linear part: E z phi(z) = {own.linear:.1e}, as of every even function. The first gradient "
            "is then not of rank one, and this theory does not hold. Pass one with a linear part, or shift it: "
            "lambda z: phi(z + 1)."
        )
    along = target.linear * target.linear
    strayed = (target.power + noise) / (n / dimension)
    square = along + strayed
    return Proportions(
        own, target, noise, n / dimension, width / dimension, square**0.5, along / square, strayed / square
    )
