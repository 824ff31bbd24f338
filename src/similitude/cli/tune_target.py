"""What `similitude tune` is given to tune: the user's objective or program, the space, and how to find both again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import TuningError

if TYPE_CHECKING:
    import optuna

    from similitude.tuning.space.space import Space
    from similitude.tuning.trials.history import Cost
    from similitude.tuning.trials.outcome import Objective

RUN_KEY = "similitude:run"
"""User attribute of a study that holds how `similitude tune` was called, for `resume` and `worker`."""


@dataclass(frozen=True)
class RunSettings:
    """How a study is run, as the command line was given it.

    Attributes:
        target: The program, or `module:objective`.
        cost: Name of the user attribute that holds a trial's cost, "seconds", or `module:function`; None to follow the
            budget.
        trials: Trials that the study is to have; None where the budget alone ends it.
        workers: Trials at once.
        engine: Where they run.
    """

    target: str
    cost: str | None = None
    trials: int | None = None
    workers: int = 1
    engine: str = "process"

    def store(self, study: optuna.Study) -> None:
        """Keep the settings in a study."""
        stored = json.dumps(asdict(self))
        if study.user_attrs.get(RUN_KEY) != stored:
            study.set_user_attr(RUN_KEY, stored)

    @classmethod
    def of(cls, study: optuna.Study) -> RunSettings | None:
        """Read the settings of a study; None where `similitude tune` did not make it."""
        stored = study.user_attrs.get(RUN_KEY)
        known = {f.name for f in fields(cls)}
        return None if stored is None else cls(**{k: v for k, v in json.loads(stored).items() if k in known})

    def source(self) -> Cost | None:
        """Return where costs come from, with a function imported.

        Raises:
            FactoryError: There is no such function.
        """
        from similitude.cli.factories import load_factory

        if self.cost is None or ":" not in self.cost:
            return self.cost
        return load_factory(self.cost, what="a function of the configuration (a dict) that returns its cost")


def load_target(target: str, space: Space) -> Objective:
    """Return the objective that the command line names.

    Args:
        target: A program, or `module:objective` or `file.py:objective`.
        space: The space that is tuned.

    Raises:
        FactoryError: The objective cannot be imported or called.
        TuningError: There is no such program.
    """
    from similitude.cli.factories import load_factory
    from similitude.tuning.engines.script import Script

    if is_program(target):
        return Script.of(target, space)
    return load_factory(target, what="an objective: a function of a trial that returns one number")


def load_space(given: str) -> Space:
    """Read the space: a TOML file, or `module:name` of a `sim.Space`.

    Raises:
        FactoryError: There is no such object.
        TuningError: The file is malformed, or the object is no space.
    """
    from similitude.cli.factories import load_object
    from similitude.tuning.space.space import Space

    if given.endswith(".toml") or not is_reference(given):
        return Space.read(given)
    found: Any = load_object(given)
    if not isinstance(found, Space):
        raise TuningError(f"--space {given} is a {type(found).__name__}. Name a sim.Space, or a TOML file.")
    return found


def located(target: str) -> str:
    """Return a target so that it is found from any folder; a module's name stays as it is."""
    place, colon, name = target.rpartition(":")
    if is_program(target):
        return str(Path(target).resolve())
    return f"{Path(place).resolve()}{colon}{name}" if place.endswith(".py") else target


def name_of(target: str) -> str:
    """Return a study's name from what is tuned."""
    return Path(target).stem if is_program(target) else target.rpartition(":")[2]


def is_program(target: str) -> bool:
    """Whether a target is a file that is run, not an object that is imported."""
    return not is_reference(target)


def is_reference(text: str) -> bool:
    """Whether a text is `module:name` or `file.py:name`."""
    place, colon, name = text.rpartition(":")
    return bool(colon and place) and all(part.isidentifier() for part in name.split("."))
