"""Studies as data: what varies, what is refused, files and the paths in them."""

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.study.reading import read_study
from similitude.scenes.study.settings import PolicySettings, StudySettings
from similitude.tuning.space.dimensions import Choice, Linear, Log

STUDY = """
objects: [mug, models/chair.obj]
environments: [studio]
controls:
  orientation: {rotation_z: {low: -3.14, high: 3.14}}
  camera: {zoom_factor: 1.2, view_point_z: [0.2, 0.5]}
  lamp: {kind: light, power: {low: 50, high: 300, log: true}}
  texture: {name: pictures/wool.png}
  scale: {}
policy: {kind: grid, samples: 3, seed: 7}
model: [mine.py:make, "timm:resnet18"]
evaluator: {kind: classification, top: 5}
labels: {models/chair.obj: [folding chair]}
resolution: 64
"""


def test_a_file_says_what_varies_and_what_is_held(tmp_path):
    place = tmp_path / "study.yaml"
    place.write_text(STUDY)
    study = read_study(place)
    chair = str(tmp_path / "models/chair.obj")
    assert study.objects == ("mug", chair)
    assert study.labels == {chair: ("folding chair",)}
    assert study.models == (f"{tmp_path / 'mine.py'}:make", "timm:resnet18")
    assert study.policy == PolicySettings("grid", None, 7, {"samples": 3})
    assert study.space is not None
    assert dict(study.space) == {
        "orientation.rotation_z": Linear(0.0, low=-3.14, high=3.14),
        "camera.view_point_z": Choice(0.2, 0.5),
        "lamp.power": Log(150.0, low=50, high=300),
        "scale.factor": Linear(1.0, low=0.25, high=1.0),
    }
    values = {
        "orientation.rotation_z": 1.0,
        "camera.view_point_z": 0.5,
        "lamp.power": 60.0,
        "scale.factor": 0.5,
    }
    scene = study.scene("mug", "studio", values)
    assert scene.controls["lamp"] == {"kind": "light", "power": 60.0}
    assert scene["camera.zoom_factor"] == 1.2
    assert scene["texture.name"] == str(tmp_path / "pictures/wool.png")
    assert StudySettings.from_dict(study.to_dict()) == study


def test_true_is_a_control_s_own_range_and_nothing_may_vary():
    study = StudySettings(("mug",), controls={"orientation": {"rotation_x": True, "rotation_y": 0.5}})
    assert study.space is not None
    assert list(study.space) == ["orientation.rotation_x"]
    assert StudySettings(("mug",)).space is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "needs 'objects'"),
        ({"objects": []}, "no names"),
        ({"objects": None}, "needs 'objects'"),
        ({"objects": ["mug"], "policy": {"kind": ["sobol"]}}, "is no name"),
        ({"objects": ["mug"], "controls": {"key.light": {"kind": "light"}}}, "without dots"),
        ({"objects": ["mug"], "polcy": {}}, "Did you mean policy?"),
        ({"objects": ["mug"], "model": "a", "models": ["b"]}, "not both"),
        ({"objects": ["mug"], "policy": {"count": 0}}, "count=0"),
        ({"objects": ["mug"], "policy": {"seed": True}}, "seed=True"),
        ({"objects": ["mug"], "labels": {"cup": ["cup"]}}, "'cup' is none of the study's objects"),
        ({"objects": ["mug"], "resolution": 1.5}, "resolution=1.5"),
        ({"objects": ["mug"], "renderer": 3}, "renderer=3"),
        ({"objects": ["mug"], "controls": ["scale"]}, "no mapping"),
        ({"objects": ["mug"], "controls": {None: {"kind": "scale"}}}, "controls: None is no name"),
        ({"objects": ["mug"], "controls": {True: {"kind": "scale"}}}, "controls: True is no name"),
        (
            {"objects": ["mug"], "controls": {1: {"kind": "scale"}, "1": {"kind": "light"}}},
            "'1' is given twice",
        ),
        ({"objects": ["mug"], "controls": {"orientaton": {}}}, "Did you mean orientation?"),
        ({"objects": ["mug"], "controls": {"scale": {"facto": 1.0}}}, "Did you mean factor?"),
        ({"objects": ["mug"], "controls": {"scale": {"factor": {"low": 1, "high": 0.5}}}}, "not below"),
        ({"objects": ["mug"], "controls": {"scale": {"factor": {"low": -1, "high": 0.5}}}}, "-1"),
        ({"objects": ["mug"], "controls": {"scale": {"factor": {"lo": 1}}}}, "'lo'"),
        ({"objects": ["mug"], "controls": {"scale": {"factor": "big"}}}, "'big'"),
        ({"objects": ["mug"], "controls": {"occlusion": {"direction": "rigth"}}}, "Did you mean right?"),
        ({"objects": ["mug"], "controls": {"corruption": {"name": ["fog", "snw"]}}}, "Did you mean snow?"),
        ({"objects": ["mug"], "controls": {"scale": {"factor": [0.5, "big"]}}}, "'big'"),
        (
            {"objects": ["mug"], "controls": {"scale": {"factor": {"log": "no"}}}},
            "log='no' is neither true nor",
        ),
        (
            {"objects": ["mug"], "controls": {"scale": {"factor": {"log": 0}}}},
            "log=0 is neither true nor false",
        ),
        (
            {"objects": ["mug"], "controls": {"scale": {"factor": {"integer": "false"}}}},
            "integer='false' is neither",
        ),
        (
            {"objects": ["mug"], "controls": {"position": {"offset_x": {"low": -1, "high": 1, "log": True}}}},
            "logarithm",
        ),
        (
            {"objects": ["mug"], "controls": {"occlusion": {"direction": {"low": 0, "high": 1}}}},
            "list of values",
        ),
    ],
)
def test_what_is_not_possible_is_said(data, said):
    with pytest.raises(SceneError) as error:
        StudySettings.from_dict(data)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- mug", "is list"),
        ("objects: [mug", "no YAML"),
        ("a: &a [1]\nobjects: *a", "aliases"),
        ("!!python/object/apply:os.system ['true']", "no YAML"),
        ("objects: [mug]\nfoo: 1", "study.yaml: a study has no key 'foo'"),
        ("", "is NoneType"),
        (
            "{objects: [mug], resolution: 32,\n resolution: 64}",
            "'resolution' is given twice, in lines 1 and 2. Keep one",
        ),
        (
            "objects: [mug]\ncontrols: {scale: {factor: 0.5}}\n'controls': {}",
            "'controls' is given twice, in lines 2 and 3",
        ),
        (
            "objects: [mug]\ncontrols:\n- scale: {factor: 1,\n factor: 2}",
            "'factor' is given twice, in lines 3 and 4",
        ),
        ("objects: [a.obj]\nlabels: {a.obj: [cup], ./a.obj: [mug]}", "labels: two paths are of one file"),
        ("\x00", "no YAML"),
    ],
)
def test_files_that_are_no_studies(tmp_path, text, said):
    place = tmp_path / "study.yaml"
    place.write_text(text)
    with pytest.raises(SceneError) as error:
        read_study(place)
    assert said in str(error.value)


