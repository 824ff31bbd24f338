"""Names as labels of an axis: paths by the file's name, long ones without their middle."""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = 22
"""Letters of a name that a figure has room for."""

_FILE = re.compile(r"[/\\].*\.[A-Za-z]\w{0,7}$")


def short_names(names: Sequence[str], letters: int = LETTERS) -> list[str]:
    """Return names that fit an axis: of paths of files the last part, with folders where two would be one.

    Args:
        names: The names, each once.
        letters: Letters that there is room for; what is longer loses its middle.

    Example:
        >>> short_names(["/home/me/a/chair.glb", "/home/me/b/chair.glb", "/home/me/a/box.obj", "mug"])
        ['a/chair.glb', 'b/chair.glb', 'box.obj', 'mug']
        >>> short_names(["a name that is rather long"], 11)
        ['a nam… long']
    """
    parts = [re.split(r"[/\\]", name) if _FILE.search(name) else [name] for name in names]
    taken = [1] * len(parts)
    while True:
        found = ["/".join(one[-count:]) for one, count in zip(parts, taken, strict=True)]
        longer = [
            k
            for k, name in enumerate(found)
            if taken[k] < len(parts[k]) and found.count(name) > 1  # one more folder tells them apart
        ]
        if not longer:
            break
        for k in longer:
            taken[k] += 1
    half = (letters - 1) // 2
    return [
        name if len(name) <= letters else f"{name[: letters - 1 - half]}…{name[len(name) - half :]}"
        for name in found
    ]
