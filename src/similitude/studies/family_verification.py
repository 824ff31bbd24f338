"""The proxy's knobs at larger sizes: each is moved by octaves around its tuned value, all others kept, at every size."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from similitude.core.errors import GridError
from similitude.runs.engine import Engine, InProcess, JobsFailedError
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease
from similitude.runs.ledger import Ledger
from similitude.scaling.axes import build_shapes
from similitude.studies.base_knobs import settings_of
from similitude.studies.claimed import take_and_run
from similitude.studies.family_search import SEED, FamilySearch, cell_of, train_at
from similitude.studies.jobs import Progress
from similitude.studies.records import Curve
from similitude.training.ensemble import stack_size
from similitude.training.result import RunResult
from similitude.tuning.space.space import Space

LEAST_POINTS = 5
"""Values of a knob that are tried at every size at least: the tuned one, and two to either side."""


@dataclass(frozen=True)
class VerificationJob:
    """Runs of one size that make one batched program: they share their knobs; plain data, to go to another process."""

    size: int
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return f"verification at {self.size}"

    def only(self, cells: tuple[Cell, ...]) -> VerificationJob:
        """Return the job of some of its cells."""
        return replace(self, cells=cells)


def ladder(space: Space, name: str, *, tuned: float, points: int, step: float) -> list[float]:
    """Return the values of one knob that are tried: the tuned one, and as many to either side.

    Args:
        space: What was tuned, whose bounds are kept.
        name: The knob.
        tuned: Its tuned value.
        points: Number of values, odd, at least `LEAST_POINTS`.
        step: Distance of neighbours in octaves.

    Raises:
        GridError: There are too few points, or an even number.

    Example:
        >>> from similitude.tuning.space.dimensions import Log
        >>> ladder(Space(lr=Log(0.1, high=0.3)), "lr", tuned=0.25, points=5, step=1)
        [0.0625, 0.125, 0.25]
    """
    if points < LEAST_POINTS or points % 2 == 0:
        raise GridError(
            f"points={points}: the tuned value is verified among as many smaller as larger ones. Give an odd number of "
            f"at least {LEAST_POINTS}."
        )
    low, high = getattr(space[name], "low", None), getattr(space[name], "high", None)
    tried = [tuned * 2.0 ** (step * k) for k in range(-(points // 2), points // 2 + 1)]
    return [v for v in tried if (low is None or v >= low) and (high is None or v <= high)]


def verify(
    search: FamilySearch,
    space: Space,
    values: Mapping[str, float],
    ledger: Ledger,
    *,
    names: Sequence[str],
    points: int,
    step: float,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, tuple[Curve, ...]]:
    """Train every size of a family around its tuned configuration.

    Args:
        search: The family.
        space: What was tuned.
        values: The tuned configuration.
        ledger: Where runs are kept; finished ones are not run again.
        names: The knobs to move, one at a time.
        points: Values of each, the tuned one included.
        step: Distance of neighbouring values in octaves.
        engine: Where to run.
        on_progress: Called whenever runs are finished.

    Returns:
        Final losses by knob and size.

    Raises:
        StudyError: Training fails; finished runs are kept.
    """
    tried = {name: ladder(space, name, tuned=values[name], points=points, step=step) for name in names}

    def cells_at(size: int, name: str, value: float) -> list[Cell]:
        there = {**values, name: value}
        return [cell_of(search, size, there, seed) for seed in search.seeds]

    grid = dict.fromkeys(
        cell
        for size in search.sizes
        for name in names
        for value in tried[name]
        for cell in cells_at(size, name, value)
    )
    ledger.recover()
    ledger.populate(grid)
    todo = [cell for cell in grid if cell not in ledger.finished()]
    _work(ledger, search, _jobs(search, todo), engine or InProcess(), len(grid), on_progress)
    found = ledger.finished()
    curves: dict[str, tuple[Curve, ...]] = {}
    for name in names:
        curves[name] = tuple(
            Curve(
                size,
                tuple(tried[name]),
                tuple(
                    tuple(found[c].value for c in cells_at(size, name, v) if c in found) for v in tried[name]
                ),
                search.dial,
            )
            for size in search.sizes
        )
    return curves


def train_job(search: FamilySearch, job: VerificationJob) -> list[RunResult]:
    """Train the runs of one job, in the order of its cells.

    Raises:
        StudyError: The user's model, loss or batches raise.
    """
    configurations = [{name: cell[name] for name in cell if name != search.dial} for cell in job.cells]
    return train_at(search, job.size, configurations)


def _jobs(search: FamilySearch, todo: Sequence[Cell]) -> list[VerificationJob]:
    """Group cells that differ in seed, rate and options alone."""
    groups: dict[tuple[int, str], list[Cell]] = {}
    for cell in todo:
        values = {name: cell[name] for name in cell if name not in (search.dial, SEED)}
        knobs = sorted((role, sorted(parts.items())) for role, parts in settings_of(values).knobs.items())
        groups.setdefault((int(cell[search.dial]), repr(knobs)), []).append(cell)
    jobs = []
    for (size, _), members in groups.items():
        runs = stack_size(build_shapes(search.make, search.at(size)), len(members))
        jobs += [
            VerificationJob(size, tuple(members[start : start + runs]))
            for start in range(0, len(members), runs)
        ]
    return jobs


def _work(
    ledger: Ledger,
    search: FamilySearch,
    jobs: Sequence[VerificationJob],
    engine: Engine,
    total: int,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Take, train and store the cells; those that another process has are left to it."""
    left = sum(len(job.cells) for job in jobs)
    found, done = total - left, 0

    def store(lease: Lease, run: RunResult) -> None:
        curve = pl.DataFrame({"step": range(len(run.losses)), "loss": run.losses})
        ledger.finish(lease, run.final, curve=curve)

    def tell(job: VerificationJob) -> None:
        nonlocal done
        done += len(job.cells)
        if on_progress is not None:
            on_progress(Progress(ledger.name, str(job), found + done, total, done / left))

    try:
        train = functools.partial(train_job, search)
        take_and_run(ledger, jobs, engine, train, store=store, on_done=tell)
    except JobsFailedError as error:
        raise error.__cause__ or error from None
