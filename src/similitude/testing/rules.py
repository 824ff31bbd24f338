"""The conformance kit for rules of width: identity, folding, sizes of steps, the coordinate check, and files."""

from __future__ import annotations

import math
import tempfile
import unittest
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from similitude.checking.coordinates import check
from similitude.checking.expected import Promise, exponent
from similitude.checking.records import TOLERANCE
from similitude.checking.slopes import fit
from similitude.checking.spectral import natural_norm
from similitude.core.citation import cites
from similitude.scaling.derivation import derive
from similitude.scaling.plan import Planner
from similitude.scaling.records import Plan
from similitude.scaling.rules import FAMILIES, ROLES, factors
from similitude.scaling.sizes import WIDTH
from similitude.scaling.trial import OptimizerLike, instantiate
from similitude.testing.runs import (
    OPTIMIZERS,
    RATES,
    ROLES_OF,
    Net,
    batch,
    fail,
    largest_difference,
    loss_of,
    optimizer_for,
    train,
)

_EXACT = 1e-12  # relative difference of losses: double precision over a few steps
_BASE, _TARGET = 8, 32
_KNOBS = {
    "input": 0.7,
    "vector": 1.3,
    "hidden": 0.3,
    "output": 2.5,
}  # no powers of two, which fold without rounding
_BY_HAND = "by hand"  # in the last step of a factor that its derivation does not explain


def _undecayed(family: str) -> OptimizerLike:
    """Return the optimizer of a family without weight decay, whose steps no promise about gradients covers."""
    make: Any = OPTIMIZERS[family]
    return partial(make, weight_decay=0.0)


