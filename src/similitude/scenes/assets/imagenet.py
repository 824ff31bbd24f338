"""The 1,000 classes of ImageNet by number and by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from similitude.core.closest import closest_name
from similitude.core.errors import SceneError

_TABLE = Path(__file__).with_name("imagenet_classes.tsv")


@lru_cache(maxsize=1)
def class_synonyms() -> tuple[tuple[str, ...], ...]:
    """Return all names of every class, 1,000 rows in the order of the outputs of classifiers.

    Source:
        Synsets of ILSVRC 2012 in their usual order with the lemmas of WordNet 3.0, as listed by timm (Apache-2.0).
    """
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("\t")[1].split(", ")) for line in lines)


def class_names() -> tuple[str, ...]:
    """Return the first name of every class, 1,000 in the order of the outputs of classifiers.

    Two names stand for two classes each: "crane" (bird and machine) and "maillot".

    Example:
        >>> class_names()[504], class_names()[968]
        ('coffee mug', 'cup')
    """
    return tuple(names[0] for names in class_synonyms())


def class_ids(names: Iterable[str]) -> tuple[int, ...]:
    """Return the numbers of the classes that names stand for, in growing order.

    A first name goes before a synonym ("missile" is class 657, though "projectile" is called so too), exact letters go
    before letters of another case ("cardigan" is the jacket, "Cardigan" the dog); a name of two classes gives both.

    Args:
        names: Names of classes or synonyms, or WordNet's numbers ("n03063599").

    Raises:
        SceneError: A name is of no class; the closest one is said.

    Example:
        >>> class_ids(["cup", "coffee mug"])
        (504, 968)
    """
    if isinstance(names, str):
        raise SceneError(f"labels={names!r}: is one text. Give a list of names, e.g. ['coffee mug', 'cup'].")
    return tuple(sorted({number for name in names for number in _numbers(name)}))


def _numbers(name: str) -> tuple[int, ...]:
    for table in _tables():
        if name in table:
            return table[name]
    folded = str(name).casefold()
    if folded in _tables()[-1]:
        return _tables()[-1][folded]
    close = closest_name(folded, _tables()[-1], cutoff=0.5)
    said = () if close is None else class_synonyms()[_tables()[-1][close][0]]
    raise SceneError(
        f"{name!r} is none of the 1,000 classes of ImageNet. "
        + (f"Did you mean {', '.join(map(repr, said))}? " if said else "")
        + "similitude.scenes.assets.imagenet.class_names() lists them."
    )


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[str, tuple[int, ...]], ...]:
    """Return numbers by first name, by any name, by WordNet's number, and by any name in small letters."""
    first: dict[str, tuple[int, ...]] = {}
    every: dict[str, tuple[int, ...]] = {}
    folded: dict[str, tuple[int, ...]] = {}
    for number, names in enumerate(class_synonyms()):
        first[names[0]] = (*first.get(names[0], ()), number)
        for name in names:
            every[name] = (*every.get(name, ()), number)
    for table in (every, first):
        for name, numbers in table.items():
            key = name.casefold()
            folded[key] = tuple(sorted({*folded.get(key, ()), *numbers})) if table is every else numbers
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    synsets = {line.split("\t")[0]: (number,) for number, line in enumerate(lines)}
    return first, every, synsets, folded
