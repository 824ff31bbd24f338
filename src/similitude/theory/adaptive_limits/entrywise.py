"""Entrywise optimizers as theory sees them: w <- w - lr Q(g_0, ..., g_t), entry by entry (paper 14, Section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, optim

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.scaling.trial import OptimizerLike, instantiate
from similitude.theory.finite_width.given import number

State = tuple[Any, ...]
"""What an optimizer remembers of all gradients so far; empty before the first."""

_PASS_OWN = (
    "Pass 'sgd', 'sign', 'adam', 'rmsprop', SGD, Adam, AdamW (weight_decay=0) or RMSprop of torch.optim, or an object of "
    "your own with `linear` and `step(gradient, state) -> (update, state)`"
)


@runtime_checkable
class Entrywise(Protocol):
    """An optimizer whose update of a number depends on the past gradients of that number alone.

    Attributes:
        linear: Whether updates are linear in gradients, as those of SGD with momentum.
    """

    @property
    def linear(self) -> bool:
        """Whether updates are linear in gradients."""
        ...

    def step(self, gradient: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the update Q_t, without the learning rate, and what is remembered.

        Args:
            gradient: Of any shape.
            state: What the last step returned; () at the first.
        """
        ...


@dataclass(frozen=True)
class Momentum:
    """SGD, with momentum as torch.optim.SGD has it.

    Attributes:
        momentum: Share of the buffer that is kept.
        dampening: Share of the gradient that is not added to it.
        nesterov: Whether the gradient is added once more.

    Example:
        >>> rule = Momentum(0.5)
        >>> _, state = rule.step(torch.tensor([2.0]), ())
        >>> rule.step(torch.tensor([2.0]), state)[0].tolist()
        [3.0]
    """

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    @property
    def linear(self) -> bool:
        """True."""
        return True

    def step(self, gradient: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the update and the buffer; see `Entrywise.step`."""
        if not self.momentum:
            return gradient, ()
        buffer = self.momentum * state[0] + (1 - self.dampening) * gradient if state else gradient
        return (gradient + self.momentum * buffer if self.nesterov else buffer), (buffer,)


@dataclass(frozen=True)
class Adaptive:
    """A mean of gradients over the root of a mean of their squares: SignSGD, Adam, RMSprop.

    Attributes:
        betas: Shares that the two means keep; (0, 0) is SignSGD.
        eps: Added to the root, or squared and added under it.
        corrected: Whether the means are corrected for their start at zero, as Adam's are and RMSprop's is not.
        inside: Whether eps^2 stands under the root, which is smooth, as in the paper; torch has eps outside of it.

    Example:
        >>> rule = Adaptive((0.9, 0.99), eps=0.0)
        >>> rule.step(torch.tensor([3.0, 0.0, -0.1]), ())[0].round(decimals=6).tolist()
        [1.0, 0.0, -1.0]
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    corrected: bool = True
    inside: bool = False

    def __post_init__(self) -> None:
        for i, beta in enumerate(self.betas):
            if number(f"betas[{i}]", beta) >= 1:
                raise TheoryError(f"betas[{i}]={beta:g}: a mean keeps a share of less than 1 of itself.")
        number("eps", self.eps)

    @property
    def linear(self) -> bool:
        """False."""
        return False

    def step(self, gradient: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the update, 0 where there was no gradient yet, and the means; see `Entrywise.step`."""
        (first, second), count = self.betas, (state[2] if state else 0) + 1
        m, v = (1 - first) * gradient, (1 - second) * gradient.square()
        if state:
            m, v = m.add_(state[0], alpha=first), v.add_(state[1], alpha=second)
        mean, square = m, v
        if self.corrected:
            mean, square = m / (1 - first**count), v / (1 - second**count)
        root = (square + self.eps**2).sqrt_() if self.inside else square.sqrt().add_(self.eps)
        floor = self.eps**2 if self.inside else self.eps
        update = mean / root if floor > 0 else torch.where(root > 0, mean / root, 0.0)
        return update, (m, v, count)


_NAMED: dict[str, Momentum | Adaptive] = {
    "sgd": Momentum(),
    "sign": Adaptive((0.0, 0.0), eps=0.0),
    "adam": Adaptive(),
    "rmsprop": Adaptive((0.0, 0.99), corrected=False),
}


@cites(14, "Section 2.1: entrywise updates")
def entrywise(optimizer: str | Entrywise | OptimizerLike) -> Entrywise:
    """Read an optimizer as an entrywise one.

    Args:
        optimizer: "sgd", "sign", "adam" or "rmsprop" with the numbers of torch's defaults; a class of torch.optim, an
            instance or a factory, whose betas and eps are taken; or an `Entrywise`.

    Raises:
        TheoryError: Its steps are not entrywise functions of the gradients alone: weight decay, amsgrad and the like; or
            it is not known.

    Example:
        >>> entrywise(torch.optim.Adam)
        Adaptive(betas=(0.9, 0.999), eps=1e-08, corrected=True, inside=False)
    """
    if isinstance(optimizer, str):
        if optimizer not in _NAMED:
            raise TheoryError(f"optimizer {optimizer!r} is unknown. {_PASS_OWN}.")
        return _NAMED[optimizer]
    if isinstance(optimizer, Entrywise):
        return optimizer
    instance = optimizer
    if not isinstance(instance, optim.Optimizer):
        instance = instantiate(optimizer, [torch.nn.Parameter(torch.zeros(1, 1, device="cpu"))])
    name, given = type(instance).__name__, instance.defaults
    rmsprop = type(instance) is optim.RMSprop
    if type(instance) not in (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop):
        raise TheoryError(f"the steps of {name} are not known to be entrywise here. {_PASS_OWN}.")
    refused = ["weight_decay", "maximize", "amsgrad", "centered", *(["momentum"] if rmsprop else [])]
    for option in refused:
        if given.get(option):
            raise TheoryError(
                f"{name} has {option}={given[option]}: its steps are then none of the functions of past gradients that "
                f"the limit is known for. Pass functools.partial(torch.optim.{name}, {option}=0)."
            )
    if type(instance) is optim.SGD:
        return Momentum(float(given["momentum"]), float(given["dampening"]), bool(given["nesterov"]))
    betas = (0.0, float(given["alpha"])) if rmsprop else (float(given["betas"][0]), float(given["betas"][1]))
    return Adaptive(betas, float(given["eps"]), corrected=not rmsprop)
