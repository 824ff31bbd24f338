"""Tuning a small real family at its base, its verification, and what is refused before anything is trained."""

from __future__ import annotations

import functools
import json
import math
import pickle

import numpy as np
import optuna
import pytest
import torch

from similitude.core.errors import BadVerdictError, GridError, PlanError, StudyError, TuningError
from similitude.core.verdict import Outcome
from similitude.runs.ledger import Ledger
from similitude.scaling.plan import plan
from similitude.studies.base_knobs import check_space, default_space, merged, settings_of
from similitude.studies.family_search import SEED, BaseObjective, FamilySearch, train_at
from similitude.studies.family_verdict import Tolerances, checks_of, judge
from similitude.studies.family_verification import verify
from similitude.studies.records import Curve
from similitude.studies.tune_family import tune_family
from similitude.training.build import build_model
from similitude.training.loop import train
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from similitude.tuning.trials.failures import TrialFailure
from tests.cases import TeacherBatches, toy_mlp

SPACE = Space(
    {"lr": Log(2.0**-6, role="transfer"), "output.multiplier": Log(1.0, low=0.5, high=2, role="transfer")}
)
TINY = {
    "target": 32,
    "widths": (8, 16),
    "space": SPACE,
    "steps": 8,
    "seeds": (0, 1),
    "trials": 4,
    "points": 5,
    "optimizer": torch.optim.Adam,
}


def batches() -> TeacherBatches:
    return TeacherBatches(size=16)


def search(**changes) -> FamilySearch:
    given = {
        "name": "mine",
        "make": toy_mlp,
        "batches": batches(),
        "widths": (8, 16),
        "space": SPACE,
        "steps": 8,
    }
    return FamilySearch(**{**given, "optimizer": torch.optim.Adam, "seeds": (0, 1), **changes})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("family")
    return folder, tune_family(toy_mlp, batches(), storage=folder, **TINY)


def test_the_base_is_tuned_and_the_target_planned_with_its_knobs(tuned):
    _, found = tuned
    assert set(found.values) == {"lr", "output.multiplier"}
    assert found.trials + found.failures == 4
    assert found.plan.base == {"width": 8}
    assert found.plan.target == {"width": 32}
    knob = found.plan.knobs["output"]["multiplier"]
    assert knob == found.values["output.multiplier"]
    model = toy_mlp(32)
    found.plan.apply_(model)
    groups = found.groups(model)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    # under muP with Adam, hidden matrices get the base's rate over the ratio of widths
    hidden = next(row for row in found.plan.rows if row.role == "hidden")
    rate = next(
        g["lr"] for g in groups for p in g["params"] if p is dict(model.named_parameters())[hidden.name]
    )
    assert rate == pytest.approx(found.values["lr"] / 4)


def test_a_trial_is_the_plain_training_of_the_base_with_its_knobs(tuned):
    """The value of the first trial, the center, against plain loops over the seeds."""
    folder, _ = tuned
    mine = search()
    study = Ledger.open(folder, "family", create=False).study
    first = study.get_trials(deepcopy=False)[0]
    assert isinstance(study, optuna.Study)
    assert first.params == SPACE.center
    losses = []
    for seed in mine.seeds:
        model = build_model(functools.partial(toy_mlp, 8), seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=2.0**-6)
        result = train(model, optimizer, batches=batches(), loss=mine.loss, steps=8, seed=seed)
        losses.append(result.final)
    assert first.value == pytest.approx(np.mean(losses), rel=1e-6)


def test_the_verification_is_the_plain_training_at_every_size(tuned):
    _, found = tuned
    mine, values = search(), found.values
    for check in found.checks:
        made = plan(
            toy_mlp,
            base=8,
            target=check.size,
            sample=mine.batches.batch(0, 0),
            loss=mine.loss,
            optimizer=torch.optim.Adam,
            knobs={"output": {"multiplier": values["output.multiplier"]}},
        )
        if check.name != "lr":
            continue
        for lr, row in zip(check.curve.lrs, check.curve.losses, strict=True):
            model = build_model(functools.partial(toy_mlp, check.size), 1, made)
            optimizer = torch.optim.Adam(made.groups(model, lr=lr))
            alone = train(model, optimizer, batches=mine.batches, loss=mine.loss, steps=8, seed=1)
            assert row[1] == pytest.approx(alone.final, rel=1e-6)


def test_the_same_call_trains_nothing_again(tuned):
    folder, found = tuned
    ran = []
    again = tune_family(toy_mlp, batches(), storage=folder, on_run=ran.append, **TINY)
    assert not ran
    ours, theirs = again.to_dict(), found.to_dict()
    for data in (ours, theirs):
        del data["seconds"]
    assert json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)


def test_another_experiment_under_the_same_name_is_refused(tuned):
    folder, _ = tuned
    with pytest.raises(StudyError, match="steps was 8, is now 9"):
        tune_family(toy_mlp, batches(), storage=folder, **{**TINY, "steps": 9})


