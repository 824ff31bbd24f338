"""The update geometry of an optimizer as data: what `measure_optimizer` found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from similitude.scaling.shape_laws import CONSTANT, Point, ShapeLaw

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class MeasuredOptimizer:
    """The update geometry of an optimizer.

    Attributes:
        name: Its class name.
        family: One of `similitude.scaling.rules.FAMILIES`, or "refused" where no rule fits.
        reason: Why it is refused; empty otherwise.
        exponents: "fan_in" and "fan_out", the growth of a step's spectral norm with the columns and rows of a matrix
            whose gradient has entries of fixed size (at a fixed root mean square of the matrix itself); "gradient",
            its degree in the gradient's scale (1 for SGD, 0 for Adam and Muon); "weight", its degree in the tensor's
            own scale (1 for LAMB, LARS and Adafactor); "lr", its degree in the learning rate; "eps", the k such that
            eps x c^k makes the step of a gradient x c that of the gradient. None where it was not reached or does
            not apply.
        law: The law of the shape in words, e.g. "sqrt(max(1, fan_out / fan_in))"; empty where there is none.
        residual: Largest relative deviation of the points from the law, or from the power law where there is none.
        points: The size of a step at every shape.
        decay: "shrink" (weights are multiplied by 1 - lr x weight decay), "fixed" (by 1 - weight decay), "gradient"
            (the decay goes through the normalization with the gradient), "other" (no law that is known here), "none".
        settling: How many of the first steps follow another law.
        vectors: What it does to a vector: a family, or "refused" where it takes none or follows no law.
        convolutions: Whether it makes a step on a tensor of four dimensions.
        defaults: Values that a parameter group takes when it does not set them.
        warnings: What a user should know, each beginning with the optimizer's name.
    """

    name: str
    family: str
    reason: str = ""
    exponents: Mapping[str, float | None] = field(default_factory=dict)
    law: str = ""
    residual: float | None = None
    points: tuple[Point, ...] = ()
    decay: str = "none"
    settling: int = 0
    vectors: str = "refused"
    convolutions: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    shape_law: ShapeLaw = field(default=CONSTANT, repr=False, compare=False)

    @property
    def refused(self) -> bool:
        """Whether no rule fits."""
        return self.family == "refused"

    @property
    def relative(self) -> bool:
        """Whether steps are proportional to the tensor's own root mean square."""
        return round(self.exponents.get("weight") or 0.0) == 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "family": self.family,
            "reason": self.reason,
            "exponents": dict(self.exponents),
            "law": self.law,
            "residual": self.residual,
            "points": [vars(point) for point in self.points],
            "decay": self.decay,
            "settling": self.settling,
            "vectors": self.vectors,
            "convolutions": self.convolutions,
            "defaults": dict(self.defaults),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        from similitude.scaling.geometry_text import plain

        return plain(self)

    def __rich__(self) -> RenderableType:
        from similitude.scaling.geometry_text import table

        return table(self)
