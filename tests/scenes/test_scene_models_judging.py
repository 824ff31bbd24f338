"""Evaluators against what is written out by hand: classes, boxes, numbers, functions of the user's."""

import math
import sys

import numpy as np
import pytest
import torch

from similitude.core.errors import FactoryError, SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.models.catalog import model_named
from similitude.scenes.models.classification import Classification
from similitude.scenes.models.classifier import CallableModel
from similitude.scenes.models.detection import Detection, box_of, box_overlaps
from similitude.scenes.models.evaluator import Asked, UnusableEvaluatorError, evaluator_of
from similitude.scenes.models.regression import Regression
from similitude.scenes.scene import Scene
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.summary import summarise
from tests.scenes.study_parts import Flat, models_in, study


def asked(count=1, *, labels=("b",), box=(2, 3, 6, 8), **settings):
    """Pictures of 10 by 10 pixels whose object fills a box (x0, y0, x1, y1)."""
    segmentation = np.zeros((10, 10), np.uint8)
    if box is not None:
        segmentation[box[1] : box[3], box[0] : box[2]] = 1
    plane = np.ones((10, 10), np.float32)
    frame = Frame(np.full((10, 10, 3), 0.5, np.float32), plane, plane, segmentation, np.zeros((10, 10, 2)))
    scene = Scene("ball", {"orientation": settings} if settings else {})
    return [Asked(scene, frame, tuple(labels))] * count


def answering(answers, names=("a", "b", "c", "d")):
    return CallableModel(lambda images: answers, "mine", tuple(names))


def test_classes_are_judged_as_torch_would():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 4)) * 3
    judged = Classification().judge(answering(logits), asked(40, labels=("b", "d")))
    p = torch.tensor(logits).softmax(1)
    for one, z, q in zip(judged, logits, p, strict=True):
        assert one.metrics["prediction"] == z.argmax()
        assert one.metrics["probability"] == pytest.approx(float(q[1] + q[3]))
        assert one.metrics["loss"] == pytest.approx(-math.log(float(q[1] + q[3])))
        assert one.metrics["margin"] == pytest.approx(max(z[1], z[3]) - max(z[0], z[2]))
        assert one.success is (z.argmax() in (1, 3))
        assert (one.metrics["margin"] > 0) is one.success
    plain = Classification().judge(answering(logits), asked(40, labels=("c",)))
    wanted = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.full((40,), 2), reduction="none")
    assert [one.metrics["loss"] for one in plain] == pytest.approx(wanted.tolist())


@pytest.mark.parametrize(("top", "right"), [(1, False), (2, False), (3, True)])
def test_top_k(top, right):
    (one,) = Classification(top=top).judge(answering(np.array([[3.0, 1.0, 2.0, 0.0]])), asked())
    assert (one.success, one.score) == (right, float(right))


@pytest.mark.parametrize("top", [4, 2000])
def test_as_many_first_classes_as_there_are_say_nothing(top):
    logits = np.array([[3.0, 1.0, 2.0, 0.0]])
    for names in ("abcd", ()):  # whether or not the number is known before
        (one,) = Classification(top=top).judge(answering(logits, names), asked(labels=("3",)))
        assert (one.success, math.isnan(one.score)) == (None, True)
        assert f"top={top} of 4 classes makes every answer right" in one.error


def test_a_very_sure_model_has_a_finite_loss():
    (one,) = Classification().judge(answering(np.array([[2000.0, -2000.0, 0.0, 0.0]])), asked())
    assert one.metrics["loss"] == 4000
    assert one.metrics["probability"] == 0
    (one,) = Classification().judge(answering(np.array([[5.0, 1.0, 1.0, 1.0]])), asked(labels="abcd"))
    assert one.metrics["loss"] == 0
    assert "margin" not in one.metrics  # there is no other class