def test_an_interrupted_verification_goes_on_where_it_was(tmp_path):
    mine = search(seeds=(0,), steps=3)
    ledger = Ledger.open(tmp_path, "v", fingerprint=mine.fingerprint())
    values = {"lr": 0.02, "output.multiplier": 1.0}
    told = []

    def stop(progress):
        told.append(progress.cells_done)
        raise KeyboardInterrupt

    attempt = functools.partial(verify, mine, SPACE, values, ledger, names=("lr",), points=5, step=1.0)
    with pytest.raises(KeyboardInterrupt):
        attempt(on_progress=stop)
    assert told == [5]  # the five rates of the base are one program
    assert len(ledger.finished()) == 5
    rest = []
    curves = attempt(on_progress=lambda progress: rest.append((progress.cells_done, progress.cells)))
    assert rest == [(10, 10)]
    assert all(np.isfinite(curve.losses).all() for curve in curves["lr"])


def test_what_goes_to_another_process_is_the_same_there():
    objective = BaseObjective(search(), SPACE)
    there = pickle.loads(pickle.dumps(objective))
    trial = optuna.trial.FixedTrial(SPACE.center)
    assert there(trial) == objective(optuna.trial.FixedTrial(SPACE.center))


def test_a_base_that_diverges_is_a_failure_of_its_configuration():
    objective = BaseObjective(search(loss=nowhere), SPACE)
    with pytest.raises(TrialFailure, match="2 of 2 seeds") as failed:
        objective(optuna.trial.FixedTrial(SPACE.center))
    assert failed.value.kind == "diverged"


def test_the_tuned_configuration_is_run_once_for_all_knobs(tmp_path):
    mine = search()
    ledger = Ledger.open(tmp_path, "v", fingerprint=mine.fingerprint())
    values = {"lr": 0.02, "output.multiplier": 1.0}
    curves = verify(mine, SPACE, values, ledger, names=("lr", "output.multiplier"), points=5, step=1.0)
    # 5 rates and 3 multipliers within the bounds, one of them the same, 2 sizes, 2 seeds
    assert len(ledger.finished()) == (5 + 3 - 1) * 2 * 2
    assert curves["output.multiplier"][0].lrs == (0.5, 1.0, 2.0)
    for size in (0, 1):
        assert curves["lr"][size].losses[2] == curves["output.multiplier"][size].losses[1]


def parabola(size: int, centre: float, *, depth: float = 0.1, noise: float = 0.002) -> Curve:
    rng = np.random.default_rng([size, round(100 * centre) + 1000])
    x = np.arange(-3, 4.0)
    losses = (1 + depth * (x - centre) ** 2)[:, None] * (1 + noise * rng.standard_normal((7, 3)))
    return Curve(size, tuple(2.0**x), tuple(map(tuple, losses.tolist())))


@pytest.mark.parametrize(
    ("centres", "outcome", "says"),
    [
        ((0.0, 0.0, 0.1), Outcome.TRANSFERS, "right at width 128, 256: none costs more than"),
        ((0.0, -0.8, -1.6), Outcome.SHIFTS, "lr at width 256 costs 2"),
        ((1.5, 0.0, 0.0), Outcome.CANNOT_TELL, "the base is not at its optimum: lr at width 64"),
    ],
)
def test_the_verdict_follows_where_the_optima_are(centres, outcome, says):
    curves = [parabola(size, centre) for size, centre in zip((64, 128, 256), centres, strict=True)]
    checks = checks_of({"lr": curves}, {"lr": 1.0})
    verdict = judge(checks, 64, Tolerances(0.5, 0.05), dial="width", seeds=3, trials=30)
    assert verdict.outcome is outcome
    assert says in verdict.summary
    for check, centre in zip(checks, centres, strict=True):
        assert check.offset.value == pytest.approx(centre, abs=0.1)
        on_grid = min(1 + 0.1 * (x - centre) ** 2 for x in range(-3, 4))
        assert check.cost == pytest.approx((1 + 0.1 * centre**2) / on_grid - 1, abs=0.02)


def test_a_flat_knob_is_right_wherever_its_optimum_is():
    curves = [parabola(size, centre, depth=0.001) for size, centre in ((64, 0.0), (128, -2.0), (256, 2.0))]
    verdict = judge(
        checks_of({"wd": curves}, {"wd": 1.0}), 64, Tolerances(0.5, 0.05), dial="width", seeds=3, trials=30
    )
    assert verdict.ok


def test_noise_leaves_it_undecided_and_a_divergence_does_not():
    noisy = [parabola(size, 0.0, depth=0.02, noise=0.2) for size in (64, 128)]
    verdict = judge(
        checks_of({"lr": noisy}, {"lr": 1.0}), 64, Tolerances(0.5, 0.05), dial="width", seeds=3, trials=30
    )
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert verdict.next == "--seeds 6"
    curve = parabola(128, -2.0)
    exploded = Curve(128, curve.lrs, (*curve.losses[:3], *((math.inf,) * 3,) * 4))
    checks = checks_of({"lr": [parabola(64, 0.0), exploded]}, {"lr": 1.0})
    verdict = judge(checks, 64, Tolerances(0.5, 0.05), dial="width", seeds=3, trials=30)
    assert verdict.outcome is Outcome.SHIFTS
    assert "lr at width 128 diverges" in verdict.summary
    with pytest.raises(BadVerdictError):
        verdict.raise_if_bad()


