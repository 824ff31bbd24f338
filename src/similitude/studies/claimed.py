"""Take cells of a ledger, compute them on an engine, store what comes back, and give back what was not computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol, Self, TypeVar

from similitude.core.errors import StudyError
from similitude.runs.engine import Engine
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease
from similitude.runs.ledger import Ledger

R = TypeVar("R")


class Cells(Protocol):
    """Cells that one job computes; plain data, to go to another process."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells, in the order of the job's results."""
        ...

    def only(self, cells: tuple[Cell, ...]) -> Self:
        """Return the job of some of its cells."""
        ...


J = TypeVar("J", bound=Cells)


def take_and_run(
    ledger: Ledger,
    jobs: Sequence[J],
    engine: Engine,
    train: Callable[[J], Sequence[R]],
    *,
    store: Callable[[Lease, R], None],
    on_done: Callable[[J], None],
) -> None:
    """Take, compute and store jobs; cells that another process has are left to it.

    Args:
        ledger: The study; its cells are waiting.
        jobs: What to compute.
        engine: Where to compute.
        train: Computes one job: a result per cell, in their order.
        store: Finishes a cell with its result; called inside one batch of the ledger per job.
        on_done: Called with every job whose results are stored.

    Raises:
        StudyError: A job failed, or a result cannot be stored; cells that are not finished wait again.
    """
    held: dict[Cell, Lease] = {}
    taken: list[J] = []
    for job in jobs:
        held.update({lease.cell: lease for lease in ledger.claim(job.cells)})
        mine = tuple(cell for cell in job.cells if cell in held)
        if mine:
            taken.append(job.only(mine))

    def keep(job: J, results: Sequence[R]) -> None:
        with ledger.batch():
            for cell, result in zip(job.cells, results, strict=True):
                store(held[cell], result)
        for cell in job.cells:
            del held[cell]
        on_done(job)

    try:
        with ledger.keep(list(held.values())):
            engine.map(train, taken, on_done=keep)
    finally:
        # What cannot be given back, because the disk is full, others take over once this process has ended;
        # the error that led here says more.
        with suppress(StudyError):
            if held:
                with ledger.batch():
                    for lease in held.values():
                        ledger.release(lease)
