"""The trials of a tuning study as plain data and as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from similitude.tuning.study.stored import stored_budget, stored_cost
from similitude.tuning.trials.costs import TOLD
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.history import SPACE_KEY
from similitude.tuning.trials.retry import REASON_KEY

_OURS = "similitude:"


def study_dict(study: optuna.Study) -> dict[str, Any]:
    """Return a study as plain data for JSON: space, budget, and every trial.

    Args:
        study: The study.
    """
    return {
        "study": study.study_name,
        "direction": study.direction.name.lower(),
        "space": study.user_attrs.get(SPACE_KEY),
        "budget": stored_budget(study).to_dict(),
        "cost": stored_cost(study),
        "trials": [_trial_dict(trial, stored_cost(study)) for trial in study.get_trials(deepcopy=False)],
    }


def study_csv(study: optuna.Study) -> str:
    """Return the trials of a study as CSV, one a line; what there is not is empty.

    Args:
        study: The study.
    """
    cost = stored_cost(study)
    trials = [_trial_dict(trial, cost) for trial in study.get_trials(deepcopy=False)]
    params = list(dict.fromkeys(name for trial in trials for name in trial["params"]))
    others = list(dict.fromkeys(name for trial in trials for name in trial["attributes"]))
    fixed = ["number", "state", "value", "cost", "failure", "reason", "started", "seconds"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*fixed, *params, *others])
    for trial in trials:
        row = [*(trial[name] for name in fixed), *(trial["params"].get(name) for name in params)]
        writer.writerow([*row, *(trial["attributes"].get(name) for name in others)])
    return out.getvalue()


def _trial_dict(trial: FrozenTrial, cost: str) -> dict[str, Any]:
    started, attributes = trial.datetime_start, trial.user_attrs
    told = TOLD if cost == "seconds" else cost
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value,
        "cost": attributes.get(told),
        "failure": attributes.get(FAILURE_KEY),
        "reason": attributes.get(REASON_KEY),
        "started": None if started is None else started.isoformat(),
        "seconds": None if trial.duration is None else trial.duration.total_seconds(),
        "params": dict(trial.params),
        "reported": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
        "attributes": {k: v for k, v in attributes.items() if not k.startswith(_OURS) and k != told},
    }
