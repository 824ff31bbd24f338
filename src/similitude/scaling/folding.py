"""Forward multipliers that a rule asks for, put into tensors that can carry them: paper 17, Lemma J.1 (abc-symmetry).

A tied head needs its 1/n, attention over a growing head size its 1/d, and numbers in the user's own forward pass
that change with the width their inverse. Each goes into a tensor whose rescaling rescales exactly that value; a
hook stands in where there is none, and a refusal where there is no module to hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from similitude.core.citation import cites
from similitude.scaling.axes import some
from similitude.scaling.dataflow.structure import Attention, Structure, TensorUse
from similitude.scaling.knobs import Knob
from similitude.scaling.records import Hook
from similitude.scaling.roles import RoleResult
from similitude.scaling.rules import KERNEL, factors

_PARAMETRISED = 0.05  # how near to -1 the power of the width must be for a head to be parametrised already


@dataclass
class Folds:
    """Multipliers by tensor, and what could not be folded.

    Attributes:
        multipliers: Factor of the target over the base that a tensor carries.
        carries: What each tensor carries, in words.
        hooks: Multipliers that go into the forward pass.
        refused: Tensors that cannot be planned because of a multiplier, with the reason.
        notes: What a user should know.
    """

    multipliers: dict[str, float] = field(default_factory=dict)
    carries: dict[str, list[str]] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, name: str, multiplier: float, what: str) -> None:
        """Let a tensor carry a multiplier."""
        if multiplier != 1.0:
            self.multipliers[name] = self.multipliers.get(name, 1.0) * multiplier
            self.carries.setdefault(name, []).append(what)


@dataclass(frozen=True)
class _Demand:
    """A value of the pass that must be multiplied: read at `node`, made by any of the sets of carriers."""

    node: int
    carriers: tuple[frozenset[int] | None, ...]
    multiplier: float
    what: str
    head: tuple[str, TensorUse] | None = None
    attention: Attention | None = None


@cites(17, "Lemma J.1: symmetry of multiplier, init and learning rate")
def fold(
    structure: Structure,
    results: tuple[RoleResult, ...],
    *,
    rule: str,
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    width_ratio: float,
    knobs: Mapping[str, Knob],
    gamma: float = 1.0,
) -> Folds:
    """Place every multiplier that a rule asks for.

    Args:
        structure: What the forward pass does.
        results: The roles.
        rule: The parametrization; "sp" asks for none.
        shapes: Shape at base and target by tensor.
        width_ratio: Target over base of the width.
        knobs: Knobs by role; those of a tied table and its head differ, and the head's goes to its carriers.
        gamma: Richness, by which the output of a tied head is divided; `output_folds.fold_output` does the others.
    """
    folds = Folds()
    if rule == "sp" and not knobs and gamma == 1.0:
        return folds
    by_name = {result.name: result for result in results}
    demands: list[_Demand] = []
    for result in results:
        if result.role is None or result.role == "unused":
            continue
        inverse = 1.0
        if rule != "sp" and not result.overridden:
            inverse = _forward_numbers(structure, result, width_ratio, folds)
        if result.tied:
            demands += _tied(structure, result, rule, shapes, width_ratio, knobs, inverse, gamma)
    if rule != "sp" and rule not in KERNEL:
        demands += [_logits(attention, width_ratio) for attention in structure.attention]
    _place(structure, by_name, [d for d in demands if d.multiplier != 1.0], folds)
    return folds


def _forward_numbers(structure: Structure, result: RoleResult, ratio: float, folds: Folds) -> float:
    """Cancel the numbers of the forward pass that change with the width; return what the tensor got for it."""
    flow = structure.flow
    logits = {each.index for each in flow.logits}
    given = 1.0
    seen: set[float] = set()
    for use in structure.uses[result.name]:
        readers = flow.readers.get(use.index, set())
        after = 0.0 if readers and readers <= logits else use.exponent
        elsewhere = readers and all(_answers(structure, node) for node in readers)
        after -= use.late if after and elsewhere else 0.0
        answers = use.kind == "contract" and _answers(structure, flow.uses[use.index].node)
        power = after + (use.before if answers else 0.0)
        if power == 0.0 or power in seen:
            continue
        seen.add(power)
        head = use in result.tied or result.role == "output"
        number = f"the forward pass multiplies it by a number that changes as width^{power:+.3g}"
        if use.kind == "contract" and flow.facts[flow.uses[use.index].operand].unit:
            number = (
                f"what it reads is divided by its length, so that its entries change as width^{power:+.3g}"
            )
        if head and use.kind == "contract" and abs(power + 1) > _PARAMETRISED:
            if use not in result.tied:
                folds.put(
                    result.name, ratio**-power, f"the inverse of width^{power:+.3g} in the forward pass"
                )
                given = ratio**-power
        elif head or result.role in ("hidden", "bottleneck"):
            folds.refused[result.name] = (
                f"{number}, so the model is already parametrised for width: the plan would apply the rule twice. "
                "Plan for the model without that number, or train it as it is (rule='sp')"
            )
        elif len(seen) > 1:
            folds.refused[result.name] = (
                f"{number}, and by another one elsewhere: no single scale undoes both"
            )
        else:
            folds.put(result.name, ratio**-power, f"the inverse of width^{power:+.3g} in the forward pass")
            given = ratio**-power
    return given


def _answers(structure: Structure, node: int) -> bool:
    """Tell whether a matrix answers for the numbers on what it reads; those on a table are the table's."""
    flow = structure.flow
    index = flow.contractions.get(node, -1)
    if index < 0:
        return False
    carriers = flow.facts[flow.uses[index].operand].carriers or frozenset()
    return all(flow.uses[carrier].kind != "lookup" for carrier in carriers)


