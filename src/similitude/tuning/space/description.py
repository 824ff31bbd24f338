"""What a study says about its own search: its space, and where its costs come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna

from similitude.core.errors import TuningError
from similitude.tuning.space.space import Space
from similitude.tuning.trials.costs import COST_KEY, name_of
from similitude.tuning.trials.history import SPACE_KEY, Cost


class SeveralObjectivesError(TuningError, ValueError):
    """The study has several objectives; a `ValueError` as well, as Optuna's own samplers raise."""


def describe(study: optuna.Study, space: Space, *, cost: Cost, notes: Mapping[str, Any]) -> None:
    """Store a search in its study once.

    Args:
        study: The study.
        space: What is searched.
        cost: Where the costs of trials come from.
        notes: What may change from run to run, by user attribute of the study.

    Raises:
        TuningError: The study is of another space, or has its costs from elsewhere.
    """
    storage, study_id = study._storage, study._study_id
    stored = storage.get_study_user_attrs(study_id)
    given = json.loads(json.dumps(space.to_dict()))  # lists for tuples, as storages give them back
    own: dict[str, Any] = {SPACE_KEY: given, COST_KEY: name_of(cost)}
    there = stored.get(SPACE_KEY, given)
    if there != given:
        differ = [name for name in {**there, **given} if there.get(name) != given.get(name)]
        which = "; ".join(f"{n}: {there.get(n, 'none')} there, {given.get(n, 'none')} here" for n in differ)
        raise TuningError(
            f"Study {study.study_name!r} searches another space than this sampler ({which}). Give the study's own "
            "space, or make a new study and let it begin with what this one has seen: sim.warm_start(new, old)."
        )
    if stored.get(COST_KEY, own[COST_KEY]) != own[COST_KEY]:
        raise TuningError(
            f"Study {study.study_name!r} has its costs from {stored[COST_KEY]!r}, and this sampler takes them from "
            f"{own[COST_KEY]!r}: they would be of two kinds. Use the study's own, or a new study."
        )
    for key, value in {**own, **notes}.items():
        if stored.get(key) != value:
            storage.set_study_user_attr(study_id, key, value)


def check_objectives(study: optuna.Study) -> None:
    """Refuse a study of several objectives.

    Raises:
        SeveralObjectivesError: It has several.
    """
    if len(study.directions) != 1:
        raise SeveralObjectivesError(
            f"The study has {len(study.directions)} objectives, and CarbsSampler takes one: the cost is the other axis "
            'of the front. Return the value alone, and tell the cost by trial.set_user_attr("cost", c).'
        )
