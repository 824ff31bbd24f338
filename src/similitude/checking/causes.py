"""Why exponents are off: likely causes, the most likely first, each with its tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from similitude.checking.deviation import Deviation
from similitude.checking.records import CheckRow
from similitude.scaling.axes import some
from similitude.scaling.records import Plan
from similitude.scaling.sizes import WIDTH

_DIRECT = ("init norm", "update", "update norm", "decay", "evaluation")
_FLATTENED = 0.02
_TWICE = -0.6  # a head's exponent below which its multiplier is there twice


@dataclass(frozen=True)
class Cause:
    """One likely cause.

    Attributes:
        name: The tensor to blame.
        text: What is wrong with it, in one sentence.
        power: Power of the size by which it is wrong.
    """

    name: str
    text: str
    power: float


def flattened(
    sizes: Sequence[int],
    rates: Sequence[Mapping[str, float]],
    plans: Sequence[Plan],
    *,
    dial: str = WIDTH,
) -> list[Cause]:
    """Find tensors whose real learning rate does not follow the plan's factor from size to size.

    Args:
        sizes: The widths or depths.
        rates: Learning rate by tensor in the last step, per size.
        plans: The plan of each size.
        dial: "width" or "depth".
    """
    found = []
    for row in plans[-1].rows:
        ratios = []
        for rate, plan in zip(rates, plans, strict=True):
            factor = next((r.lr for r in plan.rows if r.name == row.name), 0.0)
            ratios.append(rate.get(row.name, 0.0) / factor if factor else 0.0)
        if min(ratios) <= 0:
            continue
        power = math.log(ratios[-1] / ratios[0]) / math.log(sizes[-1] / sizes[0])
        if abs(power) > _FLATTENED:
            text = (
                f"the optimizer or its scheduler changed the ratios of the plan: the learning rate of {row.name!r} goes "
                f"with {dial}^{power:+.2f} beside its factor. See similitude.guard"
            )
            found.append(Cause(row.name, text, power))
    return found


def untrained(
    gradients: Mapping[str, float], rates: Mapping[str, float], lrs: Mapping[str, float]
) -> list[Cause]:
    """Find tensors that receive a gradient and are never moved by the optimizer.

    Args:
        gradients: Root mean square of the gradient, by tensor.
        rates: Learning rate in the optimizer, by tensor; one that is in no group is missing.
        lrs: Factor on the learning rate in the plan, by tensor.
    """
    found = []
    for name, size in gradients.items():
        if size > 0 and not rates.get(name, 0.0) > 0 and lrs.get(name, 0.0) > 0:
            why = "its learning rate is 0" if name in rates else "it is in no group of the optimizer"
            found.append(Cause(name, f"{name!r} receives a gradient but is not trained: {why}", -math.inf))
    return found


def causes(
    bad: Sequence[CheckRow],
    *,
    plan: Plan,
    wrong: Sequence[Deviation],
    flat: Sequence[Cause],
    trained_unused: Iterable[str],
    ruled: Plan | None,
    dial: str = WIDTH,
) -> list[Cause]:
    """Rank what can explain the rows that are off.

    What is known exactly comes first: factors that differ from the rule's, and learning rates that differ from the
    plan's. Then the first tensor in the order of the pass whose own evidence is wrong, for what follows it may be
    wrong only because it is. Changes of activations come last.

    Args:
        bad: Rows that are off, in the order of the pass.
        plan: The plan of the largest size.
        wrong: Deviations of the given plan from its rule.
        flat: What `flattened` found.
        trained_unused: Tensors that the traced sample does not reach and that receive a gradient.
        ruled: What the rule mup gives at the largest width, where the check was of another rule.
        dial: "width" or "depth".
    """
    order = {row.name: i for i, row in enumerate(reversed(bad))}
    seen = {row.name for row in bad}
    exact = sorted(wrong, key=lambda d: (d.name not in seen, -order.get(d.name, 0)))
    found = [
        Cause(name, _told([d for d in exact if d.name == name], plan), exact_power(exact, name))
        for name in dict.fromkeys(d.name for d in exact)
    ]
    found += sorted((c for c in flat if c.name in seen), key=lambda c: -order.get(c.name, 0))
    known = {cause.name for cause in found}
    direct = [row for row in bad if row.quantity in _DIRECT and row.name not in known]
    if plan.family == "sgd":  # gradients of earlier layers are as large as the initial weights of later ones
        direct = [r for r in direct if r.quantity == "init norm"] + [
            r for r in direct if r.quantity != "init norm"
        ]
    # A tensor whose factor the right rule would change comes before one that may only follow from it.
    direct.sort(key=lambda row: ruled is not None and not _remedy(row, plan, ruled))
    told: set[tuple[str, str]] = set()
    for row in direct:
        kind = "rate" if row.quantity.startswith("update") else row.quantity
        if (row.name, kind) not in told:
            told.add((row.name, kind))
            found.append(_of_row(row, plan, ruled, dial))
    if not direct and not found:
        found += [
            Cause(
                row.name,
                f"the activation that {row.name!r} gives {moves(row, dial)}, though no tensor's own update is off",
                row.off,
            )
            for row in bad[:1]
        ]
    unused = list(trained_unused)
    if unused:
        found.append(
            Cause(
                unused[0],
                f"{some(unused)}: never reached by the traced sample, but trained, so no rule was applied to it. Pass a "
                "sample that reaches it",
                0.0,
            )
        )
    return found


def exact_power(wrong: Sequence[Deviation], name: str) -> float:
    """Return the power of a tensor's worst deviation."""
    return max((d.power for d in wrong if d.name == name), key=abs)