def _tied(
    structure: Structure,
    result: RoleResult,
    rule: str,
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    ratio: float,
    knobs: Mapping[str, Knob],
    inverse: float,
    gamma: float,
) -> list[_Demand]:
    """Ask for the head's multiplier of a table that is also the head, on what the head reads."""
    flow, found = structure.flow, []
    table, head = knobs.get(result.role or "", Knob()), knobs.get("output", Knob())
    for use in result.tied:
        r_in = use.fans.fan_in.ratio(*shapes[result.name]) if use.fans is not None else ratio
        asked = factors(rule, "output", "sgd", r_in=r_in, r_out=1.0).init
        own = factors(rule, result.role or "lookup", "sgd", r_in=1.0, r_out=r_in).init
        multiplier = 1.0 if asked is None or own is None else asked / own
        power = 0.0 if rule == "sp" else use.before + use.exponent
        multiplier *= ratio**-power / inverse * head.multiplier / table.multiplier / gamma
        operand = flow.uses[use.index].operand
        what = f"the head's multiplier x{multiplier:.4g} of the tied {result.name!r}"
        found.append(
            _Demand(
                flow.uses[use.index].node,
                (flow.facts[operand].carriers,),
                multiplier,
                what,
                head=(result.name, use),
            )
        )
    return found


def _logits(attention: Attention, ratio: float) -> _Demand:
    """Ask for 1/d in place of the user's own scale of attention logits over a growing head size."""
    size = ratio**attention.growth
    multiplier = 1.0 / size / ratio**attention.exponent
    multiplier = 1.0 if abs(multiplier - 1.0) < 1e-9 else multiplier
    what = f"attention logits 1/d for a head size that grows x{size:.4g}: x{multiplier:.4g}"
    return _Demand(attention.node, attention.operands, multiplier, what, attention=attention)


def _place(
    structure: Structure, by_name: Mapping[str, RoleResult], demands: list[_Demand], folds: Folds
) -> None:
    done: set[tuple[str, float]] = set()
    for demand in demands:
        names = next(
            (
                found
                for carriers in demand.carriers
                if (found := _carriers(structure, by_name, carriers, demand, demands)) is not None
            ),
            None,
        )
        if names is not None:
            for name in names:
                if (name, demand.multiplier) not in done:
                    done.add((name, demand.multiplier))
                    folds.put(name, demand.multiplier, demand.what)
            shown = [n for n in names if any(u.index in structure.flow.exposed for u in structure.uses[n])]
            if shown:
                folds.notes.append(
                    f"what {some(shown)} makes is also an output of the model, and is x{demand.multiplier:.4g} there: "
                    f"it carries {demand.what}. A loss on it sees that"
                )
        elif demand.head is not None:
            _hook(structure, demand, folds)
        elif demand.attention is not None:
            fused = _fused(structure, by_name, demand.attention, demands)
            if fused is None:
                _refuse_attention(structure, by_name, demand, folds)
                continue
            root = demand.multiplier**0.5
            for names, factor, role in zip(
                fused, (root, 1 / root), ("queries and keys, half each", "values, undone"), strict=True
            ):
                for name in names:
                    if (name, factor) not in done:
                        done.add((name, factor))
                        folds.put(name, factor, f"{demand.what} ({role}: x{factor:.4g})")