def test_what_is_given_once_in_each_of_several_places_is_given_once(tmp_path):
    place = tmp_path / "study.yaml"
    place.write_text(
        "objects: [mug]\ncontrols:\n  scale: {factor: 0.5}\n  position: {offset_x: 0.5, offset_z: 0.5}"
    )
    assert read_study(place).controls["position"] == {"offset_x": 0.5, "offset_z": 0.5}


@pytest.mark.parametrize(
    "text",
    [
        "objects: ['{}/chair.glb']",
        "objects: mug\nenvironments: ['{}/noon.hdr']",
        "objects: mug\ncontrols: {texture: {name: ['{}/wool.png']}}",
        "objects: mug\nmodel: '{}/mine.py:make'",
        "objects: mug\nevaluator: {kind: callable, function: '{}/mine.py:judge'}",
        "objects: mug\nlabels: {'{}/chair.glb': [chair]}",
    ],
)
@pytest.mark.parametrize(("folder", "reason"), [("~nobody-at-all", "home"), ("a\\0b", "null")])
def test_paths_that_no_machine_has(tmp_path, text, folder, reason):
    place = tmp_path / "study.yaml"
    place.write_text(text.replace("'", '"').replace("{}", folder))
    with pytest.raises(SceneError) as error:
        read_study(place)
    assert "is no path on this machine" in str(error.value)
    assert reason in str(error.value)
    assert str(place) in str(error.value)


def test_a_home_is_that_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "studies" / "study.yaml"
    place.parent.mkdir()
    place.write_text("objects: [~/chair.glb, ../cup.obj]\nmodel: ~/mine.py:make")
    study = read_study(place)
    assert study.objects == (str(tmp_path / "chair.glb"), str(tmp_path / "cup.obj"))
    assert study.models == (f"{tmp_path / 'mine.py'}:make",)


def test_a_study_whose_own_path_is_none():
    with pytest.raises(SceneError, match="no disk has the path"):
        read_study("a\0b.yaml")


def test_a_file_that_is_not_there_or_too_large(tmp_path):
    with pytest.raises(SceneError, match="cannot be read"):
        read_study(tmp_path / "nowhere.yaml")
    place = tmp_path / "large.yaml"
    place.write_text("#" * 1_000_001)
    with pytest.raises(SceneError, match="larger than"):
        read_study(place)
