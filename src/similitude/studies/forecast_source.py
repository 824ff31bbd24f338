"""Which rule of a study a forecast is made from, and whether its dials are those of the target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import GridError
from similitude.scaling.plan import Plan
from similitude.scaling.sizes import DEPTH, WIDTH
from similitude.studies.records import Transfer, TransferStudy


@dataclass(frozen=True)
class Source:
    """One rule of a study, and what is known beside it.

    Attributes:
        name: Name of the study.
        transfer: What was found under the rule.
        plan: From the smallest to the largest size; None where only a `Transfer` was given.
        settings: What was run.
    """

    name: str
    transfer: Transfer
    plan: Plan | None
    settings: Mapping[str, Any]


def source_of(study: TransferStudy | Transfer, rule: str | None) -> Source:
    """Return the rule of a study to forecast from: that which is named, or the last.

    Raises:
        GridError: The study has no such rule, or none at all.
    """
    if isinstance(study, Transfer):
        if rule is not None and rule != study.rule:
            raise GridError(
                f"rule={rule!r} was asked for, and the Transfer is of {study.rule!r}. Leave rule out."
            )
        return Source(study.rule, study, None, {})
    known = list(study.transfers)
    if not known:
        raise GridError(
            f"study {study.name!r} holds no rule, so there is nothing to forecast from. Run it first."
        )
    wanted = known[-1] if rule is None else rule
    if wanted not in study.transfers:
        raise GridError(
            f"study {study.name!r} holds no rule {wanted!r}; it compares {', '.join(map(repr, known))}. Name one of them."
        )
    return Source(study.name, study.transfers[wanted], study.plans.get(wanted), study.settings)


def target_of(source: Source, to: Mapping[str, float]) -> float:
    """Return the target's value of the dial that the study varied, once the other dials are those of the study.

    Args:
        source: What the forecast is made from.
        to: The target by dial.

    Raises:
        GridError: The dial is missing or no larger than what was measured, another dial is unknown or has another value.
    """
    dial, settings = source.transfer.dial, source.settings
    sizes = [curve.size for curve in source.transfer.curves]
    kept = {name: settings[name] for name in (WIDTH, DEPTH) if name in settings and name != dial}
    varied = f"it varied the {dial} ({', '.join(map(str, sizes)) or 'of no finished run'})"
    for name, value in to.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise GridError(
                f"to gives {name} the value {value!r}: pass a positive number, e.g. {{{dial!r}: 1024}}."
            )
        if name == dial:
            continue
        if name in kept:
            if kept[name] != value:
                raise GridError(
                    f"the target has {name} {value:g}, and the study {source.name!r} kept it at {kept[name]}: {varied}, "
                    f"so it says nothing of another {name}. Leave the {name} out, or run a study over {name}s."
                )
            continue
        known = f"{varied}" + "".join(f" at {other} {size}" for other, size in kept.items())
        raise GridError(
            f"the target names {name!r}, which is no dial of the study {source.name!r}: {known}. Name the {dial} "
            f"alone, or tune {name} as a scale dimension (`similitude tune`) and forecast that study."
        )
    if dial not in to:
        raise GridError(
            f"the target names no {dial}, and the study {source.name!r} is about nothing else: {varied}. Add "
            f"{dial}=, e.g. {{{dial!r}: {4 * (sizes or [256])[-1]}}}."
        )
    at = float(to[dial])
    if sizes and at <= sizes[-1]:
        raise GridError(
            f"{dial} {at:g} is not beyond the largest one measured, {sizes[-1]}: its best rate can be read off the "
            f"study. Name a larger one, e.g. {{{dial!r}: {4 * sizes[-1]}}}."
        )
    return at
