"""Models of the user's, in OBJ with its materials and pictures or in glTF 2.0, read through trimesh."""

from __future__ import annotations

import io
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import trimesh
from PIL import Image, PngImagePlugin
from trimesh.resolvers import Resolver

from similitude.core.errors import SceneError
from similitude.scenes.assets.beside import Files, FolderFiles, read_file, stamp_of
from similitude.scenes.assets.gltf_header import check_gltf
from similitude.scenes.assets.looks import Looks
from similitude.scenes.assets.normals import smooth_corners
from similitude.scenes.assets.pictures import decoded
from similitude.scenes.assets.textures import MISSING
from similitude.scenes.meshes import Mesh, ObjectModel

KINDS = (".obj", ".gltf", ".glb")
"""Endings of files that are read."""

MOST_TRIANGLES = 4 * 10**6
"""Triangles of the largest model."""

UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From y up and the front to +z, as glTF and most OBJ files have it, to z up and the front to -y."""


_REMEMBERED = 64  # objects that are kept
_kept: OrderedDict[str, tuple[ObjectModel, dict[Path, tuple[int, int]]]] = OrderedDict()
_keeping = threading.Lock()


def remembered_object(name: str) -> ObjectModel:
    """Return what `load_object` does, read again once the file or any that it names beside it has changed.

    Args:
        name: An .obj, .gltf or .glb file.

    Raises:
        SceneError: As for `load_object`.
    """
    with _keeping:
        model, stamps = _kept.get(name, (None, {}))
    if model is None or any(stamp_of(path) != stamp for path, stamp in stamps.items()):
        files = FolderFiles(Path(name).parent)
        files.stamps[Path(name)] = stamp_of(Path(name))
        model, stamps = load_object(name, files=files), files.stamps
    with _keeping:
        _kept[name] = model, stamps
        _kept.move_to_end(name)
        while len(_kept) > _REMEMBERED:
            _kept.popitem(last=False)
    return model


def load_object(path: str | Path, *, files: FolderFiles | None = None) -> ObjectModel:
    """Return the model in a file, its middle at the origin, its largest extent 1, z up and its front to -y.

    In the file y is up and the front to +z, as glTF 2.0 lays down and most OBJ files are. Pictures and materials are
    read from the folder of the file alone: a path that leads elsewhere stands for the file of that name in the folder.

    A picture that is missing or damaged is no error yet: the materials that need it name it, and drawing them is
    refused; a control that replaces the material does without. Colours of vertices are averaged, texture coordinates
    that are missing make way for projection from the sides of a box, and of lines and points nothing is shown.

    Args:
        path: An .obj, .gltf or .glb file.
        files: Reads what lies beside it, and knows afterwards what that was; None for one of its own.

    Returns:
        The model, its name that of the file.

    Raises:
        SceneError: The file is missing, empty, too large or corrupt, or holds no triangles; it is named.
    """
    path = Path(path)
    if path.suffix.lower() not in KINDS:
        raise SceneError(f"{path}: is none of {', '.join(KINDS)}. Export the model as one of them.")
    data = read_file(path)
    beside = FolderFiles(path.parent) if files is None else files
    return read_model(path.stem, data, kind=path.suffix.lower()[1:], files=beside, where=str(path))


def read_model(
    name: str, data: bytes, *, kind: str, files: Files, where: str, turn: np.ndarray | None = None
) -> ObjectModel:
    """Return the model in the bytes of a file; see `load_object`.

    Args:
        name: What the model will be called.
        data: The file.
        kind: "obj", "gltf" or "glb".
        files: What lies beside it.
        where: What it is called in messages.
        turn: Applied to the file's own coordinates, shape (3, 3); None for nothing.

    Raises:
        SceneError: As for `load_object`.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = UPRIGHT if turn is None else UPRIGHT @ turn
    with _told(where, kind):
        if kind != "obj":
            check_gltf(data, where, files)
        beside = _Beside(files, where, kind)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy's word for numbers that are none
            scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, resolver=beside, process=False)
        if beside.refused is not None:  # trimesh goes on without materials that it was refused
            raise beside.refused
        looks = Looks(where, beside.pictures, lost=beside.lost_materials)
        meshes: list[Mesh] = []
        count = 0
        for node in scene.graph.nodes_geometry:
            place, geometry = scene.graph[node]
            part = scene.geometry[geometry]
            if not isinstance(part, trimesh.Trimesh) or not len(part.faces):
                continue
            count += len(part.faces)
            if count > MOST_TRIANGLES:
                raise SceneError(
                    f"has more than {MOST_TRIANGLES:,} triangles. Simplify the model, e.g. by Blender's Decimate."
                )
            meshes.append(_mesh(part, matrix @ place, looks))
        if not meshes:
            raise SceneError("holds no triangles. Export the model's surfaces, not its curves or points.")
        return ObjectModel(name, tuple(meshes), textures=looks.textures).normalised()


