"""numba runs the same text as Python: every bit of every state agrees; the text's cache is kept, and safe."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds import make_world
from similitude.worlds.engine import build, text
from similitude.worlds.simulation import Simulation
from tests.worlds.test_isle_simulation import STATE, actions, busy

TASKS = ("eat", "jump", "climb", "stack", "hunt", "fight", "open", "explore")


def both(worlds, *, threads=1):
    """Two simulations of the same worlds, plain and compiled."""
    pair = [
        Simulation(len(worlds), backend="plain"),
        Simulation(len(worlds), backend="numba", threads=threads),
    ]
    for simulation in pair:
        for e, made in enumerate(worlds):
            simulation.load(e, made)
    return pair


def assert_same(plain, compiled):
    for name in STATE:
        np.testing.assert_array_equal(getattr(plain, name), getattr(compiled, name), err_msg=name)


def follow(plain, compiled, played):
    for action in played:
        plain.step(action)
        compiled.step(action)
    assert_same(plain, compiled)


def test_both_agree_bit_for_bit_among_things_and_animals():
    follow(*both([busy()] * 2), actions(250, 2, seed=5))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_both_agree_bit_for_bit_on_worlds_of_tasks(task):
    worlds = [make_world(task, difficulty, 3) for difficulty in (0.0, 0.6)]
    played = actions(300, 2, seed=7)
    played[:, :, [2, 8, 14]] = np.abs(played[:, :, [2, 8, 14]])  # mostly ahead, so that it gets somewhere
    follow(*both(worlds), played)


def test_threads_change_nothing():
    one, two = (Simulation(5, threads=threads) for threads in (1, 2))
    for simulation in (one, two):
        for e in range(5):
            simulation.load(e, busy())
    for action in actions(100, 5, seed=8):
        one.step(action)
        two.step(action)
    assert_same(one, two)


def test_the_text_holds_every_function_once_and_needs_only_math():
    whole = text.bundle("step")
    space: dict[str, object] = {}
    exec(compile(whole, "engine", "exec"), space)
    assert callable(space["step"])
    assert callable(space["move_animals"])
    assert whole.count("\ndef terrain(") == 1
    imports = [line for line in whole.splitlines() if line.startswith(("import", "from"))]
    assert imports == ["import math"]


def test_names_that_two_modules_define_are_refused(monkeypatch):
    sources = {
        "first": "from similitude.worlds.engine.second import B\nA = 1\n",
        "second": "B = 2\nA = 3\n",
        "third": "while False:\n    pass\n",
    }
    monkeypatch.setattr(text, "_source", sources.__getitem__)
    with pytest.raises(WorldError, match="second and first both define 'A'"):
        text.bundle("first")
    with pytest.raises(WorldError, match="third, line 1: only imports, constants and functions"):
        text.bundle("third")


def test_the_cache_lies_with_the_user_and_mends_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = build.stored("a.py", "x = 1\n")
    assert path == tmp_path / "similitude" / "engine" / "a.py"
    path.write_text("half a fi", encoding="utf-8")
    assert build.stored("a.py", "x = 1\n").read_text(encoding="utf-8") == "x = 1\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.py"]


def test_a_cache_that_cannot_be_written_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = build.stored("a.py", "x = 1\n")
    assert not path.is_relative_to(tmp_path)
    assert path.read_text(encoding="utf-8") == "x = 1\n"


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "numba" else find(name, *a)
    )
    build.compiled.cache_clear()
    try:
        with pytest.raises(WorldError, match=r"pip install 'similitude\[worlds\]'"):
            Simulation(1)
    finally:
        build.compiled.cache_clear()


@pytest.mark.slow
def test_a_second_process_finds_the_engine_compiled_and_gets_the_same_states(tmp_path):
    code = (
        "import time, hashlib, numpy as np; t = time.process_time()\n"
        "from tests.worlds.test_isle_simulation import busy, actions, Simulation\n"
        "s = Simulation(1); s.load(0, busy())\n"
        "for a in actions(100, 1): s.step(a)\n"
        "print(hashlib.sha256(s.body.tobytes() + s.things.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    prints = []
    for hash_seed in ("1", "2"):
        environment["PYTHONHASHSEED"] = hash_seed
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        prints.append(run.stdout)
        files = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "similitude" / "engine").rglob("*.nb*")}
        prints.append(str(files))
    assert prints[0] == prints[2]
    assert prints[1] == prints[3]  # nothing was compiled again
    assert prints[1] != "{}"
