"""The fingerprint of a study: what was run, so that results of different experiments never mix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from similitude.core.errors import StudyError


def plain(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint as JSON keeps it (tuples become lists).

    Raises:
        StudyError: An entry is no plain value.
    """
    for name, value in fingerprint.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise StudyError(
                f"The entry {name!r} of a study's fingerprint is a {type(value).__name__}, which cannot be "
                f"stored: {error}. Describe it by plain values: numbers, strings, lists and dicts."
            ) from error
    return json.loads(json.dumps(dict(fingerprint)))


def require_same(stored: Mapping[str, Any], given: Mapping[str, Any], *, study: str, where: str) -> None:
    """Raise unless two fingerprints are the same.

    Args:
        stored: What the study was started with.
        given: What is to be run now.
        study: Name of the study.
        where: Its place, for the message.

    Raises:
        StudyError: They differ; the text names the entries.
    """
    before, now = dict(_leaves(stored)), dict(_leaves(given))
    names = [n for n in {**before, **now} if before.get(n, _absent) != now.get(n, _absent)]
    if not names:
        return
    changes = "; ".join(f"{n} was {before.get(n, _absent)}, is now {now.get(n, _absent)}" for n in names)
    total = len({**before, **now})
    raise StudyError(
        f"Study {study!r} in {where} holds results of something else: {len(names)} of {total} settings "
        f"differ ({changes}). Give another folder or study name, or go back to the old settings to continue "
        "it."
    )


class _Absent:
    def __str__(self) -> str:
        return "not set"


_absent = _Absent()


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
