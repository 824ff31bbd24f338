"""The files that a model names beside itself, seen in its text without reading its numbers."""

from __future__ import annotations

import json
import mmap
import struct
from pathlib import Path
from typing import Any

from similitude.scenes.assets.beside import LARGEST, FolderFiles

MODELS = (".obj", ".gltf", ".glb")
"""Endings of models that name others."""

_GLB = 20  # bytes before the JSON of a GLB, glTF 2.0 section 4.4


def named_files(path: Path) -> dict[str, Path]:
    """Return the files beside a model that reading it would read: materials, pictures, numbers.

    Args:
        path: An .obj, .gltf or .glb file.

    Returns:
        Files that are there, by the names that the model gives them. A model that is damaged, or too large to be read,
        names none.

    Raises:
        OSError: A file cannot be read.
    """
    size = path.stat().st_size
    if not 0 < size <= LARGEST:
        return {}
    files = FolderFiles(path.parent)
    names = _of_obj(path, files) if path.suffix.lower() == ".obj" else _of_gltf(path)
    found = {name: files.place(name) for name in dict.fromkeys(names)}
    return {name: place for name, place in found.items() if place is not None}


def _of_obj(path: Path, files: FolderFiles) -> list[str]:
    """Return the name of the materials' file, which is the first that is named, and those of the pictures in it."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"mtllib")
        if start < 0:
            return []
        end = data.find(b"\n", start)
        name = _text(data[start + len("mtllib") : len(data) if end < 0 else end]).strip()
    names = [name]
    place = files.place(name)
    if place is not None and place.stat().st_size <= LARGEST:
        for line in _text(place.read_bytes()).splitlines():
            key, *rest = line.strip().split(maxsplit=1)[:2] or [""]
            names += [rest[0].strip()] if key.lower() == "map_kd" and rest else []
    return names


def _of_gltf(path: Path) -> list[str]:
    with open(path, "rb") as file:
        head = file.read(_GLB)
        if head[:4] == b"glTF" and len(head) == _GLB:
            text = file.read(struct.unpack("<I", head[12:16])[0])
        else:
            text = head + file.read()
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):  # reading the model says so
        return []
    held: list[Any] = []
    for part in ("buffers", "images"):
        several = header.get(part) if isinstance(header, dict) else None
        held += several if isinstance(several, list) else []
    uris = [one.get("uri") for one in held if isinstance(one, dict)]
    return [uri for uri in uris if isinstance(uri, str) and not uri.startswith("data:")]


def _text(data: bytes) -> str:
    """Return a text in whatever encoding its reader takes it to have."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        from trimesh.util import decode_text

        return str(decode_text(data))
