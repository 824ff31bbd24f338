"""A study of quick cells as a program of its own, for tests that kill it.

    crash_program.py FOLDER LOG            work through the study
    crash_program.py FOLDER LOG within N   do so N times, each killed at a random moment
    crash_program.py FOLDER LOG inside N   do so N times, the n-th killed in its n-th write, flush or rename

LOG, which is only ever appended to, has the cells that each of them found finished and those that it started.
"""

import math
import os
import random
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import polars as pl

from similitude.runs.grid import Cell, cells
from similitude.runs.ledger import Ledger

GRID = cells(lr=[0.1 * 1.3**k for k in range(10)], width=[64, 128], seed=range(3))


def value(cell: Cell) -> float:
    if cell["lr"] > 1:
        return math.inf if cell["seed"] else math.nan
    return math.sin(cell["lr"] * cell["width"]) / (3 + cell["seed"])


def curve(cell: Cell) -> pl.DataFrame:
    return pl.DataFrame({"loss": [value(cell) + step for step in range(5)]})


def work(folder: str, log: str, pause: float) -> None:
    note = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ledger = Ledger.open(folder, "crash", fingerprint={"version": 1})
    _write(note, "".join(f"finished {cell.key}\n" for cell in ledger.finished()).encode())
    ledger.recover()
    ledger.populate(GRID)
    while ledger.status().waiting:
        for first in range(0, len(GRID), 4):
            leases = ledger.claim(GRID[first : first + 4])
            _write(note, "".join(f"started {lease.cell.key}\n" for lease in leases).encode())
            time.sleep(pause if leases else 0)
            with ledger.batch() if first % 8 else nullcontext():
                for lease in leases:
                    cell = lease.cell
                    ledger.finish(lease, value(cell), metrics={"width": cell["width"]}, curve=curve(cell))


def within(folder: str, log: str, kills: int) -> None:
    rng = random.Random(0)
    journal = Path(folder, "study.journal")
    for _ in range(kills):
        before = journal.stat().st_size if journal.exists() else 0
        child = os.fork()
        if not child:
            work(folder, log, pause=0.05)  # so that no process gets far: ten of them must not finish the grid
            os._exit(0)
        for _ in range(10_000):  # until it has begun to write
            if journal.exists() and journal.stat().st_size > before:
                break
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.12))
        os.kill(child, signal.SIGKILL)
        print(_code(child))


def inside(folder: str, log: str, kills: int) -> None:
    for n in range(1, kills + 1):
        child = os.fork()
        if not child:
            die_in(n)
            work(folder, log, pause=0.0)
            os._exit(0)
        print(_code(child))


def _code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_write, _fsync, _replace = os.write, os.fsync, os.replace


def die_in(last: int) -> None:
    """Make this process kill itself in the n-th change that it makes to a disk."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(descriptor, data):
        if count + 1 == last:
            _write(descriptor, data[: len(data) // 2])
        step()
        return _write(descriptor, data)

    def fsync(descriptor):
        step()
        _fsync(descriptor)

    def replace(source, target):
        step()
        _replace(source, target)
        step()

    os.write, os.fsync, os.replace = write, fsync, replace


if __name__ == "__main__":
    if len(sys.argv) == 3:
        work(*sys.argv[1:3], pause=0.004)
    else:
        {"within": within, "inside": inside}[sys.argv[3]](*sys.argv[1:3], int(sys.argv[4]))
