"""What a plan needs to know about an optimizer: its family, how it decays weights, and its defaults.

Classes of torch.optim are derived; every other class, and every subclass with a step of its own, is measured.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, optim

from similitude.core.errors import PlanError
from similitude.scaling.geometry import as_plain, measure_optimizer
from similitude.scaling.measured import MeasuredOptimizer
from similitude.scaling.registration import Registration
from similitude.scaling.rules import FAMILIES
from similitude.scaling.shape_laws import CONSTANT, TALL, WIDE, ShapeLaw
from similitude.scaling.trial import OptimizerLike, instantiate

Decay = Literal["shrink", "gradient", "fixed", "none"]

_SUPPORTED = (
    "the classes of torch.optim except Adadelta, LBFGS and SparseAdam, and every optimizer whose steps, when "
    "measured, follow a law of the tensor's shape (similitude.measure_optimizer)"
)
# Each divides the gradient, entry by entry, by a mean of its own size: steps have entries of about lr.
_ENTRYWISE = (optim.Adam, optim.NAdam, optim.Adamax, optim.RMSprop, optim.Adagrad, optim.RAdam, optim.Rprop)
_MUON: tuple[type[optim.Optimizer], ...] = tuple(filter(None, (getattr(optim, "Muon", None),)))
_ADAFACTOR: tuple[type[optim.Optimizer], ...] = tuple(filter(None, (getattr(optim, "Adafactor", None),)))
_HOW = ("lr", "foreach", "fused", "capturable", "differentiable")
_RADAM_SETTLING = (
    5  # steps before the variance of RAdam's second moment is tractable, for betas[1] of 0.99 or more
)


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as the rules see it.

    Attributes:
        name: Its class name.
        family: One of `similitude.scaling.rules.FAMILIES`.
        decay: "shrink" where a step multiplies a weight by (1 - lr x weight decay): AdamW, Muon, and SGD,
            which adds weight decay x weight to a gradient that it does not normalize. A factor on the weight
            decay then keeps lr x weight decay fixed. "gradient" where the decay is normalized together with
            the gradient (Adam), so that no factor makes it transfer. "fixed" where a step multiplies a weight by
            (1 - weight decay) whatever the learning rate, "none" where there is no decay, or one of no known law: the
            number stays.
        defaults: Values that a parameter group takes when it does not set them; their names are the options
            that a group may set.
        warnings: What breaks the symmetry that folding uses, or does not transfer. Each begins with the
            optimizer's name.
        relative: Whether a step is proportional to the tensor's own root mean square (Adafactor, LARS, LAMB), so
            that the learning rate needs what the rule asks for over what the tensor's own size grows by.
        eps_power: The k such that eps x c^k belongs to a gradient that is c times as large.
        law: How the spectral norm of a step on a matrix grows with its shape, for the family "orthogonalized".
        vector_family: Family of steps on tensors of fewer than two dimensions; that of matrices where it is empty.
        settling: How many of the first steps follow another law.
        measured: Whether all this was measured, and neither derived nor registered.
        chosen: Names of those defaults that are not the class's own, as of a `functools.partial`. A plan's groups set
            them, so that the class itself, given the groups, trains with them.
    """

    name: str
    family: str
    decay: Decay
    defaults: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    relative: bool = False
    eps_power: float = 1.0
    law: ShapeLaw = CONSTANT
    vector_family: str = ""
    settling: int = 0
    measured: bool = False
    chosen: tuple[str, ...] = ()

    def adjustment(self, base_shape: tuple[int, ...], shape: tuple[int, ...]) -> float:
        """Return by how much more the optimizer itself scales the step of a tensor for its shape.

        Muon does: `adjust_lr_fn="original"` (its default) gives a step sqrt(max(1, rows / columns)),
        "match_rms_adamw" 0.2 sqrt(max(rows, columns)). Other optimizers of matrices do as was measured. A plan
        divides its factor on the learning rate by the ratio of the two sizes.

        Args:
            base_shape: Shape of the tensor at the base.
            shape: Shape of the tensor at the target.

        Returns:
            The scale at the target over that at the base; 1 for optimizers of other families, and for tensors that
            are no matrices.

        Example:
            >>> resolve(torch.optim.AdamW).adjustment((8, 8), (32, 8))
            1.0
        """
        if self.family != "orthogonalized" or len(shape) != 2:
            return 1.0
        return self.law.ratio(base_shape, shape)


MakeSpec = Callable[[torch.optim.Optimizer], OptimizerSpec]

_registered: WeakKeyDictionary[type[torch.optim.Optimizer], OptimizerSpec | MakeSpec] = WeakKeyDictionary()
# What was measured, by class and options: plans, checks and splits ask for the same optimizer again and again.
_measured: WeakKeyDictionary[type[torch.optim.Optimizer], dict[str, MeasuredOptimizer]] = WeakKeyDictionary()


