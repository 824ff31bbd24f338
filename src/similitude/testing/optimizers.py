"""The conformance kit for optimizers: what was said of a class against what its steps do, folding, and the check."""

from __future__ import annotations

import math
import unittest
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from similitude.checking.coordinates import check
from similitude.core.citation import cites
from similitude.scaling.geometry import measure_optimizer
from similitude.scaling.measured import MeasuredOptimizer
from similitude.scaling.optimizers import OptimizerLike, OptimizerSpec, resolve
from similitude.scaling.plan import Planner
from similitude.scaling.records import Plan
from similitude.scaling.shape_laws import TOLERANCE
from similitude.scaling.trial import aligned_gradients, instantiate, steps_of
from similitude.testing.runs import Net, batch, fail, largest_difference, loss_of, optimizer_for, train

_BASE, _TARGET = 8, 32
_KNOBS = {
    "input": 0.7,
    "vector": 1.3,
    "hidden": 0.3,
    "output": 2.5,
}  # no powers of two, which fold without rounding
_SIDE = 48
_TINY = 1e-3  # by how much the gradient is made smaller to see what eps does
_NEAR = 0.06  # a step within this of another is the same: measured degrees are this exact


class OptimizerTests:
    """Subclass it in a test file, name the optimizer, and pytest collects the tests.

    Attributes:
        optimizer: A class or `functools.partial`, wrapped in `staticmethod(...)` if it is a function.
        lr: Learning rate at which a small network of width 8 learns.
        tolerance: Largest relative difference of losses of runs that are the same but for rounding: 1e-9 for
            optimizers in double precision, 0.1 or so for those that work in bfloat16.
        outcome: Outcome that the coordinate check must have under muP.
        widths: Its widths.
        steps: Its optimizer steps.

    Example:
        `class TestMine(OptimizerTests): optimizer, lr = Mine, 1e-3`
    """

    optimizer: ClassVar[OptimizerLike]
    lr: ClassVar[float] = 0.01
    tolerance: ClassVar[float] = 1e-9
    outcome: ClassVar[str] = "ok"
    widths: ClassVar[Sequence[int]] = (64, 128, 256)
    steps: ClassVar[int] = 4

    @cites(7, "Condition 1: the spectral norm of an update")
    def test_geometry_is_as_registered(self) -> None:
        """Family, law of the shape, own size, eps and weight decay are those that its steps show when measured."""
        spec, found = self._spec(), measure_optimizer(self._make())
        if found.refused:
            self._fail("no rule fits it when it is measured", found.reason, "Its factors would be a guess")
        self._compare("family", spec.family, _family(found), "decides the powers of its learning rate")
        self._compare(
            "relative", spec.relative, found.relative, "says whether steps follow the tensor's own size"
        )
        decay = "none" if found.decay == "other" else found.decay  # for either of them the number stays
        self._compare("decay", spec.decay, decay, "decides the factor on the weight decay")
        power = found.exponents.get("eps")
        if power is not None:
            self._compare("eps_power", spec.eps_power, float(round(power)), "is the power of eps")
        if spec.family == "orthogonalized":
            off = _deviation(spec, found)
            if off > TOLERANCE:
                self._fail(
                    f"its law of the shape is registered as {spec.law.name}",
                    f"the measured sizes of steps are off by up to {100 * off:.0f} %, more than {100 * TOLERANCE:g} %",
                    f"Measured is {found.law or 'no law'}: register law={found.law!r}",
                )
        if found.settling > spec.settling:
            self._fail(
                f"settling={spec.settling}",
                f"the first {found.settling} steps follow another law",
                f"Register settling={found.settling}",
            )

    def test_eps_moves_with_the_gradient(self) -> None:
        """A gradient x c and an eps x c^eps_power give the step that the gradient and the eps give."""
        spec = self._spec()
        eps = spec.defaults.get("eps")
        if spec.family == "sgd" or not isinstance(eps, int | float) or not eps:
            raise unittest.SkipTest(f"{spec.name} has no eps that a group may set")
        weight = torch.ones(_SIDE, _SIDE, dtype=torch.float64)
        gradients = aligned_gradients(_SIDE, _SIDE, spec.settling + 2)

        def last(scale: float, value: float) -> torch.Tensor:
            options = {"lr": 1e-3, "weight_decay": 0.0, "eps": value}
            return steps_of(self._make(), [weight], [[g * scale] for g in gradients], options=options)[-1]

        large = 0.1  # as large as the gradient's entries, so that a wrong power shows
        step, scaled = last(1.0, large), last(_TINY, large * _TINY**spec.eps_power)
        # Sizes, not differences: what orthogonalizes in bfloat16 turns rounding into directions of its own.
        sizes = [float(torch.linalg.matrix_norm(s, ord=2)) for s in (scaled, step)]
        off = abs(sizes[0] / sizes[1] - 1) if sizes[1] else float("inf")
        if off > _NEAR:
            self._fail(
                f"eps_power={spec.eps_power:g}",
                f"a gradient x{_TINY:g} with eps x{_TINY:g}^{spec.eps_power:g} makes a step {100 * off:.0f} % off",
                "Most compare eps with the root of the squared gradient (1), some with the square itself (2)",
            )

    @cites(17, "Lemma J.1, the abc-symmetry")
    def test_folded_multipliers_train_as_explicit_ones(self) -> None:
        """A network trains alike with multipliers in its forward pass, and with them folded into init and groups."""
        knobs = {role: {"multiplier": m} for role, m in _KNOBS.items()}
        folded, explicit = Net(_TARGET), Net(_TARGET, _KNOBS)
        with_knobs, without = self._plan(_TARGET, knobs=knobs), self._plan(_TARGET)
        with_knobs.apply_(folded)
        without.apply_(explicit)
        options = self._options(without)
        found = train(folded, optimizer_for(with_knobs, folded, self._make(), lr=self.lr, **options))
        expected = train(explicit, optimizer_for(without, explicit, self._make(), lr=self.lr, **options))
        off = largest_difference(found, expected)
        if off > self.tolerance:
            self._fail(
                "folding a forward multiplier changes the run",
                f"losses differ by {off:.2g}, more than {self.tolerance:g}: {found} and {expected}",
                "Its steps are not of the degree in the gradient that its family says, or it has a constant that no "
                "group sets",
            )

    def test_base_is_the_reference(self) -> None:
        """At the base, training in the plan's groups is bit-identical to one's own."""
        plan = self._plan(_BASE)
        if plan.family == "orthogonalized":
            raise unittest.SkipTest(
                f"{plan.optimizer} trains matrices alone: there is no one run of the user's own"
            )
        planned, own = Net(_BASE), Net(_BASE)
        plan.apply_(planned)
        theirs = instantiate(self._make(), list(own.parameters()))
        for group in theirs.param_groups:
            group["lr"] = self.lr
        found, expected = (
            train(planned, optimizer_for(plan, planned, self._make(), lr=self.lr)),
            train(own, theirs),
        )
        if found != expected:
            self._fail(
                "the plan's groups change the run at the base",
                f"losses are {found}, without a plan {expected}",
                "The defaults that were registered are not those of the class: leave them empty, {}",
            )

    @cites(17, "Appendix D.1: coordinate checking")
    def test_passes_the_coordinate_check(self) -> None:
        """Short runs under muP at several widths learn alike."""
        x, y = batch()
        found = check(
            lambda n: Net(n).float(),
            "mup",
            widths=self.widths,
            sample=(x.float(), y),
            loss=loss_of,
            optimizer=self._make(),
            steps=self.steps,
            lr=self.lr,
            rest_lr=0.01 if self._spec().family == "orthogonalized" else None,
            seeds=2,
            max_seeds=4,
        )
        if str(found.verdict.outcome) != self.outcome:
            self._fail(
                f"the check says {found.verdict.outcome}, expected is {self.outcome}",
                found.verdict.summary,
                " ".join(found.verdict.causes[:1]) or "Compare the exponents: similitude.check(...)",
            )

    def _make(self) -> Any:
        return type(self).optimizer

    def _spec(self) -> OptimizerSpec:
        return resolve(self._make())

    def _plan(self, target: int, **more: Any) -> Plan:
        return Planner(Net, base=_BASE, sample=batch()[0], optimizer=self._make(), **more).plan(target)

    def _options(self, plan: Plan) -> dict[str, float]:
        """Return options large enough that a wrong factor on one of them shows."""
        wanted = {"weight_decay": 0.05, "eps": 1e-3}
        if plan.decay == "gradient":  # such a decay follows a multiplier, but a warning says it transfers not
            wanted.pop("weight_decay")
        return {
            name: value for name, value in wanted.items() if isinstance(plan.defaults.get(name), int | float)
        }

    def _compare(self, what: str, said: object, measured: object, why: str) -> None:
        if said != measured:
            self._fail(
                f"{what}={said!r}", f"measured is {measured!r}", f"It {why}: register {what}={measured!r}"
            )

    def _fail(self, what: str, law: str, remedy: str) -> None:
        fail(f"optimizer {self._spec().name}: {what}", law, remedy)


def _family(found: MeasuredOptimizer) -> str:
    """Return the family that a plan uses: what takes matrices alone is one side of a split."""
    alone = found.vectors == "refused" and found.family == "entrywise" and not found.relative
    return "orthogonalized" if alone else found.family


def _deviation(spec: OptimizerSpec, found: MeasuredOptimizer) -> float:
    """Return the largest relative deviation of the measured sizes from the registered law, its constant being free."""
    logs = [
        math.log(point.size / spec.law.squared(float(point.fan_out), float(point.fan_in)) ** 0.5)
        for point in found.points
    ]
    return math.expm1((max(logs) - min(logs)) / 2)
