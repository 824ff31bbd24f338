"""The check on models of the zoo: what each is trained on, and how its exponents are counted.

Tokens mostly follow from the one before, and a fixed linear teacher labels noise, so that there is something to learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from zoo_case import CLASSES, VOCABULARY, Case
from zoo_table import CASES

import similitude as sim
from similitude.checking.records import TOLERANCE, Check, CheckRow

WIDTHS = (128, 256, 512)
BATCH = 4
SEEDS, MOST_SEEDS = 3, 5
RATES = {"U-Net": 2.0**-13}
"""Learning rates where the check's own choice, the largest at which the loss falls, makes the head overshoot."""


def walk(size: int, length: int) -> Tensor:
    """Tokens of which four in five follow from the one before, shape (size, length)."""
    generator = torch.Generator().manual_seed(1)
    free = torch.randint(0, VOCABULARY, (size, length), generator=generator)
    jumps = torch.rand(size, length, generator=generator) < 0.2
    for t in range(1, length):
        follows = (3 * free[:, t - 1] + 7) % VOCABULARY
        free[:, t] = torch.where(jumps[:, t], free[:, t], follows)
    return free


def wider(sample: Any) -> Any:
    """The same kind of sample as the zoo's, with a batch of 4 and structure in its tokens."""
    if isinstance(sample, Mapping):
        return {name: wider(value) for name, value in sample.items()}
    if isinstance(sample, tuple):
        return tuple(wider(value) for value in sample)
    if sample.dtype == torch.bool:
        return sample[:1].expand(BATCH, *sample.shape[1:]).clone()
    if sample.is_floating_point():
        return torch.randn(BATCH, *sample.shape[1:], generator=torch.Generator().manual_seed(2))
    return walk(BATCH, sample.shape[1])


def batches(case: Case) -> Any:
    """What a family is trained on: one batch, or a function of the width that gives it."""
    given = case.sample
    return (lambda width: wider(given(width))) if callable(given) else wider(given)


def loss(model: torch.nn.Module, batch: Any) -> Tensor:
    """Cross-entropy of the next token or of a teacher's labels; mean squares of other outputs."""
    keywords = batch if isinstance(batch, Mapping) else {}
    given = () if keywords else batch if isinstance(batch, tuple) else (batch,)
    output = model(*given, **keywords)
    output = getattr(output, "logits", output)
    output = output[0] if isinstance(output, tuple) else output
    first = next(iter(batch.values())) if isinstance(batch, Mapping) else batch
    first = first[0] if isinstance(first, tuple) else first
    if output.shape[-1] == VOCABULARY:
        tokens = batch["decoder_input_ids"] if isinstance(batch, Mapping) else first
        return F.cross_entropy(output[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    if output.shape[-1] == CLASSES:
        scores = output.flatten(0, -2)
        return F.cross_entropy(scores, taught(first, len(scores)))
    return (output - answer(first, output)).square().mean()


def taught(x: Tensor, rows: int) -> Tensor:
    """Labels of a fixed linear teacher, one for every example or, where there are more rows, for every token."""
    seen = x.float().flatten(1) if rows == len(x) else x.float().flatten(0, 1)
    teacher = torch.randn(seen.shape[1], CLASSES, generator=torch.Generator().manual_seed(4))
    return (seen @ teacher).argmax(1)


def answer(x: Tensor, output: Tensor) -> Tensor:
    """What an output that is no score should be: the input, its sum, or the blurred mean of its channels."""
    if output.shape == x.shape:
        return x
    if output.ndim == 1:
        return x.flatten(1).sum(1)
    return 3 * F.avg_pool2d(x.mean(1, keepdim=True), 3, stride=1, padding=1)


def checked(name: str, rule: str, *, seeds: int = SEEDS) -> Check:
    """Check one family: "mup" by its plan from the smallest width to the largest, another rule by name."""
    case = CASES[name]
    given: Any = rule
    if rule == "mup":
        given = sim.plan(
            case.make, base=WIDTHS[0], target=WIDTHS[-1], sample=case.sample, optimizer=torch.optim.AdamW
        )
    most = MOST_SEEDS if rule == "mup" else seeds
    return sim.check(
        case.make,
        given,
        widths=WIDTHS,
        sample=batches(case),
        loss=loss,
        lr=RATES.get(name),
        seeds=seeds,
        max_seeds=most,
    )


@dataclass(frozen=True)
class Score:
    """What a check says of one family.

    Attributes:
        rows: Exponents that something is expected of.
        good: How many are within 0.15 of it.
        outside: Those whose whole interval is farther than 0.25 from it.
        worst: The one that is farthest off.
    """

    rows: int
    good: int
    outside: tuple[CheckRow, ...]
    worst: CheckRow

    @property
    def share(self) -> float:
        """Part of the rows that are good."""
        return self.good / self.rows


def score(check: Check) -> Score:
    """Count the rows of a check, explained ones too."""
    held = [row for row in check.rows if row.expected is not None]
    outside = tuple(r for r in held if r.low > r.expected + TOLERANCE or r.high < r.expected - TOLERANCE)
    return Score(len(held), sum(r.good for r in held), outside, max(held, key=lambda r: abs(r.off)))


def learning(check: Check) -> CheckRow:
    """The row of a check that is farthest off among those of what is learned."""
    kinds = ("update", "change", "logits change", "update norm")
    return max((r for r in check.rows if r.quantity in kinds), key=lambda r: abs(r.slope))
