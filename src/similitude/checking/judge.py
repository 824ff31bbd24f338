"""From the numbers of short runs to rows and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from similitude.checking.arguments import Climb
from similitude.checking.causes import Cause, causes, flattened, untrained
from similitude.checking.depth_causes import depth_causes
from similitude.checking.depth_expected import DepthPromise, depth_exponent, promised_in_depth
from similitude.checking.deviation import Deviation
from similitude.checking.expected import Promise, exponent, promised
from similitude.checking.explanations import explained, settling
from similitude.checking.ladder import Rung
from similitude.checking.records import DEPTH_TOLERANCE, GOOD, TOLERANCE, Check, CheckRow
from similitude.checking.slopes import Slope, fit
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.axes import some
from similitude.scaling.records import Plan
from similitude.scaling.sizes import DEPTH, WIDTH

_SILENT = (
    1e-5  # of the median gradient: below it a gradient is rounding, as that of a bias before a normalization
)
_FEWEST_GOOD = 0.7  # share of good exponents below which small drifts are no chance
_NARROW = 64  # below this width right rules show exponents up to `_DRIFT`
_DRIFT = 0.4  # wrong rules show more than this somewhere (tests/checking)
_MOST_WIDE = 0.1  # share of rows whose interval may be too wide to tell anything


@dataclass(frozen=True)
class Evidences:
    """What is known before any run.

    Attributes:
        plans: The plan of every size, with the user's deviations; in depth with one row per kind of tensor.
        climb: The sizes.
        by_name: Whether a rule was given by name.
        wrong: Deviations of the given plan from its rule.
        ruled: What the rule mup gives at the largest size, where another rule was checked.
        notes: What a user should know.
        evaluation: Constant of the outputs in training over that in evaluation, by head, evaluation path and size.
        learns: Whether the search for a learning rate found one at which the loss falls, or none was needed.
        measured: Name of the optimizer, where its factors follow from a measurement.
    """

    plans: tuple[Plan, ...]
    climb: Climb
    by_name: bool
    wrong: tuple[Deviation, ...]
    ruled: Plan | None
    notes: tuple[str, ...]
    evaluation: Mapping[str, list[list[float]]]
    learns: bool = True
    measured: str = ""


def refused(plan: Plan, climb: Climb, evaluation: Mapping[str, list[list[float]]] | None = None) -> Check:
    """Return the check of a plan that refuses tensors, so that nothing can be trained by it.

    Args:
        plan: The plan of the largest size.
        climb: All sizes.
        evaluation: Constants of the outputs in training over those in evaluation, as in `Evidences`.
    """
    first = plan.refused[0]
    causes = [f"{r.name!r}: {r.reason}" for r in plan.refused]
    for name, paths in (evaluation or {}).items():
        causes += [
            f"{name!r}: its outputs are multiplied by {path[-1] / path[0]:.4g} times more in training than in evaluation "
            f"at {climb.dial} {climb.values[-1]} than at {climb.dial} {climb.values[0]}: a multiplier is missing in "
            "one path"
            for path in paths
            if abs(path[-1] / path[0] - 1) > GOOD
        ][:1]
    verdict = Verdict(
        Outcome.REFUSED,
        f"the rule {plan.rule} refuses {some(r.name for r in plan.refused)}, so nothing was trained: {first.reason}",
        causes=tuple(causes),
        next=f'mend the model, or name the role: roles={{"{first.name}": "..."}}, and check again',
    )
    return replace(_blank(plan, climb), verdict=verdict, notes=plan.notes)


def judge(evidence: Evidences, seeds: Mapping[int, Sequence[Rung]], *, lr: float, steps: int) -> Check:
    """Fit every exponent and say what they mean.

    Args:
        evidence: What is known before any run.
        seeds: By seed the runs of every size.
        lr: Learning rate at the base.
        steps: Steps of each run.
    """
    runs = list(seeds.values())
    plan, dial, values = evidence.plans[-1], evidence.climb.dial, evidence.climb.values
    result = replace(
        _blank(plan, evidence.climb),
        seeds=tuple(seeds),
        steps=steps,
        lr=lr,
        losses=_losses(runs),
        notes=evidence.notes,
    )
    rungs = [rung for row in runs for rung in row]
    if any(rung.run.diverged for rung in rungs):
        return replace(result, verdict=_diverged(evidence, runs))
    silent = _silent(runs)
    fitted = _rows(evidence, runs, silent)
    if dial == DEPTH:
        rows = settling(fitted, plan, wrong=evidence.wrong)
    else:
        rows = explained(fitted, plan, values, wrong=evidence.wrong)
    flat = []
    if not (evidence.by_name and plan.rule == "sp"):  # whose rates are no promise to keep
        flat = flattened(values, [rung.run.rates for rung in runs[0]], evidence.plans, dial=dial)
    notes = evidence.notes
    if silent:
        notes += (
            f"the gradient of {some(silent)} is rounding alone, because nothing depends on it: not measured",
        )
    unused = {row.name for row in plan.rows if row.role == "unused"}
    trained = [name for name in rungs[0].run.gradients if name in unused]
    bad = [row for row in rows if not row.ok]
    ranked = causes(
        bad,
        plan=plan,
        wrong=evidence.wrong,
        flat=flat,
        trained_unused=trained,
        ruled=evidence.ruled,
        dial=dial,
    )
    if dial == DEPTH:
        ranked = depth_causes(bad, ranked, plan=plan, rows=rows, wrong=evidence.wrong)
    run = rungs[0].run
    ranked = untrained(run.gradients, run.rates, {r.name: r.lr for r in plan.rows}) + ranked
    if bad and evidence.measured:
        exact = {d.name for d in evidence.wrong} | {cause.name for cause in flat}
        at = max(1, sum(cause.name in exact for cause in ranked))  # after all that is known exactly
        ranked.insert(at, Cause("", _may_not_follow(evidence.measured), 0.0))
    held = tuple(row for row in rows if row.expected is not None)
    observed = tuple(row for row in rows if row.expected is None)
    verdict = _verdict(held, bad, ranked, evidence.climb)
    if verdict.outcome == Outcome.OK:
        verdict = _unlearned(evidence, rungs) or verdict
    return replace(result, rows=held, observed=observed, notes=notes, verdict=verdict)


def _blank(plan: Plan, climb: Climb) -> Check:
    """Return a check without runs and rows."""
    deep = climb.dial == DEPTH
    return Check(
        plan.rule,
        plan.optimizer,
        (plan.target[WIDTH],) if deep else climb.values,
        (),
        0,
        0.0,
        dict(plan.base),
        (),
        Verdict(Outcome.OK, ""),
        depths=climb.values if deep else (),
        depth_rule=plan.depth_rule,
    )


def _rows(
    evidence: Evidences, seeds: Sequence[Sequence[Rung]], silent: Sequence[str]
) -> list[tuple[CheckRow, Slope]]:
    plan, sizes = evidence.plans[-1], evidence.climb.values
    deep = evidence.climb.dial == DEPTH
    tolerance = DEPTH_TOLERANCE if deep else TOLERANCE
    known = {name: row for row in plan.rows for name in (row.name, *row.aliases)}
    promises = promised_in_depth(evidence.plans) if deep else {}
    carries = {
        outer: {} if deep else promised(plan, by_name=evidence.by_name, outer=outer)
        for outer in (True, False)
    }
    outputs = {(known[n].name, use) for n, use in seeds[0][0].outer if n in known}
    found: list[tuple[CheckRow, Slope]] = []

    def add(name: str, quantity: str, use: str, values: Sequence[Sequence[float]]) -> None:
        row = known.get(name)
        if row is None:
            return
        tied = use == "contract" and row.role in ("lookup", "input") and (row.name, use) in heads
        if deep:
            expected = depth_exponent(quantity, promises.get(row.name, DepthPromise()), tied=tied)
        else:
            expected = exponent(
                plan.rule,
                quantity,
                row.role,
                carries=carries[(row.name, use) in outputs].get(row.name, Promise()),
                tied=tied,
                by_name=evidence.by_name,
            )
        unit = 0.0
        if evidence.by_name and expected and not deep:
            # Feature learning asks for 0: a tensor that carries a multiplier is counted in units of it.
            unit, expected = expected, 0.0
            values = [
                [v * (n / sizes[0]) ** -unit for v in row] for n, row in zip(sizes, values, strict=True)
            ]
        slope = fit(sizes, values)
        if slope is None:
            return
        bad = expected is not None and (slope.low > expected + tolerance or slope.high < expected - tolerance)
        means = tuple(math.exp(sum(map(math.log, v)) / len(v)) for v in values)
        made = CheckRow(
            row.name,
            quantity,
            slope.value,
            slope.low,
            slope.high,
            expected,
            not bad,
            "",
            row.role,
            use,
            means,
            unit,
            tolerance,
        )
        found.append((made, slope))

    keys = list(seeds[0][0].measures)
    heads = {(known[n].name, use) for n, quantity, use in keys if quantity == "logits" and n in known}
    for key in keys:
        if known.get(key[0]) is not None and known[key[0]].name not in silent:
            edges = (
                _edges(evidence.plans, known[key[0]].name) if key[1] == "init norm" else [1.0] * len(sizes)
            )
            values = [[row[i].measures.get(key, 0.0) / edge for row in seeds] for i, edge in enumerate(edges)]
            add(*key, values)
    for name in seeds[0][0].run.rates:
        shares = _shares(evidence.plans, known[name].name) if name in known else [1.0] * len(sizes)
        products = [
            rung.run.rates.get(name, 0.0) * rung.run.decays.get(name, 0.0) / share
            for rung, share in zip(seeds[0], shares, strict=True)
        ]
        # A product without chance in it is either right or wrong: rows for those that are right would say nothing.
        if plan.decay == "shrink" and min(products) > 0 and max(products) > min(products) * (1 + GOOD):
            add(name, "decay", "", [[p] * 2 for p in products])
    for name, paths in evidence.evaluation.items():
        slopes = [(s, path) for path in paths if (s := fit(sizes, [[p] * 2 for p in path])) is not None]
        if slopes:
            _, worst = max(slopes, key=lambda pair: abs(pair[0].value))
            add(name, "evaluation", "contract", [[p] * 2 for p in worst])
    return found


def _shares(plans: Sequence[Plan], name: str) -> list[float]:
    """Return what learning rate times weight decay is planned to be at every size, relative to the base."""
    if plans[-1].weight_decay == "independent":
        return [1.0] * len(plans)
    rows = [next(row for row in plan.rows if row.name == name) for plan in plans]
    return [row.lr * row.weight_decay for row in rows]


def _edges(plans: Sequence[Plan], name: str) -> list[float]:
    """Return by how much a finite side raises the spectral norm of a random matrix at every width.

    A random matrix of standard deviation s has norm s (sqrt(fan_in) + sqrt(fan_out)); with the width only the sides
    that grow are left of the sum.
    """
    rows = [next(row for row in plan.rows if row.name == name) for plan in plans]
    found = []
    for row in rows:
        if row.fan_in is None or row.fan_out is None:
            return [1.0] * len(rows)
        ratio = math.sqrt(row.fan_out[1] / row.fan_in[1])
        finite_in, finite_out = rows[-1].fan_in_ratio == 1.0, rows[-1].fan_out_ratio == 1.0
        found.append(1 + (1 / ratio if finite_in else ratio if finite_out else min(ratio, 1 / ratio)))
    return found


def _verdict(
    rows: Sequence[CheckRow], bad: Sequence[CheckRow], ranked: Sequence[Cause], climb: Climb
) -> Verdict:
    dial, smallest = climb.dial, climb.values[0]
    good = sum(row.good for row in rows)
    score = f"{good} of {len(rows)} exponents are within {GOOD} of what is expected"
    evidence = tuple(_line(row) for row in sorted(bad, key=lambda r: -abs(r.off))[:8])
    texts = tuple(dict.fromkeys(cause.text for cause in ranked))
    faults = [cause for cause in ranked if cause.power != 0.0]
    if bad or faults:
        first = faults[0] if faults else ranked[0]
        outcome = Outcome.INCONSISTENT if not bad else Outcome.GROWS if first.power > 0 else Outcome.SHRINKS
        named = next((row for row in bad if row.name == first.name), bad[0] if bad else None)
        seen = f", e.g. {_words(named, dial)}" if named is not None else ""
        summary = (
            f"{first.name!r} does not scale: {first.text}. {len(bad)} of {len(rows)} exponents are off{seen}"
            if bad
            else f"{first.name!r} is not what the rule asks: {first.text}; of what was measured {score}"
        )
        return Verdict(
            outcome,
            summary,
            evidence,
            texts,
            (
                f"check again at widths of {_NARROW} or more: networks as narrow as {smallest} drift this far by "
                "themselves"
                if dial == WIDTH
                and smallest < _NARROW
                and max((abs(row.off) for row in bad), default=1.0) < _DRIFT
                else f"mend {first.name!r} first; what comes after it in the network may be off only because of it"
            ),
        )
    wide = [row for row in rows if row.high - row.low > 4 * row.tolerance and not row.note]
    if not rows or len(wide) > _MOST_WIDE * len(rows):
        reason = (
            "nothing could be measured"
            if not rows
            else f"the intervals of {len(wide)} of {len(rows)} exponents are too wide to tell right from wrong"
        )
        return Verdict(
            Outcome.CANNOT_TELL if not rows else Outcome.TOO_NOISY,
            f"{reason}; {score}",
            tuple(_line(row) for row in wide[:8]),
            texts,
            f"give more seeds, a larger batch, or {dial}s that are farther apart",
        )
    # In depth a note is a measured law of how the limit is approached, and no excuse.
    alike = good if dial == WIDTH else sum(row.good or bool(row.note) for row in rows)
    if alike < _FEWEST_GOOD * len(rows):
        return Verdict(
            Outcome.CANNOT_TELL,
            f"no exponent is off by more than {rows[0].tolerance}, but only {score}: many small drifts at once",
            tuple(_line(row) for row in sorted(rows, key=lambda r: -abs(r.off))[:8]),
            texts,
            f"check at larger {dial}s, where effects of a finite {dial} fade and an error stays; look for what acts on "
            "all tensors alike, such as clipping by the global norm",
        )
    noted = sum(bool(row.note) for row in rows)
    more = f"; {noted} that are not have an explanation" if noted else ""
    return Verdict(Outcome.OK, f"the network learns alike at every {dial}: {score}{more}", causes=texts)


def _unlearned(evidence: Evidences, rungs: Sequence[Rung]) -> Verdict | None:
    """Say that nothing was learned, so that exponents of steps say nothing of learning; None where something was."""
    fell = sum(rung.run.learned for rung in rungs)
    # After a failed search chance alone makes half of the losses fall.
    if fell >= (1 if evidence.learns else len(rungs) // 2 + 1):
        return None
    return Verdict(
        Outcome.CANNOT_TELL,
        f"the network does not learn: the loss fell in the last step of {fell} of {len(rungs)} runs"
        + ("" if evidence.learns else ", and at no learning rate that was tried")
        + ", so how its exponents look says nothing of how it learns",
        next="pass lr= at which the loss falls at the smallest size; if it falls at none, look at the sign of the loss "
        "and of the optimizer's step, and at whether the loss depends on the model",
    )


def _may_not_follow(name: str) -> str:
    return (
        f"{name} was measured on single tensors with random gradients, and its steps may not follow that measurement in "
        "this network and at this learning rate. Where no factor is known to be wrong, compare "
        f"similitude.measure_optimizer({name}), or check again with more steps or an optimizer of torch.optim: what is "
        "right there is off here for the optimizer alone"
    )


def _diverged(evidence: Evidences, seeds: Sequence[Sequence[Rung]]) -> Verdict:
    dial, sizes = evidence.climb.dial, evidence.climb.values
    lost = [i for i in range(len(sizes)) if any(row[i].run.diverged for row in seeds)]
    names = ", ".join(str(sizes[i]) for i in lost)
    smallest = lost[0] == 0
    texts = [d.text(evidence.plans[-1].rule) for d in evidence.wrong]
    if any(row[i].run.broken for row in seeds for i in lost):
        return Verdict(
            Outcome.DIVERGED,
            f"the loss at {dial} {names} is not finite before the first step",
            causes=(
                *texts,
                "the model, its initial values or the sample hold nan or inf; no learning rate mends that",
            ),
            next=f"compute loss(make({dial}), batch) once and find where it stops being finite",
        )
    texts.append(
        f"the learning rate is too large for every {dial}"
        if smallest
        else f"learning rates that do not fall with the {dial} as they must"
    )
    return Verdict(
        Outcome.DIVERGED,
        f"the loss is not finite any more at {dial} {names}"
        + ("" if smallest else ", and is at smaller ones"),
        causes=tuple(texts),
        next="pass a smaller lr, so that the exponents can be measured",
    )


def _silent(seeds: Sequence[Sequence[Rung]]) -> list[str]:
    """List tensors whose gradient is nothing but rounding, at any size."""
    found: dict[str, None] = {}
    for row in seeds:
        for rung in row:
            sizes = rung.run.gradients
            middle = median(sizes.values()) if sizes else 0.0
            found.update({name: None for name, size in sizes.items() if size < _SILENT * middle})
    return list(found)


def _losses(seeds: Sequence[Sequence[Rung]]) -> tuple[tuple[float, float], ...]:
    pairs = []
    for runs in zip(*seeds, strict=True):
        pairs.append(tuple(sum(r.run.losses[i] for r in runs) / len(runs) for i in (0, -1)))
    return tuple(pairs)


def _line(row: CheckRow) -> Evidence:
    wanted = "0" if not row.expected else f"{row.expected:+.2g}"
    return Evidence(f"exponent of {row.quantity}, {row.name}", row.slope, (row.low, row.high), wanted)


def _words(row: CheckRow, dial: str) -> str:
    return f"{row.quantity} of {row.name!r} goes as {dial}^{row.slope:+.2f}"
