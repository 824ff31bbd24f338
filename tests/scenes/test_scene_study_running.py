"""Running studies: what rows say, what is not done twice, and what a failure leaves standing."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from similitude.core.errors import EvaluationError, SceneError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.runs.pool import ProcessPool
from similitude.scenes.search import policy as policies
from similitude.scenes.search.policy import PolicyEntry
from similitude.scenes.study.drawing import draw_scene
from similitude.scenes.study.records import read_log, read_run
from similitude.scenes.study.running import run_study
from similitude.scenes.study.settings import StudySettings
from tests.scenes.study_parts import study


def turn_of(row: Row) -> float:
    return float(row.params["orientation.rotation_z"])


def test_rows_say_what_was_seen_and_asked(tmp_path, models, flat):
    run = run_study(study(models), tmp_path / "out", renderer=flat)
    assert len(run.rows) == 8
    assert not run.failures
    for row in run.rows:
        assert (row.suite, row.task, row.subject, row.version) == ("scenes", "ball", "turned", "1")
        assert list(row.params) == [
            *("orientation.rotation_z", "environment", "renderer", "resolution", "samples"),
        ]
        assert [row.params[n] for n in list(row.params)[1:]] == ["studio", "flat", 8, None]
        # What is right is known: the picture is brighter than a half where the angle is above 0.
        bright = round((turn_of(row) + 1) / 2 * 255) / 255
        assert row.success is (bright > 0.5)
        assert row.score == float(row.success)
        logits = np.array([0.5 - bright, bright - 0.5, -9.0])
        p = np.exp(logits) / np.exp(logits).sum()
        assert row.metrics["probability"] == pytest.approx(p[1], abs=1e-6)
        assert row.metrics["loss"] == pytest.approx(-np.log(p[1]), abs=1e-6)
        assert row.metrics["margin"] == pytest.approx(2 * bright - 1, abs=1e-5)
        assert row.metrics["visible"] == 16 / 64
        assert run.prediction(row) == ("bright" if bright > 0.5 else "dark")
        assert row.seconds > 0
    assert run.names == ("dark", "bright", "never")


def test_the_folder_gives_frames_pictures_scenes_and_a_typed_log(tmp_path, models, flat):
    run = run_study(study(models), tmp_path / "out", renderer=flat)
    again = read_run(tmp_path / "out")
    assert (again.settings, again.rows, again.names) == (run.settings, run.rows, run.names)
    for row in again.rows:
        scene = again.scene(row)
        assert scene["orientation.rotation_z"] == turn_of(row)
        frame = again.frame(row)
        assert frame is not None
        assert frame.visible == row.metrics["visible"]
        assert frame.rgb[0, 0, 0] == pytest.approx((turn_of(row) + 1) / 2, abs=1 / 255)
        picture = again.picture(row)
        assert picture is not None
        assert picture.read_bytes()[:4] == b"\x89PNG"
    for entry, row in zip(read_log(tmp_path / "out"), run.rows, strict=True):
        assert entry["is_correct"] is row.success
        assert entry["prediction"] in (0, 1)
        assert entry["prediction_name"] == run.prediction(row)
        assert entry["render_args"] == {"orientation.rotation_z": turn_of(row)}


def test_what_is_there_is_not_drawn_or_asked_again(tmp_path, models, flat):
    settings = study(models)
    first = run_study(settings, tmp_path / "out", renderer=flat)
    assert flat.drawn == 8
    again = run_study(settings, tmp_path / "out", renderer=flat)
    assert (again.rows, again.found, flat.drawn) == (first.rows, 8, 8)
    more = run_study(study(models, count=12), tmp_path / "out", renderer=flat)
    assert (more.rows[:8], more.found, len(more.rows), flat.drawn) == (first.rows, 8, 12, 12)
    # Another model on the same scenes needs no renderer: frames are kept.
    other = run_study(study(models, model="other", count=12), tmp_path / "out", renderer=flat)
    assert ([turn_of(r) for r in other.rows], flat.drawn) == ([turn_of(r) for r in more.rows], 12)
    assert [r.success for r in other.rows] == [r.success for r in more.rows]
    # Another version of the renderer draws anew, but rows are rows of the renderer's name.
    newer = replace(flat, version="2")
    run_study(study(models, model="sometimes_nan", count=12), tmp_path / "out", renderer=newer)
    assert flat.drawn == 24


def test_models_side_by_side_are_shown_the_same_pictures(tmp_path, models, flat):
    run = run_study(study(models, model=["turned", "other"]), tmp_path / "out", renderer=flat)
    assert flat.drawn == 8
    assert [row.subject for row in run.rows] == ["turned", "other"] * 8
    assert [r.item for r in run.of("turned")] == [r.item for r in run.of("other")]


def test_several_objects_and_environments_see_alike_scenes(tmp_path, models, flat):
    settings = study(
        models,
        objects=["ball", "box"],
        environments=["studio", "overcast"],
        labels={"ball": ["1"], "box": ["bright"]},
    )
    run = run_study(settings, renderer=flat)
    assert len(run.rows) == 32
    turns = {}
    for row in run.rows:
        turns.setdefault((row.task, row.params["environment"]), []).append(turn_of(row))
    assert len(turns) == 4
    assert len({tuple(own) for own in turns.values()}) == 1


def test_a_scene_that_fails_fails_alone_and_is_tried_again(tmp_path, models, flat):
    settings = study(models, turns=[0, 1])
    run = run_study(settings, tmp_path / "out", renderer=flat)
    failed = [row for row in run.rows if row.params["orientation.rotation_x"] == 1]
    assert run.failures == tuple(failed)
    assert 0 < len(failed) < 8
    assert {row.error for row in failed} == {"RuntimeError: the renderer broke down"}
    before = flat.drawn
    again = run_study(settings, tmp_path / "out", renderer=flat)
    assert (again.found, flat.drawn - before) == (8 - len(failed), len(failed))


def test_nan_of_a_renderer_or_a_model_is_one_failed_row(tmp_path, models, flat):
    run = run_study(study(models, turns=[0, 4], model=["turned", "sometimes_nan"]), renderer=flat)
    for row in run.rows:
        if row.params["orientation.rotation_x"] == 4:
            assert "not finite" in row.error
        elif row.subject == "sometimes_nan" and turn_of(row) > 0.01:
            assert row.error == "the model gave 3 of 3 logits that are not finite (nan or infinite)"
            assert row.failed
        else:
            assert not row.failed
    assert any(row.subject == "sometimes_nan" and not row.failed for row in run.rows)


def test_a_model_that_raises_is_asked_about_pictures_one_by_one(models, flat):
    run = run_study(study(models, model="sometimes_raises"), renderer=flat)
    for row in run.rows:
        bright = round((turn_of(row) + 1) / 2 * 255) / 255 > 0.5
        assert row.error == ("model 'sometimes_raises': RuntimeError: too bright for me" if bright else "")


def test_killed_workers_lose_nothing_but_the_scene_that_kills_them_all(tmp_path, models, flat):
    settings = study(models, turns=[0, 2, 3], count=8)  # 2 kills a process once, 3 every one
    run = run_study(settings, tmp_path / "out", renderer=flat, engine=ProcessPool(2))
    assert (tmp_path / "killed").exists()
    deadly = [row for row in run.rows if row.params["orientation.rotation_x"] == 3]
    assert 0 < len(deadly) < 8
    assert run.failures == tuple(deadly)
    assert all("failed twice: its process was killed by SIGKILL" in row.error for row in deadly)
    assert {row.params["orientation.rotation_x"] for row in run.rows if not row.failed} == {0, 2}
    for row in run.rows:
        if not row.failed:
            frame = draw_scene(run.scene(row), flat, None).frame
            assert frame is not None
            assert row.success is bool(frame.rgb.mean() > 0.5)


def test_interrupted_work_is_kept(tmp_path, models, flat):
    settings = study(models, count=20)

    def stop(row: Row) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(settings, tmp_path / "out", renderer=flat, on_done=stop)
    kept = RowFile(tmp_path / "out").read()
    assert kept
    drawn = flat.drawn
    run = run_study(settings, tmp_path / "out", renderer=flat)
    assert run.found == len(kept)
    assert flat.drawn == 20 > drawn  # no picture is drawn twice
    whole = run_study(settings, renderer=flat)
    assert [(r.params, r.metrics) for r in run.rows] == [(r.params, r.metrics) for r in whole.rows]


def test_a_process_killed_in_the_middle_is_gone_on_from(tmp_path, models, flat):
    script = f"""
        import os, signal, sys
        sys.path[:0] = [{str(Path.cwd())!r}]
        from tests.scenes.study_parts import Flat, study
        from similitude.scenes.study.running import run_study
        from pathlib import Path
        seen = []
        def done(row):
            seen.append(row)
            if len(seen) == 17:
                os.kill(os.getpid(), signal.SIGKILL)
        flat, settings = Flat({str(tmp_path)!r}), study(Path({str(models)!r}), count=40)
        run_study(settings, {str(tmp_path / "out")!r}, renderer=flat, on_done=done)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert ran.returncode == -9, ran.stderr.decode()[-2000:]
    folder = tmp_path / "out"
    with open(folder / "log.jsonl", "ab") as file:
        file.write(b'{"torn": ')
    frame = next((folder / "frames").iterdir())
    frame.write_bytes(frame.read_bytes()[:100])
    run = run_study(study(models, count=40), folder, renderer=flat)
    assert run.found == 17
    assert len(run.rows) == 40
    assert not run.failures
    assert all(run.picture(row) is not None for row in read_run(folder).rows)


