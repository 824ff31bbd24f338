"""Measure many claims, here or in other processes; one that fails does not stop the others."""

from __future__ import annotations

import functools
import math
import os
import platform
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch

import similitude
from similitude.claims.registry import Entry, entry_of, expected_minutes, groups, measure
from similitude.core.claim import Claim
from similitude.core.verdict import Outcome, Verdict
from similitude.runs.engine import Engine, InProcess, JobsFailedError, available_cores, one_line


def measure_all(
    entries: Sequence[Entry],
    *,
    full: bool = False,
    settings: Mapping[str, str] | None = None,
    engine: Engine | None = None,
    on_done: Callable[[Claim], None] = lambda claim: None,
) -> list[Claim]:
    """Measure claims.

    A measurement that raises, or whose process dies, gives a claim that says so in `error`. Where several are measured
    at once, those that take longest start first, so that none is left to run alone at the end.

    Args:
        entries: The claims, as `select` gives them.
        full: Measure those at their full size that have one.
        settings: What runs this, by name; kept with every claim.
        engine: Where; in this process by default.
        on_done: Called with every claim as soon as it is there.

    Returns:
        The claims in the order of the entries.
    """
    by_name = {entry.name: entry for entry in entries}
    found: dict[str, Claim] = {}

    def keep(name: str, claim: Claim) -> None:
        found[name] = replace(claim, settings=dict(settings or {}))
        on_done(found[name])

    def keep_all(names: tuple[str, ...], claims: list[Claim]) -> None:
        for name, claim in zip(names, claims, strict=True):
            keep(name, claim)

    where, together = engine or InProcess(), groups(list(by_name.values()))
    if not isinstance(where, InProcess):
        together.sort(key=functools.partial(expected_minutes, full=full), reverse=True)
    jobs = [tuple(entry.name for entry in group) for group in together]
    attempted = functools.partial(_attempt_all, full=full)
    try:
        where.map(attempted, jobs, on_done=keep_all, name=", ".join)
    except JobsFailedError as failed:  # processes that died: what raises is caught in `attempt`
        for failure in failed.failures:
            for name in failure.job:
                keep(name, _unmeasured(by_name[name], failure.reason, 0.0))
    return [found[entry.name] for entry in entries]


def provenance(command: str) -> dict[str, str]:
    """Return what runs measurements, by name: the command, the date, and the versions that numbers depend on.

    Args:
        command: The command line.
    """
    return {
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "similitude": similitude.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {available_cores()} cores",
    }


def attempt(name: str, *, full: bool = False) -> Claim:
    """Measure a registered claim; what it raises is returned in `Claim.error`.

    Args:
        name: Its name in the registry.
        full: Measure at its full size, where it has one.
    """
    entry = entry_of(name)
    started = time.monotonic()
    try:
        return measure(entry, full=full)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{one_line(error)} ({os.path.basename(where.filename)}, line {where.lineno})"
        return _unmeasured(entry, reason, time.monotonic() - started)


def _attempt_all(names: tuple[str, ...], *, full: bool) -> list[Claim]:
    return [attempt(name, full=full) for name in names]


def _unmeasured(entry: Entry, reason: str, seconds: float) -> Claim:
    verdict = Verdict(
        Outcome.CANNOT_TELL,
        f"the measurement failed: {reason.removesuffix('.')}",
        next=f"similitude claims run {entry.name}",
    )
    return Claim(
        name=entry.name,
        paper=entry.paper,
        statement=entry.statement,
        claimed=entry.claimed,
        measured=math.nan,
        interval=None,
        unit="",
        verdict=verdict,
        seconds=seconds,
        error=reason,
    )
