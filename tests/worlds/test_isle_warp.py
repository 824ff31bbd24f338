"""NVIDIA Warp runs the engine's own text: the same bits as numba on its CPU target."""

import ast

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds import make_world
from similitude.worlds.engine import build, warp_text
from similitude.worlds.simulation import Simulation

pytest.importorskip("warp")

STATE = ("things", "body", "hands")
TASKS = ("eat", "hunt", "fight", "open", "stack", "push", "climb")


def simulations(*backends, tasks=TASKS, resolution=(32, 32)):
    worlds = [make_world(task, 0.5, seed) for seed, task in enumerate(tasks)]
    found = []
    for backend in backends:
        simulation = Simulation(len(worlds), backend=backend, resolution=resolution)
        for e, world in enumerate(worlds):
            simulation.load(e, world)
        found.append(simulation)
    return found


def moves(envs, frames, seed=0):
    draws = np.random.default_rng(seed)
    actions = draws.uniform(-1, 1, (frames, envs, 21))
    actions[frames // 3 : 2 * frames // 3, :, 0:3] = 0.0, 0.0, 1.0  # a long walk, which meets more
    return actions


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in STATE)


@pytest.mark.slow
def test_physics_and_pictures_have_the_same_bits_as_numba():
    """Stated tolerance per step: none, on the CPU."""
    numba, warp = simulations("numba", "warp:cpu")
    start = numba.things.copy()
    for frame, action in enumerate(moves(len(TASKS), 300)):
        numba.step(action)
        warp.step(action)
        assert same(numba, warp), frame
        if frame % 30 == 0:
            assert np.array_equal(numba.view(), warp.view())
    assert (numba.things != start).any(), "something has happened"


@pytest.mark.slow
def test_arrays_that_are_copied_to_a_device_and_back_give_the_same_bits():
    """What a GPU does, with the CPU as the device: nothing but what a load or a frame changes goes over."""
    numba, warp = simulations("numba", "warp:cpu")
    for part in (warp.engine.step, warp.engine.view):
        part.mirror = True
    larger = make_world("explore", 0.9, 1)
    kept: dict[str, np.ndarray] = {}
    for frame, action in enumerate(moves(len(TASKS), 40, seed=1)):
        if frame in (15, 16, 30):
            other = larger if frame == 30 else make_world("jump", 0.3, frame)
            for simulation in (numba, warp):
                simulation.load(frame % 4, other)
        if frame == 17:
            kept = {name: getattr(numba, name).copy() for name in STATE}
        if frame == 25:  # a state is put back
            for simulation in (numba, warp):
                for name in STATE:
                    getattr(simulation, name)[:] = kept[name]
        numba.step(action)
        warp.step(action)
        assert same(numba, warp), frame
        if frame % 5 == 0:
            assert np.array_equal(numba.view(), warp.view())


def test_the_text_has_every_function_of_the_engine():
    for part, names in (("step", build.STATE), ("view", build.SCENE)):
        plain = {n.name for n in ast.parse(build.bundle(part)).body if isinstance(n, ast.FunctionDef)}
        tree = ast.parse(warp_text.warp_text(part, names))
        functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
        assert {warp_text.PREFIX + name for name in plain} <= {f.name for f in functions}
        for function in functions:
            assert all(arg.annotation is not None for arg in function.args.args)
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id.startswith(warp_text.PREFIX) or node.func.id == "range"


SOURCE = '''
import math

from similitude.worlds.engine.columns import TX

FAR = 2.5


def probe(e, k, x, things):
    """Return something."""
    n = int(things[e, k, TX])
    if n in (1, 2):
        things[e, k, TX] = FAR * math.floor(x)
    return max(x, 1.0) + float(n)
'''


def test_rewriting_types_numbers_and_puts_constants_in(monkeypatch):
    monkeypatch.setattr(warp_text, "bundle", lambda part: SOURCE.replace("from", "TX = 2 #"))
    monkeypatch.setitem(warp_text.KERNELS, "probe", "")
    text = warp_text.warp_text("probe", "things")
    assert "def isle_probe(e: Any, k: Any, x: Any, things: wp.array(dtype=wp.float64, ndim=3)):" in text
    assert "n = wp.int32(things[e, k, 2])" in text
    assert "if n == 1 or n == 2:" in text
    assert "things[e, k, 2] = wp.float64(2.5) * wp.floor(x)" in text
    assert "return wp.max(x, wp.float64(1.0)) + wp.float64(n)" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [("y = sorted(x)", "'sorted\\(x\\)' has no counterpart"), ("y = math.erf(x)", "math.erf")],
)
def test_what_warp_cannot_do_is_named(monkeypatch, line, said):
    monkeypatch.setattr(warp_text, "bundle", lambda part: f"def f(x):\n    {line}\n")
    with pytest.raises(WorldError, match=f"engine, f: .*{said}"):
        warp_text.warp_text("step", "things")


def test_an_array_that_warp_does_not_know_is_named(monkeypatch):
    monkeypatch.setattr(warp_text, "bundle", lambda part: "def f(e, shadows):\n    shadows[e] = 1.0\n")
    with pytest.raises(WorldError, match="'shadows' is not an array that Warp is told of"):
        warp_text.warp_text("step", "things")


def test_a_device_that_is_not_there():
    with pytest.raises(WorldError, match=r"finds no device 'tpu' here, only .*warp:cpu"):
        build.engine("warp:tpu")
