"""Find a stored study by its name: a transfer study, or one that was tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.cli.factories import did_you_mean
from similitude.core.errors import StudyError
from similitude.runs.ledger import Ledger, studies
from similitude.studies.read import PLANS, read_study

if TYPE_CHECKING:
    import optuna

    from similitude.studies.records import TransferStudy


def stored_study(storage: str, name: str) -> TransferStudy | optuna.Study:
    """Read a study from its storage: as a transfer study where it has plans, else as Optuna has it.

    Args:
        storage: Folder, or Optuna storage URL.
        name: Name of the study.

    Raises:
        StudyError: There is no such storage, or no such study in it.
    """
    known = studies(storage)
    if name not in known:
        there = ", ".join(map(repr, known)) or "none"
        hint = did_you_mean(name, known)
        raise StudyError(f"there is no study '{name}' in '{storage}'; studies there: {there}. {hint}".strip())
    study = Ledger.open(storage, name, create=False).study
    return read_study(storage, name) if PLANS in study.user_attrs else study
