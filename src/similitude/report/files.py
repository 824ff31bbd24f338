"""Write a whole file or nothing: a crash, a full disk or a kill leaves the old file as it was."""

from __future__ import annotations

import errno
import os
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
        ReportError: The path is a folder, or cannot be written; nothing is left behind.
    """
    given = Path(path)
    if os.path.isdir(given):
        raise ReportError(
            f"cannot write {str(given)!r}: it is a folder. Pass the path of a file, "
            f"e.g. {str(given / 'report.html')!r}."
        )
    target = Path(os.path.realpath(given))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        why = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}. Pass a path elsewhere")
        raise ReportError(f"cannot write {str(given)!r}: {why}.") from error
    return given
