"""Audit CLUES data: every irregularity that is found in the files given, with counts, examples and what we make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from similitude.core.citation import cites
from similitude.fewshot.audit_files import Finding, TaskFiles
from similitude.fewshot.audit_items import ITEM_CHECKS
from similitude.fewshot.audit_splits import SPLIT_CHECKS
from similitude.fewshot.reading import Clues, clues_files
from similitude.fewshot.tasks import TASKS

if TYPE_CHECKING:
    from rich.table import Table

CHECKS = (*ITEM_CHECKS, *SPLIT_CHECKS)
"""Every check, in the order of the report."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        source: Where the data was read from.
        digest: SHA-256 over all files.
        notes: What reading them had to say.
        findings: What was found, in the order of the checks and tasks.
        clean: By check that found nothing in any task, what it looked for.
    """

    source: str
    digest: str
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    clean: Mapping[str, str]

    def of(self, check: str, task: str | None = None) -> tuple[Finding, ...]:
        """Return the findings of a check, in one task or in all."""
        return tuple(f for f in self.findings if f.check == check and task in (None, f.task))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "notes": list(self.notes), "findings": [f.to_dict() for f in self.findings]}

    def __rich__(self) -> Table:
        return audit_table(self)


@cites(18, "data of the six tasks")
def audit(data: Clues) -> Audit:
    """Look for everything that a reader of the data, or of scores on it, should know.

    Nothing is known beforehand: what is reported was found in these files.

    Args:
        data: What `read_clues` read.

    Cost:
        Half a second for the published files.
    """
    tasks = [_files(data, name) for name in TASKS]
    findings: list[Finding] = []
    clean: dict[str, str] = {}
    for check in CHECKS:
        found = [finding for files in tasks for finding in check.run(files)]
        findings += found
        if not found:
            clean[check.name] = check.looks_for
    return Audit(data.source, data.digest, data.notes, tuple(findings), clean)


def audit_table(found: Audit) -> Table:
    """Return an audit as a table for the terminal, with what similitude makes of every irregularity below it."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), caption_justify="left")
    for column in ("check", "task", "found", "what", "for example"):
        table.add_column(column, overflow="fold")
    before = ""
    for finding in found.findings:
        name = "" if finding.check == before else finding.check
        before = finding.check
        count = f"{finding.count:,} of {finding.total:,}"
        table.add_row(name, finding.task, count, finding.statement, "; ".join(finding.examples))
    handled = [f"{c.name}: {c.handled}" for c in CHECKS if found.of(c.name)]
    nothing = [f"{name}: none found ({what})" for name, what in found.clean.items()]
    table.caption = "\n".join([*handled, *nothing, *found.notes])
    return table


def _files(data: Clues, name: str) -> TaskFiles:
    train = {}
    test = ()
    for file, (task, shots, split) in clues_files().items():
        if task.name == name and shots is not None and split is not None:
            train[shots, split] = data.rows[file]
        elif task.name == name:
            test = data.rows[file]
    return TaskFiles(TASKS[name], test, train)