def test_a_broken_file_or_a_missing_texture_fails_by_name_and_nothing_escapes(tmp_path, models):
    (tmp_path / "corrupt.obj").write_text("v 0 0 nan\nf 1 2 99\n")
    (tmp_path / "folder.obj").mkdir()
    settings = study(
        models,
        count=1,
        objects=["ball", str(tmp_path / "corrupt.obj"), str(tmp_path / "folder.obj")],
        labels={},
        controls={"texture": {"name": ["original", str(tmp_path / "nowhere.png")]}},
        policy={"kind": "grid"},
    )
    settings = replace(settings, labels=dict.fromkeys(settings.objects, ("bright",)))
    before = {place for place in tmp_path.rglob("*") if "pycache" not in str(place)}
    run = run_study(settings, tmp_path / "out")
    assert len(run.rows) == 6
    errors = {(row.task, row.params["texture.name"]): row.error for row in run.rows}
    assert errors["ball", "original"] == ""
    assert "nowhere.png" in errors["ball", str(tmp_path / "nowhere.png")]
    for name in settings.objects[1:]:
        assert Path(name).name in errors[name, "original"]
    made = {p for p in tmp_path.rglob("*") if "pycache" not in str(p)} - before
    assert all(p.is_relative_to(tmp_path / "out") for p in made)
    for place in made:
        if place.parent.name in ("frames", "pictures"):
            assert re.fullmatch(r"[0-9a-f]{64}\.(npz|png)", place.name)


