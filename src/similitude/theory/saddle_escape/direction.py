"""The fastest way out of the saddle at the origin: projected ascent from many starts (paper 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.finite_width.given import whole
from similitude.theory.saddle_escape.layer_ranks import LayerRank, bottleneck_rank, layer_ranks
from similitude.theory.saddle_escape.norm_law import escape_scale, escape_time
from similitude.theory.saddle_escape.task import Loss, Task, Weights, homogeneous_task, relu_task

Array = np.ndarray
_FIRST_STEP, _LAST_STEP = (
    0.2,
    1e-4,
)  # of layers of norm 1; the optimum sits on kinks, where constant steps go to and fro
_SAME = 1e-3  # speeds that differ by less, relatively, are one
_AGREE = 3  # starts that come to one speed by themselves: fewer are luck


@dataclass(frozen=True, eq=False)
class Escape:
    """The fastest escape direction that was found, and how sure that is. Made by `escape` or `escape_of`.

    Attributes:
        speed: s of the direction: -L_0 on layers of Frobenius norm 1, in units of the loss.
        weights: The direction, every parameter of norm 1 by name, float64.
        speeds: Of every start, falling; dead ones (no ReLU active) have 0.
        layers: Singular values of every layer and of its activations.
        task: The network and its data.
    """

    speed: float
    weights: Weights
    speeds: Array
    layers: tuple[LayerRank, ...]
    task: Task

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.weights)

    @property
    def reached(self) -> float:
        """Share of the starts that came within 0.1 % of the best: see `verdict`."""
        return float((self.speeds >= (1 - _SAME) * self.speed).mean())

    @property
    def rank(self) -> int:
        """Bottleneck rank of the direction: `bottleneck_rank`."""
        return bottleneck_rank(self.layers)

    def scale(self, time: float, start: float) -> float:
        """Return the scale of the weights after some time of gradient flow: `escape_scale`."""
        return escape_scale(time, start, speed=self.speed, depth=self.depth)

    def time(self, start: float, end: float = 1.0) -> float:
        """Return the time between two scales of the weights: `escape_time`."""
        return escape_time(start, speed=self.speed, depth=self.depth, end=end)

    def share(self, weights: Mapping[str, Tensor] | nn.Module) -> float:
        """Return the speed of other weights of the same network over that of this direction, with layers of norm 1.

        Args:
            weights: By name, such as those of a `Passage`; or the network itself, trained.

        Returns:
            1 for the fastest direction; above 1 would say that the ascent has missed it.

        Raises:
            TheoryError: They are not of this network.
        """
        return speed_of(self.task, weights) / self.speed

    def verdict(self) -> Verdict:
        """Say whether enough starts agree for this to be the fastest direction."""
        count, agree = len(self.speeds), round(self.reached * len(self.speeds))
        evidence = (
            Evidence("starts within 0.1 % of the best speed", agree, None, f"{_AGREE} or more"),
            *(
                Evidence(
                    f"s1/s2 of layer {layer.depth}",
                    layer.ratio,
                    None,
                    f"of the order of {layer.least_ratio:.2f} or more",
                )
                for layer in self.layers
                if layer.depth > 1
            ),
        )
        missed = 1 - 0.05 ** (1 / count)
        if agree >= _AGREE:
            summary = (
                f"{agree} of {count} starts came to the speed {self.speed:.4g}; a faster direction to which fewer than "
                f"{missed:.0%} of starts lead may be missed"
            )
            return Verdict(Outcome.OK, summary, evidence)
        return Verdict(
            Outcome.CANNOT_TELL,
            f"{agree} of {count} starts came to the speed {self.speed:.4g}: a faster direction may be left",
            evidence,
            causes=("starts end at slower saddles", "the ascent ends before it has come to rest"),
            next=f"Pass starts={4 * count}, or more steps.",
        )

    def __str__(self) -> str:
        kept = [layer for layer in self.layers if layer.depth > 1]
        least = min((layer.ratio for layer in kept), default=float("inf"))
        return (
            f"escape speed {self.speed:.4g}, found by {self.reached:.0%} of {len(self.speeds)} starts; bottleneck rank "
            f"{self.rank}; s1/s2 of the layers from the second on is {least:.3g} at least"
            + ("" if self.verdict().ok else f". Too few agree: {self.verdict().next}")
        )


@cites(5, "Section 3: optimal escape directions")
def escape(
    depth: int,
    width: int | Sequence[int],
    data: tuple[ArrayLike | Tensor, ArrayLike | Tensor],
    *,
    loss: Loss = "mse",
    starts: int = 48,
    steps: int = 800,
    seed: int = 0,
) -> Escape:
    """Return the direction in which a deep ReLU network without biases leaves the origin fastest.

    Near the origin the loss is C(0) + L_0 with L_0 = <G, f>, G the gradient of the loss at outputs zero; L_0 is
    homogeneous, and the fastest direction is its minimum over layers of norm 1.

    Args:
        depth: Weight matrices.
        width: Of all hidden layers, or of each.
        data: Inputs, shape (samples, features), and targets, shape (samples,) or (samples, outputs).
        loss: "mse" (half the squared distance, mean over samples), "cross_entropy" (targets are classes), or a function
            of outputs and targets that gives a mean over samples.
        starts: Random starts of the ascent, computed at once.
        steps: Of each.
        seed: Of the starts.

    Raises:
        TheoryError: Data do not fit, the targets are fit at the origin, or no start finds a way out.

    Example:
        One linear layer leaves along the gradient itself.

        >>> found = escape(1, (), ([[1.0, 0.0], [0.0, 1.0]], [3.0, 4.0]), starts=2, steps=100)
        >>> round(found.speed, 3)
        2.5

    Source: paper 5 (arXiv 2505.21722), Section 3.

    Cost: starts x steps forward and backward passes on the data, vectorized over the starts.
    """
    made = relu_task(depth, width, data, loss=loss)
    return _escape(made, starts=starts, steps=steps, seed=seed)


@cites(5, "Section 3: optimal escape directions, of any homogeneous network")
def escape_of(
    network: nn.Module,
    data: tuple[ArrayLike | Tensor, ArrayLike | Tensor],
    *,
    loss: Loss = "mse",
    starts: int = 48,
    steps: int = 800,
    seed: int = 0,
) -> Escape:
    """Return the direction in which a network of the user's leaves the origin fastest.

    Args:
        network: A module whose outputs are homogeneous of degree one in every parameter that is trained (linear layers
            and convolutions without biases, ReLU, pooling). It is not changed.
        data: Inputs, shape (samples, ...), and targets.
        loss: As of `escape`.
        starts: Random starts of the ascent, computed at once.
        steps: Of each.
        seed: Of the starts.

    Raises:
        TheoryError: As of `escape`; or the network is not homogeneous in a parameter, which is named.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 8, bias=False), nn.ReLU(), nn.Linear(8, 1, bias=False))
        >>> escape_of(net, ([[1.0, 0.0], [0.0, 1.0]], [3.0, 4.0]), steps=300).depth
        2
    """
    return _escape(homogeneous_task(network, data, loss=loss), starts=starts, steps=steps, seed=seed)


def speed_of(task: Task, weights: Mapping[str, Tensor] | nn.Module) -> float:
    """Return -L_0 of some weights with every layer scaled to norm 1; 0 where a layer is zero.

    Raises:
        TheoryError: The weights are not of the task's network.
    """
    with torch.no_grad():
        own = task.read(weights)
        if not all(w.norm() > 0 for w in own.values()):
            return 0.0
        return -float(task.leading_loss({name: w / w.norm() for name, w in own.items()}))


def _escape(made: Task, *, starts: int, steps: int, seed: int) -> Escape:
    whole("starts", starts)
    whole("steps", steps)
    weights = _ascend(made, _starts(made, starts, seed), steps)
    with torch.no_grad():
        speeds = -vmap(made.leading_loss)(weights)
    speeds = torch.where(torch.isfinite(speeds), speeds, 0).clamp(min=0)
    best = int(speeds.argmax())
    speed = float(speeds[best])
    if not speed > 0:
        raise TheoryError(
            f"none of {starts} starts found a way out of the origin: all came to a speed of 0. Either every ReLU is off "
            "on these inputs or more starts are needed (starts=)."
        )
    chosen = {name: w[best].clone() for name, w in weights.items()}
    falling = np.sort(speeds.numpy())[::-1].copy()
    return Escape(speed, chosen, falling, layer_ranks(made, chosen), made)


def _starts(made: Task, starts: int, seed: int) -> Weights:
    generator = torch_generator(seed, "escape")
    drawn = [made.random_weights(generator) for _ in range(starts)]
    return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}


def _ascend(made: Task, weights: Weights, steps: int) -> Weights:
    """Go down L_0 on the product of unit spheres, all starts at once, with steps that shrink."""
    slope = vmap(grad_and_value(made.leading_loss))
    for step in range(steps):
        gradients, _ = slope(weights)
        rate = _FIRST_STEP * (1 - step / steps) ** 2 + _LAST_STEP
        weights = {name: _unit(w - rate * _unit(gradients[name])) for name, w in weights.items()}
    return weights


def _unit(batch: Tensor) -> Tensor:
    norms = batch.flatten(1).norm(dim=1).clamp(min=1e-300)
    return batch / norms.reshape(-1, *[1] * (batch.ndim - 1))
