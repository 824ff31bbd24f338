"""Training accuracy against depth: whether deep networks of a kind still learn their training set (paper 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import FactoryError, TheoryError
from similitude.core.plain import finite
from similitude.core.seeding import derive, seeded, torch_generator
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.finite_width.given import number, whole

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class DepthTraining:
    """How well networks of several depths learn their training set. Made by `similitude.signal.train_depths`.

    Attributes:
        depths: Ascending.
        accuracies: Share of the training set that is classified correctly in the end, by depth and seed; nan for a run
            whose loss is not finite.
        chance: Share of the most frequent class.
        verdict: `ok` where the deepest networks learn as well as the shallowest; `shrinks`, or `diverged`.
    """

    depths: tuple[int, ...]
    accuracies: tuple[tuple[float, ...], ...]
    chance: float
    verdict: Verdict

    @property
    def means(self) -> tuple[float, ...]:
        """Mean accuracy over seeds at every depth."""
        return tuple(float(np.mean(row)) for row in self.accuracies)

    def raise_if_bad(self) -> None:
        """Raise unless depth does no harm.

        Raises:
            BadVerdictError: It does.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is None."""
        return finite(
            {
                "depths": list(self.depths),
                "accuracies": [list(row) for row in self.accuracies],
                "means": list(self.means),
                "chance": self.chance,
                "verdict": self.verdict.to_dict(),
            }
        )

    def __str__(self) -> str:
        rows = [f"{depth:>6} {mean:>9.3f}" for depth, mean in zip(self.depths, self.means, strict=True)]
        return "\n".join(
            [f"{self.verdict.outcome}: {self.verdict.summary}", f"{'depth':>6} {'accuracy':>9}", *rows]
        )

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


@cites(3, "training accuracy against depth")
def train_depths(
    make: Callable[[int], nn.Module],
    data: tuple[Tensor, Tensor],
    *,
    depths: Sequence[int],
    lr: float = 0.02,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    epochs: int = 4,
    batch: int = 150,
    seeds: int = 1,
    tolerance: float = 0.02,
) -> DepthTraining:
    """Train networks of several depths with cross entropy, and compare how well they learn their training set.

    Args:
        make: A function of the depth that builds a classifier, which is called with a batch of inputs.
        data: Inputs, shape (n, ...), and classes, whole numbers from 0, shape (n,).
        depths: Two or more.
        lr: Learning rate, of all depths.
        optimizer: A class of torch.optim, or a function of parameters and lr.
        epochs: Passes over the data.
        batch: Samples per step, and in the end; a last batch that would be smaller is left out.
        seeds: Networks per depth.
        tolerance: By how much accuracy may fall from the least depth to the largest.

    Raises:
        TheoryError: The arguments do not fit together.
        FactoryError: The function returns no module, or its outputs are no scores of classes.

    Example:
        >>> from similitude.theory.batch_norm.network import batch_norm_net
        >>> x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
        >>> deep = lambda depth: batch_norm_net(8, 2, width=8, depth=depth)
        >>> found = train_depths(deep, (x, (x[:, 0] > 0).long()), depths=(4, 40), epochs=20, batch=64, lr=0.1)
        >>> str(found.verdict.outcome), len(found.accuracies)
        ('ok', 2)

    Cost: epochs times n forward and backward passes per depth and seed.
    """
    inputs, classes = _checked(data)
    listed = sorted({whole(f"depths[{i}]", depth) for i, depth in enumerate(depths)})
    if len(listed) < 2:
        raise TheoryError(f"depths={list(depths)}: pass two different ones or more, e.g. (10, 50, 150).")
    size = min(whole("batch", batch), len(inputs))
    number("lr", lr, above=True)
    number("tolerance", tolerance)
    rows = []
    for depth in listed:
        row = []
        for seed in range(whole("seeds", seeds)):
            with seeded(derive(seed, "init")):
                model = make(depth)
            if not isinstance(model, nn.Module):
                raise FactoryError(f"make({depth}) returned a {type(model).__name__}. Return an nn.Module.")
            steps = (optimizer(model.parameters(), lr=lr), whole("epochs", epochs), size)
            row.append(_train(model, inputs, classes, *steps, seed=seed))
        rows.append(tuple(row))
    chance = float(torch.bincount(classes).max()) / len(classes)
    return DepthTraining(tuple(listed), tuple(rows), chance, _verdict(listed, rows, tolerance))


def _checked(data: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(data, tuple | list) or len(data) != 2 or not all(isinstance(x, Tensor) for x in data):
        raise TheoryError("data is no pair of tensors. Pass (inputs, classes).")
    inputs, classes = data
    if classes.ndim != 1 or len(inputs) != len(classes) or len(classes) < 2 or classes.is_floating_point():
        raise TheoryError(
            f"inputs have shape {tuple(inputs.shape)}, classes {tuple(classes.shape)} of {classes.dtype}. Pass one whole "
            "number per sample, and two samples or more."
        )
    if int(classes.min()) < 0:
        raise TheoryError(f"classes hold {int(classes.min())}. Number them from 0.")
    return inputs, classes


def _train(
    model: nn.Module,
    inputs: Tensor,
    classes: Tensor,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    size: int,
    *,
    seed: int,
) -> float:
    """Train a model in place and return its accuracy on the training set, in train mode as it learned it."""
    order = torch_generator(seed, "order of the training set")
    most = int(classes.max())
    model.train()
    with seeded(derive(seed, "layers")):
        for _ in range(epochs):
            for chosen in _whole_batches(torch.randperm(len(inputs), generator=order), size):
                scores = model(inputs[chosen])
                if scores.ndim != 2 or scores.shape[0] != len(chosen) or scores.shape[1] <= most:
                    raise FactoryError(
                        f"the model returns shape {tuple(scores.shape)} for {len(chosen)} samples. Return one score per "
                        f"sample and class, {most + 1} classes at least."
                    )
                loss = F.cross_entropy(scores, classes[chosen].long())
                if not torch.isfinite(loss):
                    return float("nan")
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            parts = _whole_batches(torch.arange(len(inputs)), size)
            hits = torch.cat([model(inputs[part]).argmax(1) == classes[part] for part in parts])
    return float(hits.double().mean())


def _whole_batches(order: Tensor, size: int) -> Iterable[Tensor]:
    return (chosen for chosen in order.split(size) if len(chosen) == size)


def _verdict(depths: Sequence[int], rows: Sequence[tuple[float, ...]], tolerance: float) -> Verdict:
    means = [float(np.mean(row)) for row in rows]
    evidence = tuple(
        Evidence(f"training accuracy of {depth} layers", mean)
        for depth, mean in zip(depths, means, strict=True)
    )
    text = (
        f"training accuracy is {means[0]:.3f} at depth {depths[0]} and {means[-1]:.3f} at depth {depths[-1]}"
    )
    if not np.isfinite(means).all():
        first = depths[int(np.argmin(np.isfinite(means)))]
        return Verdict(
            Outcome.DIVERGED,
            f"the loss is not finite at depth {first}",
            evidence,
            ("gradients explode, or the learning rate is too large",),
            "sim.signal.profile, or a smaller learning rate",
        )
    if means[-1] >= means[0] - tolerance:
        return Verdict(Outcome.OK, text, evidence)
    causes = ("gradients explode or vanish with depth", "the learning rate does not suit deep networks")
    return Verdict(Outcome.SHRINKS, text, evidence, causes, "sim.signal.profile with the same depths")
