from __future__ import annotations

import multiprocessing
import pickle
import random
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import PartialFixedSampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from similitude.core.errors import TuningError
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.history import LEASE_KEY, History, stored_space
from similitude.tuning.tune import tune
from tests.tuning.sampler_runs import LADDER, ladder, objective_of, searched, sequence

CONDITIONAL = Space(
    lr=Log(1e-3),
    optimizer=Choice("adam", "sgd"),
    momentum=Linear(0.9, low=0.0, high=1.0, when={"optimizer": "sgd"}),
)


def _range(name: str) -> tuple[float, float]:
    distribution = CONDITIONAL.distributions()[name]
    return distribution.low, distribution.high  # type: ignore[attr-defined]


def storages(folder: Path) -> dict[str, BaseStorage]:
    return {
        "memory": InMemoryStorage(),
        "journal": JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        "sqlite": RDBStorage(f"sqlite:///{folder}/study.db"),
    }


def test_the_first_trial_is_the_center_and_the_study_describes_itself():
    study = searched(trials=1, budget=Budget(total=100.0, unit="gpu-hour"))
    assert sequence(study) == [LADDER.center]
    assert stored_space(study) == LADDER
    assert study.user_attrs["similitude:budget"]["total"] == 100.0
    assert study.user_attrs["similitude:cost"] == "cost"


def test_it_finds_a_better_rate_and_larger_sizes_than_it_began_with():
    study = searched(trials=25)
    assert study.best_value < 0.5 * ladder(LADDER.center)[0]
    assert max(p["size"] for p in sequence(study)) > 100.0


def test_the_sequence_depends_on_the_seed_alone_wherever_it_is_stored(tmp_path):
    found = []
    for storage in storages(tmp_path).values():
        study = optuna.create_study(storage=storage, sampler=CarbsSampler(LADDER, seed=3))
        study.optimize(objective_of(LADDER), n_trials=6)
        found.append(sequence(study))
    assert found[0] == found[1] == found[2]
    assert found[0] != sequence(searched(trials=6, seed=4))


def test_another_process_goes_on_with_the_same_sequence(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    whole = sequence(searched(trials=6))
    sampler = CarbsSampler(LADDER)
    optuna.create_study(study_name="s", storage=storage)
    for _ in range(2):
        study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
        study.optimize(objective_of(LADDER), n_trials=3)
        sampler = pickle.loads(pickle.dumps(sampler))
    assert sequence(optuna.load_study(study_name="s", storage=storage)) == whole


def test_no_global_random_state_and_no_number_of_threads_is_changed():
    before = (
        random.getstate(),
        pickle.dumps(np.random.get_state()),
        torch.get_rng_state(),
        torch.get_num_threads(),
    )
    searched(trials=8)
    assert random.getstate() == before[0]
    assert pickle.dumps(np.random.get_state()) == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert torch.get_num_threads() == before[3]


def test_running_trials_are_published_whole_before_their_values_are_asked_for():
    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    study.optimize(objective_of(LADDER), n_trials=5)
    trial = study.ask()
    trial.suggest_float("size", 1.0, 1e4, log=True)  # the rate is not asked for yet
    history = History.from_study(study, LADDER)
    assert history.waiting.shape == (1, 2)
    values = LADDER.suggest(trial)
    np.testing.assert_array_equal(history.waiting[0], LADDER.point(values))


def test_a_batch_of_running_trials_has_no_two_alike():
    study = searched(trials=10)
    points = [LADDER.point(LADDER.suggest(study.ask())) for _ in range(8)]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]]
    assert min(gaps) > 1e-3


def test_threads_share_one_sampler():
    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    study.optimize(objective_of(LADDER), n_trials=12, n_jobs=3)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 12
    once = [tuple(p.values()) for n, p in enumerate(sequence(study)) if n % 5 != 4]  # a fifth may be repeated
    assert len(set(once)) == len(once) == 10


def test_conditional_dimensions_are_suggested_where_they_are_there():
    def measure(values):
        gap = abs(values.get("momentum", 0.0) - 0.5) if values["optimizer"] == "sgd" else 2.0
        return gap + np.log10(values["lr"] / 1e-2) ** 2, 1.0 + values["lr"]

    study = searched(CONDITIONAL, measure, trials=12, seed=1)
    assert {t.params["optimizer"] for t in study.trials} == {"adam", "sgd"}
    for trial in study.trials:
        assert ("momentum" in trial.params) == (trial.params["optimizer"] == "sgd")


