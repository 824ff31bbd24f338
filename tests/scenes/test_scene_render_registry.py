"""Renderers by name, why one is missing, and how Blender is found and installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from similitude.core.errors import SceneError
from similitude.scenes.renderers import blender
from similitude.scenes.renderers.renderer import RENDERERS, missing, renderer_named


def test_raster_is_there_and_bears_its_name() -> None:
    assert missing("raster") is None
    made = renderer_named("raster")
    assert made.name == "raster"
    assert "embreex" in made.version


def test_unknown_names_are_refused_with_the_close_one() -> None:
    for asked in (renderer_named, missing):
        with pytest.raises(
            SceneError, match=r"no renderer 'cicles'. Did you mean cycles\? There are: raster"
        ):
            asked("cicles")


def test_cycles_without_blender_says_how_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(blender.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = missing("cycles")
    assert reason is not None
    assert RENDERERS["cycles"].install in reason
    assert blender.VARIABLE in reason


def test_mitsuba_that_is_missing_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similitude.scenes.renderers.mitsuba.find_spec", lambda name: None)
    assert missing("mitsuba") == "the renderer mitsuba is not installed. Install it: pip install mitsuba"


def test_raster_without_embree_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "similitude.scenes.renderers.raster", None)
    reason = missing("raster")
    assert reason is not None
    assert "pip install 'similitude[scenes]'" in reason


def test_the_variable_is_first_then_the_cache_then_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "blender"
    program.write_text("#!/bin/sh\necho Blender 4.2.1\n")
    program.chmod(0o755)
    monkeypatch.delenv(blender.VARIABLE, raising=False)
    command = blender.blender_command()
    assert command is not None
    assert command[0] == str(program)
    assert "-b" in command
    assert blender.blender_version(command[0]) == "4.2.1"
    own = tmp_path / "similitude" / "blender" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert (blender.blender_command() or [])[0] == str(own)
    monkeypatch.setenv(blender.VARIABLE, sys.executable)
    assert (blender.blender_command() or [])[0] == sys.executable


def test_a_variable_that_leads_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blender.VARIABLE, "/nowhere/python")
    reason = missing("cycles")
    assert reason is not None
    assert "/nowhere/python is no file that can be run" in reason


def test_versions_that_cannot_be_said_are_question_marks() -> None:
    assert blender.blender_version("/nowhere/python") == "?"


def test_an_interpreter_that_does_not_fit_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3 8\n")
    other.chmod(0o755)
    with pytest.raises(SceneError, match=r"is Python 3\.8, and Blender's wheels are made for 3\.11"):
        blender.install_cycles(python=str(other))
    assert not blender.folder().exists()


PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo 3 11 ;;
    *venv*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    *"import bpy") PIP_WORKED ;;
    *metadata*) echo 4.5.99 ;;
    *pip*) PIP_WORKED || { echo "no space left" >&2; exit 1; } ;;
esac
"""


@pytest.mark.parametrize("works", [True, False])
def test_installation_is_whole_or_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], works: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(blender.VARIABLE, raising=False)
    python = tmp_path / "python3.11"
    python.write_text(PYTHON.replace("PIP_WORKED", "true" if works else "false"))
    python.chmod(0o755)
    if not works:
        with pytest.raises(SceneError, match=r"pip install.*failed with status 1: no space left"):
            blender.install_cycles(python=str(python))
        assert not blender.folder().exists()
        return
    place = blender.install_cycles(python=str(python))
    assert (blender.blender_command() or [])[0] == str(place)
    assert "Blender 4.5.99 is ready" in capsys.readouterr().out
    blender.install_cycles(python=str(python))
    assert "is there already" in capsys.readouterr().out
