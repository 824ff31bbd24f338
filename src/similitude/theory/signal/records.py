"""How a signal passes through a deep network: the numbers by layer, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from similitude.core.plain import finite
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.batch_norm.rank import RankCondition

if TYPE_CHECKING:
    from rich.console import RenderableType

FACTOR = 10.0
"""Ratio of gradients over the whole depth from which on they grow or shrink."""

_TWICE, _SLACK = (
    2.0,
    0.005,
)  # growth above this multiple of the expected one, and this more, is the activation's
_SAME = 0.999  # cosine of two different samples above which nothing tells them apart


@dataclass(frozen=True)
class SignalLayer:
    """What one matrix of the network gives, and the gradient that it gets.

    Attributes:
        name: The parameter.
        depth: Matrices up to here, this one included.
        width: Features that it gives.
        scale: Root mean square of what it gives.
        cosine: Mean cosine of two different samples.
        isometry_gap: Of features times samples: 0 where features are orthogonal.
        orthogonality_gap: Of the samples: 0 where they are orthogonal.
        rank: Of features times samples.
        gradient: Frobenius norm of the gradient of the loss with respect to the parameter.
        on_path: Whether it is a hidden layer of the longest way through the network.
    """

    name: str
    depth: int
    width: int
    scale: float
    cosine: float
    isometry_gap: float
    orthogonality_gap: float
    rank: int
    gradient: float
    on_path: bool


@dataclass(frozen=True)
class Growth:
    """A rate with its 95 % interval over seeds; the interval is None for one network.

    Attributes:
        value: Growth of a logarithm per layer.
        interval: Of the mean over seeds.
    """

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Profile:
    """Forward geometry and gradients of a network with depth. Made by `similitude.signal.profile`.

    Attributes:
        layers: Of the first network of the largest depth, in the order of the pass.
        gradients: Growth of log |gradient of what a layer gives| per layer towards the input, within a network; None for
            fewer than 3 layers.
        scales: Growth of the log of the scale per layer, forwards; None for fewer than 3 layers.
        depths: Depths that were built, or that of the network.
        first: Mean log |gradient| of the first hidden layer at each.
        by_depth: Growth of it per unit of depth; None for fewer than 2 depths.
        coupled: Whether what a sample gives depends on the other samples, as behind batch norm; None where it cannot be
            told.
        orthogonal: Whether the hidden weights on the way are orthogonal.
        condition: The rank of the batch against the width; None where samples are not coupled.
        expected: Growth per layer that rank, width and weights let expect of linear layers; None where samples are not
            coupled.
        verdict: `ok`, `grows` or `shrinks`, with what to change.
        notes: What a user should know beside it.
    """

    layers: tuple[SignalLayer, ...]
    gradients: Growth | None
    scales: Growth | None
    depths: tuple[int, ...]
    first: tuple[float, ...]
    by_depth: Growth | None
    coupled: bool | None
    orthogonal: bool
    condition: RankCondition | None
    expected: float | None
    verdict: Verdict
    notes: tuple[str, ...] = ()

    def raise_if_bad(self) -> None:
        """Raise unless gradients keep their size.

        Raises:
            NotEnoughEvidenceError: There are too few layers.
            BadVerdictError: They grow or shrink.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is None."""
        condition = None
        if self.condition is not None:
            condition = asdict(self.condition) | {"verdict": self.condition.verdict.to_dict()}
        return finite(asdict(self) | {"verdict": self.verdict.to_dict(), "condition": condition})

    def __str__(self) -> str:
        path = [layer for layer in self.layers if layer.on_path] or list(self.layers)
        lines = [
            f"Signal through {len(path)} layers",
            f"{self.verdict.outcome}: {self.verdict.summary}",
            *(f"  {row}" for row in self.verdict.evidence),
            *(f"  cause: {cause}" for cause in self.verdict.causes),
            *([f"next: {self.verdict.next}"] if self.verdict.next else []),
            f"{'layer':>5} {'scale':>9} {'cosine':>8} {'isometry':>9} {'rank':>9} {'|gradient|':>10}  weight",
        ]
        for layer in _some(path):
            lines.append(
                f"{layer.depth:>5} {layer.scale:>9.3g} {layer.cosine:>8.3f} {layer.isometry_gap:>9.3g} "
                f"{f'{layer.rank}/{layer.width}':>9} {layer.gradient:>10.3g}  {layer.name}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


def judge_signal(
    *,
    layers: Sequence[SignalLayer],
    gradients: Growth | None,
    scales: Growth | None,
    depths: Sequence[int],
    by_depth: Growth | None,
    coupled: bool | None,
    orthogonal: bool,
    condition: RankCondition | None,
    expected: float | None,
) -> Verdict:
    """Say what the numbers of a `Profile` mean; the arguments are its attributes."""
    path = [layer for layer in layers if layer.on_path]
    deciding = by_depth or gradients
    evidence = []
    if by_depth is not None:
        name = "growth of log |gradient| of the first layer per unit of depth"
        evidence.append(Evidence(name, by_depth.value, by_depth.interval, "0"))
    if gradients is not None:
        name = "growth of log |gradient| per layer towards the input"
        evidence.append(Evidence(name, gradients.value, gradients.interval, "0"))
    if expected is not None:
        evidence.append(Evidence("the same, expected of linear layers by rank and weights", expected))
    if condition is not None:
        evidence.append(condition.verdict.evidence[0])
    if scales is not None:
        evidence.append(
            Evidence("growth of log scale per layer, forwards", scales.value, scales.interval, "0")
        )
    if deciding is None:
        text = f"the longest way has {len(path)} hidden layers, and growth with depth needs 3"
        return Verdict(Outcome.CANNOT_TELL, text, tuple(evidence), next="a deeper network, or several depths")
    reach = depths[-1] - depths[0] if by_depth is not None else path[-1].depth - path[0].depth
    over = f"over {reach} {'units of depth' if by_depth is not None else 'layers'}"
    total = deciding.value * reach
    factor = math.exp(min(abs(total), 700.0))
    causes, step = _change(path, total, gradients, coupled, orthogonal, condition, expected)
    if not math.isfinite(total):
        text = "gradients are 0 or not finite somewhere on the way"
        return Verdict(Outcome.DIVERGED, text, tuple(evidence), causes, step)
    if factor < FACTOR:
        text = f"gradients keep their size: a factor of {factor:.3g} {over}"
        warned = condition is not None and not condition.enough
        return Verdict(
            Outcome.OK,
            text
            + (f". At more depth they grow: {condition.verdict.summary}" if condition and warned else ""),
            tuple(evidence),
            condition.verdict.causes if condition and warned else (),
            condition.verdict.next if condition and warned else "",
        )
    outcome, word = (Outcome.GROWS, "explode") if total > 0 else (Outcome.SHRINKS, "vanish")
    return Verdict(
        outcome, f"gradients {word}: a factor of {factor:.3g} {over}", tuple(evidence), causes, step
    )


def _change(
    path: Sequence[SignalLayer],
    total: float,
    gradients: Growth | None,
    coupled: bool | None,
    orthogonal: bool,
    condition: RankCondition | None,
    expected: float | None,
) -> tuple[tuple[str, ...], str]:
    """Return likely causes of growth, the likeliest first, and what to change."""
    causes, steps = [], []
    if coupled and condition is not None and expected is not None and total > 0:
        if not condition.enough:
            causes += condition.verdict.causes
            steps.append(condition.verdict.next)
        if gradients is not None and gradients.value > _TWICE * expected + _SLACK:
            causes.append(
                f"the activation: gradients grow by {gradients.value:.3g} per layer, of which {expected:.3g} is due to "
                "rank and weights"
            )
            steps.append(
                "a smooth activation in sim.signal.ShapedActivation, with the exponent of "
                "sim.signal.choose_shaping(activation, depth); no gain helps ReLU"
            )
        if not orthogonal:
            causes.append("weights that are not orthogonal, between layers that normalise over the batch")
            steps.append("sim.signal.orthogonal_(model)")
    elif (
        not coupled
        and gradients is not None
        and math.isfinite(gradients.value)
        and total * gradients.value > 0
    ):
        gain = math.exp(gradients.value)
        causes.append(f"every layer multiplies gradients by {gain:.3g} on the way to the input")
        steps.append(
            f"hidden weights times {1 / gain:.4g} at initialization, or a norm layer before every matrix"
        )
    if path and path[-1].cosine > _SAME:
        causes.append(
            f"different samples end with cosine {path[-1].cosine:.4f}: the network cannot tell them apart"
        )
    steps = steps or ["residual branches, or weights at the critical point: sim.theory.criticality"]
    return tuple(causes), "; then ".join(steps)


def _some(path: Sequence[SignalLayer], most: int = 12) -> list[SignalLayer]:
    """Return at most some layers, evenly spaced, with the first and the last."""
    if len(path) <= most:
        return list(path)
    return [path[round(i * (len(path) - 1) / (most - 1))] for i in range(most)]