def register_optimizer(
    cls: type[torch.optim.Optimizer], spec: OptimizerSpec | MakeSpec, *, replace: bool = False
) -> Registration:
    """Say what an optimizer class does, in place of a derivation or measurement of ours.

    Test what is said with `similitude.testing.OptimizerTests`.

    Args:
        cls: The class; subclasses that leave its `step` as it is count as well.
        spec: The specification, or a function of an instance where it depends on options. The name and, where the
            specification has none, the defaults are the instance's own.
        replace: Whether what was said of the class before is replaced.

    Returns:
        A handle that takes it back: `with register_optimizer(...):` in tests.

    Raises:
        PlanError: `cls` is not an optimizer class or is registered already, or the family does not exist.

    Example:
        >>> class Sign(torch.optim.SGD):
        ...     '''Steps along the sign of the gradient.'''
        >>> with register_optimizer(Sign, OptimizerSpec("Sign", "entrywise", "none", {})):
        ...     resolve(Sign).family
        'entrywise'
    """
    if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
        raise PlanError(f"{cls!r} is not an optimizer class. Register the class itself, not an instance.")
    if isinstance(spec, OptimizerSpec):
        _known_family(spec, cls)
    elif not callable(spec):
        raise PlanError(
            f"{cls.__name__} cannot be registered with a {type(spec).__name__}. Pass an OptimizerSpec, or a function of "
            "an instance that returns one."
        )
    before = _registered.get(cls)
    if before is not None and not replace:
        raise PlanError(
            f"{cls.__name__} is registered already. Pass replace=True if this is to take the place of what was said."
        )

    def undo() -> None:
        _registered.pop(cls, None)
        if before is not None:
            _registered[cls] = before

    _registered[cls] = spec
    return Registration(undo)


def resolve(optimizer: OptimizerLike) -> OptimizerSpec:
    """Tell an optimizer's family and defaults.

    Args:
        optimizer: A class, an instance, a `functools.partial`, or any callable that takes parameters and
            returns an optimizer. A class or callable is called with throw-away tensors.

    Raises:
        PlanError: It is not an optimizer, cannot be called with parameters alone, or has no rule.

    Example:
        >>> resolve(torch.optim.AdamW).family
        'entrywise'

    Cost: nothing for classes of torch.optim; about a second, once, for others.
    """
    instance = optimizer
    if not isinstance(instance, torch.optim.Optimizer):
        instance = instantiate(optimizer, [torch.nn.Parameter(torch.zeros(1, 1, device="cpu"))])
    found = _by_registry(instance) or _derived(instance) or _by_measurement(optimizer, instance)
    return changed(found, chosen=_chosen(instance, found.defaults))