def test_answers_that_are_no_logits():
    (one,) = Classification().judge(answering(np.array([[1.0, np.inf, 0.0, 0.0]])), asked())
    assert "1 of 4 logits that are not finite" in one.error
    for wrong in (np.zeros(4), np.zeros((2, 4)), np.array([["a"]])):
        with pytest.raises(SceneError, match="logits of shape"):
            Classification().judge(answering(wrong), asked())


def test_names_that_do_not_fit_the_number_of_classes_are_not_used():
    judge = Classification()
    judge.judge(answering(np.zeros((1, 7))), asked(labels=("5",)))
    assert judge.names == {"mine": ()}
    judge.judge(answering(np.zeros((1, 1000)), names=()), asked(labels=("coffee mug",)))
    assert judge.names["mine"][504] == "coffee mug"


def brute_overlap(a, b):
    cells = [
        {(x, y) for x in range(int(x0), int(x1)) for y in range(int(y0), int(y1))}
        for x0, y0, x1, y1 in (a, b)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def test_overlaps_are_shares_of_pixels():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 9, (50, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 6, (50, 2))], 1).astype(float)
    target = (2.0, 3.0, 6.0, 8.0)
    found = box_overlaps(boxes, target)
    assert found == pytest.approx([brute_overlap(box, target) for box in boxes])
    assert (found == 0).any()


def test_boxes_are_judged():
    (picture,) = asked()
    assert box_of(picture.frame) == (2, 3, 6, 8)
    found = {
        "boxes": torch.tensor([[2.0, 3, 6, 7], [2, 3, 6, 8], [0, 0, 1, 1], [2, 3, 6, 8]]),
        "labels": torch.tensor([1, 0, 1, 1]),
        "scores": torch.tensor([0.9, 0.95, 0.6, 0.1]),
    }
    (one,) = Detection().judge(CallableModel(lambda x: [found], "mine", ("a", "b")), [picture])
    assert one.success is True
    assert one.metrics == {
        "iou": pytest.approx(16 / 20),
        "precision": pytest.approx(1 / 3),
        "recall": 1.0,
        "located": 1.0,
        "boxes": 3.0,
        "loss": pytest.approx(0.2),
        "prediction": 0.0,
    }
    (strict,) = Detection(iou=0.9).judge(CallableModel(lambda x: [found], "mine", ("a", "b")), [picture])
    assert (strict.success, strict.metrics["located"]) == (
        False,
        1.0,
    )  # only a box of a wrong class is good enough


def test_boxes_that_cannot_be_judged():
    nothing = {"boxes": np.zeros((0, 4)), "labels": [], "scores": []}
    (one,) = Detection().judge(answering([nothing]), asked())
    assert (one.success, one.metrics["recall"], one.metrics["loss"]) == (False, 0.0, 1.0)
    (one,) = Detection().judge(answering([nothing]), asked(box=None))
    assert (one.success, one.error, one.metrics) == (None, "", {"boxes": 0.0})
    for wrong, said in (
        ({"boxes": []}, "boxes, labels and scores is wanted"),
        ({"boxes": [[0, 0, 1, 1]], "labels": [], "scores": []}, "1 boxes, 0 labels"),
        ({"boxes": [[0, 0, 1, np.nan]], "labels": [1], "scores": [1.0]}, "not finite"),
    ):
        (one,) = Detection().judge(answering([wrong]), asked())
        assert said in one.error
    with pytest.raises(SceneError, match="a list with a mapping"):
        Detection().judge(answering(np.zeros((1, 4))), asked())
    with pytest.raises(SceneError, match="iou=2"):
        Detection(iou=2)


