"""How the optimizers of torch.optim turn a gradient into a step: the threshold of their momentum, their factor per entry.

With its state held fixed, each of them is linear: entry i of a step is -lr p_i times an average over time of the
gradient's entry i. The threshold comes from the average, p from the state.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, optim

from similitude.core.errors import CurvatureError

Group = Mapping[str, Any]
State = Mapping[str, Any]


@dataclass(frozen=True)
class Law:
    """The threshold that the momentum of an optimizer leaves.

    Attributes:
        name: What the method is called.
        threshold: The largest learning rate times curvature at which oscillations die out.
        formula: The threshold as text, in the names of the optimizer's options.
    """

    name: str
    threshold: float
    formula: str


@dataclass(frozen=True)
class Preconditioner:
    """What one class of torch.optim does with a gradient.

    Attributes:
        law: The threshold, from the options of a parameter group.
        factor: Factor p per entry, from the options of a parameter group and the state of one parameter: the step that
            comes out of a steady gradient is lr p gradient, without the learning rate.
        needs: Names in a parameter's state that `factor` reads; there after the first step.
        decoupled: Whether weight decay shrinks the weights beside the step; otherwise it is added to the gradient.
    """

    law: Callable[[Group], Law]
    factor: Callable[[Group, State], Tensor]
    needs: tuple[str, ...] = ()
    decoupled: Callable[[Group], bool] = lambda group: bool(group.get("decoupled_weight_decay", False))


def preconditioner_of(optimizer: optim.Optimizer) -> Preconditioner | None:
    """Find the entry of the class whose code makes an optimizer's steps; None where it is none of those known.

    A subclass that only changes defaults counts as its parent, one with a `step` of its own does not.
    """
    own = inspect.unwrap(type(optimizer).step)
    return next((entry for cls, entry in _KNOWN.items() if inspect.unwrap(cls.step) is own), None)


def step_count(state: State) -> float:
    """Return how many steps a parameter's state has seen; 0 where it keeps no count."""
    return float(state.get("step", 0))


def _floats(state: State, name: str) -> Tensor:
    """Read a tensor of the state in float32 at least: half precision would lose eps."""
    value = state[name].detach()
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _beta(group: Group, index: int) -> float:
    return float(group["betas"][index])


def _damped(momentum: float, name: str) -> float:
    if not momentum < 1:
        raise CurvatureError(
            f"{name} is {momentum:g}: oscillations are damped by momentum below 1 only, and no learning rate is stable. "
            "Use a smaller one."
        )
    return momentum


def _sgd_law(group: Group) -> Law:
    b, dampening = _damped(float(group["momentum"]), "momentum"), float(group["dampening"])
    if b == 0:
        return Law("gradient descent", 2.0, "2")
    if group["nesterov"]:
        return Law("Nesterov", (2 + 2 * b) / (1 + 2 * b), f"(2 + 2b) / (1 + 2b), momentum b = {b:g}")
    if not dampening < 1:
        raise CurvatureError(
            f"dampening is {dampening:g}: the momentum takes up 1 - dampening = {1 - dampening:g} of a gradient, so that "
            "steps do not follow it down. Use a dampening below 1."
        )
    formula = f"2 (1 + b) / (1 - d), momentum b = {b:g}, dampening d = {dampening:g}"
    if dampening == 0:
        formula = f"2 (1 + b), momentum b = {b:g}"
    return Law("heavy ball", 2 * (1 + b) / (1 - dampening), formula)


def _averaging_law(name: str) -> Callable[[Group], Law]:
    """Make the law of a method that averages gradients with weights (1 - beta1) beta1^k."""

    def law(group: Group) -> Law:
        b = _beta(group, 0)
        return Law(name, 2 * (1 + b) / (1 - b), f"(2 + 2 beta1) / (1 - beta1), beta1 = {b:g}")

    return law


def _nadam_law(group: Group) -> Law:
    b = _beta(group, 0)
    formula = f"(2 + 2 beta1) / ((1 - beta1) (1 + 2 beta1)), beta1 = {b:g}"
    return Law("NAdam", 2 * (1 + b) / ((1 - b) * (1 + 2 * b)), formula)


