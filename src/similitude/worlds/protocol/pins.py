"""Digests of the fixed worlds, pinned, so that any machine can check that it has the very same worlds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from similitude.core.errors import WorldError
from similitude.report.files import write_atomically
from similitude.runs.engine import Engine, InProcess
from similitude.worlds.making import make_world
from similitude.worlds.protocol.definition import EVALUATION
from similitude.worlds.splits import SEEDS, WorldName, fixed_worlds
from similitude.worlds.tasks.catalog import TASKS, checked_task
from similitude.worlds.world import VERSION

DIGITS = 16
"""Hexadecimal digits of a digest that are pinned: 64 bits."""
SAMPLE = (0.0, 0.5, 1.0)
"""Difficulties of the sample: 60 worlds, one of every task at each, which tests make anew."""

PINS = Path(__file__).parent / f"{EVALUATION}.json"
"""Where the digests of this version are."""

Pins = Mapping[str, Mapping[str, Sequence[str]]]
"""By split, then by task: digests of its fixed worlds in their order."""


@dataclass(frozen=True)
class Mismatch:
    """A world that is not what was pinned.

    Attributes:
        world: Its name.
        pinned: Digits that were pinned.
        made: Digits of what was made here.
    """

    world: WorldName
    pinned: str
    made: str


def sample_worlds() -> tuple[WorldName, ...]:
    """Return the 60 worlds of the sample: three difficulties of every task, seed 0."""
    return tuple(WorldName(task, difficulty, 0) for task in TASKS for difficulty in SAMPLE)


def make_pins(
    *, engine: Engine | None = None, on_done: Callable[[WorldName], None] = lambda name: None
) -> dict[str, dict[str, list[str]]]:
    """Make all fixed worlds of all splits, and the sample, and return their digests.

    Args:
        engine: Where they are made; None for this process.
        on_done: Called with every name when its world is made.
    """
    lists = {split: fixed_worlds(split) for split in SEEDS} | {"sample": sample_worlds()}
    digests = _digests([name for names in lists.values() for name in names], engine, on_done)
    return {
        split: {task: [digests[name] for name in names if name.task == task] for task in TASKS}
        for split, names in lists.items()
    }


def check_pins(
    split: str = "sample",
    *,
    tasks: Iterable[str] = TASKS,
    pins: Pins | None = None,
    engine: Engine | None = None,
    on_done: Callable[[WorldName], None] = lambda name: None,
) -> tuple[Mismatch, ...]:
    """Make the fixed worlds of a split and return those that are not what was pinned.

    Args:
        split: "train", "validation", "test", or "sample".
        tasks: Names of tasks.
        pins: What was pinned; None for what this version comes with.
        engine: Where they are made; None for this process.
        on_done: Called with every name when its world is made.

    Raises:
        WorldError: Nothing is pinned for this split, or not as many digests as it has worlds.
    """
    pins = pinned() if pins is None else pins
    if split not in pins:
        raise WorldError(f"nothing is pinned for the split {split!r}. There are: {', '.join(pins)}.")
    worlds = sample_worlds() if split == "sample" else fixed_worlds(split)
    wanted: dict[WorldName, str] = {}
    for task in dict.fromkeys(tasks):
        own = [name for name in worlds if name.task == checked_task(task)]
        digests = pins[split].get(task, ())
        if len(digests) != len(own):
            raise WorldError(
                f"{len(digests)} digests are pinned for {task} in the split {split!r}, which has {len(own)} worlds of "
                "it. Get the file of digests again, or pin them anew."
            )
        wanted.update(zip(own, digests, strict=True))
    names = list(wanted)
    made = _digests(names, engine, on_done)
    return tuple(Mismatch(name, wanted[name], made[name]) for name in names if made[name] != wanted[name])


def pinned(path: str | Path | None = None) -> Pins:
    """Return the digests that were pinned.

    Args:
        path: A file that `write_pins` wrote; None for that of this version.

    Raises:
        WorldError: There is none, or it is of another version of worlds.
    """
    source = PINS if path is None else Path(path)
    try:
        found = json.loads(source.read_text(encoding="utf-8"))
        version, pins = found["version"], found["digests"]
    except FileNotFoundError as error:
        raise WorldError(
            f"no digests are pinned: there is no {source}. `similitude worlds pin` makes it."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WorldError(f"{source} holds no pinned digests: {error}. Get it again.") from error
    if version != VERSION:
        raise WorldError(
            f"{source} is of {version!r}, and worlds made here are {VERSION!r}. Pin them anew under a new name."
        )
    return pins


def write_pins(pins: Pins, path: str | Path) -> Path:
    """Write digests to a file."""
    content = {"evaluation": EVALUATION, "version": VERSION, "digests": pins}
    return write_atomically(path, json.dumps(content, indent=1) + "\n")


def digest_of(name: WorldName) -> str:
    """Make a world and return the digits of its digest that are pinned."""
    return make_world(*name).digest[:DIGITS]


def _digests(
    names: Sequence[WorldName], engine: Engine | None, on_done: Callable[[WorldName], None]
) -> dict[WorldName, str]:
    found: dict[WorldName, str] = {}

    def done(name: WorldName, digest: str) -> None:
        found[WorldName(*name)] = digest
        on_done(name)

    (engine or InProcess()).map(
        digest_of, names, on_done=done, name=lambda name: f"{name[0]}-{name[1]:g}-{name[2]}"
    )
    return found
