"""`similitude claims list|run|report`: what the papers claim, and what is measured here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen
from similitude.core.errors import GridError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from similitude.claims.registry import Entry
    from similitude.core.claim import Claim
    from similitude.runs.engine import Engine

Switch = Annotated[bool, Parameter(negative="")]


def list_(*, json: Switch = False) -> int:
    """List every claim: its paper, its statement and the claimed value.

    Parameters
    ----------
    json:
        Print a JSON list on standard output, one object per claim, with the keys that measured ones have.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.claims.needs import unmet
        from similitude.claims.registry import registered

        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("claim", "paper", "statement", "claimed", "takes"):
            table.add_column(column, overflow="fold")
        for entry in registered().values():
            paper = f"{entry.source.title} (arXiv {entry.source.arxiv})"
            takes = f"{entry.minutes:g} min"
            if entry.full_minutes is not None:
                takes += f", full {entry.full_minutes:g}"
            if missing := unmet(entry.needs):
                takes += f"; needs {missing}"
            table.add_row(entry.name, paper, entry.statement, entry.claimed, takes)
        screen.say(table)
        screen.result([entry.to_dict() for entry in registered().values()])
    return GOOD


def run(
    *names: str,
    all: Switch = False,
    full: Switch = False,
    out: Path | None = None,
    again: Switch = False,
    report: Path | None = None,
    workers: int | None = None,
    engine: str | None = None,
    strict: Switch = False,
    json: Switch = False,
) -> int:
    """Measure claims: claimed, measured, pass or fail.

    The exit code is 0 whenever all were measured, whatever was found, and 3 where a measurement failed; the others
    are measured all the same.

    Parameters
    ----------
    names:
        Claims as `similitude claims list` names them; a paper's number runs all of its claims.
    all:
        Measure every claim of every paper but those that need data or weights of yours which are not at hand.
    full:
        Measure at full size those claims that have one beside that of a minute.
    out:
        A JSON file to add every claim to as soon as it is measured. Those that it holds already, measured by this
        version at this size, are not measured again.
    again:
        Measure also those that --out holds already.
    report:
        An HTML file to write, with the figures of the papers redrawn: of all claims in --out, or of those measured.
    workers:
        Claims at once, each in a process of its own; 1, in this process, by default.
    engine:
        Where claims are measured: inline (this process), process (several of this machine) or ray, perhaps with
        settings: ray:num_gpus=1. By --workers where it is not given.
    strict:
        Leave with 1 if a claim does not hold here, with 3 if one is undecided.
    json:
        Print a JSON list on standard output, one object per claim, and all else on standard error.
    """
    kept = "" if out is None else f"What was measured is in {out}, and the same command goes on from there."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.claims.store import latest, read_claims, still_good
        from similitude.cli.engines import engine_of
        from similitude.report.claims_page import write_claims_page
        from similitude.report.claims_table import counts
        from similitude.runs.engine import available_cores

        entries = _selected(names, everything=all)
        if all:
            from similitude.claims.needs import unmet

            lacking = {entry.name: missing for entry in entries if (missing := unmet(entry.needs))}
            for name, missing in lacking.items():
                screen.say(f"{name} is left out: it needs {missing}.")
            entries = [entry for entry in entries if entry.name not in lacking]
        _check_paths([] if out is None else [out], report)
        stored = [] if out is None or not out.exists() else read_claims(out)
        found = {} if again else {c.name: c for c in still_good(stored, entries, full=full)}
        missing = [entry for entry in entries if entry.name not in found]
        command = [
            "similitude",
            "claims",
            "run",
            *(["--all"] if all else names),
            *(["--full"] if full else []),
        ]
        try:
            with engine_of(engine, workers, alone=True) as where:
                at_once = workers or (available_cores() if engine == "process" else 1)
                _measure(
                    screen, missing, found, where, shlex.join(command), full=full, out=out, at_once=at_once
                )
        finally:  # an interrupted run leaves the page of what it has measured
            if out is not None and out.exists():  # another run may have added to it
                stored = read_claims(out)
            shown = latest([*stored, *found.values()])
            if report is not None and shown:
                page = write_claims_page(shown, report).resolve()
                screen.say(f"Report: {page}")
        claims = [found[entry.name] for entry in entries]
        screen.say(f"{counts(claims)}.")
        screen.result([claim.to_dict() for claim in claims])
    return _exit_code(claims, strict=strict)


