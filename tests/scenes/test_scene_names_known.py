"""Names that a study refuses before anything is drawn, and what stays the failure of its scenes."""

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.controls.catalog import controls
from similitude.scenes.controls.names import Names
from similitude.scenes.known import check_names
from similitude.scenes.objects.catalog import OBJECTS
from similitude.scenes.study.running import run_study
from tests.scenes.study_parts import Flat, models_in, study


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "chair.obj").write_text("nothing of a mesh")
    (tmp_path / "noon.hdr").write_text("no light")
    (tmp_path / "one.json").write_text("{}")
    (tmp_path / "nope.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objects": ["ball", "bal"]}, "there is no object 'bal'. Did you mean ball?"),
        ({"objects": ["ball", "{}/chiar.obj"]}, "there is no such file. Did you mean chair.obj?"),
        ({"objects": ["ball", "{}/chiar.glb"]}, "there is no such file. Did you mean chair.obj?"),
        ({"objects": ["ball", "{}/noon.obj"]}, "there is no such file. Name a file that is there."),
        ({"objects": ["ball", "{}/nope.obj"]}, "there is no such file. Name a file that is there."),
        ({"environments": ["{}/chair.hdr"]}, "there is no such file. Name a file that is there."),
        ({"objects": ["ball", "chair.blend"]}, "there is no object 'chair.blend'"),
        ({"environments": ["studio", "studoi"]}, "there is no environment 'studoi'. Did you mean studio?"),
        ({"environments": ["{}/nono.hdr"]}, "there is no such file. Did you mean noon.hdr?"),
        (
            {"controls": {"texture": {"name": ["original", "zebbra"]}}},
            "control 'texture', setting 'name': there is no texture 'zebbra'. Did you mean zebra?",
        ),
        ({"controls": {"texture": {"name": "orignal"}}}, "Did you mean original?"),
        (
            {"controls": {"coat": {"kind": "material", "replacement": ["gould"]}}},
            "control 'coat', setting 'replacement': there is no material 'gould'. Did you mean gold?",
        ),
        ({"controls": {"material": {"replacement": "wool.png"}}}, "needs its absolute path"),
        ({"controls": {"ground": {"material": "wod"}}}, "Did you mean wood?"),
        ({"controls": {"background": {"picture": ["none", "grsas"]}}}, "Did you mean grass?"),
        ({"controls": {"occlusion": {"occluder": ["panel", "bxo"]}}}, "Did you mean box?"),
        ({"controls": {"occlusion": {"occluder": "/nowhere/post.obj"}}}, "there is no such file"),
    ],
)
def test_a_name_of_nothing_is_refused_before_anything_is_drawn(folder, changes, said):
    def full(value):
        return value.replace("{}", str(folder)) if isinstance(value, str) else value

    changes = {
        key: [full(one) for one in value] if isinstance(value, list) else value
        for key, value in changes.items()
    }
    flat = Flat(str(folder))
    with pytest.raises(SceneError) as error:
        run_study(study(models_in(folder), **changes), folder / "out", renderer=flat)
    assert said in str(error.value)
    assert flat.drawn == 0
    assert not (folder / "out").exists()


def test_what_is_there_may_be_broken_and_a_missing_picture_is_the_failure_of_its_scenes(folder):
    missing = str(folder / "nowhere.png")
    check_names([str(folder / "chair.obj")], [str(folder / "noon.hdr")], {"texture": {"name": [missing]}})
    wanted = {
        "texture": {"name": ["original", missing]},
        "background": {"picture": ["none", missing]},
        "ground": {"material": ["wood", missing]},
    }
    changes = {"objects": ["ball"], "controls": wanted, "policy": {"kind": "grid"}, "renderer": "raster"}
    run = run_study(study(models_in(folder), **changes), folder / "out")
    for row in run.rows:
        lacking = missing in row.params.values()
        assert row.failed is lacking
        assert ("nowhere.png" in row.error) is lacking
    assert len(run.rows) == 8


def test_every_open_choice_of_a_control_says_what_its_names_are_of():
    for control in controls().values():
        for setting in control.settings.values():
            assert isinstance(setting.dimension, Names) is (setting.known is not None)
    # What they know by themselves is known.
    check_names(OBJECTS, (), {kind: {} for kind in controls()})
