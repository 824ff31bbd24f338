"""The role of every parameter: from the module that owns it and the dimensions that grow with width."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn

from similitude.core.errors import RoleError
from similitude.scaling.axes import Comparison, TensorPair, Use, some
from similitude.scaling.rules import ROLES

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
# Modules whose matrices are stored as (out, in), apart from biases.
_OUT_IN = (nn.Linear, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
# Sizes that are rounded to multiples grow almost alike; beyond a quarter of the exponent they are
# different dials.
_ALIKE = 0.25


@dataclass(frozen=True)
class Sides:
    """Fan-in and fan-out of a matrix, each as (base, target). Kernel areas are left out: they do not grow."""

    fan_in: tuple[float, float]
    fan_out: tuple[float, float]

    @property
    def r_in(self) -> float:
        """Target over base of the fan-in."""
        return _ratio(self.fan_in)

    @property
    def r_out(self) -> float:
        """Target over base of the fan-out."""
        return _ratio(self.fan_out)

    def __str__(self) -> str:
        return f"{_arrow(self.fan_in)} in, {_arrow(self.fan_out)} out"


@dataclass(frozen=True)
class RoleResult:
    """What one tensor does, or why that cannot be told (`role` is None and `evidence` the reason).

    Attributes:
        name: The tensor's name.
        role: One of `similitude.scaling.rules.ROLES`, or None.
        r_in: Fan-in ratio that the role uses; 1 where the fan-in does not grow.
        r_out: Fan-out ratio that the role uses.
        evidence: What was seen and assumed.
        sides: Fans of a matrix, where the tensor is one.
    """

    name: str
    role: str | None
    r_in: float
    r_out: float
    evidence: str
    sides: Sides | None = None


def infer(comparison: Comparison, roles: Mapping[str, str] | None = None) -> tuple[RoleResult, ...]:
    """Tell the role of every tensor of a comparison, in its order.

    Args:
        comparison: The model family at two sizes.
        roles: Roles that the user knows better, by tensor name or glob; an exact name wins, then the first
            match.

    Raises:
        RoleError: A name in `roles` matches no tensor, or a role does not exist.
    """
    roles = dict(roles or {})
    _check_overrides(roles, [use.name for tensor in comparison.tensors for use in tensor.uses])
    return tuple(_infer_one(tensor, _override(tensor, roles)) for tensor in comparison.tensors)


def _infer_one(tensor: TensorPair, override: str | None) -> RoleResult:
    results = [_of_use(tensor, use) for use in tensor.uses]
    first = results[0]
    if override is not None:
        return _overridden(tensor, override, first.sides)
    if len(results) > 1:
        also = f"; also used as {some(use.name for use in tensor.uses[1:])}"
        refused = next((r for r in results if r.role is None), None)
        if refused is not None:
            return RoleResult(tensor.name, None, 1.0, 1.0, refused.evidence + also)
        if len({(r.role, r.r_in, r.r_out) for r in results}) > 1:
            uses = " and ".join(f"{u.name!r} ({r.role})" for u, r in zip(tensor.uses, results, strict=True))
            reason = (
                f"one tensor with two roles: {uses} are tied, and the roles need different factors. Untie "
                "them (for transformers: tie_word_embeddings=False), or name the role that it shall have: "
                f'roles={{"{tensor.name}": "{first.role}"}}'
            )
            return RoleResult(tensor.name, None, 1.0, 1.0, reason)
        return RoleResult(
            tensor.name, first.role, first.r_in, first.r_out, first.evidence + also, first.sides
        )
    return first


def _of_use(tensor: TensorPair, use: Use) -> RoleResult:
    """Tell the role that a tensor has in one of its uses."""
    name, kind, ratios = use.name, type(use.owner).__name__, tensor.ratios
    dims = " x ".join(_arrow((b, t)) for b, t in zip(tensor.base_shape, tensor.shape, strict=True))
    growing = [r for r in ratios if r != 1.0]
    computed = _computed(use)
    if computed:
        return RoleResult(name, None, 1.0, 1.0, f"{computed}; {_remedy(tensor)}")
    if len(ratios) <= 1:
        if growing:
            return RoleResult(name, "vector", 1.0, growing[0], f"{kind} {use.local}, {dims} long")
        return RoleResult(name, "finite", 1.0, 1.0, f"{kind} {use.local}, does not grow")
    if isinstance(use.owner, nn.Embedding | nn.EmbeddingBag):
        if ratios[0] != 1.0:
            entries = _arrow(_pair(tensor, 0))
            why = f"the number of entries changes, {entries}, which is not a width"
            return RoleResult(
                name, None, 1.0, 1.0, f"{kind} {dims}: {why}. Keep it fixed, or {_remedy(tensor)}"
            )
        role = "lookup" if growing else "finite"
        return RoleResult(name, role, 1.0, ratios[1], f"{kind} of {dims}", Sides((1, 1), _pair(tensor, 1)))
    sides = _sides(tensor, use)
    if sides is not None:
        kernel = ratios[2:] if isinstance(use.owner, _CONV + _TRANSPOSED) else ()
        if any(r != 1.0 for r in kernel):
            reason = f"the kernel of {kind} {dims} changes its size, which is not a width; {_remedy(tensor)}"
            return RoleResult(name, None, 1.0, 1.0, reason)
        return _of_matrix(tensor, name, kind, sides)
    return _of_raw(tensor, name, f"{kind} {use.local} of {dims}")


def _of_matrix(tensor: TensorPair, name: str, kind: str, sides: Sides) -> RoleResult:
    r_in, r_out = sides.r_in, sides.r_out
    if r_in != 1.0 and r_out != 1.0:
        octaves = math.log2(r_in), math.log2(r_out)
        if abs(octaves[0] - octaves[1]) > _ALIKE * max(map(abs, octaves)):
            reason = (
                "could be an output or a hidden matrix: both its sides differ between base and target, and "
                f"not alike (fan-in {_arrow(sides.fan_in)} is x{r_in:.3g}, fan-out {_arrow(sides.fan_out)} "
                f"is x{r_out:.3g}). Keep what is not a width fixed (num_classes, vocabulary), "
                f'or pass roles={{"{tensor.name}": "output"}} (or "hidden")'
            )
            return RoleResult(name, None, 1.0, 1.0, reason, sides)
        role = "hidden"
    else:
        role = "output" if r_in != 1.0 else "input" if r_out != 1.0 else "finite"
    return RoleResult(name, role, r_in, r_out, f"{kind} {sides}", sides)


def _of_raw(tensor: TensorPair, name: str, what: str) -> RoleResult:
    """Tell the role of a tensor of two or more dimensions whose module says nothing about how it is used."""
    grows = [i for i, r in enumerate(tensor.ratios) if r != 1.0]
    if not grows:
        return RoleResult(name, "finite", 1.0, 1.0, f"{what}, does not grow")
    if len(grows) == 1:
        r = tensor.ratios[grows[0]]
        others = [n for i, n in enumerate(tensor.shape) if i != grows[0]]
        if all(n == 1 for n in others):
            return RoleResult(name, "vector", 1.0, r, f"{what}, a vector with broadcast dimensions")
        if tensor.shape[0] == 1 and len(tensor.shape) > 2:
            return RoleResult(
                name,
                "lookup",
                1.0,
                r,
                f"{what}, taken as a table that is added: its first dimension broadcasts",
            )
        reason = f"{what} grows along one dimension and could be read along either: {_remedy(tensor)}"
        return RoleResult(name, None, 1.0, 1.0, reason)
    if len(grows) == 2 and tensor.ratios[grows[0]] == tensor.ratios[grows[1]] and not _is_bilinear(tensor):
        out, in_ = grows
        sides = Sides(_pair(tensor, in_), _pair(tensor, out))
        return RoleResult(
            name, "hidden", sides.r_in, sides.r_out, f"{what}, two sides that grow alike", sides
        )
    reason = (
        f"{what} grows along {len(grows)} dimensions and more than one use explains it: {_remedy(tensor)}"
    )
    return RoleResult(name, None, 1.0, 1.0, reason)


def _overridden(tensor: TensorPair, role: str, sides: Sides | None) -> RoleResult:
    growing = [r for r in tensor.ratios if r != 1.0]
    # Without a module that says which side is which, a matrix is taken as torch stores it: (out, in).
    r_out = sides.r_out if sides is not None and sides.r_out != 1.0 else (growing or [1.0])[0]
    r_in = sides.r_in if sides is not None and sides.r_in != 1.0 else (growing or [1.0])[-1]
    used = {"hidden": (r_in, r_out), "output": (r_in, 1.0), "finite": (1.0, 1.0)}.get(role, (1.0, r_out))
    dims = " x ".join(_arrow((b, t)) for b, t in zip(tensor.base_shape, tensor.shape, strict=True))
    return RoleResult(tensor.name, role, *used, f"set by you, {dims or 'a scalar'}", sides)


def _sides(tensor: TensorPair, use: Use) -> Sides | None:
    """Fans of a matrix whose module says which dimension is contracted."""
    owner = use.owner
    if isinstance(owner, _CONV) and len(tensor.shape) > 2:
        return Sides(_pair(tensor, 1), _pair(tensor, 0))
    if isinstance(owner, _TRANSPOSED) and isinstance(use.base_owner, _TRANSPOSED) and len(tensor.shape) > 2:
        groups = use.base_owner.groups, owner.groups
        (in_b, in_t), (out_b, out_t) = _pair(tensor, 0), _pair(tensor, 1)
        return Sides((in_b / groups[0], in_t / groups[1]), (out_b * groups[0], out_t * groups[1]))
    if isinstance(owner, _OUT_IN) and len(tensor.shape) == 2:
        return Sides(_pair(tensor, 1), _pair(tensor, 0))
    return None


def _computed(use: Use) -> str:
    """Say so where a tensor is only an ingredient of the weight that the model uses (weight norm)."""
    if isinstance(use.owner, nn.utils.parametrize.ParametrizationList):
        return "the weight is computed from this tensor by a parametrization, which hides its role"
    for suffix in ("_g", "_v", "_orig"):
        whole = use.local.removesuffix(suffix)
        if whole != use.local and isinstance(getattr(use.owner, whole, None), torch.Tensor):
            return (
                f"{whole!r} is computed from this tensor (weight_norm, spectral_norm), which hides its role"
            )
    return ""


def _is_bilinear(tensor: TensorPair) -> bool:
    return any(isinstance(use.owner, nn.Bilinear) for use in tensor.uses)


def _override(tensor: TensorPair, roles: Mapping[str, str]) -> str | None:
    names = [use.name for use in tensor.uses]
    exact = next((roles[name] for name in names if name in roles), None)
    if exact is not None:
        return exact
    return next((role for key, role in roles.items() if any(fnmatchcase(n, key) for n in names)), None)


def _check_overrides(roles: Mapping[str, str], names: list[str]) -> None:
    for key, role in roles.items():
        if not any(key == name or fnmatchcase(name, key) for name in names):
            close = difflib.get_close_matches(key, names, n=3, cutoff=0.4)
            hint = f"Close names: {some(close)}." if close else f"The model has {some(names)}."
            raise RoleError(f"roles names {key!r}, which matches none of the {len(names)} tensors. {hint}")
        if role not in ROLES:
            close = difflib.get_close_matches(str(role), ROLES, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise RoleError(
                f"roles gives {key!r} the role {role!r}, which does not exist.{hint} Choose one of "
                f"{', '.join(ROLES)}."
            )


def _remedy(tensor: TensorPair) -> str:
    return f'name its role: roles={{"{tensor.name}": "input"}} (or {", ".join(map(repr, ROLES[1:]))})'


def _pair(tensor: TensorPair, dim: int) -> tuple[int, int]:
    return tensor.base_shape[dim], tensor.shape[dim]


def _ratio(sizes: tuple[float, float]) -> float:
    return 1.0 if sizes[0] == sizes[1] else sizes[1] / sizes[0]


def _arrow(sizes: tuple[float, float]) -> str:
    return f"{sizes[0]:.0f}" if sizes[0] == sizes[1] else f"{sizes[0]:.0f}->{sizes[1]:.0f}"
