"""Renderers that a process keeps open: one of each name, whoever asks, closed when asked and when the process ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.renderers import open_renderers
from similitude.scenes.renderers.open_renderers import close_renderers, opened, renderers_in_use
from similitude.scenes.renderers.renderer import Renderer
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene
from similitude.scenes.stage import Stage
from similitude.scenes.study.drawing import draw_scenes
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import PolicySettings, StudySettings


class Counted:
    """A renderer that counts what is asked of it."""

    name = version = "counted"

    def __init__(self) -> None:
        self.drawn = self.closed = 0

    def draw(self, stage: Stage, *, resolution: int, samples: int | None = None) -> Frame:
        """Draw a grey square."""
        self.drawn += 1
        size = (resolution, resolution)
        rgb, none = np.full((*size, 3), 0.5, np.float32), np.full((*size, 2), np.nan, np.float32)
        return Frame(rgb, np.ones(size, np.float32), np.ones(size, np.float32), np.ones(size, np.uint8), none)

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Counted]:
    several: list[Counted] = []

    def make(name: str) -> Counted:
        several.append(Counted())
        return several[-1]

    close_renderers()
    monkeypatch.setattr(open_renderers, "renderer_named", make)
    return several


def test_pictures_and_studies_share_one_renderer_and_both_end_with_it(made: list[Counted]) -> None:
    scene = Scene("mug", resolution=16)
    render(scene, "counted")
    assert not draw_scenes([scene], renderer="counted", frames=None)[0].error
    assert opened("counted") is made[0]
    assert opened("another") is made[1]
    assert [one.drawn for one in made] == [2, 0]
    close_renderers()
    close_renderers()
    assert [one.closed for one in made] == [1, 1]
    assert opened("counted") is made[2]
    close_renderers()


def test_they_are_closed_when_the_process_ends() -> None:
    script = """
        from similitude.scenes.renderers import open_renderers
        class Told:
            def close(self):
                print("closed")
        open_renderers.renderer_named = lambda name: Told()
        open_renderers.opened("any")
        print("last")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["last", "closed"]


def test_names_that_there_are_not_are_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(SceneError, match="no renderer 'cicles'"):
            opened("cicles")


def test_only_what_was_opened_within_is_closed_and_by_the_last_that_goes_on(made: list[Counted]) -> None:
    before = opened("before")
    with renderers_in_use():
        first = opened("first")
        with ExitStack() as other:
            other.enter_context(renderers_in_use())
            assert opened("first") is first
            opened("second")
        assert opened("second") is made[2]
        assert [one.closed for one in made] == [0, 0, 0]
    assert [one.closed for one in made] == [0, 1, 1]
    assert opened("before") is before
    close_renderers()


def test_a_study_leaves_open_what_others_opened(made: list[Counted], tmp_path: Path) -> None:
    mine = opened("raster")  # as the study asks for it
    script = tmp_path / "judge_of_open_renderers.py"  # a name of its own: modules stay in the process
    script.write_text("def judge(batch, scenes, frames):\n    return [{'score': 1.0} for _ in scenes]\n")
    settings = StudySettings(
        ("mug",),
        controls={"orientation": {"rotation_z": [0.0]}},
        policy=PolicySettings("grid"),
        evaluator={"kind": "callable", "function": f"{script}:judge"},
        resolution=16,
    )
    assert not run_study(settings).failures
    assert (made[0].drawn, made[0].closed) == (1, 0)
    assert opened("raster") is mine
    close_renderers()
    assert not run_study(settings).failures
    assert [(one.drawn, one.closed) for one in made] == [(1, 1), (1, 1)]


def test_threads_that_ask_at_once_share_one(made: list[Counted], monkeypatch: pytest.MonkeyPatch) -> None:
    make = open_renderers.renderer_named
    start = threading.Barrier(4)

    def slowly(name: str) -> Renderer:
        time.sleep(0.05)
        return make(name)

    def ask(_: int) -> Renderer:
        start.wait(10)
        return opened("slow")

    monkeypatch.setattr(open_renderers, "renderer_named", slowly)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(ask, range(4)))
    assert len(made) == 1
    assert all(one is made[0] for one in found)
    close_renderers()
