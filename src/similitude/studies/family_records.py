"""What tuning a model family found: the configuration of the base, its verification, and the plan of the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from similitude.core.verdict import Verdict
from similitude.scaling.plan import Plan
from similitude.studies.base_knobs import BaseSettings, settings_of
from similitude.studies.forecast_records import Estimate
from similitude.studies.records import Curve, Optimum


@dataclass(frozen=True)
class Check:
    """One tuned knob at one size.

    Attributes:
        name: The knob.
        size: The value of the dial.
        tuned: The tuned value.
        optimum: The best value at this size, all other knobs as tuned (in `Optimum.lr`).
        offset: log2 of the best over the tuned value, in octaves; None where there is no best one with an interval.
        loss: Mean loss at the tuned value.
        cost: Excess of it over the smallest mean loss, relative to that; None where it is unknown.
        stderr: Standard error of `cost`; None where it is unknown.
        curve: Losses over the values that were tried.
    """

    name: str
    size: int
    tuned: float
    optimum: Optimum
    offset: Estimate | None
    loss: float
    cost: float | None
    stderr: float | None
    curve: Curve

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            self.curve.dial: self.size,
            "tuned": self.tuned,
            "best": self.optimum.lr,
            "offset_octaves": None if self.offset is None else self.offset.to_dict(),
            "loss": self.loss,
            "cost": self.cost,
            "cost_stderr": self.stderr,
            "curve": self.curve.to_dict(),
        }


@dataclass(frozen=True)
class TunedFamily:
    """A tuned model family.

    Attributes:
        name: Name of the search; its studies are stored under it and under `name + "-verification"`.
        rule: The parametrization, or the depth rule.
        dial: The dial that changes.
        sizes: Its values that were trained; the first is the base.
        values: The tuned configuration of the base, by name.
        loss: Its loss at the base as the search expects it, with its interval.
        replicates: Trials that have exactly this configuration.
        trials: Trials of the search that have a value.
        failures: Trials that failed by their configuration's fault.
        checks: Every tuned knob at every size.
        plan: From the base to the target, with the tuned knobs.
        verdict: `transfers` where every knob is right at every larger size, `shifts` where one is not.
        settings: What was run, as names and plain values.
        seconds: Wall-clock time of this call.
    """

    name: str
    rule: str
    dial: str
    sizes: tuple[int, ...]
    values: Mapping[str, float]
    loss: Estimate
    replicates: int
    trials: int
    failures: int
    checks: tuple[Check, ...]
    plan: Plan
    verdict: Verdict
    settings: Mapping[str, Any]
    seconds: float

    @property
    def tuned(self) -> BaseSettings:
        """The configuration as learning rate, options and knobs."""
        return settings_of(self.values)

    def groups(self, model: nn.Module, **options: Any) -> list[dict[str, Any]]:
        """Return parameter groups of a target model with everything that was tuned.

        Args:
            model: The target, to which `plan.apply_` was or will be applied.
            **options: Other options of the optimizer, as at the base.

        Raises:
            PlanError: The model is not the target.
        """
        return self.plan.groups(model, lr=self.tuned.lr, **{**self.tuned.options, **options})

    def raise_if_bad(self) -> None:
        """Raise unless every knob transfers.

        Raises:
            BadVerdictError: One shifts.
            NotEnoughEvidenceError: One cannot be told yet.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "name": self.name,
            "rule": self.rule,
            "dial": self.dial,
            "sizes": list(self.sizes),
            "values": dict(self.values),
            "loss": self.loss.to_dict(),
            "replicates": self.replicates,
            "trials": self.trials,
            "failures": self.failures,
            "checks": [check.to_dict() for check in self.checks],
            "plan": self.plan.to_dict(),
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }
