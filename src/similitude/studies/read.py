"""Read a transfer study back from its ledger: the same result as when it was run, and nothing is run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from similitude.core.errors import StudyError
from similitude.runs.grid import Cell
from similitude.runs.ledger import Ledger, studies
from similitude.runs.records import Result
from similitude.scaling.plan import Plan
from similitude.studies.dials import dial_of
from similitude.studies.experiment import BASE
from similitude.studies.records import Curve, TransferStudy
from similitude.studies.shift import transfer as judge

PLANS = "similitude:plans"


def read_study(storage: str | Path, name: str) -> TransferStudy:
    """Read a study from its storage.

    Args:
        storage: The folder or Optuna storage URL that it was run with.
        name: Its name.

    Raises:
        StudyError: There is no such study, or it is no transfer study.
    """
    ledger = Ledger.open(storage, name, create=False)
    grid = ledger.cells()
    if PLANS not in ledger.study.user_attrs or not grid:
        others = ", ".join(repr(other) for other in studies(storage) if other != name) or "none"
        plans = "plans" if PLANS in ledger.study.user_attrs else "no plans"
        raise StudyError(
            f"study {name!r} in {storage} is no transfer study: it has {len(grid)} cells and {plans}. Name "
            f"another one; others there: {others}."
        )
    rules = tuple(json.loads(ledger.study.user_attrs[PLANS]))
    return assemble(ledger, rules, grid=grid, found=None, seconds=0.0)


def assemble(
    ledger: Ledger, rules: Sequence[str], *, grid: Sequence[Cell], found: int | None, seconds: float
) -> TransferStudy:
    """Judge the finished cells of a ledger.

    Args:
        ledger: The study's ledger.
        rules: Names of the rules to judge, in order.
        grid: The cells that make up the study.
        found: How many of them were finished before; None if all that are.
        seconds: Wall-clock time of the run.
    """
    wanted = set(grid)
    results = {cell: result for cell, result in ledger.finished().items() if cell in wanted}
    plans = {rule: Plan.from_dict(d) for rule, d in json.loads(ledger.study.user_attrs[PLANS]).items()}
    already = len(results) if found is None else found
    dial = dial_of(grid[0])
    return TransferStudy(
        name=ledger.name,
        transfers={rule: judge(rule, curves_of(results, rule, dial), dial=dial) for rule in rules},
        plans={rule: plans[rule] for rule in rules},
        settings={**ledger.fingerprint, "seeds": len({c["seed"] for c in grid})},
        cells_found=already,
        cells_run=len(results) - already,
        cells_missing=len(grid) - len(results),
        seconds=seconds,
    )


def curves_of(results: dict[Cell, Result], rule: str, dial: str) -> tuple[Curve, ...]:
    """Collect the final losses of one rule by size; rates without a finished cell are left out."""
    by_size: dict[int, dict[float, dict[int, float]]] = {}
    for cell, result in results.items():
        if cell["rule"] in (BASE, rule):
            at_rate = by_size.setdefault(int(cell[dial]), {}).setdefault(float(cell["lr"]), {})
            at_rate[int(cell["seed"])] = result.value
    return tuple(
        Curve(
            size,
            tuple(sorted(rates)),
            tuple(tuple(rates[lr][seed] for seed in sorted(rates[lr])) for lr in sorted(rates)),
            dial,
        )
        for size, rates in sorted(by_size.items())
    )