def report(*files: Path, report: Path = Path("claims.html"), json: Switch = False) -> int:
    """Write the report of stored claims again; nothing is measured.

    Parameters
    ----------
    files:
        What `similitude claims run --out` wrote; of a claim that several hold the last is shown.
    report:
        The HTML file.
    json:
        Print a JSON list on standard output, one object per claim.
    """
    with Screen(as_json=json) as screen:
        from similitude.claims.store import latest, read_claims
        from similitude.report.claims_page import write_claims_page
        from similitude.report.claims_table import counts

        if not files:
            raise GridError(
                "which claims? Name the files that `similitude claims run --out FILE.json` wrote."
            )
        _check_paths(files, report, written=False)
        claims = latest(claim for file in files for claim in read_claims(file))
        page = write_claims_page(claims, report).resolve()
        screen.say(f"{counts(claims)}.", f"Report: {page}")
        screen.result([claim.to_dict() for claim in claims])
    return GOOD


def _measure(
    screen: Screen,
    entries: Sequence[Entry],
    found: dict[str, Claim],
    engine: Engine,
    command: str,
    *,
    full: bool,
    out: Path | None,
    at_once: int,
) -> None:
    """Measure claims; show, store and put each into `found` as soon as it is there."""
    from similitude.claims.measuring import measure_all, provenance
    from similitude.claims.registry import expected_minutes
    from similitude.claims.store import add_claim
    from similitude.report.claims_table import claim_lines

    left = {entry.name: entry for entry in entries}

    def ahead() -> str:
        minutes = expected_minutes(list(left.values()), full=full, at_once=at_once)
        return f"about {minutes:.2g} minutes"

    if found:
        screen.say(f"{len(found)} claims are measured already; --again measures them anew.")
    lanes = "on one core" if at_once == 1 else f"{at_once} at once, on a core each"
    screen.say(f"{len(left)} claims to measure, {ahead()} {lanes}.")

    def keep(claim: Claim) -> None:
        found[claim.name] = claim
        del left[claim.name]
        if out is not None:
            add_claim(out, claim)
        screen.say(claim_lines(claim))
        status.update(f"{len(left)} to go, {ahead()}")

    with screen.notes.status("measuring") as status:
        measure_all(entries, full=full, settings=provenance(command), engine=engine, on_done=keep)


def _selected(names: Sequence[str], *, everything: bool) -> list[Entry]:
    """Return the claims to measure.

    Raises:
        GridError: None are named, or some beside --all.
        SimilitudeError: A name is unknown.
    """
    from similitude.claims.registry import expected_minutes, registered, select

    if everything and names:
        raise GridError(f"--all measures every claim, and {names[0]} is one of them. Drop one of the two.")
    if not everything and not names:
        count, minutes = len(registered()), expected_minutes(list(registered().values()))
        raise GridError(
            f"which claims? Name some, e.g. 6 or 6.errors (`similitude claims list` has them), or pass --all: "
            f"{count} claims, about {minutes:.0f} minutes on one core."
        )
    return list(registered().values()) if everything else select(names)


def _check_paths(files: Sequence[Path], report: Path | None, *, written: bool = True) -> None:
    """See that what is measured can be kept, before it is.

    Args:
        files: Files of claims.
        report: The page.
        written: Whether claims are added to the files.

    Raises:
        GridError: The page would replace the claims.
        ReportError: A path cannot be written.
    """
    from similitude.report.files import check_writable

    for file in files:
        if report is not None and report.resolve() == file.resolve():
            raise GridError(
                f"the page would replace the claims in {file}. Pass another file, e.g. --report "
                f"{shlex.quote(str(file.with_suffix('.html')))}."
            )
    for path in (*(files if written else ()), report):
        if path is not None:
            check_writable(path)


def _exit_code(claims: Sequence[Claim], *, strict: bool) -> int:
    codes = {claim.verdict.exit_code for claim in claims if strict or claim.error}
    return next((code for code in (BAD_VERDICT, NOT_ENOUGH) if code in codes), GOOD)
