"""Trials that a machine failed: ended without blame, and run again, so that the search is what it would have been."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from similitude.tuning.trials.history import PARAMS_KEY
from similitude.tuning.trials.leases import abandoned

RETRY_KEY = "similitude:retry_of"
"""User attribute of a trial that runs another one again: the number of that one (`of`) and of the `first` one, how often
the configuration was begun before (`attempt`), and its `values`."""

REASON_KEY = "similitude:failure:reason"
"""User attribute of a trial that ended without a value: why, in words."""

RETRIES = 1
"""How often a trial is run again that its machine failed."""


def recover(study: optuna.Study, *, now: float | None = None, retries: int = RETRIES) -> list[int]:
    """End the trials of a study that nobody runs any more, and enqueue each again.

    Call it before a study is continued, and now and then while several machines work on it. A trial is abandoned
    when its lease has expired, or when its process was on this machine and is gone. It ends as failed without a
    kind: nothing is learnt from it. A process killed in the middle of this leaves work that the next call does.

    Args:
        study: The study; trials that no similitude sampler started are left alone.
        now: Seconds since 1970; the clock where None.
        retries: How often a trial is run again.

    Returns:
        The numbers of the trials that were ended.
    """
    ended, _ = reclaim(study, now=time.time() if now is None else now, retries=retries)
    return ended


def reclaim(
    study: optuna.Study,
    *,
    now: float,
    retries: int,
    certain: bool = False,
    heir: FrozenTrial | None = None,
) -> tuple[list[int], FrozenTrial | None]:
    """End abandoned trials and have them run again, the first of them by a trial that has just begun.

    Args:
        study: The study.
        now: Seconds since 1970.
        retries: How often a trial is run again.
        certain: Whether an expired lease counts only if its owner would have renewed it.
        heir: A running trial without a configuration, to run the first abandoned one again; a waiting trial is
            made for each of the others.

    Returns:
        The numbers of the trials that were ended, and the trial whose heir `heir` has become.
    """
    storage = study._storage
    trials = all_trials(study)
    ended: list[int] = []
    inherited: FrozenTrial | None = None
    for trial in trials:
        reason = abandoned(trial, now=now, certain=certain)
        if reason is None:
            continue
        # The new trial comes first: a kill before the old one ends leaves a spare trial, not a gap.
        spare = None
        if _tries_left(trials, trial, retries):
            if heir is not None and inherited is None:
                storage.set_trial_user_attr(heir._trial_id, RETRY_KEY, _next_link(trial))
                inherited = trial
            else:
                spare = _enqueue(study, trial)
        if end(storage, trial._trial_id, reason):
            ended.append(trial.number)
        elif spare is not None:  # another process ended it first, and has enqueued it itself
            end(storage, spare, f"trial {trial.number} was enqueued twice")
    return ended, inherited


def run_again(study: optuna.Study, trial: FrozenTrial, *, retries: int = RETRIES) -> bool:
    """Enqueue a trial that failed through no fault of its configuration, unless that was done already.

    Args:
        study: The study.
        trial: The trial, running or finished.
        retries: How often a trial is run again.

    Returns:
        Whether it was enqueued; False where it has been run again often enough.
    """
    if not _tries_left(all_trials(study), trial, retries):
        return False
    _enqueue(study, trial)
    return True


def end(storage: BaseStorage, trial_id: int, reason: str) -> bool:
    """End a trial without a value and without blame; False if it has ended already.

    Args:
        storage: Where the trial is stored.
        trial_id: Its identifier there.
        reason: Why, for whoever reads the study.
    """
    try:
        storage.set_trial_user_attr(trial_id, REASON_KEY, reason)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    return True


def all_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return all trials of a study, by number; they are the storage's own and must not be changed.

    A pruner may show the sampler a part of them only.
    """
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def configuration(trial: FrozenTrial) -> dict[str, Any]:
    """Return the values of a trial as far as they are known: suggested, published, inherited, or enqueued."""
    published = trial.system_attrs.get(PARAMS_KEY)
    return {
        **trial.system_attrs.get("fixed_params", {}),
        **_link(trial).get("values", {}),
        **(json.loads(published) if published else {}),
        **trial.params,
    }


def attempt(trial: FrozenTrial) -> int:
    """Return how many times the configuration of a trial was begun before, by this trial's forerunners."""
    return int(_link(trial).get("attempt", 0))


def forerunner(trial: FrozenTrial) -> int | None:
    """Return the number of the trial that this one runs again, or None."""
    return _link(trial).get("of")


def place(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> int:
    """Return a trial's place in the sequence of suggestions, which no interruption changes.

    It is the trial's number, less the numbers that were used up by running earlier trials again.

    Args:
        trials: All trials of the study.
        trial: One of them.
    """
    first = int(_link(trial).get("first", trial.number))
    return sum(1 for t in trials if t.number < first and not _link(t))


def _link(trial: FrozenTrial) -> dict[str, Any]:
    return trial.user_attrs.get(RETRY_KEY, {})


def _next_link(trial: FrozenTrial) -> dict[str, Any]:
    begun = bool(trial.params) or PARAMS_KEY in trial.system_attrs
    return {
        "of": trial.number,
        "first": _link(trial).get("first", trial.number),
        "attempt": attempt(trial) + begun,
        "values": configuration(trial),
    }


def _tries_left(trials: Sequence[FrozenTrial], trial: FrozenTrial, retries: int) -> bool:
    enqueued = any(_link(t).get("of") == trial.number for t in trials)
    return _next_link(trial)["attempt"] <= retries and not enqueued


def _enqueue(study: optuna.Study, trial: FrozenTrial) -> int:
    link = _next_link(trial)
    template = create_trial(
        state=TrialState.WAITING, system_attrs={"fixed_params": link["values"]}, user_attrs={RETRY_KEY: link}
    )
    return study._storage.create_new_trial(study._study_id, template_trial=template)
