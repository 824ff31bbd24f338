"""A model family over one of its dials, which every experiment over widths or depths is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from similitude.core.errors import GridError
from similitude.data.batches import Batches, check_batches
from similitude.scaling.depth import DepthRule
from similitude.scaling.knobs import Knobs, parse_knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan, Planner
from similitude.scaling.sizes import DEPTH, WIDTH, Factory, Size, as_size
from similitude.studies.dials import Compared, compared, fixed_dials
from similitude.studies.fingerprints import training_fingerprint
from similitude.studies.grid_checks import check_optimizer, check_runs, check_sizes
from similitude.training.loop import Loss
from similitude.training.schedule import Schedule


class Family:
    """What a frozen dataclass with these fields says of its sizes and rules; see `Experiment` for what they mean."""

    make: Factory
    batches: Batches
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    base: int | Size | None
    rules: tuple[str, ...] | None
    depth_rule: DepthRule | Sequence[DepthRule] | None
    loss: Loss
    optimizer: OptimizerLike
    steps: int
    seeds: tuple[int, ...]
    schedule: Schedule
    roles: Mapping[str, str] | None
    knobs: Knobs | None

    @property
    def dial(self) -> str:
        """The dial that changes: "width" or "depth"."""
        return DEPTH if self.depths else WIDTH

    @property
    def sizes(self) -> tuple[int, ...]:
        """The values of the dial that changes; at the smallest one all rules agree."""
        return self.depths or self.widths

    def at(self, size: int) -> dict[str, int]:
        """Return every dial, at one value of the dial that changes."""
        fixed = fixed_dials(self.base, dial=self.dial, smallest=self.sizes[0])
        return as_size({**fixed, self.dial: size}, "base")

    def compared(self) -> dict[str, Compared]:
        """Return the rules that are compared, by name: parametrizations over widths, depth rules over depths."""
        return compared(self.dial, self.rules, self.depth_rule)

    def planned(self, planner: Planner) -> dict[str, dict[int, Plan]]:
        """Plan every size under every rule that is compared.

        Args:
            planner: Of this family, from its smallest size.

        Raises:
            PlanError: A tensor's role cannot be told under a rule that needs it.
        """
        plans: dict[str, dict[int, Plan]] = {}
        for name, (rule, depth_rule) in self.compared().items():
            under = planner.under(rule, depth_rule=depth_rule)
            plans[name] = {}
            for size in self.sizes:
                made = under.plan(self.at(size))
                made.raise_if_bad()
                plans[name][size] = made
        return plans

    def _check(self) -> None:
        """Put the sizes in order, and refuse what makes no grid of runs."""
        if self.widths and self.depths:
            raise GridError(
                f"widths={self.widths!r} and depths={self.depths!r}: one dial changes at a time. Give the other one its "
                'value in base, e.g. base={"width": 64}.'
            )
        object.__setattr__(self, f"{self.dial}s", check_sizes(self.sizes, self.dial))
        self.at(self.sizes[0])  # what is wrong with the base or the rules is said here
        self.compared()
        check_runs(self.steps, self.seeds)
        check_batches(self.batches)
        check_optimizer(self.optimizer)

    def _training(self) -> dict[str, Any]:
        """The part of a fingerprint that says which model is trained how, and at which base."""
        smallest = self.at(self.sizes[0])
        return {
            **training_fingerprint(
                self.make,
                smallest,
                loss=self.loss,
                optimizer=self.optimizer,
                steps=self.steps,
                schedule=self.schedule,
            ),
            f"base {self.dial}": self.sizes[0],
            **{dial: size for dial, size in smallest.items() if dial != self.dial},
        }

    def _given_roles(self) -> dict[str, Any]:
        """The part of a fingerprint that says which roles and knobs the user gave; empty where there are none."""
        given: dict[str, Any] = {}
        if self.roles:
            given["roles"] = dict(sorted(self.roles.items()))
        if self.knobs:
            given["knobs"] = {role: asdict(knob) for role, knob in sorted(parse_knobs(self.knobs).items())}
        return given