def test_a_study_of_a_detector(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    settings = study(models_in(tmp_path), model="whole_boxes", evaluator={"kind": "detection"})
    run = run_study(settings, renderer=Flat(str(tmp_path)))
    assert all(row.success and row.metrics["iou"] == 1 and row.metrics["precision"] == 1 for row in run.rows)


@pytest.mark.parametrize(
    ("evaluator", "score", "subject"),
    [
        ({"kind": "regression", "target": "orientation.rotation_z"}, 0.0, "angle"),
        ({"kind": "callable", "function": "judge"}, 0.5, "judge"),
    ],
)
def test_studies_of_other_evaluators(tmp_path, monkeypatch, evaluator, score, subject):
    monkeypatch.setattr(sys, "path", list(sys.path))
    models = models_in(tmp_path)
    if "function" in evaluator:
        evaluator = {**evaluator, "function": f"{models}:judge"}
        data = {**study(models).to_dict(), "evaluator": evaluator, "models": ["efficientnet-lite0"]}
        settings = StudySettings.from_dict(data)
    else:
        settings = study(models, model="angle", evaluator=evaluator)
    run = run_study(settings, tmp_path / "out", renderer=Flat(str(tmp_path)))
    assert {row.subject for row in run.rows} == {subject}
    if subject == "angle":  # it reads the angle from the brightness, to 8 bits
        assert [row.score for row in run.rows] == pytest.approx([score] * 8, abs=2 / 255)
        (found,) = summarise(run)
        assert found.metrics["r2"] > 0.999
    else:
        turns = [float(row.params["orientation.rotation_z"]) for row in run.rows]
        assert [row.score for row in run.rows] == pytest.approx([(t + 1) / 2 for t in turns], abs=1 / 255)
        with pytest.raises(SceneError, match="have no effect"):
            run_study(study(models, evaluator=evaluator), renderer=Flat(str(tmp_path)))


def test_numbers_are_judged_on_a_line_and_on_a_circle():
    (one,) = Regression("orientation.rotation_z").judge(answering(np.array([3.0])), asked(rotation_z=-3.0))
    assert (one.score, one.success) == (-6.0, None)
    assert one.metrics == {"prediction": 3.0, "target": -3.0, "error": 6.0, "loss": 36.0}
    angle = Regression("orientation.rotation_z", tolerance=0.3, period=2 * math.pi)
    (one,) = angle.judge(answering(np.array([[3.0]])), asked(rotation_z=-3.0))
    assert one.metrics["error"] == pytest.approx(2 * math.pi - 6)
    assert one.success is True
    (one,) = angle.judge(answering(np.array([np.nan])), asked(rotation_z=-3.0))
    assert "no number" in one.error
    (one,) = angle.judge(answering(np.array([1.0])), asked(rotation_x=1.0))
    assert "no setting 'orientation.rotation_z'" in one.error
    with pytest.raises(SceneError, match="a number for each"):
        angle.judge(answering(np.zeros((1, 2))), asked(rotation_z=0.0))


def test_functions_of_the_users(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    models = models_in(tmp_path)
    judge = evaluator_of({"kind": "callable", "function": f"{models}:judge"})
    (one,) = judge.judge(None, asked())
    assert (one.score, one.success, one.metrics) == (0.5, True, {"visible_share": 0.2})
    half = evaluator_of({"kind": "regression", "target": f"{models}:height"})
    (one,) = half.judge(answering(np.array([0.75])), asked(rotation_z=1.0))
    assert one.metrics["target"] == 0.5
    with pytest.raises(FactoryError, match="there is no file"):
        evaluator_of({"kind": "callable", "function": "nowhere.py:judge"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "clasification"}, "Did you mean classification?"),
        ({"kind": "classification", "top": 0}, "top=0"),
        ({"kind": "classification", "top": True}, "top=True"),
        ({"kind": "regression"}, "name its target"),
        ({"kind": "regression", "target": "a.b", "period": -1}, "period=-1"),
        ({"kind": "callable"}, "name its function"),
        ({"kind": "detection", "iuo": 0.5}, "no setting 'iuo'"),
    ],
)
def test_wrong_evaluators_are_refused(settings, said):
    with pytest.raises(SceneError) as error:
        evaluator_of(settings)
    assert said in str(error.value)


@pytest.mark.parametrize("evaluator", [Classification(), Regression("orientation.rotation_z")])
def test_complex_answers_are_refused(evaluator):
    answers = np.array([[1 + 5j]]) if evaluator.kind == "regression" else np.array([[1, 2j, 0, 0]])
    with pytest.raises(SceneError, match="complex128"):
        evaluator.judge(answering(answers), asked(rotation_z=0.5))