def _carriers(
    structure: Structure,
    by_name: Mapping[str, RoleResult],
    carriers: frozenset[int] | None,
    demand: _Demand,
    demands: list[_Demand],
) -> list[str] | None:
    """Return the tensors that can carry a demand: what they make is read where it is wanted and nowhere else."""
    if not carriers:
        return None
    flow = structure.flow
    wanted = {d.node for d in demands if d.multiplier == demand.multiplier}
    if any(flow.uses[index].weight.how for index in carriers):
        return None
    names = names_of(structure, carriers)
    for name in names:
        result = by_name.get(name)
        if result is None or result.role is None or result.tied:
            return None
        for use in structure.uses[name]:
            if not flow.readers.get(use.index, set()) <= wanted:
                return None
    return names


def _fused(
    structure: Structure,
    by_name: Mapping[str, RoleResult],
    attention: Attention,
    demands: list[_Demand],
) -> tuple[list[str], list[str]] | None:
    """Return the tensors that make queries, keys and values as one, and the matrices that read the values.

    Logits are quadratic in the first, so each takes the root of the multiplier; the matrices after the values
    take its inverse. None where anything else reads them.
    """
    flow = structure.flow
    left, right = attention.operands
    if not left or left != right:
        return None
    logits = {d.node for d in demands if d.attention is not None}
    makers = names_of(structure, left)
    inner = [v for name in makers for v in structure.uses[name]]
    readers = set().union(*(flow.readers.get(use.index, set()) for use in inner)) - logits
    after: dict[str, None] = {}
    for node in readers:
        index = flow.contractions.get(node, -1)
        if index < 0 or not (flow.facts[flow.uses[index].operand].carriers or frozenset()) <= {
            u.index for u in inner
        }:
            return None
        after.update(dict.fromkeys(names_of(structure, frozenset([index]))))
    for name in after:
        if any(flow.uses[use.index].node not in readers for use in structure.uses[name]):
            return None
    plain = all((r := by_name.get(n)) is not None and r.role and not r.tied for n in (*makers, *after))
    linear = all(not flow.uses[use.index].weight.how for n in (*makers, *after) for use in structure.uses[n])
    return (makers, list(after)) if plain and linear and after else None


def names_of(structure: Structure, uses: frozenset[int]) -> list[str]:
    """List the tensors that scale what some uses make; under weight norm those of the lengths."""
    names: dict[str, None] = {}
    for index in sorted(uses):
        weight = structure.flow.uses[index].weight
        names.update(dict.fromkeys([weight.gain] if weight.gain else weight.dims))
    return list(names)


def _hook(structure: Structure, demand: _Demand, folds: Folds) -> None:
    assert demand.head is not None
    name, use = demand.head
    flow = structure.flow
    operand = flow.facts[flow.uses[use.index].operand].root
    why = "no tensor makes what the head reads and nothing else (no affine norm stands before it alone)"
    entered = any(m == use.module and flow.facts[v].root == operand for m, v in flow.trace.entries)
    alone = all(u.module != use.module or u.node == demand.node for u in flow.uses)
    if entered and alone and use.module:
        folds.hooks.append(Hook(use.module, demand.multiplier, f"{demand.what}: {why}"))
    else:
        folds.refused[name] = (
            f"it is tied to the head, whose multiplier x{demand.multiplier:.4g} needs a carrier: {why}, and no module "
            "that could be hooked runs the head alone. Untie them, or put a norm with a gain before the head"
        )


def _refuse_attention(
    structure: Structure, by_name: Mapping[str, RoleResult], demand: _Demand, folds: Folds
) -> None:
    assert demand.attention is not None
    flow = structure.flow
    names = list(
        dict.fromkeys(
            name
            for index in sorted(demand.attention.origin)
            if flow.uses[index].kind == "contract"
            for name in flow.uses[index].weight.dims
        )
    )
    normed = demand.attention.operands[0] is None and demand.attention.operands[1] is None
    why = " (a norm without a gain stands between: with a gain it would carry them)" if normed else ""
    open_names = [n for n in names if (r := by_name.get(n)) is not None and r.role and not r.overridden]
    reason = (
        "attention in {module!r} sums over a head size that grows with the width, so its logits need 1/d (here "
        f"x{demand.multiplier:.4g} more than the forward pass gives), and no tensor makes the queries or the keys "
        "alone{why}. Keep the head size fixed and let the number of heads grow, or accept the logits as they are with "
        'roles={{"{name}": "hidden"}}'
    )
    if not names:
        folds.notes.append(
            "two activations are multiplied over a size that grows with the width, and no matrix makes either: "
            f"in {demand.attention.module!r} this plan leaves the product as it is"
        )
    for name in open_names:
        folds.refused.setdefault(name, reason.format(module=demand.attention.module, name=name, why=why))
    if names and not open_names:
        folds.notes.append(
            f"attention logits of {some(names)} keep the scale of the forward pass although the head size grows, "
            "as their roles are set by you"
        )
