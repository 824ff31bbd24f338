"""`similitude fewshot compare`: two learners on CLUES in pairs, from their files of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen

Switch = Annotated[bool, Parameter(negative="")]


def compare(
    first: Path, second: Path, /, *, data: Path, strict: Switch = False, seed: int = 0, json: Switch = False
) -> int:
    """Compare two learners split by split and text by text, on the tasks and shots that both answered.

    Parameters
    ----------
    first:
        The file of predictions of a learner, or the folder of `similitude suite run fewshot --out` that holds it.
    second:
        That of the learner to compare with.
    data:
        The folder or zip of CLUES: see `similitude data get clues`.
    strict:
        Compare the repository's score instead of the fair one.
    seed:
        Seed of the resampling.
    json:
        Print one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.fewshot.predictions import read_predictions
        from similitude.fewshot.protocol import PREDICTIONS
        from similitude.fewshot.reading import read_clues
        from similitude.fewshot.summary import compare as compared

        clues = read_clues(data)
        one, other = (
            read_predictions(path / PREDICTIONS if path.is_dir() else path, clues) for path in (first, second)
        )
        metric = "strict" if strict else "fair"
        found = compared(one.scores(clues), other.scores(clues), metric=metric, seed=seed)
        table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
        table.title = f"{one.learner} minus {other.learner}, S1 x 100 ({metric})"
        for column in ("task", "shots", "difference", "95 % splits", "p", "95 % texts", "p"):
            table.add_column(column, justify="left" if column == "task" else "right", no_wrap=True)
        for line in found:
            splits, texts = line.over_splits.interval, line.over_items.interval
            table.add_row(
                line.task,
                str(line.shots),
                f"{line.over_splits.value:+.1f}",
                "–" if splits is None else f"[{splits[0]:.1f}, {splits[1]:.1f}]",
                "–" if line.p_splits is None else f"{line.p_splits:.3f}",
                "–" if texts is None else f"[{texts[0]:.1f}, {texts[1]:.1f}]",
                f"{line.p_items:.3f}",
            )
        screen.say(table)
        screen.say("p-values are of one test each; none is corrected for the number of lines.")
        screen.result(
            {
                "first": one.learner,
                "second": other.learner,
                "metric": metric,
                "comparisons": [line.to_dict() for line in found],
            }
        )
    return GOOD
