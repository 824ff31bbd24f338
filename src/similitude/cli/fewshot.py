"""`similitude fewshot audit|verify|leaderboard`: the data of CLUES, and results that were made anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen

Switch = Annotated[bool, Parameter(negative="")]


def audit(*, data: Path, json: Switch = False) -> int:
    """Say every irregularity that the data has, as found in its files, and what is made of it.

    Parameters
    ----------
    data:
        The folder or zip of CLUES: see `similitude data get clues`.
    json:
        Print one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.fewshot.auditing import audit as audited
        from similitude.fewshot.auditing import audit_table
        from similitude.fewshot.reading import read_clues

        found = audited(read_clues(data))
        screen.say(audit_table(found))
        screen.result(found.to_dict())
    return GOOD


def verify(predictions: Path, /, *, data: Path, json: Switch = False) -> int:
    """Check that a file of predictions is whole and fits the data, and score it.

    The exit code is 2 where the file is refused; the reasons are said.

    Parameters
    ----------
    predictions:
        The file: JSON lines, the first a header. `similitude suite run fewshot --out` writes one.
    data:
        The folder or zip of CLUES: see `similitude data get clues`.
    json:
        Print one JSON object on standard output, as `similitude suite run fewshot` does.
    """
    with Screen(as_json=json) as screen:
        from similitude.fewshot.learners.constant import Constant
        from similitude.fewshot.predictions import read_predictions
        from similitude.fewshot.protocol import run, verified
        from similitude.fewshot.reading import read_clues
        from similitude.fewshot.table import cells_table

        clues = read_clues(data)
        found = verified(read_predictions(predictions, clues), clues)
        screen.say(
            "The predictions are whole and fit the data. Who made them, and from what, no file can show."
        )
        places = {(one.task, one.shots) for one in found.scores}
        floor = run(
            clues, Constant(), tasks={task for task, _ in places}, shots={shots for _, shots in places}
        )
        screen.say(cells_table(found, floor))
        screen.result({**found.to_dict(), "constant": floor.to_dict()["aggregate"]})
    return GOOD


def leaderboard(
    *paths: Path, shots: int = 30, task: str | None = None, strict: Switch = False, json: Switch = False
) -> int:
    """Rank stored results beside the constant learner, people and published systems.

    Parameters
    ----------
    paths:
        Folders that `similitude suite run fewshot --out` wrote, or files of its JSON.
    shots:
        10, 20 or 30.
    task:
        Rank by this task rather than by the mean of all.
    strict:
        Show the repository's score instead of the fair one.
    json:
        Print one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.core.errors import GridError
        from similitude.fewshot.leaderboard import leaderboard as ranked

        if not paths:
            raise GridError(
                "which results? Name folders that `similitude suite run fewshot --out FOLDER` wrote."
            )
        found = ranked(paths, shots=shots, task=task, metric="strict" if strict else "fair")
        screen.say(found)
        screen.result(found.to_dict())
    return GOOD
