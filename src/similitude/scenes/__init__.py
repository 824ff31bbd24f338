"""Rendered scenes that find, explain and compare the failures of vision models (paper 20).

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.scenes.assets.environments import ENVIRONMENTS
    from similitude.scenes.assets.materials import MATERIALS
    from similitude.scenes.frame import Frame
    from similitude.scenes.objects.admission import admit
    from similitude.scenes.objects.catalog import OBJECTS, find_object
    from similitude.scenes.rendering import render
    from similitude.scenes.scene import Scene
    from similitude.scenes.study.reading import read_study
    from similitude.scenes.study.records import SceneRun, read_run
    from similitude.scenes.study.running import run_study
    from similitude.scenes.study.settings import PolicySettings, StudySettings

__all__ = [
    "ENVIRONMENTS",
    "MATERIALS",
    "OBJECTS",
    "Frame",
    "PolicySettings",
    "Scene",
    "SceneRun",
    "StudySettings",
    "admit",
    "find_object",
    "read_run",
    "read_study",
    "render",
    "run_study",
]

_HOMES = {
    "ENVIRONMENTS": "assets.environments",
    "MATERIALS": "assets.materials",
    "OBJECTS": "objects.catalog",
    "Frame": "frame",
    "PolicySettings": "study.settings",
    "Scene": "scene",
    "SceneRun": "study.records",
    "StudySettings": "study.settings",
    "admit": "objects.admission",
    "find_object": "objects.catalog",
    "read_run": "study.records",
    "read_study": "study.reading",
    "render": "rendering",
    "run_study": "study.running",
}

__getattr__, __dir__ = lazy_names(globals(), __name__, _HOMES)
