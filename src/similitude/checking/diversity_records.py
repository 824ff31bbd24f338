"""How different the layers of a residual network are: the numbers, and what they mean."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import PlanError
from similitude.core.verdict import Evidence, Outcome, Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

FAR = 8
"""How many branches apart gradients are compared beside neighbouring ones."""

DIVERSE, REDUNDANT = 0.59, 0.7
"""Exponents of the stream's distances up to the first are those of independent layers (1/2), and from the second on
those of a smooth curve (1); trained Depth-muP networks of 32 to 384 branches have 0.53 to 0.56."""

MOVED = 0.2
"""Change of the stream's end, relative to its size, below which training is too short to tell anything."""


@dataclass(frozen=True)
class Distances:
    """How the stream's distances grow with the number of branches in between.

    Attributes:
        slope: d log(distance) / d log(branches in between): 1/2 where every branch adds something of its own, 1
            where neighbouring branches add the same.
        low: Lower end of its 95 % interval.
        high: Upper end.
        values: Root mean square distance, relative to the stream's size, by gap: the mean over seeds.
    """

    slope: float
    low: float
    high: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Diversity:
    """How different the branches of a residual network are. Made by `similitude.diversity`.

    Attributes:
        branches: Number L of branches of the longest residual stream.
        growth: Size of the stream behind the last branch over that before the first, at initialization.
        gradient_near: Mean cosine of the gradients that neighbouring branches get, at initialization; None where
            they end in no matrices of one shape.
        gradient_far: The same for branches `FAR` apart; None for a shorter stream.
        gaps: Numbers of branches between two points of the stream, whose distances are fitted.
        at_init: Distances at initialization; None where branches then add nothing.
        trained: Distances after training; None without training.
        moved: Change of the stream's end in training, relative to its size.
        steps: Optimizer steps.
        lr: Learning rate.
        seeds: Seeds that were used.
        verdict: What the numbers mean.
        notes: What a user should know beside them.
    """

    branches: int
    growth: float
    gradient_near: float | None
    gradient_far: float | None
    gaps: tuple[int, ...]
    at_init: Distances | None
    trained: Distances | None
    moved: float
    steps: int
    lr: float
    seeds: tuple[int, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()

    @property
    def redundant(self) -> bool | None:
        """Whether trained layers are redundant; None where it cannot be told."""
        return redundancy(self.trained) if self.moved >= MOVED else None

    def raise_if_bad(self) -> None:
        """Raise unless the diversity could be measured; redundant layers are no error.

        Raises:
            NotEnoughEvidenceError: Training was too short, or the interval is too wide.
            BadVerdictError: Training diverged.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        data = asdict(self) | {"verdict": self.verdict.to_dict(), "redundant": self.redundant}
        return {key: _plain(value) for key, value in data.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Diversity:
        """Read what `to_dict` wrote.

        Raises:
            PlanError: The data is no diversity.
        """
        try:
            rest = {f.name: data[f.name] for f in fields(cls)}
            for name in ("gaps", "seeds", "notes"):
                rest[name] = tuple(rest[name])
            for name in ("at_init", "trained"):
                rest[name] = _distances(rest[name])
            rest["verdict"] = Verdict.from_dict(rest["verdict"])
            rest["moved"] = math.nan if rest["moved"] is None else rest["moved"]
            return cls(**rest)
        except (KeyError, TypeError, ValueError) as error:
            raise PlanError(
                f"this is no diversity: {type(error).__name__}: {error}. Read what Diversity.save or to_dict wrote."
            ) from error

    def save(self, path: str | Path) -> Path:
        """Write the numbers as JSON and return the path.

        Raises:
            PlanError: The file cannot be written.
        """
        path = Path(path)
        try:
            path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise PlanError(
                f"the diversity cannot be written to {path}: {error}. Choose another place."
            ) from error
        return path

    def __str__(self) -> str:
        lines = [
            f"Diversity of {self.branches} branches, {self.steps} steps at rate {self.lr:.4g}",
            f"{self.verdict.outcome}: {self.verdict.summary}",
            *(f"  {row}" for row in self.verdict.evidence),
            *(f"  cause: {cause}" for cause in self.verdict.causes),
        ]
        lines += [f"next: {self.verdict.next}"] if self.verdict.next else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


def redundancy(trained: Distances | None) -> bool | None:
    """Tell from the exponent after training whether layers are redundant; None between the two.

    Example:
        >>> redundancy(Distances(0.53, 0.5, 0.56, ())), redundancy(Distances(0.9, 0.88, 0.92, ()))
        (False, True)
    """
    if trained is None:
        return None
    if trained.slope <= DIVERSE and trained.high <= REDUNDANT:
        return False
    return True if trained.slope >= REDUNDANT and trained.low >= DIVERSE else None


def judge_diversity(
    *,
    growth: float,
    near: float | None,
    far: float | None,
    at_init: Distances | None,
    trained: Distances | None,
    moved: float,
    steps: int,
) -> Verdict:
    """Say what the numbers of a `Diversity` mean; the arguments are its attributes.

    Layers that are redundant are no fault: the verdict is good wherever it can be told what they are.
    """
    evidence = [Evidence("size of the stream at its end over that at its start, at initialization", growth)]
    if near is not None:
        evidence.append(
            Evidence("cosine of the gradients of neighbouring branches", near, None, "0 diverse, 1 redundant")
        )
    if far is not None:
        evidence.append(Evidence(f"the same {FAR} branches apart", far))
    if at_init is not None:
        evidence.append(_exponent("at initialization", at_init))
    if steps == 0:
        return Verdict(Outcome.OK, f"{_gradients(near)}; nothing was trained", tuple(evidence))
    if trained is None:
        return Verdict(
            Outcome.DIVERGED,
            f"training diverged within {steps} steps; {_gradients(near)}",
            tuple(evidence),
            next="a smaller lr",
        )
    evidence += [
        _exponent(f"after {steps} steps", trained),
        Evidence("change of the stream's end", moved, None, f"{MOVED} or more"),
    ]
    redundant = redundancy(trained)
    exponent = f"distances along the stream grow with exponent {trained.slope:.2f} after {steps} steps"
    if moved < MOVED:
        why = f"training moved the stream's end by {100 * moved:.0f} % alone; {_gradients(near)}"
        return Verdict(Outcome.CANNOT_TELL, why, tuple(evidence), next="more steps, or a larger lr")
    if redundant is None:
        why = f"{exponent}, between independent layers (1/2) and a smooth curve (1); {_gradients(near)}"
        step = "twice the depth: there the exponent stays where layers are diverse, and rises where they are redundant"
        return Verdict(Outcome.CANNOT_TELL, why, tuple(evidence), next=step)
    if not redundant:
        return Verdict(Outcome.OK, f"diverse layers: {exponent}; {_gradients(near)}", tuple(evidence))
    return Verdict(
        Outcome.OK,
        f"redundant layers: {exponent}, so that neighbours add nearly the same and more depth makes a smooth curve "
        f"smoother; {_gradients(near)}",
        tuple(evidence),
        causes=(
            "a residual exponent alpha above 1/2, as of depth_rule='complete_p': diverse layers need alpha = 1/2",
            "a learning rate that is too large for the depth: what all layers learn alike outweighs what sets them apart",
        ),
        next="depth_rule='depth_mup', with branches of one matrix that end in a nonlinearity",
    )


def _gradients(near: float | None) -> str:
    if near is None:
        return "neighbouring branches end in no matrices of one shape, so gradients were not compared"
    return f"neighbouring branches get gradients with cosine {near:.2f}"


def _exponent(when: str, found: Distances) -> Evidence:
    interval = (found.low, found.high) if math.isfinite(found.low) else None
    return Evidence(
        f"exponent of distances along the stream {when}", found.slope, interval, "1/2 diverse, 1 redundant"
    )


def _distances(data: Mapping[str, Any] | None) -> Distances | None:
    if data is None:
        return None
    low = -math.inf if data["low"] is None else data["low"]
    high = math.inf if data["high"] is None else data["high"]
    return Distances(data["slope"], low, high, tuple(data["values"]))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
