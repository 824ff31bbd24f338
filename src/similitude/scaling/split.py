"""Train the matrices of a model by one optimizer and everything else by another, as one optimizer object.

Muon and its kin take the matrices inside the network only; which ones these are follows from the plan's roles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.apply import group, trainable
from similitude.scaling.axes import some
from similitude.scaling.decay_groups import named_tensors, without_decay
from similitude.scaling.factors import MATRIX_ROLES, for_optimizer, is_matrix
from similitude.scaling.records import Plan

MakeOptimizer = Callable[..., torch.optim.Optimizer]


class SplitOptimizer(torch.optim.Optimizer):
    """Several optimizers that act as one, each on its own parameter groups.

    The groups and the state are the parts' own, not copies: a scheduler that sets a learning rate here sets
    it there, and `state_dict` and `load_state_dict` hold everything. Make one with `similitude.split`.

    Attributes:
        parts: The optimizers, in the order of the groups.
    """

    parts: tuple[torch.optim.Optimizer, ...]
    _counts: tuple[int, ...]  # tensors of each group, as they were given

    def __init__(self, parts: tuple[torch.optim.Optimizer, ...]) -> None:
        self.parts = ()
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts
        self._counts = tuple(len(group["params"]) for group in self.param_groups)
        for part in parts:
            self.state.update(part.state)  # some classes (Adagrad) have state before the first step
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Let every part make its step.

        Args:
            closure: Computes the loss and its gradients anew; called once, before the first part's step.

        Returns:
            What the closure returned; None without one.

        Raises:
            PlanError: The groups were rearranged by hand, see `check_groups`.
        """
        self.check_groups()
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all parts as that of one optimizer.

        Raises:
            PlanError: The groups were rearranged by hand, see `check_groups`.
        """
        self.check_groups()
        return super().state_dict()

    def check_groups(self) -> None:
        """Raise if the groups are not the parts' own any more, for what is in no part is not trained.

        Values of a group (its learning rate, its weight decay) may be set freely.

        Raises:
            PlanError: A group was added, removed, moved or copied by hand, or tensors were put into one or taken out.
        """
        theirs = [group for part in self.parts for group in part.param_groups]
        here = self.param_groups
        same = len(here) == len(theirs) and all(a is b for a, b in zip(here, theirs, strict=True))
        counts = tuple(len(group["params"]) for group in theirs)
        if same and counts == self._counts:
            return
        seen = f"{len(here)} groups in place of {len(theirs)}, or others in their place"
        if same:
            i = next(i for i, (a, b) in enumerate(zip(counts, self._counts, strict=True)) if a != b)
            seen = f"group {i} has {counts[i]} tensors in place of {self._counts[i]}"
        names = " and ".join(type(part).__name__ for part in self.parts)
        raise PlanError(
            f"the groups of this optimizer, which is split between {names}, were rearranged by hand: {seen}. A tensor "
            "outside of the parts' own groups is silently not trained. Split again; leave tensors without weight decay "
            "by similitude.split(..., no_decay=[names]), freeze them by requires_grad_(False) before, and set values in "
            'place: group["lr"] = ...'
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse a group that is added later, for nothing says which part it belongs to.

        Raises:
            PlanError: Always, once the optimizer is made.
        """
        if self.parts:
            names = " and ".join(type(part).__name__ for part in self.parts)
            raise PlanError(
                f"this optimizer is split between {names}: a group that is added later belongs to neither. Make "
                "the plan for the whole model and split it again."
            )
        super().add_param_group(param_group)

    def train(self) -> None:
        """Put the parts that have a training mode, as schedule-free optimizers do, into it."""
        self._switch("train")

    def eval(self) -> None:
        """Put the parts that have an evaluation mode, as schedule-free optimizers do, into it."""
        self._switch("eval")

    def _switch(self, mode: str) -> None:
        for part in self.parts:
            switch = getattr(part, mode, None)
            if callable(switch):
                switch()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "parts": self.parts, "_counts": self._counts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Give every part its groups and the common state; the groups stand in the parts' order."""
        start = 0
        for part in self.parts:
            groups = self.param_groups[start : start + len(part.param_groups)]
            start += len(groups)
            # The part's own method mends what older versions of its class saved; it expects its own state alone.
            own = {p: self.state[p] for group in groups for p in group["params"] if p in self.state}
            part.__setstate__({"state": own, "param_groups": groups})
            part.state = self.state


