"""What was found of a network's distance from its limits of infinite width and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from similitude.core.errors import StudyError
from similitude.core.verdict import Verdict
from similitude.studies.depth_profile import DepthProfile
from similitude.studies.limit_kernels import LimitKernel
from similitude.studies.seed_spread import Spread

if TYPE_CHECKING:
    from rich.console import RenderableType


_SPREADS = ("deviation", "bias", "exponent")


@dataclass(frozen=True)
class LayerSizes:
    """The preactivations of one matrix, over networks that are drawn alike.

    Attributes:
        name: Parameter.
        depth: Matrices on the longest way to here, this one included.
        width: Units or channels n.
        hidden: Whether another matrix follows.
        variance: K: mean square, over networks, units, positions and examples.
        ratio: Var(S) / K^2 of the variance S that a unit has given the layer before: kappa4 / K^2, 0 at infinite width;
            None where preactivations are 0.
        kurtosis: Excess kurtosis of a unit over networks, 3 kappa4 / K^2 for Gaussian weights; likewise.
    """

    name: str
    depth: int
    width: int
    hidden: bool
    variance: float
    ratio: Spread | None
    kurtosis: Spread | None


@dataclass(frozen=True)
class FiniteWidth:
    """How far a network is from infinite width at initialization. Made by `similitude.finite_width`.

    Attributes:
        size: Dials of the network; empty for a function of nothing.
        networks: Networks that were drawn.
        examples: Examples that they were run on.
        layers: Preactivations of every matrix, in the order of the pass.
        depth: Hidden layers on the longest way through the network.
        depth_over_width: Sum of 1/n over these: L/n.
        kernel: Var(Theta) / E[Theta]^2 of the tangent kernel at one example; None where it was not taken.
        limits: Kernels beside those of the same module at infinite width; empty where these were not taken.
        relu_kernel: The same in theory, of a plain ReLU network of these widths.
        profile: The residual stream against the covariance flow; None without one.
        limit: Relative variance up to which a network counts as wide.
        verdict: Whether it is in the regime of infinite width, and its branches are those of infinite depth.
        notes: What a user should know beside it.
    """

    size: Mapping[str, int]
    networks: int
    examples: int
    layers: tuple[LayerSizes, ...]
    depth: int
    depth_over_width: float
    kernel: Spread | None
    relu_kernel: float
    profile: DepthProfile | None
    limit: float
    verdict: Verdict
    notes: tuple[str, ...] = ()
    limits: tuple[LimitKernel, ...] = ()

    def raise_if_bad(self) -> None:
        """Raise unless the network is in the regime of infinite width.

        Raises:
            NotEnoughEvidenceError: That cannot be told.
            BadVerdictError: It is not, or its branches are not those of infinite depth.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self) | {"verdict": self.verdict.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FiniteWidth:
        """Read what `to_dict` wrote, also after JSON made lists of its tuples.

        Raises:
            StudyError: It is something else.
        """
        try:
            layers = tuple(
                LayerSizes(**{**row, "ratio": _spread(row["ratio"]), "kurtosis": _spread(row["kurtosis"])})
                for row in data["layers"]
            )
            profile = data["profile"]
            made = {
                "layers": layers,
                "kernel": _spread(data["kernel"]),
                "limits": tuple(
                    LimitKernel(**{**row, **{name: _spread(row[name]) for name in _SPREADS}})
                    for row in data["limits"]
                ),
                "profile": None if profile is None else DepthProfile(**_tuples(profile)),
                "verdict": Verdict.from_dict(data["verdict"]),
                "notes": tuple(data["notes"]),
            }
            return cls(**{**data, **made})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StudyError(
                f"this is no result of finite_width: {type(error).__name__}: {error}. Read what FiniteWidth.to_dict gave."
            ) from error

    def __str__(self) -> str:
        lines = [f"{self.verdict.outcome}: {self.verdict.summary}"]
        lines += [f"  {line}" for line in self.verdict.evidence]
        lines += [f"  cause: {cause}" for cause in self.verdict.causes]
        lines += [f"next: {self.verdict.next}"] if self.verdict.next else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


def _spread(row: Mapping[str, float] | None) -> Spread | None:
    return None if row is None else Spread(**row)


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