@contextmanager
def _told(where: str, kind: str) -> Iterator[None]:
    """Turn what goes wrong with a file into an error that names it."""
    try:
        yield
    except SceneError as error:
        if str(error).startswith(where):
            raise
        raise SceneError(f"{where}: {error}") from error
    except Exception as error:  # trimesh and numpy meet damaged files with errors of every kind
        raise SceneError(
            f"{where}: cannot be read as {kind} ({type(error).__name__}: {error}). The file is corrupt or of another "
            "kind; export it again."
        ) from error


def _mesh(part: trimesh.Trimesh, matrix: np.ndarray, looks: Looks) -> Mesh:
    faces = np.asarray(part.faces)
    points = np.asarray(part.vertices, np.float64)
    if faces.min() < 0 or faces.max() >= len(points):
        raise SceneError(
            f"has corners {faces.min()} to {faces.max()} and the vertices 0 to {len(points) - 1}. The file is corrupt; "
            "export it again."
        )
    if not (np.isfinite(points).all() and np.isfinite(matrix).all()):
        raise SceneError("has coordinates that are not finite. The file is corrupt; export it again.")
    points = points @ matrix[:3, :3].T + matrix[:3, 3]
    size = np.linalg.det(matrix[:3, :3])
    if size < 0:  # a mirrored part: its triangles go round the other way
        faces = faces[:, ::-1]
    uv = getattr(part.visual, "uv", None)
    uv = None if uv is None or len(uv) != len(points) else np.asarray(uv, np.float64)
    if uv is not None and not np.isfinite(uv).all():
        raise SceneError("has texture coordinates that are not finite. Export it again.")
    material = looks.material(part, textured=uv is not None)
    uv = np.zeros((len(points), 2)) if uv is None else uv
    # Only normals of the file are in the cache of a mesh that was just read.
    normals = part._cache.cache.get("vertex_normals")
    if normals is not None:  # a part that a file flattens (size 0) gets new ones
        normals = (
            np.asarray(normals, np.float64) @ np.linalg.inv(matrix[:3, :3]) if abs(size) > 1e-12 else None
        )
    lengths = None if normals is None else np.linalg.norm(normals, axis=1, keepdims=True)
    if normals is None or lengths is None or not np.isfinite(lengths).all() or lengths.min() < 1e-9:
        points, uv, normals = (
            points[faces].reshape(-1, 3),
            uv[faces].reshape(-1, 2),
            smooth_corners(points[faces]),
        )
        faces = np.arange(len(points)).reshape(-1, 3)
    else:
        normals = normals / lengths
    return Mesh(
        points.astype(np.float32),
        np.ascontiguousarray(faces, np.int32),
        np.asarray(normals, np.float32),
        uv.astype(np.float32),
        material,
    )


class _Beside(Resolver):
    """Hands trimesh the files beside a model, and stand-ins for pictures that are missing or damaged."""

    def __init__(self, files: Files, where: str, kind: str) -> None:
        self.files, self.where, self.kind = files, where, kind
        self.lost_materials: str | None = None
        self.pictures: dict[str, np.ndarray] = {}
        self.refused: SceneError | None = None

    def get(self, key: str) -> bytes:
        name = str(key).strip()
        if PurePosixPath(name).suffix.lower() not in Image.registered_extensions():
            return self._part(name)
        try:
            data = self.files.read(name)
            if data is not None:
                self.pictures[name] = decoded(data, name)
                return data
            reason = "is missing; put it beside the model."
        except SceneError as error:
            reason = str(error).removeprefix(f"{name}: ")
        return _stand_in(f"{name}: {reason}")

    def _part(self, name: str) -> bytes:
        """Return a file of materials or of numbers."""
        try:
            data = self.files.read(name)
        except SceneError as error:
            self.refused = error
            raise
        if data is not None:
            return data
        if self.kind == "obj":
            self.lost_materials = name
            raise FileNotFoundError(name)
        raise SceneError(f"{self.where}: its part {name} is missing. Put it beside the file.")

    def write(self, name: str, data: Any) -> None:
        raise SceneError(f"{self.where}: nothing is written beside a model.")

    def namespaced(self, namespace: str) -> _Beside:
        raise SceneError(f"{self.where}: names a folder {namespace!r} that is not read.")

    def keys(self) -> list[str]:
        return []


def _stand_in(message: str) -> bytes:
    """Return a picture of one pixel that says what is wrong with the one it stands for."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(MISSING, message)
    out = io.BytesIO()
    Image.new("RGB", (1, 1), (255, 0, 255)).save(out, "PNG", pnginfo=info)
    return out.getvalue()