def _chosen(instance: torch.optim.Optimizer, defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which options have another value than the class gives them, except those of how a step is computed."""
    own = inspect.signature(type(instance)).parameters
    return tuple(
        name
        for name, value in instance.defaults.items()
        if name in own
        and name in defaults
        and name not in _HOW
        and own[name].default is not inspect.Parameter.empty
        and as_plain(own[name].default) != as_plain(value)
    )


def _derived(instance: torch.optim.Optimizer) -> OptimizerSpec | None:
    """Return what is known of a class of torch.optim; None for others and for steps that were replaced."""
    name = type(instance).__name__
    defaults = {k: as_plain(v) for k, v in instance.defaults.items() if k != "lr"}
    if _steps_as(instance, (optim.SGD,)):
        return OptimizerSpec(name, "sgd", "shrink", defaults)
    if _steps_as(instance, (optim.ASGD,)):
        text = f"{name} also shrinks every weight by lr x lambd, and its rate falls with lr x lambd: neither is scaled"
        return OptimizerSpec(name, "sgd", "shrink", defaults, (text,))
    if _steps_as(instance, _MUON):
        warning = (
            f"{name} orthogonalizes in bfloat16, so a folded forward multiplier that is not a power of two "
            "changes a step by rounding (a few percent); its law is the same"
        )
        law = WIDE if defaults.get("adjust_lr_fn") == "match_rms_adamw" else TALL
        return OptimizerSpec(name, "orthogonalized", "shrink", defaults, (warning,), law=law)
    if _steps_as(instance, _ADAFACTOR):
        text = (
            f"{name} makes steps in proportion to a tensor's own root mean square, but at least to eps[1]: tensors that "
            "start at zero or near it follow that bound, and no factor of width, until they have grown"
        )
        return OptimizerSpec(name, "entrywise", "shrink", defaults, (text,), relative=True)
    if not _steps_as(instance, _ENTRYWISE):
        return None
    decay: Decay = "gradient" if "weight_decay" in defaults else "none"
    if isinstance(instance, optim.AdamW) or defaults.get("decoupled_weight_decay"):
        decay = "shrink"
    settling = _RADAM_SETTLING if isinstance(instance, optim.RAdam) else 0
    return OptimizerSpec(
        name, "entrywise", decay, defaults, _warnings(name, decay, defaults, settling), settling=settling
    )


def _by_registry(instance: torch.optim.Optimizer) -> OptimizerSpec | None:
    for cls in type(instance).__mro__:
        made = _registered.get(cls) if issubclass(cls, torch.optim.Optimizer) else None
        if made is not None and _steps_as(instance, (cls,)):
            spec = made if isinstance(made, OptimizerSpec) else made(instance)
            _known_family(spec, cls)
            own = {k: as_plain(v) for k, v in instance.defaults.items() if k != "lr"}
            return changed(spec, name=type(instance).__name__, defaults=spec.defaults or own)
    return None


def _by_measurement(optimizer: OptimizerLike, instance: torch.optim.Optimizer) -> OptimizerSpec:
    key = _options(instance)
    if key is None:
        return _spec_of(measure_optimizer(optimizer))
    known = _measured.setdefault(type(instance), {})
    if key not in known:
        known[key] = measure_optimizer(optimizer)
    return _spec_of(known[key])


def _spec_of(found: MeasuredOptimizer) -> OptimizerSpec:
    """Turn a measurement into what the rules need, or raise."""
    family, reason, vectors = found.family, found.reason, found.vectors
    if vectors == "refused" and not reason and family != "orthogonalized":
        # What takes matrices alone is one side of `similitude.split`, whatever the law of its matrices.
        if family == "entrywise" and not found.relative:
            family = "orthogonalized"
        else:
            reason = "it makes no steps on vectors, or steps that follow no law"
    if reason:
        raise PlanError(
            f"optimizer {found.name} has no rule yet: {reason}. Supported are {_SUPPORTED}. If you know its law, say it: "
            "similitude.scaling.optimizers.register_optimizer."
        )
    known = "none" if found.decay == "other" else found.decay
    decay: Decay = next(kind for kind in ("shrink", "gradient", "fixed", "none") if kind == known)
    other = (
        f"{found.name}'s weight decay follows no law that is known here, so no factor is made for it: the number stays "
        "as it is",
    )
    text = (
        f"{found.name} was measured: the spectral norm of a step grows as {found.law} (within "
        f"{100 * (found.residual or 0.0):.1f} %){', relative to the tensor itself' if found.relative else ''}, so it has "
        f"the factors of the family {family}"
    )
    power = found.exponents.get("eps")
    return OptimizerSpec(
        found.name,
        family,
        decay,
        found.defaults,
        (
            text,
            *found.warnings,
            *(other if found.decay == "other" else ()),
            *_warnings(found.name, decay, found.defaults, 0),
        ),
        relative=found.relative,
        eps_power=1.0 if power is None else float(round(power)),
        law=found.shape_law,
        vector_family=vectors if family != "orthogonalized" and vectors != family else "",
        settling=found.settling,
        measured=True,
    )


def _options(instance: torch.optim.Optimizer) -> str | None:
    """Write down everything that may tell two instances of a class apart; None where it holds what has no text."""
    base = vars(optim.SGD([torch.zeros(1)])).keys()
    own = {name: value for name, value in vars(instance).items() if name not in base}
    groups = [{k: v for k, v in group.items() if k != "params"} for group in instance.param_groups]
    values = [*own.values(), *(value for group in groups for value in group.values())]
    if not all(isinstance(value, int | float | str | tuple | list | Tensor | None) for value in values):
        return None
    return repr((own, groups))


def _steps_as(instance: torch.optim.Optimizer, classes: tuple[type[torch.optim.Optimizer], ...]) -> bool:
    """Tell whether an optimizer is of one of some classes, and makes its steps by that class's own code."""
    own = inspect.unwrap(type(instance).step)
    return any(
        isinstance(instance, cls) and own is inspect.unwrap(_parent(instance, cls).step) for cls in classes
    )


def _parent(instance: torch.optim.Optimizer, cls: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return the class whose step counts as a class's own: its nearest heir within torch.optim (AdamW for Adam)."""
    heirs = (
        c for c in type(instance).__mro__ if issubclass(c, cls) and c.__module__.startswith("torch.optim.")
    )
    return next(heirs, cls)


def _known_family(spec: OptimizerSpec, cls: type) -> None:
    if spec.family not in FAMILIES:
        raise PlanError(
            f"{cls.__name__} cannot have the family {spec.family!r}. Choose one of {', '.join(map(repr, FAMILIES))}."
        )


def _warnings(name: str, decay: Decay, defaults: Mapping[str, Any], settling: int) -> tuple[str, ...]:
    found = []
    if decay == "gradient":
        found.append(
            f"{name} normalizes weight decay together with the gradient: no factor transfers it, so it stays "
            "as it is. AdamW's transfers"
        )
    if defaults.get("initial_accumulator_value"):
        found.append(
            f"{name} starts from initial_accumulator_value={defaults['initial_accumulator_value']:g}, which "
            "is compared with squared gradients and not scaled with them. Set it to 0"
        )
    if settling:
        found.append(
            f"{name} follows the raw gradient in its first {settling} steps, which falls with the width, and not the "
            "normalized one that the factors are for: a warm-up whose steps are smaller in wider networks. A check "
            "needs a few times as many steps"
        )
    if "step_sizes" in defaults:
        found.append(
            f"{name} bounds its steps by step_sizes={defaults['step_sizes']}, which no factor scales"
        )
    return tuple(found)