def test_rows_of_another_study_are_not_mixed_with(tmp_path, models, flat):
    run_study(study(models), tmp_path / "out", renderer=flat)
    with pytest.raises(SceneError, match="another study: labels"):
        run_study(study(models, labels={"ball": ["dark"]}), tmp_path / "out", renderer=flat)
    with pytest.raises(SceneError, match="another study: evaluator"):
        run_study(
            study(models, evaluator={"kind": "classification", "top": 2}), tmp_path / "out", renderer=flat
        )
    models.write_text(models.read_text() + "\n# changed\n")
    with pytest.raises(SceneError, match=r"the content of .*models_"):
        run_study(study(models), tmp_path / "out", renderer=flat)
    (tmp_path / "out" / "study.json").write_text("{")
    with pytest.raises(SceneError, match="damaged"):
        run_study(study(models), tmp_path / "out", renderer=flat)
    with pytest.raises(SceneError, match="damaged"):
        read_run(tmp_path / "out")
    RowFile(tmp_path / "rows").add(Row("worlds", "eat", "random", 0.0))
    with pytest.raises(SceneError, match="a row of 'worlds'"):
        run_study(study(models), tmp_path / "rows", renderer=flat)
    with pytest.raises((SceneError, EvaluationError), match="holds no study"):
        read_run(tmp_path / "rows")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"renderer": "cycels"}, "Did you mean cycles?"),
        ({"policy": {"kind": "sobl"}}, "Did you mean sobol?"),
        ({"policy": {"kind": "optuna", "sampler": "cmaes"}}, "pip install cmaes"),
        ({"evaluator": {"kind": "detecton"}}, "Did you mean detection?"),
        ({"evaluator": {"kind": "classification", "tops": 1}}, "no setting 'tops'"),
        ({"models": ("efficientnet-lite7",)}, "Did you mean efficientnet-lite"),
        ({"models": ("a.py:same", "b.py:same")}, "one name in rows"),
    ],
)
def test_what_cannot_run_is_said_before_anything_is_drawn(tmp_path, models, changes, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(SceneError) as error:
        run_study(StudySettings.from_dict({**study(models).to_dict(), **changes}), tmp_path / "out")
    assert said in str(error.value)
    assert not (tmp_path / "out" / "rows.jsonl").exists()
    assert "policy" not in changes or not (tmp_path / "out").exists()


def test_labels_that_are_missing_are_said_in_rows(models, flat):
    run = run_study(study(models, labels={}, count=1), renderer=flat)
    assert "say labels: {ball: [...]}" in run.rows[0].error


class Climber:
    """Asks for two angles at a time, around the one with the largest loss so far."""

    told: list = []  # noqa: RUF012

    def __init__(self, space, *, count=None, seed=0):
        self.left, self.best, self.step = count, (-1.0, 0.0), 0.5

    @property
    def done(self):
        return self.left <= 0

    def ask(self, count):
        self.left -= 2
        self.step /= 1.5
        return [{"orientation.rotation_z": self.best[1] + k * self.step} for k in (-1, 1)]

    def tell(self, settings, losses, seconds):
        Climber.told.append((settings, losses, seconds))
        for one, loss in zip(settings, losses, strict=True):
            self.best = max(self.best, (loss, one["orientation.rotation_z"]))


def test_policies_that_learn_are_told_losses_and_seconds(tmp_path, models, flat, monkeypatch):
    entry = PolicyEntry("climber", "climbs", f"{__name__}:Climber", learns=True)
    monkeypatch.setitem(policies.POLICIES, "climber", entry)
    Climber.told = []
    settings = study(models, policy={"kind": "climber", "count": 8})
    run = run_study(settings, tmp_path / "out", renderer=flat)
    assert [len(one) for one, _, _ in Climber.told] == [2] * 4
    for asked, losses, seconds in Climber.told:
        mine = {turn_of(row): row for row in run.rows}
        rows = [mine[one["orientation.rotation_z"]] for one in asked]
        assert losses == [row.metrics["loss"] for row in rows]
        assert seconds == [row.seconds for row in rows]
    # The loss is largest where the picture is darkest: it goes to smaller angles.
    assert min(map(turn_of, run.rows)) < -0.7
    again = run_study(settings, tmp_path / "out", renderer=flat)
    assert (again.rows, flat.drawn) == (run.rows, 8)


def test_tensorboard_is_written_or_its_install_line_said(tmp_path, models, flat, monkeypatch):
    pytest.importorskip("tensorboardX")
    run_study(study(models), tmp_path / "out", renderer=flat, tensorboard=True)
    written = b"".join(place.read_bytes() for place in (tmp_path / "out" / "tensorboard").iterdir())
    assert written.count(b"turned/ball/is_correct") == 8
    assert b"turned/ball/wrong" in written
    with pytest.raises(SceneError, match="need a folder"):
        run_study(study(models), renderer=flat, tensorboard=True)
    for name in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SceneError, match="pip install tensorboard"):
        run_study(study(models), tmp_path / "other", renderer=flat, tensorboard=True)


def test_a_finished_study_is_found_without_torch_or_renderer(tmp_path, models, flat):
    run_study(study(models), tmp_path / "out", renderer=flat)
    script = f"""
        import sys
        sys.path[:0] = [{str(Path.cwd())!r}]
        from pathlib import Path
        from tests.scenes.study_parts import Flat, study
        from similitude.scenes.study.running import run_study
        run = run_study(study(Path({str(models)!r})), {str(tmp_path / "out")!r}, renderer=Flat({str(tmp_path)!r}))
        print(run.found, [name for name in ("torch", "embreex", "optuna.samplers._tpe", "yaml") if name in sys.modules])
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=True, env={**os.environ}
    )
    assert ran.stdout.decode().startswith("8 [")
    assert "torch" not in ran.stdout.decode()
    assert "embreex" not in ran.stdout.decode()
    assert json.loads((tmp_path / "out" / "study.json").read_text())["finished"]


def test_a_path_that_no_disk_can_hold_is_refused(models, flat):
    long = "/" + "y" * 5000 + ".obj"
    with pytest.raises(SceneError, match="no disk has such a path"):
        run_study(replace(study(models), objects=("ball", long)), renderer=flat)
    assert flat.drawn == 0
