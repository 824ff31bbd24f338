"""The plan from a base size to a target size (skeleton of the record; functions follow)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PlanRow:
    """One tensor of the plan. Factors are ratios of the target to the base; 1 at the base size."""

    name: str
    role: str
    shape: tuple[int, ...]
    base_shape: tuple[int, ...]
    fan_in_ratio: float
    fan_out_ratio: float
    init: float
    rescale: float
    lr: float
    eps: float
    weight_decay: float
    reason: str


@dataclass(frozen=True)
class Refusal:
    """A tensor that was not planned, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Plan:
    """How every tensor of the target is initialized and trained, relative to the base."""

    rule: str
    optimizer: str
    family: str
    base: int
    target: int
    rows: tuple[PlanRow, ...]
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        raise NotImplementedError
