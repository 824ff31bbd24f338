"""Declines, poses, texture against shape and calibration beside scipy, torchmetrics and counting by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import binary_calibration_error

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.isotonic import decline, falling, half_of
from similitude.scenes.analysis.pose import pose_curve
from similitude.scenes.analysis.reliability import calibration
from similitude.scenes.analysis.shares import standing_of
from similitude.scenes.analysis.texture_bias import TEXTURE_CLASSES, cue_conflict, texture_factor
from similitude.scenes.assets.imagenet import class_names
from similitude.scenes.frame import Frame
from similitude.scenes.models.classification import Classification
from similitude.scenes.models.evaluator import Asked
from similitude.scenes.scene import Scene
from tests.scenes.analysis_rows import NAMES, mug_rows, scene_row

RATIO, ANGLE, SKIN = "occlusion.occlusion_ratio", "orientation.rotation_z", "material.texture"


def hidden_rows(count, half, seed, *, steep=25.0):
    """Answers that are right less and less often; half of the accuracy is gone at `half`."""
    rng = np.random.default_rng(seed)
    x = rng.random(count)
    return [
        scene_row({RATIO: float(a)}, right=rng.random() < 1 / (1 + math.exp(steep * (a - half)))) for a in x
    ]


def test_the_fit_is_scipys_isotonic_regression():
    rng = np.random.default_rng(0)
    x, y = rng.permutation(60).astype(float), rng.random(60)
    places, fitted = falling(x, y)
    order = np.argsort(x)
    assert places.tolist() == x[order].tolist()
    assert fitted == pytest.approx(optimize.isotonic_regression(y[order], increasing=False).x)


def test_places_that_repeat_weigh_as_often_as_they_occur():
    x = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 2.0])
    y = np.array([1.0, 0.0, 0.0, 0.5, 1.0, 0.0])
    places, fitted = falling(x, y)
    wanted = optimize.isotonic_regression([1 / 3, 0.5, 0.5], weights=[3, 1, 2], increasing=False).x
    assert places.tolist() == [0.0, 1.0, 2.0]
    assert fitted == pytest.approx(wanted)


def test_the_half_is_where_the_line_crosses():
    places = np.array([0.0, 0.2, 0.6, 1.0])
    assert half_of(places, np.array([0.9, 0.8, 0.4, 0.1]), 0.9) == pytest.approx(0.55)
    assert half_of(places, np.array([0.9, 0.8, 0.7, 0.6]), 0.9) == math.inf
    assert half_of(places, np.array([0.3, 0.2, 0.1, 0.0]), 0.9) == 0.0


def test_intervals_of_the_half_hold_where_it_was_planted():
    found = [decline(hidden_rows(200, 0.6, seed), RATIO).half for seed in range(4)]
    assert np.mean([one.value for one in found]) == pytest.approx(0.6, abs=0.05)
    assert sum(one.low <= 0.6 <= one.high for one in found) >= 3
    assert all(one.high - one.low < 0.3 for one in found)


def test_a_measure_that_does_not_fall_has_no_half():
    rows = [scene_row({RATIO: i / 40}, right=True) for i in range(40)]
    found = decline(rows, RATIO)
    assert math.isnan(found.half.value)
    assert found.half.high == math.inf
    assert found.start == 1.0
    assert found.to_dict()["half"]["value"] is None


def test_the_probability_declines_as_accuracy_does():
    rows = [scene_row({RATIO: i / 40}, right=i < 20, loss=0.05 if i < 24 else 3.0) for i in range(40)]
    assert decline(rows, RATIO).half.value == pytest.approx(0.4875, abs=0.02)
    assert decline(rows, RATIO, measure="probability").half.value == pytest.approx(0.5875, abs=0.02)


def test_declines_say_what_they_take():
    with pytest.raises(SceneError, match="has names, not numbers"):
        decline(mug_rows(16), SKIN)
    with pytest.raises(SceneError, match=r"4 scenes have .* at least 10"):
        decline(mug_rows(4), RATIO)


def test_sectors_close_the_circle():
    angles = [math.pi - 0.01, -math.pi + 0.01, 0.1, -0.1, math.pi / 2]
    rows = [scene_row({ANGLE: a}, right=a > 0) for a in angles]
    found = pose_curve(rows, ANGLE, sectors=4)
    assert [one.middle for one in found.sectors] == pytest.approx([-math.pi, -math.pi / 2, 0, math.pi / 2])
    assert [one.standing and one.standing.accuracy.count for one in found.sectors] == [2, None, 2, 1]
    assert [one.standing and one.standing.accuracy.value for one in found.sectors] == [0.5, None, 0.5, 1.0]
    assert found.to_dict()["sectors"][1]["accuracy"] is None


def test_an_angle_that_matters_is_told_from_one_that_does_not():
    rng = np.random.default_rng(0)
    angles = rng.uniform(-math.pi, math.pi, 200)
    turned = [scene_row({ANGLE: float(a)}, right=rng.random() < 0.5 + 0.4 * math.cos(a)) for a in angles]
    assert pose_curve(turned, ANGLE).p < 1e-6
    assert abs(pose_curve(turned, ANGLE).worst.middle) > math.pi / 2
    ps = []
    for _ in range(30):
        blind = [scene_row({ANGLE: float(a)}, right=rng.random() < 0.5) for a in angles]
        ps.append(pose_curve(blind, ANGLE).p)
    assert stats.kstest(ps, "uniform").pvalue > 0.01


def test_angles_without_a_difference_or_numbers():
    rows = [scene_row({ANGLE: float(i), SKIN: str(i)}, right=True) for i in range(5)]
    assert math.isnan(pose_curve(rows, ANGLE).p)
    with pytest.raises(SceneError, match="give an angle in radians"):
        pose_curve(rows, SKIN)


def conflict(texture, prediction, *, right):
    return scene_row({SKIN: texture}, right=right, prediction=prediction)


def test_texture_against_shape_is_counted_as_geirhos_does():
    rows = [
        *[conflict("zebra", 1, right=True)] * 2,  # said "coffee mug": shape
        *[conflict("zebra", 3, right=False)] * 5,  # said "zebra": texture
        conflict("zebra", 0, right=False),  # said "tench": neither
        conflict("elephant", 5, right=False),  # said "tusker": texture too
        conflict("elephant", 3, right=False),  # said "zebra", and wore an elephant: neither
        *[conflict("wood", 1, right=False)] * 3,  # no class: asks nothing, but was swapped
        *[conflict("original", 1, right=True)] * 4,
        conflict("original", 0, right=False),
    ]
    found = cue_conflict(rows, NAMES)
    assert found.factor == SKIN
    assert found.shape_bias.value == 2 / 8
    assert found.decided.value == 8 / 10
    assert found.original.value == 4 / 5
    assert found.swapped.value == 2 / 13
    assert found.lost == pytest.approx(1 - (2 / 13) / (4 / 5))
    assert [(one.texture, one.scenes, one.shape, one.skin) for one in found.textures] == [
        ("elephant", 2, 0, 1),
        ("zebra", 8, 2, 5),
    ]
    assert found.to_dict()["shape_bias"]["count"] == 8


def test_a_right_answer_is_of_the_shape_whatever_the_texture():
    rows = [conflict("zebra", 3, right=True), conflict("original", 3, right=True)]
    assert cue_conflict(rows, NAMES).shape_bias.value == 1.0


def test_no_answer_of_either_leaves_the_bias_open():
    found = cue_conflict([conflict("zebra", 0, right=False), conflict("wood", 0, right=False)], NAMES)
    assert found.shape_bias is None
    assert found.lost is None
    assert found.decided.value == 0.0


def test_settings_of_textures_are_found_or_their_absence_is_said():
    assert texture_factor(mug_rows(16)) == SKIN
    plain = [scene_row({"m.skin": name}, right=True, prediction=0) for name in ("wood", "steel")]
    with pytest.raises(SceneError, match=r"no setting swaps textures .* zebra"):
        cue_conflict(plain, NAMES)
    with pytest.raises(SceneError, match="has no texture that is a class"):
        cue_conflict(plain, NAMES, factor="m.skin")
    with pytest.raises(SceneError, match="no predicted class"):
        cue_conflict([scene_row({SKIN: t}, right=True) for t in ("zebra", "wood")], NAMES)


def test_classes_of_textures_are_classes_of_imagenet():
    assert {name for group in TEXTURE_CLASSES.values() for name in group} <= set(class_names())


def sure_rows(count, seed, *, bias=0.0):
    rng = np.random.default_rng(seed)
    rows = []
    for p in rng.uniform(0.3, 1.0, count):
        right = rng.random() < p - bias
        sure = {"confidence": float(p), "probability": float(p) if right else 0.0}
        rows.append(scene_row({"a.x": float(p)}, right=right, **sure))
    return rows


def test_accepted_classes_are_one_answer():
    both = {"confidence": 0.3, "probability": 0.55}  # two accepted classes, one of which is first
    found = calibration([scene_row({"a.x": i}, right=True, **both) for i in range(20)])
    assert (found.bins[0].confidence, found.bins[0].accuracy.value) == (pytest.approx(0.55), 1.0)
    other = {"confidence": 0.4, "probability": 0.6}  # another class is first: sure of that one, and wrong
    found = calibration([scene_row({"a.x": i}, right=False, **other) for i in range(20)])
    assert (found.bins[0].confidence, found.bins[0].accuracy.value) == (pytest.approx(0.4), 0.0)


def answers(logits, labels, *, top):
    """Return rows as a study has them of a classifier that gives these logits."""

    def model(batch):
        return np.asarray(logits, dtype=np.float32)

    model.name, model.names = "model", tuple(NAMES)
    scene, frame = Scene("mug"), Frame(*[np.zeros((1, 1, c) if c else (1, 1)) for c in (3, 0, 0, 0, 2)])
    judged = Classification(top=top).judge(model, [Asked(scene, frame, labels)] * len(logits))
    return [
        Row("scenes", "mug", "model", one.score, {"a.x": i}, dict(one.metrics), one.success)
        for i, one in enumerate(judged)
    ]


def test_calibration_never_calls_right_what_the_headline_calls_wrong():
    flat = answers(np.zeros((20, len(NAMES))), ("coffee mug", "cup"), top=1)
    found = calibration(flat)
    assert not any(row.success for row in flat)  # a tie with a class before them
    assert found.bins[0].accuracy.value == 0.0
    assert found.overconfidence.value == pytest.approx(1 / len(NAMES))
    half = np.random.default_rng(0).normal(size=(200, len(NAMES))).round()  # many ties
    rows = answers(half, ("coffee mug", "cup"), top=1)
    found = calibration(rows)
    shares = sum(one.accuracy.value * one.accuracy.count for one in found.bins) / found.scenes
    assert shares == pytest.approx(standing_of(rows).accuracy.value)
    logits = np.tile([5.0, 4.0, 1.0, 0.0, 0.0, 0.0], (20, 1))
    second = answers(logits, ("coffee mug",), top=2)
    assert all(row.success for row in second)  # among the first two
    assert calibration(second).bins[0].accuracy.value == 0.0  # and never the first
    assert calibration(second).bins[0].confidence == pytest.approx(np.exp(5) / np.exp(logits[0]).sum())


def test_answers_that_are_neither_right_nor_wrong_have_no_calibration():
    told = {"confidence": 0.5, "probability": 0.5}
    rows = [Row("scenes", "mug", "m", 0.1, {"a.x": i}, told) for i in range(20)]
    with pytest.raises(SceneError, match="0 answers have a confidence and are right or wrong"):
        calibration(rows)
    with pytest.raises(SceneError, match=r"1 answers have .* takes at least two"):
        calibration(sure_rows(1, 0))


def test_the_calibration_error_is_torchmetrics():
    rows = sure_rows(300, 0, bias=0.2)
    found = calibration(rows)
    sure = torch.tensor([row.metrics["confidence"] for row in rows])
    right = torch.tensor([int(row.success) for row in rows])
    assert found.error == pytest.approx(float(binary_calibration_error(sure, right, n_bins=10)), abs=1e-6)
    assert found.brier == pytest.approx(brier_score_loss(right.numpy(), sure.numpy()))
    assert sum(one.accuracy.count for one in found.bins) == found.scenes == 300


def test_a_model_that_is_too_sure_is_told_from_one_that_knows():
    assert calibration(sure_rows(400, 1, bias=0.2)).overconfidence.low > 0.1
    fair = calibration(sure_rows(400, 1)).overconfidence
    assert fair.low < 0 < fair.high


def test_calibration_needs_a_confidence():
    with pytest.raises(SceneError, match=r"no row has a finite 'confidence'.*loss"):
        calibration([scene_row({"a.x": 1.0}, right=True)])
