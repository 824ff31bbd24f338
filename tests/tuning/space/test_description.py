from __future__ import annotations

import optuna
import pytest

from similitude.core.errors import TuningError
from similitude.tuning.space.description import SeveralObjectivesError, check_objectives, describe
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import stored_space

SPACE = Space(
    opt=Choice("adam", "sgd", "lion"),
    m=Linear(0.9, low=0, high=1, when={"opt": ("sgd", "lion")}),
    lr=Log(1.0),
)


def test_a_described_study_gives_its_space_back_and_may_be_described_again():
    study = optuna.create_study()
    for limit in (1.0, 2.0):
        describe(study, SPACE, cost="cost", notes={"limit": limit})
    assert stored_space(study).active({"opt": "lion"}) == ("opt", "m", "lr")
    assert study.user_attrs["limit"] == 2.0


def test_the_order_of_dimensions_is_no_difference():
    study = optuna.create_study()
    describe(study, Space(a=Log(1.0), b=Log(2.0)), cost="cost", notes={})
    describe(study, Space(b=Log(2.0), a=Log(1.0)), cost="cost", notes={})
    assert stored_space(study).names == ("a", "b")


@pytest.mark.parametrize(
    ("space", "cost", "law"),
    [
        (Space(a=Log(1.0), b=Log(3.0)), "cost", r"\(b: .*2\.0.* there, .*3\.0.* here\)"),
        (Space(a=Log(1.0)), "cost", r"b: .* there, none here"),
        (Space(a=Log(1.0), b=Log(2.0)), "flops", r"costs from 'cost'.*'flops'"),
        (Space(a=Log(1.0), b=Log(2.0)), lambda values: 1.0, r"'a function of the configuration'"),
    ],
)
def test_what_differs_is_named(space, cost, law):
    study = optuna.create_study()
    describe(study, Space(a=Log(1.0), b=Log(2.0)), cost="cost", notes={})
    before = study.user_attrs
    with pytest.raises(TuningError, match=law):
        describe(study, space, cost=cost, notes={"limit": 1.0})
    assert study.user_attrs == before


def test_several_objectives_are_an_error_of_ours_and_of_optuna():
    study = optuna.create_study(directions=["minimize"] * 3)
    with pytest.raises(SeveralObjectivesError, match="3 objectives") as caught:
        check_objectives(study)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TuningError)
