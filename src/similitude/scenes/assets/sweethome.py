"""Debian's catalogue of furniture (sweethome3d-furniture): 820 everyday objects under free licences."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from similitude.core.closest import did_you_mean
from similitude.core.errors import DataError, SceneError
from similitude.data.files import reading
from similitude.scenes.assets.beside import ZipFiles
from similitude.scenes.meshes import Mesh, ObjectModel

FOLDER = Path("/usr/share/sweethome3d/furniture")
"""Where Debian's package puts its catalogues."""

VARIABLE = "SIMILITUDE_SWEETHOME3D"
"""Variable of the environment that names another folder."""

INSTALL = "sudo apt-get install sweethome3d-furniture"

LABELS = Path(__file__).with_name("sweethome3d_labels.json")
"""Names of ImageNet's classes that a person accepts for 181 pieces; written before any model saw them."""

_PROPERTIES = "PluginFurnitureCatalog.properties"


@dataclass(frozen=True)
class Piece:
    """A piece of the catalogue.

    Attributes:
        name: By which it is found: the name of its folder, after its library where two libraries have such a one.
        title: What the catalogue calls it.
        category: Its category.
        creator: Who made it.
        licence: Terms of its library.
        archive: The library's file.
        model: Path of its model in there.
        rotation: Turns the file's coordinates to y up and the front to +z, 9 numbers, row after row; None for no turn.
        size: Width, depth and height in cm, to which the model is stretched.
        labels: Names of ImageNet's classes that are right for it; empty where nobody has said.
    """

    name: str
    title: str
    category: str
    creator: str
    licence: str
    archive: Path
    model: str
    rotation: tuple[float, ...] | None
    size: tuple[float, float, float]
    labels: tuple[str, ...] = ()

    @property
    def library(self) -> str:
        """Name of its library."""
        return self.archive.stem


def furniture_names() -> tuple[str, ...]:
    """Return the names of all pieces.

    Raises:
        SceneError: The catalogue is not installed.
    """
    return tuple(_pieces(_folder()))


def furniture_piece(name: str) -> Piece:
    """Return what the catalogue says of a piece, found by its name, "library/name" or a title that is its alone.

    Raises:
        SceneError: The catalogue is not installed, or has no such piece.
    """
    pieces = _pieces(_folder())
    if name in pieces:
        return pieces[name]
    titled = [p for p in pieces.values() if name in (p.title, f"{p.library}/{p.name}")]
    if len(titled) == 1:
        return titled[0]
    if not titled:  # a name that several libraries have
        titled = [p for p in pieces.values() if p.name.endswith(f"/{name}")]
    several = ", ".join(p.name for p in titled)
    raise SceneError(
        f"the catalogue of furniture has {len(titled) or 'no'} {name!r}. "
        + (
            f"Say which: {several}."
            if several
            else f"{did_you_mean(name, pieces)}similitude.scenes.assets.sweethome.furniture_names() lists them."
        )
    )


def furniture(name: str) -> ObjectModel:
    """Return the model of a piece, in the proportions of the catalogue.

    Raises:
        SceneError: As `furniture_piece`, or its file cannot be read.
    """
    from similitude.scenes.assets.loading import read_model

    piece = furniture_piece(name)
    folder, _, file = piece.model.rpartition("/")
    files = ZipFiles(piece.archive, folder)
    where = f"{piece.archive}: {piece.model}"
    data = files.read(file)
    if data is None:
        raise SceneError(f"{where}: is not in the archive. Install it again: {INSTALL}")
    turn = None if piece.rotation is None else np.reshape(piece.rotation, (3, 3))
    model = read_model(piece.name, data, kind="obj", files=files, where=where, turn=turn)
    return replace(_stretched(model, piece.size), labels=piece.labels)


def furniture_credits(names: Iterable[str]) -> list[str]:
    """Return a line for each piece that says who made it and under which terms.

    Raises:
        SceneError: As `furniture_piece`.
    """
    pieces = [furniture_piece(name) for name in names]
    return [f"{p.name}: {p.title!r} by {p.creator or 'unknown'}; {p.licence} ({p.library})" for p in pieces]


def _stretched(model: ObjectModel, size: tuple[float, float, float]) -> ObjectModel:
    low, high = model.bounds
    factors = np.array(size) / np.maximum(high - low, 1e-6)
    factors = np.where(high - low > 1e-6, factors, factors.max())
    meshes = []
    for mesh in model.meshes:
        normals = mesh.normals / factors
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        vertices = (mesh.vertices * factors).astype(np.float32)
        meshes.append(Mesh(vertices, mesh.faces, normals.astype(np.float32), mesh.uv, mesh.material))
    return replace(model, meshes=tuple(meshes)).normalised()


def _folder() -> Path:
    folder = Path(os.environ.get(VARIABLE, FOLDER))
    if not any(folder.glob("*.sh3f")):
        raise SceneError(
            f"the catalogue of furniture is not in {folder}. Install it: {INSTALL} (Debian and Ubuntu), or name the "
            f"folder of its .sh3f files in {VARIABLE}."
        )
    return folder


@lru_cache(maxsize=4)
def _pieces(folder: Path) -> dict[str, Piece]:
    rows = [row for archive in sorted(folder.glob("*.sh3f")) for row in _rows(archive)]
    short = Counter(model.split("/")[-2] for _, model, _ in rows)
    labels = _labels()
    out: dict[str, Piece] = {}
    for archive, model, row in rows:
        name = model.split("/")[-2]
        name = name if short[name] == 1 else f"{archive.stem}/{name}"
        turn = row.get("modelRotation", "").split()
        out[name] = Piece(
            name,
            row.get("name", name),
            row.get("category", ""),
            row.get("creator", ""),
            row["licence"],
            archive,
            model,
            tuple(map(float, turn)) if len(turn) == 9 else None,
            (float(row["width"]), float(row["depth"]), float(row["height"])),
            labels.get(f"{archive.stem}/{model}", ()),
        )
    return out


def _rows(archive: Path) -> list[tuple[Path, str, dict[str, str]]]:
    """Return the path of the model and the properties of each piece of a library."""
    try:
        with reading(archive):
            data = ZipFiles(archive).read(_PROPERTIES)
            if data is None:
                raise zipfile.BadZipFile(f"there is no {_PROPERTIES}")
            whole, rows = _properties(data)
            licence = whole.get("license", "terms unknown")
            used = [row for row in rows if row.get("model", "").count("/") > 1]
            return [(archive, row["model"].lstrip("/"), row | {"licence": licence}) for row in used]
    except DataError as error:
        raise SceneError(f"{error} Install it again: {INSTALL}") from error


def _properties(data: bytes) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return what a file of Java's properties says of the whole, and of each numbered piece."""
    whole: dict[str, str] = {}
    pieces: dict[int, dict[str, str]] = defaultdict(dict)
    for line in data.decode("latin1").splitlines():
        if not (met := re.match(r"(\w+)(?:#(\d+))?=(.*)", line)):
            continue
        key, number, value = met.groups()
        value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), value).strip()
        (whole if number is None else pieces[int(number)])[key] = value
    return whole, [pieces[number] for number in sorted(pieces)]


@lru_cache(maxsize=1)
def _labels() -> dict[str, tuple[str, ...]]:
    entries = json.loads(LABELS.read_text(encoding="utf-8"))["pieces"]
    return {entry["model"]: tuple(entry["labels"]) for entry in entries}
