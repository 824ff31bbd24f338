"""Write a whole file or nothing: a crash, a full disk or a kill leaves the old file as it was."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from similitude.core.errors import ReportError

_REMEDIES = {
    errno.ENOSPC: "the disk is full. Free some space, or write to another disk",
    errno.EDQUOT: "your disk quota is used up. Free some space, or write to another disk",
    errno.EFBIG: "the file is larger than this system allows. Raise the limit, or write to another disk",
    errno.EACCES: "the folder does not let you write. Change its permissions, or pass a path elsewhere",
    errno.EPERM: "the folder does not let you write. Change its permissions, or pass a path elsewhere",
    errno.EROFS: "the folder is on a read-only disk. Pass a path elsewhere",
    errno.ENOTDIR: "a part of the path is a file, not a folder. Pass a path elsewhere",
    errno.EEXIST: "a part of the path is a file, not a folder. Pass a path elsewhere",
    errno.ENAMETOOLONG: "the name is longer than the file system allows. Pass a shorter path",
}


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a UTF-8 text file so that its name always holds either the old contents or all of the new.

    The text goes to a temporary file in the same folder, reaches the disk, and is then renamed. A missing
    folder is made; a symbolic link is followed.

    Args:
        path: Where to write. An existing file is replaced.
        text: The contents.

    Returns:
        The path as given.

    Raises:
        ReportError: The path is a folder or a device, or cannot be written; nothing is left behind.
    """
    given = Path(path)
    with replacing(given) as (target, temporary):
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    return given


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out whether `write_atomically` can write here, before work that would be lost if not; nothing is changed.

    A missing folder is made.

    Raises:
        ReportError: The path is a folder or a device, or cannot be written.
    """
    with replacing(Path(path)) as (_, temporary):
        temporary.touch()
        temporary.unlink()


@contextmanager
def replacing(given: Path) -> Iterator[tuple[Path, Path]]:
    """Give the file that is to be replaced, and a temporary one beside it to write, which is gone in the end.

    The body calls `os.replace(temporary, target)` once everything is written.

    Args:
        given: Where to write. A missing folder is made; a symbolic link is followed.

    Raises:
        ReportError: The path is a folder or a device, or cannot be written; nothing is left behind.
    """
    if os.path.isdir(given):
        raise ReportError(
            f"cannot write {str(given)!r}: it is a folder. Pass the path of a file, "
            f"e.g. {str(given / 'report.html')!r}."
        )
    if os.path.exists(given) and not os.path.isfile(given):
        raise ReportError(
            f"cannot write {str(given)!r}: it is a device or a pipe, which a file would replace. Pass the path of a file."
        )
    target = Path(os.path.realpath(given))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield target, temporary
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        why = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}. Pass a path elsewhere")
        raise ReportError(f"cannot write {str(given)!r}: {why}.") from error
