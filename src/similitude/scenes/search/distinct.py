"""Several ways to fail: the worst scenes of a study that differ in their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import counted
from similitude.scenes.analysis.worst import badness
from similitude.scenes.controls.control import Value
from similitude.scenes.search.embedding import Embedding, steps
from similitude.scenes.search.promising import APART
from similitude.scenes.study.settings import StudySettings
from similitude.tuning.space.dimensions import Choice
from similitude.tuning.space.space import Space


def distinct_failures(study: StudySettings, rows: Iterable[Row], count: int = 12) -> list[tuple[Row, int]]:
    """Return the worst of the scenes that a model got wrong, no two of which are alike, the worst first.

    The worst scene stands for all wrong ones of its object and environment that lie near to it, within 0.4 thirds of a
    range per root of a column (`search.promising.APART`); then the worst of the others does, and so on.

    Args:
        study: The study.
        rows: Its rows of one model.
        count: How many at most.

    Returns:
        Rows, and how many wrong scenes each stands for, itself included.
    """
    wrong = sorted((row for row in counted(rows) if row.success is False), key=badness, reverse=True)
    if not wrong:
        return []
    space = study.space
    if space is None:
        columns = np.zeros((len(wrong), 1))
    else:
        columns = Embedding(space)(np.array([point_of(space, row.params) for row in wrong]))
    near = APART * np.sqrt(columns.shape[1])
    places = [(row.task, row.params.get("environment")) for row in wrong]
    found: list[tuple[Row, int]] = []
    free = np.ones(len(wrong), bool)
    while free.any() and len(found) < count:
        first = int(np.argmax(free))
        same = np.array([place == places[first] for place in places])
        like = free & same & (np.linalg.norm(columns - columns[first], axis=1) <= near)
        found.append((wrong[first], int(like.sum())))
        free &= ~like
    return found


def point_of(space: Space, settings: Mapping[str, Value]) -> np.ndarray:
    """Return the point of the unit cube at which `search.cube.settings_at` has settings, shape (d,).

    Whole numbers and choices lie in the middle of their shares, settings that are not there at a half.

    Example:
        >>> point_of(Space(color=Choice("red", "green")), {"color": "green"}).tolist()
        [0.75]
    """
    shares = []
    for name, dim in space.items():
        if name not in settings:
            shares.append(0.5)
            continue
        value, number = settings[name], steps(dim)
        low, high = dim.bounds
        if isinstance(dim, Choice):
            shares.append((dim.values.index(value) + 0.5) / len(dim.values))
            continue
        share = (dim.to_unit(value) - low) / (high - low) if high > low else 0.5
        shares.append(share if number is None else (round(share * (number - 1)) + 0.5) / number)
    return np.array(shares)
