"""`similitude worlds pin|check`: the digests of the fixed worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.options import at_least
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

Switch = Annotated[bool, Parameter(negative="")]


def pin(*, out: Path, workers: Whole = 1, json: Switch = False) -> int:
    """Make all fixed worlds and write their digests; for a new version of worlds.

    Parameters
    ----------
    out:
        The file to write.
    workers:
        Processes that make worlds.
    json:
        Print one JSON object on standard output: the file and the number of worlds.
    """
    with Screen(as_json=json) as screen:
        from similitude.report.files import check_writable
        from similitude.runs.pool import ProcessPool
        from similitude.worlds.protocol.pins import make_pins, write_pins

        check_writable(out)
        engine = ProcessPool(workers) if at_least(workers, 1, "--workers") > 1 else None
        with screen.notes.status("making worlds") as status:
            pins = make_pins(
                engine=engine, on_done=lambda name: status.update(f"{name[0]} {name[1]:g} {name[2]}")
            )
        count = sum(len(digests) for tasks in pins.values() for digests in tasks.values())
        screen.say(f"{count} digests in {write_pins(pins, out).resolve()}")
        screen.result({"file": str(out), "worlds": count})
    return GOOD


def check(*, split: str = "sample", tasks: str = "all", workers: Whole = 1, json: Switch = False) -> int:
    """Make fixed worlds and say whether they are, bit for bit, those that were pinned.

    The exit code is 1 where one is not.

    Parameters
    ----------
    split:
        sample (60 worlds), train, validation or test (1,000 each).
    tasks:
        Names of tasks or groups, separated by commas.
    workers:
        Processes that make worlds.
    json:
        Print one JSON object on standard output: the number of worlds, and those that differ.
    """
    with Screen(as_json=json) as screen:
        from similitude.runs.pool import ProcessPool
        from similitude.worlds.protocol.definition import tasks_of
        from similitude.worlds.protocol.pins import check_pins

        engine = ProcessPool(workers) if at_least(workers, 1, "--workers") > 1 else None
        count = 0
        with screen.notes.status("making worlds") as status:

            def say(name: tuple[str, float, int]) -> None:
                nonlocal count
                count += 1
                status.update(f"{count}: {name[0]}, difficulty {name[1]:g}")

            wrong = check_pins(split, tasks=tasks_of(tasks), engine=engine, on_done=say)
        for one in wrong:
            screen.say(f"{one.world}: pinned {one.pinned}, made {one.made}")
        screen.say(f"{count - len(wrong)} of {count} worlds are those that were pinned.")
        screen.result(
            {
                "split": split,
                "worlds": count,
                "differ": [{**one.world._asdict(), "pinned": one.pinned, "made": one.made} for one in wrong],
            }
        )
    return BAD_VERDICT if wrong else GOOD
