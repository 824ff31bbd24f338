"""Renderers in processes of their own: processes that end, hang, babble or lie, and what is left of them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from render_parts import MATT

from similitude.core.errors import SceneError
from similitude.scenes.frame import GROUND, OBJECT
from similitude.scenes.renderers import blender_worker
from similitude.scenes.renderers.cycles import Cycles
from similitude.scenes.renderers.worker_process import WorkerProcess
from similitude.scenes.stage import Camera, Placed, Stage, ground_at

STAGE = Stage(Placed("plane", material=MATT), (ground_at(-0.5, MATT),))

PLAIN = """
    import numpy as np
    class Studio:
        version = "fake"
        held = set()
        def answer(self, told, arrays):
            n = told["resolution"]
            self.held |= set(told["meshes"])
            assert {t["mesh"] for t in told["stage"]["things"]} <= self.held, "a mesh was never sent"
            index = np.zeros((n, n)); index[:, : n // 2] = 1; index[0] = 2
            told["threads"]
            return {"done": True}, {
                "rgba": np.full((n, n, 4), 0.25), "depth": np.full((n, n), len(told["meshes"]) + 1.0),
                "index": index, "uv": np.full((n, n, 2), 1.25),
            }
    serve(Studio)
"""


def fake(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, *, limit: float = 30.0) -> Cycles:
    """Return Cycles with another program in the place of Blender's Python."""
    script = folder / "worker.py"
    here = Path(blender_worker.__file__).parent
    script.write_text(
        f"import os, sys, time\nsys.path.append({str(here)!r})\nfrom blender_worker import *\n"
        + textwrap.dedent(text)
    )
    monkeypatch.setattr(
        "similitude.scenes.renderers.cycles.blender_command", lambda: [sys.executable, str(script)]
    )
    return Cycles(limit=limit)


def test_passes_become_a_frame(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN)
    assert cycles.pid is None
    frame = cycles.draw(STAGE, resolution=8)
    assert frame.segmentation[4].tolist() == [OBJECT] * 4 + [0] * 4
    assert (frame.segmentation[0] == GROUND).all()
    assert np.isinf(frame.depth[4, 4:]).all()
    assert (frame.uv[4, :4] == 0.25).all()
    assert np.isnan(frame.uv[4, 4:]).all()
    # Light 0.25 over black with a cover of 0.25 is white, a quarter of it.
    assert frame.rgb == pytest.approx(0.25)
    cycles.close()
    assert cycles.pid is None


def test_meshes_are_sent_once_and_again_to_a_new_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN)
    sent = [cycles.draw(STAGE, resolution=8).depth.min() - 1 for _ in range(2)]
    assert sent == [1, 0]  # the sheet and the ground are one mesh
    first = cycles.pid
    cycles.close()
    assert cycles.draw(STAGE, resolution=8).depth.min() - 1 == 1
    assert cycles.pid != first
    cycles.close()


def test_threads_that_share_a_renderer_have_their_own_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The light says the focal length: a picture of another stage has another.
    text = PLAIN.replace("0.25)", 'told["stage"]["camera"]["focal_length"] / 1000)')
    text = text.replace("n = told", "time.sleep(0.002); n = told")
    cycles = fake(monkeypatch, tmp_path, text)
    stages = {focal: replace(STAGE, camera=Camera(focal_length=focal)) for focal in (20.0, 40.0, 60.0, 80.0)}

    def draw(focal: float) -> list[float]:
        found = []
        for _ in range(10):
            found.append(float(cycles.draw(stages[focal], resolution=4 + int(focal) // 20).alpha.mean()))
            if focal == 80:
                cycles.close()  # between pictures of the others
        return found

    with ThreadPoolExecutor(len(stages)) as threads:
        for focal, found in zip(stages, threads.map(draw, stages), strict=True):
            assert found == pytest.approx([focal / 1000] * 10)
    cycles.close()


def test_a_fork_draws_although_a_thread_of_its_parent_was_drawing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN.replace('told["threads"]', "time.sleep(1 if n == 16 else 0)"))
    cycles.draw(STAGE, resolution=8)
    thread = threading.Thread(target=cycles.draw, args=(STAGE,), kwargs={"resolution": 16})
    thread.start()
    time.sleep(0.3)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # it would wait for ever
        try:
            os._exit(int(cycles.draw(STAGE, resolution=8).rgb.max() <= 0))
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()
    cycles.close()


def test_what_was_ended_is_asked_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch, tmp_path, LEAVES)
    worker = WorkerProcess([sys.executable, str(tmp_path / "worker.py")], "fake", limit=30)
    worker.end()
    with pytest.raises(SceneError, match="its process was ended"):
        worker.ask()


def test_a_killed_process_is_an_error_and_the_next_picture_is_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN)
    cycles.draw(STAGE, resolution=8)
    assert cycles.pid is not None
    os.kill(cycles.pid, signal.SIGKILL)
    with pytest.raises(SceneError, match=r"killed by signal 9.*next picture starts a new one"):
        cycles.draw(STAGE, resolution=8)
    assert cycles.draw(STAGE, resolution=8).rgb.max() > 0
    cycles.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "print('no bpy here', file=sys.stderr); sys.exit(3)",
            r"ended with status 3.*no bpy here.*import bpy",
        ),
        ("os.write(int(sys.argv[-1]), b'Hello, I am a shell.'); time.sleep(60)", "what is no message"),
        (
            "os.write(int(sys.argv[-1]), (5).to_bytes(4, 'little') + b'{]{]{'); time.sleep(60)",
            "what is no message",
        ),
        ("time.sleep(60)", r"did not answer within 1\.5 s"),
        ("serve(lambda: __import__('bpy_is_not_here'))", "No module named 'bpy_is_not_here'"),
    ],
)
def test_programs_that_are_no_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str
) -> None:
    cycles = fake(monkeypatch, tmp_path, text, limit=1.5 if "sleep" in text else 30)
    with pytest.raises(SceneError, match=f"(?s){message}"):
        cycles.draw(STAGE, resolution=8)
    assert cycles.pid is None