def split(
    plan: Plan,
    model: nn.Module,
    *,
    lr: float | torch.Tensor,
    rest_lr: float | torch.Tensor,
    matrix: MakeOptimizer | None = None,
    rest: MakeOptimizer = torch.optim.AdamW,
    matrix_options: Mapping[str, Any] | None = None,
    rest_options: Mapping[str, Any] | None = None,
    no_decay: Collection[str] = (),
    **defaults: Any,
) -> SplitOptimizer:
    """Make one optimizer that trains matrices by one class and everything else by another.

    Matrices are the tensors of role "hidden" or "bottleneck" that are stored with two dimensions; heads,
    embeddings, vectors, convolutions and stacks of experts are the rest. Each side has the plan's factors for
    its own optimizer, whatever optimizer the plan was made for.

    Args:
        plan: The plan that was applied to the model.
        model: The target.
        lr: Learning rate of the matrices, as tuned at the base.
        rest_lr: Learning rate of everything else, as tuned at the base.
        matrix: Optimizer of the matrices: a class or a `functools.partial` of one. `torch.optim.Muon` where
            none is given.
        rest: Optimizer of everything else.
        matrix_options: Options of `matrix` as tuned at the base (`weight_decay`, `momentum`, ...).
        rest_options: Options of `rest` as tuned at the base (`weight_decay`, `betas`, ...).
        no_decay: Names of tensors that get no weight decay, in groups of their own:
            `[name for name, p in model.named_parameters() if p.ndim < 2]`.
        **defaults: Options of whichever of the two takes them (`weight_decay=0.1` for both), unless it has its own.

    Returns:
        An optimizer whose groups hold each factor on the learning rate as "lr_factor". Learning-rate
        schedulers, gradient scalers, closures and state dicts work as for any other.

    Raises:
        RoleError: A tensor of the plan or a trainable tensor of the model was refused.
        PlanError: The plan has no trainable matrices, the model is not the target, or an optimizer, an
            option or a tensor of `no_decay` does not exist.

    Example:
        `optimizer = sim.split(plan, model, lr=0.02, rest_lr=3e-3, rest_options={"weight_decay": 0.1})`
    """
    plan.raise_if_bad()
    tensors = trainable(plan, model)
    roles = {name: row.role for row in plan.rows for name in (row.name, *row.aliases)}
    matrices = {n: p for n, p in tensors.items() if is_matrix(roles[n], tuple(p.shape))}
    if not matrices:
        raise PlanError(
            f"none of the {len(tensors)} trainable tensors is a matrix inside the network (role "
            f"{' or '.join(MATRIX_ROLES)}, two dimensions), so there is nothing to split. Train the model by "
            "one optimizer: plan.groups(model, lr=...)."
        )
    others = {n: p for n, p in tensors.items() if n not in matrices}
    number = rest_lr.item() if isinstance(rest_lr, torch.Tensor) and rest_lr.numel() == 1 else rest_lr
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number < math.inf:
        raise PlanError(
            f"rest_lr={rest_lr!r} is not a learning rate. Pass a positive number, as tuned at the base."
        )
    sides = [
        (_bind(matrix or _muon(), matrix_options), matrix_options, matrices, lr),
        (_bind(rest, rest_options), rest_options, others, rest_lr),
    ]
    exempt = named_tensors(model, no_decay, argument="no_decay")
    parts, taken = [], set()
    for make, own, side, rate in sides:
        planned = for_optimizer(plan, make)
        if planned.family == "orthogonalized" and side is others:
            raise PlanError(
                f"rest={planned.optimizer} takes matrices only, but the rest has vectors, heads or embeddings. "
                "Pass an optimizer such as torch.optim.AdamW."
            )
        options = {
            name: v for name, v in defaults.items() if name in planned.defaults and name not in (own or {})
        }
        taken |= planned.defaults.keys()
        if side:
            groups = group(planned, side, lr=rate, options=options)
            parts.append(
                make(without_decay(groups, exempt) if "weight_decay" in planned.defaults else groups)
            )
    unknown = [name for name in defaults if name not in taken]
    if unknown:
        raise PlanError(
            f"neither optimizer takes {some(unknown)}. They take {', '.join(sorted(taken))}; options of one of them "
            "may also go into matrix_options or rest_options."
        )
    return SplitOptimizer(tuple(parts))


def _bind(make: MakeOptimizer, options: Mapping[str, Any] | None) -> MakeOptimizer:
    """Fix an optimizer's options, so that they are the defaults that the plan's factors act on."""
    if isinstance(make, torch.optim.Optimizer):
        name = type(make).__name__
        raise PlanError(
            f"the optimizer {name} is made already, on parameters of its own. Pass the class {name}, or "
            f"functools.partial({name}, ...) with its options."
        )
    if options and "lr" in options:
        raise PlanError(
            "a learning rate among the options has no effect. Pass lr=... for the matrices and rest_lr=... for "
            "everything else."
        )
    return partial(make, **options) if options else make


def _muon() -> MakeOptimizer:
    muon = getattr(torch.optim, "Muon", None)
    if muon is None:
        raise PlanError(
            f"torch {torch.__version__} has no torch.optim.Muon, which came with 2.9. Pass another optimizer of "
            "matrices: matrix=..."
        )
    return muon