def _rmsprop_law(group: Group) -> Law:
    b = _damped(float(group["momentum"]), "momentum")
    return Law("RMSprop", 2 * (1 + b), "2" if b == 0 else f"2 (1 + b), momentum b = {b:g}")


def _adam_factor(group: Group, state: State) -> Tensor:
    t = step_count(state)
    second = _floats(state, "max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq")
    root = second.sqrt() / (1 - _beta(group, 1) ** t) ** 0.5
    return 1 / ((root + float(group["eps"])) * (1 - _beta(group, 0) ** t))


def _adamax_factor(group: Group, state: State) -> Tensor:
    return 1 / (_floats(state, "exp_inf") * (1 - _beta(group, 0) ** step_count(state)))


def _nadam_factor(group: Group, state: State) -> Tensor:
    """Return NAdam's factor, with what its schedule of momenta has not reached yet counted in.

    A step is (c1 g + c2 m) / (root + eps). A gradient that changes its sign every time enters with weight
    c1 + c2 (1 - b) / (1 + b), which ends at (1 - b) (1 + 2b) / (1 + b): the factor is their ratio.
    """
    t, b, decay = step_count(state), _beta(group, 0), float(group["momentum_decay"])
    mu, following = (b * (1 - 0.5 * 0.96 ** (s * decay)) for s in (t, t + 1))
    product = float(state["mu_product"])
    fresh, averaged = (1 - mu) / (1 - product), following / (1 - product * following)
    weight = fresh + averaged * (1 - b) / (1 + b)
    root = (_floats(state, "exp_avg_sq") / (1 - _beta(group, 1) ** t)).sqrt()
    return weight * (1 + b) / ((1 - b) * (1 + 2 * b)) / (root + float(group["eps"]))


def _radam_factor(group: Group, state: State) -> Tensor:
    """Return RAdam's factor: none of its own in the first steps, whose second moment it does not trust yet."""
    t, b2 = step_count(state), _beta(group, 1)
    second, unbias = _floats(state, "exp_avg_sq"), 1 - b2**t
    most = 2 / (1 - b2) - 1
    length = most - 2 * t * b2**t / unbias
    momentum = 1 - _beta(group, 0) ** t
    if length <= 5:
        return torch.full_like(second, 1 / momentum)
    trust = ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
    return trust * unbias**0.5 / ((second.sqrt() + float(group["eps"])) * momentum)


def _rmsprop_factor(group: Group, state: State) -> Tensor:
    second = _floats(state, "square_avg")
    if group["centered"]:
        second = second - _floats(state, "grad_avg") ** 2
    return 1 / (second.sqrt() + float(group["eps"]))


def _adagrad_factor(group: Group, state: State) -> Tensor:
    slower = 1 + (step_count(state) - 1) * float(group["lr_decay"])
    return 1 / ((_floats(state, "sum").sqrt() + float(group["eps"])) * slower)


# Adam.step is AdamW's too; which of the two it is stands in the groups.
_KNOWN: dict[type[optim.Optimizer], Preconditioner] = {
    optim.SGD: Preconditioner(_sgd_law, lambda group, state: torch.ones(())),
    optim.Adam: Preconditioner(_averaging_law("Adam"), _adam_factor, ("exp_avg_sq", "step")),
    optim.Adamax: Preconditioner(_averaging_law("Adamax"), _adamax_factor, ("exp_inf", "step")),
    optim.NAdam: Preconditioner(_nadam_law, _nadam_factor, ("exp_avg_sq", "mu_product", "step")),
    optim.RAdam: Preconditioner(_averaging_law("RAdam"), _radam_factor, ("exp_avg_sq", "step")),
    optim.RMSprop: Preconditioner(_rmsprop_law, _rmsprop_factor, ("square_avg", "step")),
    optim.Adagrad: Preconditioner(lambda group: Law("Adagrad", 2.0, "2"), _adagrad_factor, ("sum", "step")),
}

KNOWN_NAMES = ", ".join(sorted([*(cls.__name__ for cls in _KNOWN), "AdamW"]))