def test_arrays_of_objects_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = """
        import json, struct
        told = json.dumps({"arrays": [["x", "|O", [2]]]}).encode()
        os.write(int(sys.argv[-1]), struct.pack("<I", len(told)) + told + bytes(16)); time.sleep(60)
    """
    with pytest.raises(SceneError, match="what is no message"):
        fake(monkeypatch, tmp_path, text, limit=5).draw(STAGE, resolution=8)


def test_passes_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = PLAIN.replace('np.full((n, n), len(told["meshes"]) + 1.0)', "np.zeros((n, n + 1))")
    with pytest.raises(SceneError, match=r"cycles sent no depth of shape \(8, 8\)"):
        fake(monkeypatch, tmp_path, text).draw(STAGE, resolution=8)


def test_an_error_while_drawing_is_told_and_the_next_process_is_new(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN.replace('told["threads"]', 'assert n == 8, "only 8 here"'))
    with pytest.raises(SceneError, match="cycles refused: AssertionError: only 8 here"):
        cycles.draw(STAGE, resolution=16)
    assert cycles.draw(STAGE, resolution=8).rgb.max() > 0
    cycles.close()


LEAVES = """
    import tempfile
    class Studio:
        def __init__(self):
            self.version = tempfile.mkdtemp()
            open(os.path.join(self.version, "left"), "w").close()
    serve(Studio)
"""


@pytest.mark.parametrize("way", ["ended", "killed"])
def test_what_a_process_leaves_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    fake(monkeypatch, tmp_path, LEAVES)
    worker = WorkerProcess([sys.executable, str(tmp_path / "worker.py")], "fake", limit=30)
    left = Path(worker.ask()[0]["version"])
    assert (left / "left").is_file()
    assert left.parent.name.startswith(blender_worker.SCRATCH)
    if way == "killed":
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(SceneError, match="killed by signal 9"):
            worker.ask({})
    worker.end()
    assert not left.parent.exists()


def test_a_process_that_hangs_while_it_draws_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN.replace('told["threads"]', "time.sleep(60)"), limit=3)
    with pytest.raises(SceneError, match="did not answer within 3 s"):
        cycles.draw(STAGE, resolution=8)
    assert cycles.pid is None


def test_copies_in_other_processes_have_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cycles = fake(monkeypatch, tmp_path, PLAIN)
    cycles.draw(STAGE, resolution=8)
    copy = pickle.loads(pickle.dumps(cycles))
    assert copy.pid is None
    copy.draw(STAGE, resolution=8)
    assert copy.pid != cycles.pid
    copy.close()
    cycles.close()


@pytest.mark.parametrize("forked", [False, True])  # a fork that lives on holds the pipes, too
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, forked: bool) -> None:
    here = Path(blender_worker.__file__).parent
    script = tmp_path / "worker.py"
    script.write_text(
        f"import sys\nsys.path.append({str(here)!r})\nfrom blender_worker import *\n"
        "class Studio:\n    version = tempfile.gettempdir()\nserve(Studio)\n"
    )
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import sys, os, time\nfrom similitude.scenes.renderers.worker_process import WorkerProcess\n"
        f"w = WorkerProcess([sys.executable, {str(script)!r}], 'fake', limit=30)\nplace = w.ask()[0]['version']\n"
        f"child = os.fork() if {forked} else -1\n"
        "if child:\n    print(w.pid, child, place, flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, str(parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker, fork, place = process.stdout.readline().split()
    worker, fork = int(worker), int(fork)
    assert Path(place).is_dir()
    assert _alive(worker)
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while _alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    if forked:
        os.kill(fork, signal.SIGKILL)
    process.stdout.close()
    assert not _alive(worker)
    assert not Path(place).exists()


def test_what_cannot_be_run_is_named() -> None:
    with pytest.raises(SceneError, match="nowhere/python cannot be run"):
        WorkerProcess(["nowhere/python"], "fake", limit=1)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
