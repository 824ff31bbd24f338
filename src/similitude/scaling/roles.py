"""The role of every parameter: from what it is contracted, added or multiplied with, and which sides grow."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from similitude.core.errors import RoleError
from similitude.scaling.axes import Comparison, TensorPair, some
from similitude.scaling.dataflow.facts import CONSTANT
from similitude.scaling.dataflow.fans import Fan, Fans
from similitude.scaling.dataflow.structure import Structure, TensorUse
from similitude.scaling.rules import ROLES

# Sizes that are rounded to multiples grow almost alike; beyond a quarter of the exponent they are
# different dials.
_ALIKE = 0.25
_TABLES = ("lookup", "bias", "concat")
ALSO_HEAD = "also the head: "
"""What the evidence of a table says that is tied to the head."""
_ELEMENTWISE = frozenset(
    [
        "gain",
        "bias",
        "divide",
        "concat",
        "lookup",
        "addcmul",
        "addcdiv",
        "lerp",
        "where",
        "maximum",
        "minimum",
        "pow",
        "copy_",
        "alias_write",
        "index_put",
        "index_put_",
        "masked_scatter",
        "scatter",
        "slice_scatter",
        "select_scatter",
        "_prelu_kernel",
        "prelu",
        "masked_fill",
        "index_add",
        "index_add_",
        "scatter_add",
        "expand_as",
        "returned",
    ]
)

_DID = {
    "contract": "contracted",
    "lookup": "rows looked up",
    "gain": "multiplied",
    "bias": "added",
    "concat": "concatenated",
}
_REDUCTIONS = frozenset(
    ["mean", "sum", "amax", "amin", "max", "min", "var", "std", "linalg_vector_norm", "norm"]
)


@dataclass(frozen=True)
class RoleResult:
    """What one tensor does, or why that cannot be told (`role` is None and `evidence` the reason).

    Attributes:
        name: The tensor's name.
        role: One of `similitude.scaling.rules.ROLES`, "unused", or None.
        r_in: Fan-in ratio that the role uses; 1 where the fan-in does not grow.
        r_out: Fan-out ratio that the role uses.
        evidence: What was seen.
        fans: Sides of a matrix, where the tensor is one.
        tied: For a table that is also the head: its uses as a head, which need a multiplier of their own.
        gain: Whether it holds the lengths of a weight-normalized matrix.
        partner: Under weight norm, the tensor of the directions, or of the lengths.
        overridden: Whether the role was given by the user.
        curved: Whether a function that is not linear stands between the tensor and its use (the exponential of
            a rate, say), so that rescaling its values is no rescaling of what it does.
    """

    name: str
    role: str | None
    r_in: float
    r_out: float
    evidence: str
    fans: Fans | None = None
    tied: tuple[TensorUse, ...] = ()
    gain: bool = False
    partner: str = ""
    overridden: bool = False
    curved: bool = False


def infer(
    comparison: Comparison, structure: Structure, roles: Mapping[str, str] | None = None
) -> tuple[RoleResult, ...]:
    """Tell the role of every tensor of a comparison, in its order.

    Args:
        comparison: The model family at base and target.
        structure: What its forward pass does.
        roles: Roles that the user knows better, by tensor name or glob; an exact name wins, then the first
            match.

    Raises:
        RoleError: A name in `roles` matches no tensor, or a role does not exist.
    """
    roles = dict(roles or {})
    _check_overrides(
        roles, [name for tensor in comparison.tensors for name in (tensor.name, *tensor.aliases)]
    )
    results = []
    for tensor in comparison.tensors:
        uses = structure.uses.get(tensor.name, ())
        override = _override(tensor, roles)
        results.append(_given(tensor, uses, override) if override is not None else _seen(tensor, uses))
    return tuple(results)


def _seen(tensor: TensorPair, uses: tuple[TensorUse, ...]) -> RoleResult:
    real = tuple(use for use in uses if CONSTANT not in use.how)
    uses = real or uses  # what meets constants first, as in a recurrent net, is told by its other uses
    if not uses:
        return RoleResult(tensor.name, "unused", 1.0, 1.0, "never used by the sample")
    found = [_of_use(tensor, use) for use in uses]
    refused = next((r for r in found if r.role is None), None)
    if refused is not None:
        return RoleResult(tensor.name, None, 1.0, 1.0, f"{refused.evidence}; {_remedy(tensor)}", refused.fans)
    kinds = {r.role for r in found}
    heads = tuple(u for u, r in zip(uses, found, strict=True) if r.role == "output")
    first = next((r for r in found if r.role in ("lookup", "input")), found[0])
    if heads and kinds <= {"lookup", "input", "output"} and len(kinds) == 2:
        head = next(r for r in found if r.role == "output")
        return replace(first, evidence=f"{first.evidence}; {ALSO_HEAD}{head.evidence}", tied=heads)
    if kinds <= {"lookup", "vector", "input"}:
        curved = any(r.curved for r in found)
        return replace(first, evidence=first.evidence + _times(uses), curved=curved)
    if kinds == {"bottleneck", "output"}:  # the last step of a recurrent net is read by nothing
        found = [r for r in found if r.role == "bottleneck"]
        kinds = {"bottleneck"}
    if len(kinds) > 1 or len({(round(r.r_in, 9), round(r.r_out, 9)) for r in found}) > 1:
        ways = "; ".join(dict.fromkeys(f"as {r.role} ({r.evidence})" for r in found))
        reason = (
            f"one tensor in roles that need different factors: {ways}. Use two tensors, or {_remedy(tensor)}"
        )
        return RoleResult(tensor.name, None, 1.0, 1.0, reason, found[0].fans)
    return replace(found[0], evidence=found[0].evidence + _times(uses))


def _times(uses: tuple[TensorUse, ...]) -> str:
    return f", used {len(uses)} times" if len(uses) > 1 else ""


def _of_use(tensor: TensorPair, use: TensorUse) -> RoleResult:
    """Tell the role that a tensor has in one of its uses."""
    if all(r == 1.0 for r in tensor.ratios) and not use.gain_of:
        dims = " x ".join(map(str, tensor.shape)) or "a scalar"
        return RoleResult(
            tensor.name,
            "finite",
            1.0,
            1.0,
            f"{_DID.get(use.kind, use.op)} ({use.op}), {dims}, does not grow",
            use.fans,
        )
    if use.summed:
        return _refused(
            tensor,
            "what it gives is summed over a side that grows with the width, so that it acts as a head or as a wider "
            "matrix. Write the sum as a product with a matrix, or take the mean",
        )
    if use.kind == "contract":
        return _of_matrix(tensor, use)
    if CONSTANT in use.how:
        return _refused(
            tensor, "it multiplies constants alone, such as the zeros of a first state, in this sample"
        )
    if use.kind not in _ELEMENTWISE:
        told = " (similitude.register_operation says what it does)" if "::" in use.op else ""
        return _refused(tensor, f"seen only inside the operation {use.op}, which no rule covers{told}")
    growing = [i for i, r in enumerate(tensor.ratios) if r != 1.0]
    transformed = sorted(how for how in use.how if how.startswith("_fft"))
    if transformed:
        return _refused(
            tensor,
            f"transformed by {', '.join(transformed)} along a side that grows: a matrix in disguise, without a rule",
        )
    reduced = sorted(use.how & _REDUCTIONS)
    if reduced:
        return _refused(tensor, f"reduced by {', '.join(reduced)} over a side that grows before it is used")
    if use.kind == "lookup" and growing and growing[0] == 0 and len(tensor.shape) > 1:
        entries = _arrow(tensor.base_shape[0], tensor.shape[0])
        return _refused(
            tensor, f"a table whose number of entries changes, {entries}, which is not a width. Keep it fixed"
        )
    dims = (
        " x ".join(_arrow(b, t) for b, t in zip(tensor.base_shape, tensor.shape, strict=True)) or "a scalar"
    )
    what = f"{_DID.get(use.kind, use.op)} ({use.op}), {dims}"
    if len(growing) > 1:
        return _refused(
            tensor,
            f"{what}: it grows along {len(growing)} dimensions and acts entry by entry, for which there is no rule",
        )
    at = growing[0]
    table = use.kind in _TABLES and sum(n > 1 for n in tensor.shape) > 1
    fans = Fans(Fan(), Fan((at,)))
    curved = bool(use.how)
    what += f" after {', '.join(sorted(use.how))}" if curved else ""
    role = "lookup" if table else "vector"
    return RoleResult(tensor.name, role, 1.0, tensor.ratios[at], what, fans, curved=curved)


def _of_matrix(tensor: TensorPair, use: TensorUse) -> RoleResult:
    odd = sorted(use.how - {"normalized"})
    if odd:
        return _refused(
            tensor,
            f"the matrix that meets the activation is computed from it by {', '.join(odd)}, not linearly",
        )
    if use.fans is None:
        return _refused(tensor, use.problem)
    fans, shapes = use.fans, (tensor.base_shape, tensor.shape)
    if use.gain_of:
        return RoleResult(
            tensor.name,
            "vector" if any(r != 1.0 for r in tensor.ratios) else "finite",
            1.0,
            max(tensor.ratios, default=1.0),
            f"lengths of the matrix whose directions are {use.partner!r} (weight norm)",
            gain=True,
            partner=use.partner,
        )
    r_in, r_out = fans.fan_in.ratio(*shapes), fans.fan_out.ratio(*shapes)
    batch = [i for i in use.batched if tensor.ratios[i] != 1.0]
    sides = (
        f"contracted ({use.op}) over {_sizes(fans.fan_in, shapes)}, gives {_sizes(fans.fan_out, shapes)}"
        + (f", {use.parts} tensors as one matrix" if use.parts > 1 else "")
    )
    if batch and use.op == "convolution":
        batch = []  # the groups of a convolution that has one per channel: the kept side counts them
    if batch:
        entries = _arrow(tensor.base_shape[batch[0]], tensor.shape[batch[0]])
        if "grouped" in use.op or r_in != 1.0:
            return _refused(
                tensor,
                f"{sides}: the number of matrices in the stack changes, {entries}, which is not a width. Fix it",
            )
        r_out *= tensor.ratios[batch[0]]
        fans = Fans(fans.fan_in, Fan((*fans.fan_out.dims, batch[0]), fans.fan_out.factor))
    if use.partner:
        sides += f", its lengths in {use.partner!r} (weight norm)"
    result = replace(_by_growth(tensor, use, fans, r_in, r_out, sides), partner=use.partner)
    if "normalized" in use.how and result.role not in (None, "finite") and (r_in != r_out or r_in == 1.0):
        return _refused(
            tensor,
            f"{sides}, divided by its own norm: no initial scale and no learning rate can give it the right size",
        )
    return result


def _by_growth(
    tensor: TensorPair, use: TensorUse, fans: Fans, r_in: float, r_out: float, sides: str
) -> RoleResult:
    name = tensor.name
    if r_in == 1.0:
        return RoleResult(name, "input" if r_out != 1.0 else "finite", 1.0, r_out, sides, fans)
    octaves = math.log2(r_in), math.log2(r_out)
    alike = abs(octaves[0] - octaves[1]) <= _ALIKE * max(map(abs, octaves))
    if r_out != 1.0 and not alike and not use.read_later:
        return _refused(
            tensor,
            f"could be an output or a hidden matrix: nothing reads what it gives, and both its sides differ between "
            f"base and target, not alike (fan-in x{r_in:.3g}, fan-out x{r_out:.3g}). Keep what is not a width fixed "
            "(classes, vocabulary)",
            fans,
        )
    if r_out == 1.0 and not use.read_later:
        return RoleResult(name, "output", r_in, 1.0, f"{sides}, which nothing contracts again", fans)
    if r_out == 1.0 or octaves[1] < (1 - _ALIKE) * octaves[0]:
        return RoleResult(name, "bottleneck", r_in, r_out, f"{sides}, which is contracted again", fans)
    return RoleResult(name, "hidden", r_in, r_out, sides, fans)


def _refused(tensor: TensorPair, reason: str, fans: Fans | None = None) -> RoleResult:
    return RoleResult(tensor.name, None, 1.0, 1.0, reason, fans)


def _given(tensor: TensorPair, uses: tuple[TensorUse, ...], role: str) -> RoleResult:
    """Believe the user's role; the sides are as seen, or as torch stores a matrix where none were."""
    fans = next((u.fans for u in uses if u.fans is not None), None)
    growing = [i for i, r in enumerate(tensor.ratios) if r != 1.0]
    if fans is None and growing:
        fans = Fans(
            Fan((growing[-1],)) if len(growing) > 1 or role == "output" else Fan(), Fan((growing[0],))
        )
    shapes = (tensor.base_shape, tensor.shape)
    largest = max(tensor.ratios, default=1.0)
    r_in = fans.fan_in.ratio(*shapes) if fans is not None else 1.0
    r_out = fans.fan_out.ratio(*shapes) if fans is not None else 1.0
    r_in, r_out = (r if r != 1.0 else largest for r in (r_in, r_out))
    used = {"hidden": (r_in, r_out), "bottleneck": (r_in, 1.0), "output": (r_in, 1.0), "finite": (1.0, 1.0)}
    dims = " x ".join(_arrow(b, t) for b, t in zip(tensor.base_shape, tensor.shape, strict=True))
    ratios = used.get(role, (1.0, r_out))
    tied = (
        tuple(u for u in uses if u.kind == "contract" and not u.read_later)
        if role in ("lookup", "input")
        else ()
    )
    tied = tied if len(tied) < len(uses) else ()
    return RoleResult(
        tensor.name, role, *ratios, f"set by you, {dims or 'a scalar'}", fans, tied, overridden=True
    )


def _override(tensor: TensorPair, roles: Mapping[str, str]) -> str | None:
    names = (tensor.name, *tensor.aliases)
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


def _sizes(fan: Fan, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    return _arrow(fan.size(shapes[0]), fan.size(shapes[1]))


def _arrow(before: float, after: float) -> str:
    return f"{before:.0f}" if before == after else f"{before:.0f}->{after:.0f}"