def test_enqueued_values_are_taken_and_the_rest_is_suggested():
    study = optuna.create_study(sampler=CarbsSampler(CONDITIONAL))
    study.enqueue_trial({"optimizer": "sgd"})
    study.enqueue_trial({"lr": 0.5, "optimizer": "adam"})
    asked = [study.ask() for _ in range(2)]
    asked[0].suggest_categorical("optimizer", ["adam", "sgd"])
    asked[0].suggest_float("lr", *_range("lr"), log=True)
    history = History.from_study(study, CONDITIONAL)
    first = CONDITIONAL.suggest(asked[0])
    assert first["optimizer"] == "sgd"
    np.testing.assert_array_equal(history.waiting[0], CONDITIONAL.point(first))
    assert CONDITIONAL.suggest(asked[1]) == {"lr": 0.5, "optimizer": "adam"}
    np.testing.assert_array_equal(history.waiting[1], CONDITIONAL.point({"lr": 0.5, "optimizer": "adam"}))


def test_a_part_of_the_space_can_be_fixed():
    study = optuna.create_study(sampler=PartialFixedSampler({"rate": 0.1}, CarbsSampler(LADDER)))
    study.optimize(objective_of(LADDER), n_trials=6)
    assert {t.params["rate"] for t in study.trials} == {0.1}
    assert len({t.params["size"] for t in study.trials}) == 6


def test_a_parameter_beside_the_space_is_named():
    def objective(trial):
        LADDER.suggest(trial)
        return trial.suggest_float("dropout", 0.0, 0.5)

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    with pytest.warns(UserWarning, match=r"'dropout'.*not in the space.*space\.suggest\(trial\)"):
        study.optimize(objective, n_trials=1)
    narrow = optuna.create_study(sampler=CarbsSampler(LADDER))
    with pytest.warns(UserWarning, match=r"'rate'.*the space has it as FloatDistribution"):
        assert 0.5 <= narrow.ask().suggest_float("rate", 0.5, 0.9, log=True) <= 0.9


def test_several_objectives_are_refused():
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=CarbsSampler(LADDER))
    with pytest.raises(TuningError, match=r"2 objectives.*the cost is the other axis"):
        study.ask()


