"""Renderers that a process keeps open: one of each name, whoever asks, closed when asked and when the process ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.renderers import open_renderers
from similitude.scenes.renderers.open_renderers import close_renderers, opened
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene
from similitude.scenes.stage import Stage
from similitude.scenes.study.drawing import draw_scenes


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
