"""What a folder's rows were made from is compared over all its runs: files and those beside them, kinds, orders."""

import json
import os
from dataclasses import replace

import pytest
from PIL import Image

from similitude.core.errors import SceneError
from similitude.scenes.assets.named_files import named_files
from similitude.scenes.objects.catalog import find_object
from similitude.scenes.study.digests import file_digests
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.ways import UNREAD, Ways
from tests.scenes.study_parts import Flat, study

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
GREY, RED = {"kind": "hsv", "saturation_factor": 0.0}, {"kind": "hsv", "hue_shift": 0.5}
TURNING = {"orientation": {"rotation_z": {"low": -1.0, "high": 1.0}}}


def painted(folder, name="chair", color=(255, 0, 0)):
    """Write an OBJ whose materials name a picture."""
    Image.new("RGB", (4, 4), color).save(folder / "skin.png")
    (folder / "paint.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd skin.png\n")
    place = folder / f"{name}.obj"
    place.write_text(f"mtllib paint.mtl\nusemtl m\n{TRIANGLE}")
    return place


@pytest.fixture
def run(tmp_path):
    def go(settings, folder="out"):
        return run_study(settings, tmp_path / folder, renderer=Flat(str(tmp_path)))

    return go


def test_a_file_that_changed_is_refused_however_many_other_studies_came_since(tmp_path, models, run):
    chair, stool = painted(tmp_path), painted(tmp_path, "stool")
    judged = {"labels": {}, "evaluator": {"kind": "regression", "target": f"{models}:height"}}
    both = study(models, model="angle", objects=[str(chair), str(stool)], **judged)
    one = replace(both, objects=(str(chair),))
    run(both)
    stool.write_text(TRIANGLE)
    assert run(one).found == 8
    assert run(one).found == 8
    with pytest.raises(SceneError, match=r"the content of .*stool\.obj was not"):
        run(both)
    with pytest.raises(SceneError, match=r"the content of .*stool\.obj was not"):  # a refusal forgets nothing
        run(both)


def test_a_model_of_ones_own_that_changed_is_refused_after_another_model(models, run):
    run(study(models))
    models.write_text(models.read_text().replace("0.5 - bright", "0.4 - bright"))
    with pytest.raises(SceneError, match="the content of"):
        run(study(models))
    about = run(study(models), "elsewhere").folder / "study.json"
    other = models.with_name("other_models.py")
    other.write_text(models.read_text())
    run(study(other, model="other"), "elsewhere")
    assert set(json.loads(about.read_text())["files"]) == {str(models), str(other)}


def test_an_order_of_effects_is_refused_after_a_study_with_one_of_them(models, run):
    run(study(models, controls={**TURNING, "a": GREY, "b": RED}))
    run(study(models, controls={**TURNING, "a": GREY}))
    with pytest.raises(SceneError, match="the order of a and b was not what it is now"):
        run(study(models, controls={**TURNING, "b": RED, "a": GREY}))


def test_a_kind_of_a_control_is_refused_after_a_study_without_it(models, run):
    run(study(models, controls={**TURNING, "a": {"kind": "light", "power": 80}}))
    run(study(models, controls=TURNING))
    with pytest.raises(SceneError, match="controls: a was not what it is now"):
        run(study(models, controls={**TURNING, "a": {"kind": "camera"}}))


def test_orders_of_several_runs_are_kept_as_far_as_they_say_something():
    def ways(*names):
        return Ways(orders=(names,) if len(names) > 1 else ())

    kept = ways("a", "b").after(ways("a", "b", "c")).after(ways("d", "a")).after(ways("b"))
    assert set(kept.orders) == {("a", "b", "c"), ("d", "a")}
    assert ways("c", "a").differences(kept) == ["the order of a and c"]
    assert ways("b", "e", "c").differences(kept) == []


def test_pictures_and_materials_that_a_model_names_are_compared(tmp_path, models, run):
    chair = painted(tmp_path)
    settings = study(models, objects=[str(chair)], labels={str(chair): ["bright"]})
    assert set(file_digests(settings)) == {
        str(models),
        str(chair),
        f"paint.mtl beside {chair}",
        f"skin.png beside {chair}",
    }
    run(settings)
    painted(tmp_path, color=(0, 0, 255))
    with pytest.raises(SceneError, match=r"the content of skin\.png beside .*chair\.obj was not"):
        run(settings)
    painted(tmp_path)
    assert run(settings).found == 8
    (tmp_path / "paint.mtl").write_text("newmtl m\nKd 0 1 1\n")
    with pytest.raises(SceneError, match=r"the content of paint\.mtl beside .*chair\.obj was not"):
        run(settings)