def test_a_study_of_another_space_or_cost_is_refused():
    study = searched(trials=2)
    study.sampler = CarbsSampler(Space(size=Log(10.0), rate=Log(1e-2)))
    with pytest.raises(
        TuningError, match=r"another space.*\(size: .*'high': 10000.*there, .* here\).*warm_start"
    ):
        study.ask()
    study.sampler = CarbsSampler(LADDER, cost="seconds")
    with pytest.raises(TuningError, match=r"costs from 'cost'.*'seconds'"):
        study.ask()
    assert [t.state for t in study.trials].count(TrialState.RUNNING) == 0
    study.sampler = CarbsSampler(LADDER)
    study.optimize(objective_of(LADDER), n_trials=1)
    assert sequence(study) == sequence(searched(trials=3))


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"cost": 3}, "cost=3"),
        ({"cost": "seconds", "budget": Budget(total=1.0, unit="dollar")}, "counts in 'dollar'"),
        ({"compat": "tpe"}, "compat='tpe'"),
        ({"lease": 0.0}, "lease=0.0"),
        ({"lease": "1h"}, "lease='1h'"),
        ({"seed": None}, "seed=None is not the seed"),
        ({"seed": -1}, "seed=-1 is not the seed"),
        ({"seed": 1.5}, "seed=1.5 is not the seed"),
        ({"retries": -1}, "retries=-1"),
        ({"budget": 50}, r"budget=50: say what it limits, sim.Budget\(total="),
    ],
)
def test_wrong_arguments_are_named(options, law):
    with pytest.raises(TuningError, match=law):
        CarbsSampler(LADDER, **options)
    with pytest.raises(TuningError, match="is no space"):
        CarbsSampler({"lr": Log(1.0)}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("cost", ["cost", lambda values: values["size"]])
def test_a_spent_budget_stops_the_study_and_is_not_overdrawn(cost):
    budget = Budget(total=100.0)
    study = searched(trials=500, budget=budget, cost=cost)
    sampler = study.sampler
    assert isinstance(sampler, CarbsSampler)
    spent = [ladder(p)[1] for p in sequence(study)]
    assert sum(spent[:-1]) < 100.0 <= sum(spent) == pytest.approx(sampler.spent(study))
    study.sampler = CarbsSampler(LADDER, budget=budget, cost=cost)
    with pytest.raises(TuningError, match=r"The budget is spent.*of 100\b.*Nothing was run"):
        study.optimize(objective_of(LADDER), n_trials=1)
    assert [t.state for t in study.trials].count(TrialState.WAITING) == 1
    study.sampler = CarbsSampler(LADDER, budget=Budget(total=1e9), cost=cost)
    study.optimize(objective_of(LADDER), n_trials=1)
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_the_cap_keeps_known_costs_below_it():
    study = searched(trials=25, budget=Budget(per_trial=50.0), cost=lambda values: values["size"])
    assert max(p["size"] for p in sequence(study)[4:]) <= 50.0


def test_the_published_algorithm_is_another_search_as_reproducible_as_ours():
    numbers = Space(size=Log(10.0), rate=Log(1e-2))
    published = sequence(searched(numbers, trials=8, compat="carbs"))
    assert published == sequence(searched(numbers, trials=8, compat="carbs"))
    assert published[0] != numbers.center  # it never tries the center first
    assert published != sequence(searched(numbers, trials=8))


def test_the_published_algorithm_refuses_choices_before_anything_is_run():
    with pytest.raises(TuningError, match=r'act is a choice.*Leave compat="carbs" out'):
        CarbsSampler(Space(act=Choice("relu", "gelu"), rate=Log(1e-2)), compat="carbs")


def test_a_budget_in_hours_measures_time_as_tune_does(tmp_path):
    budget = Budget(total=1.0, unit="hours")
    sampler = CarbsSampler(LADDER, budget=budget)
    assert sampler.cost == "seconds"
    assert CarbsSampler(LADDER, budget=Budget(total=1.0, unit="hour")).cost == "seconds"
    assert CarbsSampler(LADDER, budget=Budget(total=1.0, unit="gpu-hour")).cost == "cost"
    study = tune(objective_of(LADDER), LADDER, trials=2, budget=budget, engine="inline", storage=tmp_path)
    study.sampler = sampler
    study.optimize(objective_of(LADDER), n_trials=1)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3


def _work(file: Path, trials: int) -> None:
    storage = JournalStorage(JournalFileBackend(str(file)))
    study = optuna.load_study(study_name="s", storage=storage, sampler=CarbsSampler(LADDER))
    study.optimize(objective_of(LADDER), n_trials=trials)


def test_processes_share_one_study(tmp_path):
    file = tmp_path / "journal.log"
    storage = JournalStorage(JournalFileBackend(str(file)))
    study = optuna.create_study(study_name="s", storage=storage)
    context = multiprocessing.get_context("fork")  # a new interpreter would take seconds to import torch
    workers = [context.Process(target=_work, args=(file, 6)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 18
    # what is asked for before another one has published its configuration may be alike: at the center, to begin with
    assert len({tuple(p.values()) for p in sequence(study)}) >= 14


def test_pruned_trials_count_by_what_they_reported():
    def objective(trial):
        value, cost = ladder(LADDER.suggest(trial))
        trial.set_user_attr("cost", cost)
        for step in range(1, 4):
            trial.report(value / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value / 3

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=3, reduction_factor=2)
    study = optuna.create_study(sampler=CarbsSampler(LADDER), pruner=pruner)
    study.optimize(objective, n_trials=14)
    ended = [t.state for t in study.trials]
    assert ended.count(TrialState.PRUNED) > 0
    assert len(History.from_study(study).points) == 14


def test_stale_trials_are_no_longer_waited_for():
    study = searched(trials=5, lease=3600.0)
    LADDER.suggest(study.ask())
    assert len(History.from_study(study, LADDER).waiting) == 1
    expires = study.trials[-1].user_attrs[LEASE_KEY]
    assert len(History.from_study(study, LADDER, now=expires + 1).waiting) == 0
