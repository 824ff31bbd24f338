"""Leases: who is running a cell, until when, and whether that process is still there."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from similitude.core.errors import StudyError
from similitude.runs.grid import Cell


class LeaseLostError(StudyError):
    """A result came for a cell that is no longer held; it was refused, so that no cell has two results."""


@dataclass(frozen=True)
class Lease:
    """The right to run one cell, taken from a ledger.

    Attributes:
        cell: The cell to run.
        trial: Number of its Optuna trial; its curve is stored under this number.
        trial_id: Identifier of the trial in the storage.
        serial: Tells this lease from earlier ones of the same ledger on the same trial.
        seconds: How long it is valid after it was taken or renewed.
    """

    cell: Cell
    trial: int
    trial_id: int
    serial: int
    seconds: float


@dataclass(frozen=True)
class Owner:
    """One process, so described that another one can tell whether it is still alive.

    Attributes:
        host: Name of the machine.
        boot: Which boot of the machine and which namespace of process ids; a pid means the same only within
            both.
        pid: Process id.
        started: When the process started, in the system's own words: tells it from a later one with the same
            pid.
    """

    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def of_this_process(cls) -> Owner:
        """Describe the calling process."""
        return cls(platform.node(), _boot(), os.getpid(), _started(os.getpid()) or "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    def is_dead(self) -> bool:
        """Whether the process is known to be gone. Of another machine, boot or container nothing is known."""
        if (self.host, self.boot) != (platform.node(), _boot()):
            return False
        return _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def lapse(leases: Mapping[str, Any], *, now: float) -> str | None:
    """Say why a running trial was abandoned, or return None while any of its leases may be alive.

    Processes that tried to take the same trial at once may each have left a lease; only one of them runs it,
    so it is abandoned when all of them are void, expired or of dead processes. A trial without any lease was
    not started by a ledger, or lost its owner in the act.

    Args:
        leases: The stored leases, by token: the fields of an `Owner`, and `expires` (seconds since the
            epoch), or None for one that was given back.
        now: Seconds since the epoch.
    """
    reason = "it was running without a lease"
    for lease in leases.values():
        if lease is None:
            continue
        owner = Owner(lease["host"], lease["boot"], lease["pid"], lease["started"])
        if owner.is_dead():
            reason = f"{owner} ended before it finished"
        elif lease["expires"] <= now:
            reason = f"the lease of {owner} expired {now - lease['expires']:.0f} s ago"
        else:
            return None
    return reason


@cache
def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux: the name of the machine must do
        return ""


def _started(pid: int) -> str | None:
    """Return when a process of this machine started, or None if there is none with this pid."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()  # the name before it may hold anything
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        run = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:  # no ps either: leases end by expiry alone
        return ""
    return run.stdout.strip() or None
