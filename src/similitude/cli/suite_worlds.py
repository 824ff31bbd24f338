"""`similitude suite run worlds`: a policy in generated worlds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.options import at_least
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

if TYPE_CHECKING:
    from similitude.evaluation.rows import Row
    from similitude.worlds.protocol.subjects import Policy, Subject

Switch = Annotated[bool, Parameter(negative="")]


def worlds(
    *,
    policy: str,
    tasks: str = "all",
    worlds: Whole = 50,
    difficulty: str | None = None,
    split: str = "test",
    seed: Whole = 0,
    normalise: Switch = False,
    backend: str = "numba",
    workers: Whole = 1,
    out: Path | None = None,
    report: Path | None = None,
    json: Switch = False,
) -> int:
    """Play fixed worlds with a policy, one episode each, and score it.

    The exit code is 3 where the policy raised in a world, else 0.

    Parameters
    ----------
    policy:
        random, oracle, a TorchScript file, or file.py:factory, a function (task, seed) that returns a policy.
    tasks:
        Names of tasks or groups (easy, basic, compositional, all), separated by commas.
    worlds:
        Worlds of every task: at most the 50 of the fixed list, of which fewer are taken evenly.
    difficulty:
        Difficulties from 0 to 1, separated by commas: that many worlds of every task at each, instead of the fixed list.
    split:
        train, validation or test, which is isle-eval-v1.
    seed:
        Seed of the policy.
    normalise:
        Play the random policy and the oracle too, and give scores on the scale where they are 0 and 1.
    backend:
        numba, warp or plain.
    workers:
        Processes that play.
    out:
        A folder for rows; the same command goes on from there, as long as the policy's file is the same.
    report:
        An HTML file to write: tables, success by difficulty, what goes with failure.
    json:
        Print one JSON object on standard output: rows with task, difficulty, seed, score and success, and aggregates.
    """
    kept = "" if out is None else f"What was played is in {out}, and the same command goes on from there."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.evaluation.page import render_suite_page
        from similitude.report.files import check_writable, write_atomically
        from similitude.runs.pool import ProcessPool
        from similitude.worlds.protocol.definition import tasks_of
        from similitude.worlds.protocol.normalising import normalise as normalised
        from similitude.worlds.protocol.playing import play, row_record
        from similitude.worlds.protocol.regression import regressions
        from similitude.worlds.protocol.subjects import oracle_subject, random_subject
        from similitude.worlds.protocol.summary import summarise
        from similitude.worlds.splits import fixed_worlds

        subject = named_subject(policy)
        asked = fixed_worlds(
            split,
            tasks=tasks_of(tasks),
            count=at_least(worlds, 1, "--worlds"),
            difficulties=None if difficulty is None else _difficulties(difficulty),
        )
        if report is not None:
            check_writable(report)
        engine = ProcessPool(at_least(workers, 1, "--workers")) if workers != 1 else None
        settings: dict[str, Any] = {"seed": seed, "engine": engine, "backend": backend}
        with screen.notes.status("playing") as status:
            count = 0

            def say(row: Row) -> None:
                nonlocal count
                count += 1
                said = f"failed: {row.error}" if row.failed else ("solved" if row.success else "not solved")
                place = f"{row.subject}, {row.task}, difficulty {row.params['difficulty']:.3g}: {said}"
                status.update(f"{count} of {total}: {place}")
                if row.failed:
                    screen.say(place)

            anchors = [random_subject(), oracle_subject()] if normalise else []
            others = [one for one in anchors if one.name != subject.name]
            total = len(asked) * (1 + len(others))
            found = play(subject, asked, out=out, on_done=say, **settings)
            beside = {
                one.name: play(
                    one,
                    asked,
                    out=None if out is None else out / f"beside-{one.name}",
                    on_done=say,
                    **settings,
                )
                for one in others
            }
        if found.found:
            screen.say(f"{found.found} of {len(found.rows)} worlds were found in {out}.")
        summary = summarise(found.rows)
        screen.say(_table(summary))
        scale = None
        if normalise:
            floor, ceiling = (beside.get(name, found).rows for name in ("random", "oracle"))
            scale = normalised(found.rows, floor, ceiling)
            screen.say(
                f"Normalised (random 0, oracle 1): interquartile mean {scale.interquartile}, gap {scale.gap}"
            )
        if report is not None:
            rows = [*found.rows, *(row for one in beside.values() for row in one.rows)]
            screen.say(f"Report: {write_atomically(report, render_suite_page(rows)).resolve()}")
        screen.result(
            {
                "policy": found.subject,
                "rows": [row_record(row) for row in found.rows],
                "aggregate": {
                    **summary.to_dict(),
                    "normalised": None if scale is None else scale.to_dict(),
                },
                "beside": {name: summarise(one.rows).to_dict() for name, one in beside.items()},
                "failure_regression": {
                    task: {"why_not": effects}
                    if isinstance(effects, str)
                    else {"effects": [effect.to_dict() for effect in effects]}
                    for task, effects in regressions(found.rows).items()
                },
                "failures": [row_record(row) for row in found.failures],
            }
        )
    return NOT_ENOUGH if found.failures else GOOD


def named_subject(text: str) -> Subject:
    """Return the policy that a command names."""
    from similitude.worlds.protocol.saved_policies import ScriptedPolicy, scripted
    from similitude.worlds.protocol.subjects import Subject, subject_named

    known = subject_named(text)
    if known is not None:
        return known
    if ":" in text:
        from similitude.cli.factories import load_factory

        load_factory(text, what=_WANTED)  # wrong names are refused before anything is played
        place, _, name = text.rpartition(":")
        file = Path(place) if place.endswith(".py") else None
        return Subject(name, partial(_from_factory, reference=text), file)
    ScriptedPolicy(text)
    return Subject(Path(text).stem, partial(scripted, path=text), Path(text))


_WANTED = "a function (task, seed) that returns a policy: observation -> action"


def _from_factory(task: str, seed: int, *, reference: str) -> Policy:
    from similitude.cli.factories import load_factory
    from similitude.core.errors import WorldError

    policy = load_factory(reference, what=_WANTED)(task, seed)
    if not callable(policy):
        raise WorldError(
            f"'{reference}' gave a {type(policy).__name__}, which cannot be called with an observation."
        )
    return policy


def _difficulties(text: str) -> tuple[float, ...]:
    from similitude.core.errors import GridError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise GridError(
            f"--difficulty {text}: write numbers from 0 to 1 separated by commas, e.g. 0,0.5,1."
        ) from error


def _table(summary: Any) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("task", "worlds", "solved", "score", "frames", "failed"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for one in summary.tasks:
        table.add_row(
            one.task,
            str(one.success.count),
            str(one.success),
            "-" if one.score is None else str(one.score),
            f"{one.frames:.0f}",
            str(one.failures),
        )
    table.add_row(
        "mean of tasks",
        "",
        str(summary.success),
        "-" if summary.score is None else str(summary.score),
        "",
        "",
    )
    return table