class RuleTests:
    """Subclass it in a test file, name the rule, and pytest collects the tests.

    Attributes:
        rule: Name of a rule, registered before the tests run (`similitude.register_rule`).
        families: Families of optimizers that the rule is meant for.
        promises: Whether the rule promises sizes that hold at every width; "sp", which leaves everything as it is
            written, does not.
        layers: Hidden layers of the network, 2 or 1, for rules that are meant for one.
        outcome: Outcome that the coordinate check must have.
        widths: Widths of the runs whose growth is measured, the base first.
        tolerance: How far the exponent of the size of a step may be from the promised one: chance makes up to 0.2.

    Example:
        `class TestMine(RuleTests): rule = "mine"`
    """

    rule: ClassVar[str]
    families: ClassVar[Sequence[str]] = FAMILIES
    promises: ClassVar[bool] = True
    layers: ClassVar[int] = 2
    outcome: ClassVar[str] = "ok"
    widths: ClassVar[Sequence[int]] = (64, 128, 256)
    tolerance: ClassVar[float] = TOLERANCE

    def test_base_is_the_reference(self) -> None:
        """At the base every factor is 1, for every role and family, and training is bit-identical to one's own."""
        for family in self.families:
            for role in ROLES:
                found = factors(self.rule, role, family, r_in=1, r_out=1)
                given = {
                    name: getattr(found, name)
                    for name in ("init", "lr", "eps", "weight_decay")
                    if getattr(found, name) not in (None, 1.0)
                }
                if given:
                    fail(
                        f"rule {self.rule!r}, role {role!r}, {family}",
                        f"at the base every factor must be 1, found {given}",
                        "Give powers of the ratios r_in and r_out alone",
                    )
            plan = self._plan(family, target=_BASE)
            if not plan.is_identity:
                fail(f"rule {self.rule!r}, {family}", "the plan at the base changes something", f"See {plan}")
            if family == "orthogonalized":
                continue  # two optimizers train it, so there is no one run of the user's own
            planned, own = self._net(_BASE), self._net(_BASE)
            plan.apply_(planned)
            theirs = instantiate(OPTIMIZERS[family], list(own.parameters()))
            found, expected = train(planned, self._optimizer(plan, planned, family)), train(own, theirs)
            if found != expected:
                fail(
                    f"rule {self.rule!r}, {family}",
                    f"losses at the base are {found}, without a plan {expected}; they must be the same to the last bit",
                    "A factor at the base is not exactly 1",
                )

    @cites(17, "Lemma J.1, the abc-symmetry")
    def test_folded_multipliers_train_as_explicit_ones(self) -> None:
        """A network under the rule trains alike with multipliers in its forward pass and with them folded: to 1e-12."""
        for family in self.families:
            lr = RATES[family]
            folded, explicit = self._net(_TARGET), self._net(_TARGET, _KNOBS)
            there = {role for name, role in ROLES_OF.items() if name in dict(folded.named_parameters())}
            knobs = {role: {"multiplier": m} for role, m in _KNOBS.items() if role in there}
            with_knobs, without = self._plan(family, knobs=knobs), self._plan(family)
            with_knobs.apply_(folded)
            without.apply_(explicit)
            found = train(folded, optimizer_for(with_knobs, folded, OPTIMIZERS[family], lr=lr))
            expected = train(explicit, optimizer_for(without, explicit, OPTIMIZERS[family], lr=lr))
            off = largest_difference(found, expected)
            if off > _EXACT:
                fail(
                    f"rule {self.rule!r}, {family}",
                    f"losses with folded multipliers differ by {off:.2g} from explicit ones, more than {_EXACT:g}",
                    "Its factors of lr, eps and weight decay do not belong together: an m W decays and moves as W does "
                    "beside an explicit m",
                )

    @cites(7, "Condition 1")
    def test_steps_have_the_promised_size(self) -> None:
        """One step changes every matrix by as much at every width as the rule promises: its natural norm's exponent."""
        self._require_promises()
        for family in self.families:
            planner = self._planner(family, self.widths[0])
            sizes = [self._steps(family, planner.plan(width)) for width in self.widths]
            for name, role in ROLES_OF.items():
                if name not in sizes[0][0]:
                    continue
                promised = exponent(
                    self.rule, "update norm", role, carries=Promise(), tied=False, by_name=False
                )
                slope = fit(self.widths, [[seed[name] for seed in width] for width in sizes])
                if promised is None or (slope is not None and abs(slope.value - promised) <= self.tolerance):
                    continue
                grown = "is 0 or not finite" if slope is None else f"goes as width^{slope.value:.2f}"
                fail(
                    f"rule {self.rule!r}, role {role!r}, {family}",
                    f"one step's natural norm {grown}, promised is width^{promised:.2f} (within {self.tolerance:g})",
                    f"Correct the power of lr for {family} in the cell of {role!r}, or the init of what comes before it",
                )

    @cites(17, "Appendix D.1: coordinate checking")
    def test_passes_the_coordinate_check(self) -> None:
        """Short runs at several widths have the outcome that the rule is for."""
        x, y = batch()
        data = (x.float(), y)
        for family in self.families:
            plan = self._plan(family, base=self.widths[0], target=self.widths[-1])
            found = check(
                lambda n: self._net(n).float(),
                plan,
                widths=self.widths,
                sample=data,
                loss=loss_of,
                optimizer=_undecayed(family),
                lr=RATES[family],
                rest_lr=RATES["entrywise"] if family == "orthogonalized" else None,
                steps=4,
                seeds=2,
                max_seeds=4,
            )
            if str(found.verdict.outcome) != self.outcome:
                fail(
                    f"rule {self.rule!r}, {family}",
                    f"the check says {found.verdict.outcome}, expected is {self.outcome}: {found.verdict.summary}",
                    " ".join(found.verdict.causes[:1]) or "Compare the exponents: similitude.check(...)",
                )

    def test_factors_are_explained(self) -> None:
        """The product of the steps in `plan.explain` is each factor."""
        for family in self.families:
            plan = self._plan(family)
            for row in plan.rows:
                for derived in derive(plan, row):
                    product = math.prod(step.value for step in derived.steps)
                    unexplained = any(_BY_HAND in step.why for step in derived.steps)
                    if unexplained or not math.isclose(product, derived.value, rel_tol=1e-9):
                        fail(
                            f"rule {self.rule!r}, {row.name} ({row.role}), {family}",
                            f"the {derived.factor} x{derived.value:.6g} is not what its steps give: {derived}",
                            "The rule's table changed after the plan was made, or it is not a table of powers",
                        )

    def test_plans_survive_files(self) -> None:
        """A plan under the rule is the same after JSON, in memory and on disk."""
        for family in self.families:
            plan = self._plan(family)
            with tempfile.TemporaryDirectory() as folder:
                again = Plan.load(plan.save(Path(folder) / "plan.json"))
            if Plan.from_dict(plan.to_dict()) != plan or again != plan:
                fail(
                    f"rule {self.rule!r}, {family}",
                    "a plan differs from itself after a round trip through JSON",
                    "Names of rules must be plain text, and powers plain numbers",
                )

    def _require_promises(self) -> None:
        if not self.promises:
            raise unittest.SkipTest(f"{self.rule!r} promises no size at every width")

    def _net(self, width: int, multipliers: Mapping[str, float] | None = None, *, seed: int = 0) -> Net:
        return Net(width, multipliers, layers=self.layers, seed=seed)

    def _plan(self, family: str, *, base: int = _BASE, target: int = _TARGET, **more: Any) -> Plan:
        return self._planner(family, base, **more).plan(target)

    def _planner(self, family: str, base: int, **more: Any) -> Planner:
        return Planner(
            self._net, base=base, sample=batch()[0], optimizer=OPTIMIZERS[family], rule=self.rule, **more
        )

    def _optimizer(self, plan: Plan, model: Net, family: str) -> torch.optim.Optimizer:
        return optimizer_for(plan, model, OPTIMIZERS[family], lr=RATES[family])

    def _steps(self, family: str, plan: Plan, seeds: int = 4) -> list[dict[str, float]]:
        """Return the natural norm of the first step of every matrix, by seed."""
        found = []
        for seed in range(seeds):
            model = self._net(plan.target[WIDTH], seed=seed)
            before = {name: p.detach().clone() for name, p in plan.apply_(model).named_parameters()}
            options = {"eps": 1e-12} if family == "entrywise" else {}
            decayless = {**options, "weight_decay": 0.0}
            train(
                model, optimizer_for(plan, model, OPTIMIZERS[family], lr=RATES[family], **decayless), steps=1
            )
            after = dict(model.named_parameters())
            found.append(
                {
                    name: natural_norm(after[name].detach() - value)
                    for name, value in before.items()
                    if value.ndim == 2
                }
            )
        return found