def test_files_that_models_name_are_those_that_are_read(tmp_path):
    header = {
        "asset": {"version": "2.0"},
        "buffers": [{"uri": "a.bin"}, {"uri": "data:application/octet-stream;base64,AA=="}, {}],
        "images": [{"uri": "sub/skin.png"}, {"bufferView": 0}, 3],
    }
    (tmp_path / "sub").mkdir()
    for name in ("a.bin", "sub/skin.png", "élan.png"):
        (tmp_path / name).write_bytes(b"1")
    text = json.dumps(header).encode()
    (tmp_path / "m.gltf").write_bytes(text)
    length = len(text).to_bytes(4, "little")
    (tmp_path / "m.glb").write_bytes(b"glTF\2\0\0\0" + bytes(4) + length + b"JSON" + text)
    for model in ("m.gltf", "m.glb"):
        assert named_files(tmp_path / model) == {
            "a.bin": tmp_path / "a.bin",
            "sub/skin.png": tmp_path / "sub" / "skin.png",
        }
    # Names with spaces, of another machine; of several files of materials the first is read.
    (tmp_path / "my paint.mtl").write_bytes(
        "newmtl m\n map_Kd C:\\x\\élan.png \nmap_Bump a.bin\nmap_Kd\n".encode()
    )
    (tmp_path / "m.obj").write_text("# x\nmtllib my paint.mtl\nmtllib other.mtl\n")
    assert set(named_files(tmp_path / "m.obj").values()) == {
        tmp_path / "my paint.mtl",
        tmp_path / "élan.png",
    }
    for damaged in (b"", b"{", b"[1]", b'{"images": 3}', b"glTF" + b"\xff" * 20):
        (tmp_path / "m.gltf").write_bytes(damaged)
        assert named_files(tmp_path / "m.gltf") == {}


def test_a_model_is_read_again_once_a_file_beside_it_has_changed_or_come(tmp_path):
    chair = painted(tmp_path)
    (tmp_path / "skin.png").unlink()
    lacking = find_object(str(chair))
    assert find_object(str(chair)) is lacking
    painted(tmp_path)
    os.utime(chair, ns=(1, 1))
    red = find_object(str(chair))
    assert find_object(str(chair)) is red
    Image.new("RGB", (4, 5), (0, 0, 255)).save(tmp_path / "skin.png")  # of the model itself nothing changed
    blue = find_object(str(chair))
    assert len({lacking.digest, red.digest, blue.digest}) == 3
    (tmp_path / "paint.mtl").unlink()
    assert find_object(str(chair)).digest not in {lacking.digest, red.digest, blue.digest}


def test_a_file_larger_than_memory_fails_alone_and_may_be_mended(tmp_path, models):
    chair, large = painted(tmp_path), tmp_path / "large.obj"
    with open(large, "wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    settings = StudySettings.from_dict(
        {
            "objects": [str(chair), str(large)],
            "evaluator": {"kind": "callable", "function": f"{models}:judge"},
            "policy": {"kind": "grid"},
            "resolution": 8,
        }
    )
    assert file_digests(settings)[str(large)] == UNREAD
    rows = run_study(settings, tmp_path / "out").rows
    assert [row.task for row in rows if row.failed] == [str(large)]
    assert "1,099,511,627,776 bytes" in next(row.error for row in rows if row.failed)
    large.write_text(TRIANGLE)
    assert not run_study(settings, tmp_path / "out").failures
    with open(large, "wb") as file:
        file.truncate(2**40)
    with pytest.raises(SceneError, match=r"the content of .*large\.obj was not"):
        run_study(settings, tmp_path / "out")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("finished", [1]),
        ("finished", {"x": 1}),
        ("files", [1]),
        ("files", {"x": 1}),
        ("classes", [1]),
        ("classes", {"m": "abc"}),
        ("versions", "x"),
        ("kinds", {"a": 1}),
        ("orders", [1]),
        ("settings", {}),
        ("settings", {"evaluator": {}, "labels": {}, "controls": [1]}),
        ("settings", {"evaluator": {}, "labels": {}, "controls": {"orientation": 1}}),
    ],
)
def test_a_damaged_study_says_so_and_what_to_do(models, run, part, value):
    about = run(study(models)).folder / "study.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), part: value}))
    with pytest.raises(SceneError, match=r"study\.json is damaged: .*Remove it, or name another folder\."):
        run(study(models))
    about.unlink()
    assert run(study(models)).found == 8


def test_a_folder_of_before_is_gone_on_with_and_its_controls_are_compared(models, run):
    settings = study(models, controls={**TURNING, "a": GREY, "b": RED})
    about = run(settings).folder / "study.json"
    data = json.loads(about.read_text())
    del data["kinds"], data["orders"]
    about.write_text(json.dumps(data))
    with pytest.raises(SceneError, match="the order of a and b"):
        run(study(models, controls={**TURNING, "b": RED, "a": GREY}))
    data["settings"]["controls"]["nosuch"] = {}
    about.write_text(json.dumps(data))
    with pytest.raises(
        SceneError, match=r"study\.json is damaged: its settings are none: there is no control"
    ):
        run(settings)


def test_a_folder_in_which_everything_failed_is_gone_on_with_after_the_file_is_mended(tmp_path, models, run):
    chair = painted(tmp_path)
    settings = study(models, objects=[str(chair)], labels={str(chair): ["bright"]})
    chair.write_text("no triangles")
    assert len(run(settings).failures) == 8
    painted(tmp_path)
    mended = run(settings)
    assert (mended.found, mended.failures) == (0, ())
    assert run(settings).found == 8
    chair.write_text("no triangles")
    with pytest.raises(SceneError, match=r"the content of .*chair\.obj was not"):
        run(settings)