def test_configurations_are_read_by_their_names():
    settings = settings_of({"lr": 0.1, "weight_decay": 0.2, "embedding.lr": 0.5, "embedding.init": 2.0})
    assert (settings.lr, settings.options) == (0.1, {"weight_decay": 0.2})
    assert settings.knobs == {"embedding": {"lr": 0.5, "init": 2.0}}
    assert merged({"embedding": {"init": 0}}, settings.knobs) == {"lookup": {"init": 2.0, "lr": 0.5}}
    assert list(default_space({"lookup", "output"}, torch.optim.Adam, lr=0.1)) == [
        "lr",
        "lookup.multiplier",
        "output.multiplier",
    ]


def test_the_default_space_follows_the_models_roles():
    found = search(space=None, optimizer=torch.optim.AdamW).searched()
    assert list(found) == ["lr", "weight_decay", "hidden.init", "output.multiplier"]
    assert found.center["weight_decay"] == 0.01
    assert {dim.role for dim in found.values()} == {"transfer"}


def test_options_of_the_optimizer_reach_the_runs():
    mine = search(optimizer=torch.optim.AdamW)
    runs = train_at(mine, 16, [{"lr": 0.03, "weight_decay": wd, SEED: 0} for wd in (0.0, 3.0)])
    made = plan(
        toy_mlp,
        base=8,
        target=16,
        sample=mine.batches.batch(0, 0),
        loss=mine.loss,
        optimizer=torch.optim.AdamW,
    )
    model = build_model(functools.partial(toy_mlp, 16), 0, made)
    optimizer = torch.optim.AdamW(made.groups(model, lr=0.03, weight_decay=3.0))
    alone = train(model, optimizer, batches=mine.batches, loss=mine.loss, steps=8, seed=0)
    assert runs[1].final == pytest.approx(alone.final, rel=1e-6)
    assert runs[0].final != runs[1].final


@pytest.mark.parametrize(
    ("space", "error", "text"),
    [
        (Space(weight_decay=Log(0.1)), TuningError, "no 'lr': the learning rate of the base"),
        (Space(lr=Log(0.1), width=Log(64, role="scale")), TuningError, "width has role 'scale'"),
        (Space(lr=Log(0.1), a=Choice(1, 2)), TuningError, "a is a choice dimension"),
        (Space(lr=Linear(0.1, low=0, high=1)), TuningError, "lr is a linear dimension"),
        (Space(lr=Log(0.1), warmth=Log(1.0)), TuningError, "'warmth' is no option of the optimizer"),
        (Space({"lr": Log(0.1), "outputs.lr": Log(1.0)}), PlanError, "'outputs', which is no role"),
        (Space({"lr": Log(0.1), "output.size": Log(1.0)}), PlanError, "has 'size', which does not exist"),
    ],
)
def test_spaces_that_are_no_knobs_of_a_base(space, error, text):
    with pytest.raises(error, match=text):
        check_space(space, torch.optim.AdamW)


def test_wrong_use_is_refused_before_anything_is_trained(tmp_path):
    def attempt(**changes):
        return tune_family(toy_mlp, batches(), storage=tmp_path, **{**TINY, **changes})

    with pytest.raises(GridError, match="check names 'wd', which is not tuned"):
        attempt(check=["wd"])
    with pytest.raises(GridError, match="a comparison needs at least 2"):
        attempt(widths=(8,))
    with pytest.raises(PlanError, match="depth"):
        attempt(target={"width": 32, "depth": 3})
    with pytest.raises(GridError, match="Give an odd number"):
        attempt(points=4)
    with pytest.raises(GridError, match="nothing would be verified"):
        attempt(check=[])
    with pytest.raises(GridError, match=r"pass names in a list, e.g. check=\['lr'\]"):
        attempt(check="lr")
    for changes in ({"step": 0.0}, {"step": math.nan}, {"tolerance": math.nan}, {"loss_tolerance": -1}):
        with pytest.raises(GridError, match=f"{next(iter(changes))}=.*: give a finite number"):
            attempt(**changes)
    for target in ("64", 64.0):
        with pytest.raises(GridError, match=r"is no size\. Give the width as a whole number"):
            attempt(target=target)
    with pytest.raises(TuningError, match="is no space"):
        attempt(space={"lr": 1.0})
    with pytest.raises(GridError, match="a family is tuned under one rule"):
        search(rules=("sp", "mup"))
    assert not list(tmp_path.iterdir())


def nowhere(model, batch):
    return model(batch[0]).square().mean() * float("nan")


def test_a_search_in_which_nothing_trains_says_so(tmp_path):
    with pytest.raises(
        TuningError, match=r"none of \d+ trials at the base gave a value \(\d+ diverged\)\. Begin"
    ):
        tune_family(toy_mlp, batches(), storage=tmp_path, **{**TINY, "loss": nowhere})
