"""Tuning studies in their storage: made with all that is needed to continue them, found again by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.study import StudyDirection

from similitude.core.errors import StudyError, TuningError
from similitude.runs.storage import Store, open_store, translated
from similitude.tuning.arguments import check_direction, check_seed
from similitude.tuning.carbs import BUDGET_KEY, CarbsSampler
from similitude.tuning.space.space import Space
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.costs import COST_KEY, name_of
from similitude.tuning.trials.history import SPACE_KEY, Cost, stored_space

DEFAULT_FOLDER = Path("similitude-runs")

SEED_KEY = "similitude:seed"
"""User attribute of a study that holds the seed of its search."""


def open_tuning(
    storage: str | Path,
    name: str,
    space: Space,
    *,
    budget: Budget,
    cost: Cost,
    seed: int = 0,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> tuple[optuna.Study, str]:
    """Make a tuning study, or open it to be continued.

    Args:
        storage: A folder, or an Optuna storage URL.
        name: Name of the study.
        space: What is tuned.
        budget: What the study may cost; the stored one is replaced.
        cost: Where costs come from.
        seed: Of the search.
        direction: Whether small or large values are good.

    Returns:
        The study with its sampler, and what to call the storage in messages.

    Raises:
        TuningError: The study is there with another space, seed, direction or source of costs.
        StudyError: The storage cannot be used.
    """
    seed, direction = check_seed(seed), check_direction(direction)
    if not isinstance(space, Space):
        raise TuningError(
            f"{space!r:.80} is neither a space nor a study. Name what is tuned, e.g. sim.Space(lr=sim.Log(3e-3))."
        )
    if not isinstance(name, str) or not name:
        raise TuningError(f"name={name!r} is no name of a study: give a text, e.g. name='gpt'.")
    if not isinstance(storage, str | Path):
        raise TuningError(
            f"storage={storage!r}: give a folder or an Optuna storage URL. For a storage object of Optuna make the study "
            "yourself, optuna.create_study(storage=..., sampler=sim.CarbsSampler(space)), and tune that."
        )
    wanted: dict[str, Any] = {SPACE_KEY: space.to_dict(), COST_KEY: name_of(cost), SEED_KEY: seed}
    sampler = CarbsSampler(space, seed=seed, cost=cost, budget=budget)
    store = open_store(storage)
    with translated(store.where):
        with store.exclusive():
            study_id = store.create_study(name, direction=StudyDirection[direction.upper()])
            stored = store.storage.get_study_user_attrs(study_id)
            if SPACE_KEY in stored:
                actual = store.storage.get_study_directions(study_id)[0].name.lower()
                _require_same(stored | {"direction": actual}, wanted | {"direction": direction}, name, store)
            for key, value in (wanted | {BUDGET_KEY: budget.to_dict()}).items():
                if stored.get(key) != value:
                    store.storage.set_study_user_attr(study_id, key, value)
        return optuna.load_study(study_name=name, storage=store.storage, sampler=sampler), store.where


def load_tuning(storage: str | Path, name: str, *, cost: Cost | None = None) -> tuple[optuna.Study, str]:
    """Open a tuning study that is there, with the sampler that it was made with.

    Args:
        storage: A folder, or an Optuna storage URL.
        name: Name of the study.
        cost: The function that tells costs, where the study has one; else what the study says.

    Returns:
        The study, and what to call the storage in messages.

    Raises:
        StudyError: There is no such study, or the storage cannot be used.
    """
    store = open_store(storage, create=False)
    with translated(store.where):
        if store.study_id(name) is None:
            there = ", ".join(repr(s.study_name) for s in store.storage.get_all_studies()) or "none"
            raise StudyError(
                f"There is no study {name!r} in {store.where}; studies there: {there}. Give one of these names, or the "
                "folder or URL with which the study was made (--storage)."
            )
        study = optuna.load_study(study_name=name, storage=store.storage)
        if SPACE_KEY in study.user_attrs:
            study.sampler = CarbsSampler(
                stored_space(study),
                seed=int(study.user_attrs.get(SEED_KEY, 0)),
                cost=stored_cost(study) if cost is None else cost,
                budget=stored_budget(study),
            )
        return study, store.where


def stored_budget(study: optuna.Study) -> Budget:
    """Return the budget that a study holds; one without limits if it holds none."""
    return Budget.from_dict(study.user_attrs.get(BUDGET_KEY) or {})


def stored_cost(study: optuna.Study) -> str:
    """Return the user attribute that holds the costs of a study's trials, or "seconds".

    Where the study's costs come from a function, they are found under "cost".
    """
    cost = study.user_attrs.get(COST_KEY, "cost")
    return "cost" if cost == name_of(lambda values: 1.0) else str(cost)


def _require_same(stored: dict[str, Any], wanted: dict[str, Any], name: str, store: Store) -> None:
    for key, value in wanted.items():
        if key in stored and stored[key] != value:
            what = key.removeprefix("similitude:")
            raise TuningError(
                f"Study {name!r} in {store.where} has another {what}: {stored[key]!r}, and {value!r} was given. A study "
                "searches in one way: give what it has, or another name."
            )
