"""A renderer in another process: what it holds, what it must be sent, and how it is started again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.renderers.described import Described, box_coordinates
from similitude.scenes.renderers.optics import UNIT, over_black
from similitude.scenes.renderers.turns import Turns
from similitude.scenes.renderers.worker_process import WorkerProcess
from similitude.scenes.stage import SENSOR, Camera, Stage

_KEPT_FACES = 3_000_000  # triangles that the worker holds
_KEPT_IMAGES = 48


class Remote:
    """Draws stages in a process of its own, which is started with the first picture.

    Every picture is a complete stage. Meshes and textures are sent once and kept in the process by their digests. When
    the process ends, hangs or answers nonsense, the picture is a `SceneError`, and the next one starts a new process.

    Threads may share it: one picture is drawn after the other, and `close` waits for the one that is being drawn.

    Args:
        name: Of the renderer.
        command: Returns what to run.
        help: What to do where it cannot be started.
        limit: Seconds that a picture may take.
    """

    def __init__(self, name: str, command: Callable[[], list[str]], *, help: str, limit: float) -> None:
        self._name = name
        self._command = command
        self._help = help
        self._limit = limit
        self._worker: WorkerProcess | None = None
        self._owner = 0
        self._turns = Turns()
        self._meshes: dict[str, int] = {}
        self._images: dict[str, int] = {}

    @property
    def pid(self) -> int | None:
        """Number of the process; None before the first picture and after `close`."""
        return self._worker.pid if self._worker is not None and self._running() else None

    def draw(self, stage: Stage, *, resolution: int, samples: int, options: dict[str, Any]) -> Frame:
        """Draw a stage; see `Renderer.draw`.

        Args:
            stage: What there is.
            resolution: Rows and columns.
            samples: Samples per pixel.
            options: What else the worker is told.
        """
        told = Described.of(stage)
        with self._turns:
            worker = self._started()
            header, arrays, meshes, images = self._request(told)
            header |= {"stage": _plain(stage, told), "resolution": resolution, "samples": samples, **options}
            try:
                _, passes = worker.ask(header, arrays)
            except BaseException:
                # What the worker still holds is not known: the next picture starts a new one.
                self.close()
                raise
            self._meshes, self._images = meshes, images
        return self._frame(told, passes, resolution)

    def close(self) -> None:
        """End the process; the next picture starts a new one."""
        with self._turns:
            if self._worker is not None:
                self._worker.end()
            self._worker = None
            self._meshes, self._images = {}, {}

    def _running(self) -> bool:
        return self._worker is not None and self._worker.end.alive and self._owner == os.getpid()

    def _started(self) -> WorkerProcess:
        if self._worker is not None and self._running():
            return self._worker
        self.close()
        worker = WorkerProcess(self._command(), self._name, limit=self._limit)
        try:
            worker.ask()  # that it is ready
        except SceneError as error:
            worker.end()
            raise SceneError(f"{error} {self._help}") from error
        self._worker, self._owner = worker, os.getpid()
        return worker

    def _request(
        self, told: Described
    ) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, int], dict[str, int]]:
        """Return what to send so that the worker holds all that a stage needs, and what it holds then."""
        arrays: dict[str, np.ndarray] = {}
        meshes, images = dict(self._meshes), dict(self._images)
        new = []
        for thing in told.things:
            if thing.digest not in meshes:
                new.append(thing.digest)
                mesh = thing.mesh
                parts = (mesh.vertices, mesh.faces, mesh.normals, mesh.uv, box_coordinates(mesh))
                for name, array in zip(("vertices", "faces", "normals", "uv", "box"), parts, strict=True):
                    arrays[f"{name}/{thing.digest}"] = array
            meshes[thing.digest] = meshes.pop(thing.digest, len(thing.mesh.faces))
        for digest, pixels in told.textures.items():
            if digest not in images:
                arrays[f"image/{digest}"] = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
            images[digest] = images.pop(digest, 1)
        digest, pixels = told.sky
        if digest not in images:
            arrays[f"sky/{digest}"] = pixels.astype(np.float32)
        images[digest] = images.pop(digest, 1)
        needed = {thing.digest for thing in told.things} | set(told.textures) | {digest}
        header = {
            "meshes": new,
            "forget_meshes": _forgotten(meshes, needed, _KEPT_FACES),
            "forget_images": _forgotten(images, needed, _KEPT_IMAGES),
        }
        return header, arrays, meshes, images

    def _frame(self, told: Described, passes: dict[str, np.ndarray], resolution: int) -> Frame:
        size = (resolution, resolution)
        shapes = {"rgba": (*size, 4), "depth": size, "index": size, "uv": (*size, 2)}
        for name, shape in shapes.items():
            if name not in passes or passes[name].shape != shape:
                raise SceneError(
                    f"{self._name} sent no {name} of shape {shape}: is it another version of the worker? {self._help}"
                )
        rgba = np.nan_to_num(passes["rgba"].astype(np.float32), posinf=1e4, neginf=0.0)
        cover = np.clip(rgba[..., 3], 0, 1)
        segment = told.segmentation(passes["index"])
        depth = np.where(passes["index"] > 0, passes["depth"], np.inf).astype(np.float32)
        return Frame(
            over_black(rgba[..., :3], cover), cover, depth, segment, told.coordinates(passes["uv"], segment)
        )


def _forgotten(held: dict[str, int], needed: set[str], most: int) -> list[str]:
    """Take out what was used longest ago while there is too much, and return it."""
    out = []
    for digest in list(held):
        if sum(held.values()) <= most:
            break
        if digest not in needed:
            del held[digest]
            out.append(digest)
    return out


def threads() -> int:
    """Return how many threads a renderer may use: `OMP_NUM_THREADS`, or as many as there are processors for it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) > 0 else len(os.sched_getaffinity(0))


def _plain(stage: Stage, told: Described) -> dict[str, Any]:
    """Return a stage as JSON for the worker."""
    camera = stage.camera
    return {
        "things": [
            {
                "mesh": thing.digest,
                "matrix": thing.matrix.tolist(),
                "index": k + 1,
                "material": {**asdict(thing.finish), "image": thing.finish.texture},
            }
            for k, thing in enumerate(told.things)
        ],
        "lights": [asdict(light) for light in stage.lights],
        "camera": _camera(camera),
        "environment": {
            "image": told.sky[0],
            "strength": stage.environment.strength,
            "rotation": stage.environment.rotation,
        },
    }


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "position": list(camera.position),
        "axes": camera.axes.tolist(),
        "focal_length": camera.focal_length,
        "sensor": SENSOR,
        "shift": list(camera.shift),
        # Blender takes a unit of the scene for a metre.
        "fstop": None if camera.aperture is None else camera.aperture * UNIT / 1000,
        "focus": float(np.linalg.norm(np.subtract(camera.target, camera.position))),
    }