def test_names_of_classes_are_a_list(tmp_path):
    (tmp_path / "mine.py").write_text("def answer(x):\n    return x\nanswer.names = 5\n")
    with pytest.raises(SceneError, match="names=5"):
        model_named(f"{tmp_path / 'mine.py'}:answer")


def test_success_is_a_truth_value(tmp_path):
    (tmp_path / "judge.py").write_text(
        "def judge(batch, scenes, frames):\n    return [{'score': 1.0, 'success': said} for said in ('no', False, 1)]\n"
    )
    evaluator = evaluator_of({"kind": "callable", "function": f"{tmp_path / 'judge.py'}:judge"})
    said = evaluator.judge(None, asked(3))
    assert "success='no'" in said[0].error
    assert [one.success for one in said[1:]] == [False, True]


WRONG = """
def two(batch, scenes):
    return [{"score": 1.0}] * len(batch)

def numbers(batch, scenes, frames):
    return [1.0] * len(batch)

def unnamed(batch, scenes, frames):
    return [{"loss": 1.0}] * len(batch)

def one(batch, scenes, frames):
    return {"score": 1.0}

def raises(batch, scenes, frames):
    return [{"score": undefined} for _ in batch]

def from_above(batch, scenes, frames):
    if (batch.mean((1, 2, 3)) > 0.5).any():
        raise ValueError("too bright for me")
    return [{"score": 1.0} for _ in batch]

def never_again(batch, scenes, frames, asked=[]):
    asked.extend(batch)
    return [{"score": 1.0} if len(asked) <= 16 else None for _ in batch]
"""


@pytest.fixture
def wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    place = tmp_path / f"wrong_{abs(hash(str(tmp_path)))}.py"
    place.write_text(WRONG)
    return place


@pytest.mark.parametrize(
    ("name", "said", "drawn"),
    [
        ("two", "cannot be called with three arguments", 0),
        ("numbers", "no mapping with a 'score'", 16),
        ("unnamed", "no mapping with a 'score'", 16),
        ("one", "it gave dict for 1 pictures", 16),
        ("raises", "NameError: name 'undefined'", 16),
    ],
)
def test_a_function_that_cannot_judge_stops_a_study_at_its_first_batch(tmp_path, wrong, name, said, drawn):
    settings = judged_by(f"{wrong}:{name}", count=64)
    renderer = Flat(str(tmp_path))
    with pytest.raises(SceneError) as error:
        run_study(settings, tmp_path / "out", renderer=renderer)
    assert f"{wrong.name}:{name}'" in str(error.value)
    assert said in str(error.value)
    assert "'score' is required" in str(error.value)
    assert renderer.drawn == drawn


@pytest.mark.parametrize(("name", "failed"), [("from_above", 32), ("never_again", 48)])
def test_a_function_that_has_judged_something_fails_scene_by_scene(tmp_path, wrong, name, failed):
    run = run_study(judged_by(f"{wrong}:{name}", count=64), renderer=Flat(str(tmp_path)))
    assert (len(run.rows), len(run.failures)) == (64, failed)


def test_functions_are_given_up_where_scenes_are_asked_one_at_a_time(wrong):
    evaluator = evaluator_of({"kind": "callable", "function": f"{wrong}:numbers"})
    for _ in range(3):
        (one,) = evaluator.judge(None, asked())
        assert "no mapping with a 'score'" in one.error
    with pytest.raises(UnusableEvaluatorError, match="for the first 4 pictures"):
        evaluator.judge(None, asked())


def judged_by(function, *, count):
    """Return a study of turned balls that a function of the user's judges."""
    data = study("models.py", count=count).to_dict()
    evaluator = {"kind": "callable", "function": function}
    return StudySettings.from_dict(data | {"evaluator": evaluator, "models": ["efficientnet-lite0"]})
