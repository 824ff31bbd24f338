"""What a glTF file promises, checked before anything is allocated for it."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Any

from similitude.core.errors import SceneError
from similitude.scenes.assets.beside import Files
from similitude.scenes.assets.pictures import decoded

MOST_NUMBERS = 50 * 10**6
"""Elements of all accessors of a file together."""

_JSON, _BIN = 0x4E4F534A, 0x004E4942  # kinds of chunks of a GLB, glTF 2.0 section 4.4.3
_SHORTEST = 12


def check_gltf(data: bytes, where: str, files: Files) -> None:
    """Check the parts of a glTF or GLB file that its reader takes on trust.

    Args:
        data: The file.
        where: What it is called in messages.
        files: What lies beside it.

    Raises:
        SceneError: It is truncated or no glTF 2.0, promises more numbers than `MOST_NUMBERS`, has nodes that hold
            themselves, or has an embedded picture that cannot be read.
    """
    header, binary = _parts(data, where)
    version = str(_at(header, "asset").get("version", "?"))
    if not version.startswith("2"):
        raise SceneError(f"{where}: says it is glTF {version}, and 2.0 is read. Export it as glTF 2.0.")
    promised = sum(_whole(entry, "count", where) for entry in _list(header, "accessors"))
    if promised > MOST_NUMBERS:
        raise SceneError(
            f"{where}: promises {promised:,} elements, more than the {MOST_NUMBERS:,} that are read. The file is "
            "damaged, or use a simpler model."
        )
    _check_tree(_list(header, "nodes"), where)
    for number, image in enumerate(_list(header, "images")):
        if (embedded := _embedded(image, header, binary, where, files)) is not None:
            decoded(embedded, f"{where}, image {number}")


def _parts(data: bytes, where: str) -> tuple[dict[str, Any], bytes]:
    binary = b""
    text = data
    if data[:4] == b"glTF":
        if len(data) < _SHORTEST or struct.unpack("<I", data[8:12])[0] > len(data):
            raise SceneError(f"{where}: is truncated at {len(data):,} bytes. Get it again.")
        place, text = _SHORTEST, b""
        while place + 8 <= len(data):
            length, kind = struct.unpack("<II", data[place : place + 8])
            chunk = data[place + 8 : place + 8 + length]
            if len(chunk) < length:
                raise SceneError(
                    f"{where}: is truncated: a part of {length:,} bytes has {len(chunk):,}. Get it again."
                )
            text, binary = (chunk if kind == _JSON else text), (chunk if kind == _BIN else binary)
            place += 8 + length
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{where}: is no glTF ({error}). Export it again.") from error
    if not isinstance(header, dict):
        raise SceneError(f"{where}: is no glTF: its JSON is no object. Export it again.")
    return header, binary


def _check_tree(nodes: list[dict[str, Any]], where: str) -> None:
    held: set[int] = set()
    children = [_list(node, "children", of=int) for node in nodes]
    for parent, below in enumerate(children):
        for child in below:
            if not 0 <= child < len(nodes) or child in held:
                raise SceneError(
                    f"{where}: node {parent} holds node {child}, which "
                    + ("is held twice" if child in held else f"is not there (0 to {len(nodes) - 1})")
                    + ". The file is corrupt; export it again."
                )
            held.add(child)
    # Every node has at most one holder, so whatever cannot be reached from a node without one goes round in a circle.
    reached, waiting = 0, [n for n in range(len(nodes)) if n not in held]
    while waiting:
        reached += 1
        waiting.extend(children[waiting.pop()])
    if reached < len(nodes):
        raise SceneError(
            f"{where}: {len(nodes) - reached} of its nodes hold themselves. The file is corrupt."
        )


def _embedded(
    image: dict[str, Any], header: dict[str, Any], binary: bytes, where: str, files: Files
) -> bytes | None:
    """Return the bytes of a picture inside the file, None for a file of its own."""
    if "bufferView" not in image:
        return _data_of(image.get("uri"), where)
    views, buffers = _list(header, "bufferViews"), _list(header, "buffers")
    number = _whole(image, "bufferView", where)
    if number >= len(views) or _whole(views[number], "buffer", where) >= len(buffers):
        raise SceneError(f"{where}: a picture lies in part {number}, which is not there. Export it again.")
    view = views[number]
    uri = buffers[_whole(view, "buffer", where)].get("uri")
    whole = binary if uri is None else _data_of(uri, where)
    if whole is None:
        whole = files.read(str(uri)) or b""
    start = _whole(view, "byteOffset", where)
    return whole[start : start + _whole(view, "byteLength", where)]


def _data_of(uri: object, where: str) -> bytes | None:
    if not isinstance(uri, str) or not uri.startswith("data:"):
        return None
    try:
        return base64.b64decode(uri.partition(",")[2])
    except (binascii.Error, ValueError) as error:
        raise SceneError(f"{where}: embedded data is damaged ({error}). Export it again.") from error


def _at(header: dict[str, Any], name: str) -> dict[str, Any]:
    value = header.get(name)
    return value if isinstance(value, dict) else {}


def _list(holder: dict[str, Any], name: str, *, of: type = dict) -> list[Any]:
    value = holder.get(name, [])
    return [entry for entry in value if isinstance(entry, of)] if isinstance(value, list) else []


def _whole(entry: dict[str, Any], name: str, where: str) -> int:
    value = entry.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SceneError(f"{where}: has {name} {value!r:.40} where a whole number belongs. Export it again.")
    return value
