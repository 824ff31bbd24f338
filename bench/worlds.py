"""Steps per CPU-second of Isle, by numba and by Warp on the CPU, beside miniworld and MuJoCo's renderer in the same run.

Every measurement is a process of its own on one thread; all are taken in turn, several times over, and the table has
the median with the range. The agents of Isle walk and turn with a level head, so that they see land and not the sky. The
peers draw in software (Mesa's llvmpipe on the calling thread) and live in an environment of their own:
bench/requirements-worlds.txt. What is not installed, or does not start, is said so. Every task of Isle without a camera:
bench/worlds_tasks.py.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIDE = 96
ENVS = 16
ISLE = {
    "isle numba, eat, no camera": ("numba", "eat", False),
    "isle numba, eat": ("numba", "eat", True),
    "isle numba, open (indoors)": ("numba", "open", True),
    "isle numba, navigate": ("numba", "navigate", True),
    "isle warp cpu, eat, no camera": ("warp:cpu", "eat", False),
    "isle warp cpu, eat": ("warp:cpu", "eat", True),
    "isle warp cpu, open (indoors)": ("warp:cpu", "open", True),
}
PEERS = {
    "miniworld Hallway, RGB only": ("miniworld", "MiniWorld-Hallway-v0", False),
    "miniworld Hallway": ("miniworld", "MiniWorld-Hallway-v0", True),
    "miniworld RoomObjects": ("miniworld", "MiniWorld-RoomObjects-v0", True),
    "miniworld Maze": ("miniworld", "MiniWorld-Maze-v0", True),
    "mujoco, same island": ("mujoco", "island", True),
    "mujoco, same island, no shadows": ("mujoco", "island-unshadowed", True),
}
BASE = "isle numba, eat"


def rate(step: Callable[[], int], seconds: float) -> dict[str, float]:
    """Return steps per CPU-second and per second of the clock, after a warm-up."""
    for _ in range(3):
        step()
    done, cpu, wall = 0, time.process_time(), time.perf_counter()
    while time.process_time() - cpu < seconds:
        done += step()
    return {"cpu": done / (time.process_time() - cpu), "wall": done / (time.perf_counter() - wall)}


def walking() -> np.ndarray:
    """Return actions of agents that walk and turn with a level head, (64, ENVS, 21)."""
    import numpy as np

    actions = np.random.default_rng(0).uniform(-1, 1, (64, ENVS, 21)) * 0.3
    actions[:, :, [1, 3, 5]] = 0.0
    actions[:, :, 2] = 0.8
    return actions


def isle(backend: str, task: str, camera: bool, seconds: float) -> dict[str, float]:
    from similitude.worlds import make_world
    from similitude.worlds.simulation import Simulation

    simulation = Simulation(ENVS, backend=backend, resolution=(SIDE, SIDE))
    worlds = [make_world(task, 0.5, seed) for seed in range(ENVS)]
    actions = walking()
    frame = 0

    def step() -> int:
        nonlocal frame
        if frame % 200 == 0:
            for e, world in enumerate(worlds):
                simulation.load(e, world)
        simulation.step(actions[frame % 64])
        if camera:
            simulation.view()
        frame += 1
        return ENVS

    return rate(step, seconds)


def miniworld(name: str, depth: bool, seconds: float) -> dict[str, float]:
    import pyglet

    pyglet.options["headless"] = True
    import gymnasium

    env = gymnasium.make(f"miniworld:{name}", obs_width=SIDE, obs_height=SIDE)
    env.reset(seed=0)
    env.action_space.seed(0)

    def step() -> int:
        _, _, over, cut, _ = env.step(env.action_space.sample())
        if depth:
            env.unwrapped.render_depth()
        if over or cut:
            env.reset()
        return 1

    return rate(step, seconds)


def mujoco(scene: str, seconds: float) -> dict[str, float]:
    import mujoco
    import numpy as np

    world = np.load(os.environ["ISLE_WORLD"])
    height = world["height"].astype(float) / 128
    n, low, high = len(height), height.min(), height.max()
    quality = '<quality shadowsize="0"/>' if scene.endswith("unshadowed") else ""
    bodies = "".join(
        f'<geom type="ellipsoid" size="{s[5]} {s[6]} {s[7]}" pos="{s[0]} {s[1]} {s[2]}"/>'
        for s in world["solids"]
    )
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><visual>{quality}<map zfar="60"/></visual><asset><hfield name="land" nrow="{n}" ncol="{n}" '
        f'size="{n / 4} {n / 4} {high - low} 1"/></asset><worldbody><light directional="true" dir="-.4 -.3 -.8"/>'
        f'<geom type="hfield" hfield="land" pos="0 0 {low}"/><geom type="plane" size="200 200 1" rgba="0 0 1 1"/>'
        f"{bodies}</worldbody></mujoco>"
    )
    model.hfield_data[:] = ((height - low) / (high - low)).ravel()
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, SIDE, SIDE)
    camera = mujoco.MjvCamera()
    x, y, z = world["spawn"][:3]
    frame = 0

    def step() -> int:
        nonlocal frame
        frame += 1
        mujoco.mj_step(model, data)
        camera.azimuth = 5.0 * frame
        camera.elevation, camera.distance = -5.0, 0.1
        camera.lookat[:] = x, y, z + 1.8
        renderer.update_scene(data, camera)
        renderer.render()
        renderer.enable_depth_rendering()
        renderer.render()
        renderer.disable_depth_rendering()
        return 1

    return rate(step, seconds)


def measure(name: str, seconds: float) -> dict[str, float]:
    """Run one measurement in this process."""
    kind, what, more = {**ISLE, **PEERS}[name]
    if name in ISLE:
        return isle(kind, what, more, seconds)
    return miniworld(what, more, seconds) if kind == "miniworld" else mujoco(what, seconds)


def child(python: str, name: str, options: argparse.Namespace, scratch: str) -> dict[str, float | str]:
    """Run one measurement in a process of its own; {"failed": why} if there is none."""
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    settings = {**os.environ, **single, "LP_NUM_THREADS": "0", "MUJOCO_GL": "egl", "ISLE_WORLD": scratch}
    command = [python, __file__, "--one", name, "--seconds", str(options.seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=settings)
    except (subprocess.TimeoutExpired, OSError) as error:
        return {"failed": str(error)}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:90]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def keep_world(path: str) -> None:
    """Write the island that MuJoCo draws."""
    import numpy as np

    from similitude.worlds import make_world

    world = make_world("eat", 0.5, 0)
    with open(path, "wb") as file:
        np.savez(file, height=world.height, solids=world.solids, spawn=np.array(world.spawn))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has miniworld and MuJoCo")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU seconds of one measurement")
    parser.add_argument("--one", metavar="NAME", help="one measurement, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.seconds)))
        return
    import tempfile

    found: dict[str, list[dict[str, float | str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        keep_world(f"{folder}/world.npz")
        for _ in range(options.rounds):
            for name in (*ISLE, *PEERS):
                python = sys.executable if name in ISLE else options.peers
                if python:
                    row = child(python, name, options, f"{folder}/world.npz")
                else:
                    row = {"failed": "not measured: say --peers PYTHON"}
                found.setdefault(name, []).append(row)
    print(
        f"{SIDE} x {SIDE} RGB and depth unless said otherwise; Isle: {ENVS} environments, difficulty 0.5; one thread"
    )
    print(f"{'':<34}{'steps/CPU-s':>12}{'range':>20}{'wall/s':>10}{'of ' + BASE:>20}")
    base = [float(row["cpu"]) for row in found[BASE] if "cpu" in row]
    for name, rows in found.items():
        rates = [float(row["cpu"]) for row in rows if "cpu" in row]
        if not rates:
            print(f"{name:<34}{rows[0]['failed']:>12}")
            continue
        middle = statistics.median(rates)
        share = f"{middle / statistics.median(base):.3f}" if base else ""
        wall = statistics.median(float(row["wall"]) for row in rows if "wall" in row)
        print(
            f"{name:<34}{middle:>12,.0f}{f'{min(rates):,.0f} to {max(rates):,.0f}':>20}{wall:>10,.0f}{share:>20}"
        )


if __name__ == "__main__":
    main()
