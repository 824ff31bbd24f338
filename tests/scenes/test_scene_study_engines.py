"""A study is the same whatever engine draws it: this process, a pool, Ray."""

import pytest

from similitude.runs.pool import ProcessPool
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import StudySettings

STUDY = StudySettings.from_dict(
    {
        "objects": ["ball", "box"],
        "controls": {"orientation": {}, "light": {"power": {"low": 50, "high": 300, "log": True}}},
        "policy": {"kind": "random", "count": 3},
        "evaluator": {"kind": "callable"},
        "resolution": 16,
    }
)

JUDGE = """
def brightness(batch, scenes, frames):
    return [{"score": float(image.mean())} for image in batch]
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pool", "ray"])
def test_engines_agree(kind, tmp_path):
    judge = tmp_path / f"judge_{kind}.py"
    judge.write_text(JUDGE)
    settings = StudySettings.from_dict(
        {**STUDY.to_dict(), "evaluator": {"kind": "callable", "function": f"{judge}:brightness"}}
    )
    alone = run_study(settings)
    if kind == "pool":
        engine = ProcessPool(2)
    else:
        pytest.importorskip("ray")
        from similitude.runs.ray import RayEngine

        engine = RayEngine(at_once=2)
    other = run_study(settings, tmp_path / "out", engine=engine)
    assert len(alone.rows) == 6
    assert not alone.failures
    assert len({row.score for row in alone.rows}) == 6
    assert [(r.key, r.score, r.metrics) for r in other.rows] == [
        (r.key, r.score, r.metrics) for r in alone.rows
    ]
