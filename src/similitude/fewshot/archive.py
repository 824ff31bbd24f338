"""Read named files of a folder or a zip into memory; nothing is extracted, and hostile archives are refused."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from similitude.core.errors import DataError
from similitude.data.files import read_exactly, reading, regular_file

LARGEST_TOTAL = 64 * 2**20
"""Bytes that are read in all; the published files have 2.2 million."""

MOST_MEMBERS = 4000
"""Members of a zip; a zip of the whole repository has about 130."""

LARGEST_RATIO = 100
"""Bytes that one compressed byte of a member may make; the published files reach 7."""

SMALL = 2**16
"""Bytes below which a member's ratio says nothing."""

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


def read_named_files(path: str | Path, names: Collection[str]) -> dict[str, bytes]:
    """Read the files `names` of a folder or zip, wherever below its top they lie together.

    Args:
        path: A folder or a zip file.
        names: Paths of the files wanted, with forward slashes, relative to a common folder that is searched for.

    Returns:
        The bytes of each file by name, in the order of `names`.

    Raises:
        DataError: The path is neither; a file is missing, leads out of the folder or is not ordinary; the files
            lie in two places; or the zip is damaged, encrypted or hostile (absolute paths, `..`, links, names twice,
            more than `MOST_MEMBERS` members, `LARGEST_TOTAL` bytes or a ratio of `LARGEST_RATIO`).
    """
    path = Path(path)
    with reading(path):
        if path.is_dir():
            return _from_folder(path, names)
    path = regular_file(path)
    with reading(path), path.open("rb") as stream:
        head = stream.read(4)
    if not head.startswith(ZIP_MAGIC):
        raise DataError(
            f"{path}: is neither a folder nor a zip (it starts with {head.hex(' ')}). Name the folder or the zip of "
            "the data set."
        )
    if path.stat().st_size > LARGEST_TOTAL:
        raise DataError(
            f"{path}: has {path.stat().st_size:,} bytes, more than the {LARGEST_TOTAL:,} that are read. Name the zip "
            "of the data set alone."
        )
    return _from_zip(path, names)


def _from_folder(root: Path, names: Collection[str]) -> dict[str, bytes]:
    there = [str(p.relative_to(root).as_posix()) for p in root.rglob("*.jsonl")]
    top = _common_folder(there, names, root)
    found: dict[str, bytes] = {}
    total = 0
    for name in names:
        file = root / top / name
        if not file.resolve().is_relative_to(root.resolve()):
            raise DataError(
                f"{file}: is a link that leads out of {root}, to {file.resolve()}. Put the file itself there."
            )
        size = regular_file(file).stat().st_size
        total += size
        if total > LARGEST_TOTAL:
            raise DataError(_too_large(file, total))
        with reading(file), file.open("rb") as stream:
            found[name] = bytes(read_exactly(stream, size, file))
    return found


def _from_zip(path: Path, names: Collection[str]) -> dict[str, bytes]:
    with reading(path), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        _check_members(path, archive.infolist())
        top = _common_folder([info.filename for info in members], names, path)
        by_name = {info.filename: info for info in members}
        found: dict[str, bytes] = {}
        for name in names:
            info = by_name[top + name]
            with archive.open(info) as stream:
                found[name] = bytes(read_exactly(stream, info.file_size, f"{path}/{info.filename}"))
                stream.read(1)  # the end of the member is where its checksum is compared
        return found


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MOST_MEMBERS:
        raise DataError(
            f"{path}: has {len(members):,} members, more than {MOST_MEMBERS:,}. Name the zip of the data set alone."
        )
    seen: set[str] = set()
    total = 0
    for info in members:
        name = info.filename
        fault = _fault(info)
        if name in seen:
            fault = "is there twice"
        seen.add(name)
        if fault:
            raise DataError(
                f"{path}: member {name!r} {fault}. The zip is damaged or hostile, nothing of it was used; get it "
                "again from its origin."
            )
        total += info.file_size
        if total > LARGEST_TOTAL:
            raise DataError(_too_large(path, total))


def _fault(info: zipfile.ZipInfo) -> str:
    """Return what is wrong with a member, empty where nothing is."""
    parts = PurePosixPath(info.filename).parts
    if info.orig_filename != info.filename:
        return f"hides its true name {info.orig_filename!r}"
    if info.filename.startswith("/") or "\\" in info.filename or ":" in (parts[0] if parts else ""):
        return "has an absolute path or one of another system"
    if ".." in parts:
        return "leads out of its folder with '..'"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.file_size > SMALL and info.file_size > LARGEST_RATIO * max(info.compress_size, 1):
        return (
            f"promises {info.file_size:,} bytes of {info.compress_size:,} compressed ones, more than "
            f"{LARGEST_RATIO} times as many"
        )
    return ""


def _common_folder(there: list[str], names: Collection[str], where: Path) -> str:
    """Return the prefix under which the most of `names` are, which must be all of them."""
    wanted = set(names)
    counts: dict[str, int] = {}
    for file in there:
        parts = file.split("/")
        for depth in range(len(parts)):
            if "/".join(parts[depth:]) in wanted:
                prefix = "".join(f"{part}/" for part in parts[:depth])
                counts[prefix] = counts.get(prefix, 0) + 1
    if not counts:
        raise DataError(
            f"{where}: holds none of the {len(wanted)} files wanted, such as {min(wanted)}. Name the folder or zip "
            "that holds them, at any depth."
        )
    most = max(counts.values())
    best = [prefix for prefix, count in counts.items() if count == most]
    if len(best) > 1:
        raise DataError(
            f"{where}: {len(best)} folders hold {most} of the files wanted each: {', '.join(sorted(best)[:4])}. Name "
            "one of them."
        )
    missing = sorted(wanted - {file.removeprefix(best[0]) for file in there if file.startswith(best[0])})
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(
            f"{where}: {len(missing)} of {len(wanted)} files are missing: {', '.join(missing[:3])}{more}. Get the "
            "data set again, whole."
        )
    return best[0]


def _too_large(where: Path, total: int) -> str:
    return (
        f"{where}: the files have {total:,} bytes or more, above the {LARGEST_TOTAL:,} that are read. They are not "
        "those of the data set, or hostile."
    )