def _told(wrong: Sequence[Deviation], plan: Plan) -> str:
    """Say how the factors of one tensor deviate, and what that looks like."""
    text = "; ".join(d.text(plan.rule) for d in wrong)
    role = next((row.role for row in plan.rows if row.name == wrong[0].name), "")
    rate = next((d.power for d in wrong if d.field == "lr"), 0.0)
    if role == "output" and rate <= _TWICE:
        return f"{text}: the head is scaled twice"
    return f"{text}: an unscaled head" if role == "output" and rate >= -_TWICE else text


def _of_row(row: CheckRow, plan: Plan, ruled: Plan | None, dial: str) -> Cause:
    head = row.role == "output" or (row.use == "contract" and row.quantity.startswith("logits"))
    name = row.name
    if row.quantity == "evaluation":
        text = (
            f"a multiplier on the outputs of {name!r} is in one path alone: training has {dial}^{row.slope:+.2f} times "
            "what evaluation has, so evaluation and generation use other logits than training"
        )
    elif row.quantity == "decay":
        text = (
            f"wrong weight decay of {name!r}: learning rate times weight decay {moves(row, dial)}; the factor on the "
            "decay must be one over that on the rate"
        )
    elif row.quantity == "init norm":
        text = f"wrong initial scale of {name!r} ({row.role}): its natural spectral norm at the start {moves(row, dial)}"
    elif head and dial == WIDTH and row.off < _TWICE:
        text = (
            f"the rule is applied twice to {name!r}: its own update {moves(row, dial)}, as when the forward pass divides "
            "the outputs by the width and the learning rate does so again"
        )
    elif head and dial == WIDTH and row.off > 0:
        text = f"unscaled head {name!r}: its own update {moves(row, dial)}; its learning rate must fall with the width"
    else:
        text = f"wrong learning rate of {name!r} ({row.role}): its own update {moves(row, dial)}"
        if row.quantity == "update norm":
            text = f"wrong learning rate of {name!r} ({row.role}): the natural norm of its update {moves(row, dial)}"
    return Cause(name, text + _remedy(row, plan, ruled), row.off)


def _remedy(row: CheckRow, plan: Plan, ruled: Plan | None) -> str:
    mine = next((r for r in plan.rows if r.name == row.name), None)
    right = next((r for r in ruled.rows if r.name == row.name), None) if ruled is not None else None
    if mine is None or right is None:
        return ""
    if row.quantity == "init norm" and abs(right.init / mine.init - 1) > 0.02:
        return f" (its standard deviation goes x{mine.init:.4g}; rule mup gives x{right.init:.4g})"
    if row.quantity in ("update", "update norm") and abs(right.lr / mine.lr - 1) > 0.02:
        return f" (its learning rate goes x{mine.lr:.4g}; rule mup gives x{right.lr:.4g})"
    return ""


def moves(row: CheckRow, dial: str) -> str:
    """Say how a quantity goes with the size, and how it should."""
    verb = "grows" if row.slope > 0 else "falls"
    wanted = "stay fixed" if not row.expected else f"go with {dial}^{row.expected:+.2g}"
    return f"{verb} as {dial}^{row.slope:+.2f} [{row.low:+.2f}, {row.high:+.2f}] and should {wanted}"
