"""Many claims measured: in order, past failures, in processes that may die."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from similitude.claims import registry
from similitude.claims.measuring import attempt, measure_all, provenance
from similitude.claims.registry import Measured, claim, select
from similitude.core.verdict import Outcome, Verdict
from similitude.runs.engine import Failure, J, JobsFailedError, R
from similitude.runs.pool import ProcessPool


@pytest.fixture
def fakes(monkeypatch):
    """Register a claim that holds, at two sizes, and one that raises."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry.registered()))

    @claim("20.size", paper=20, statement="It holds.", claimed="1", minutes=0.1, full_minutes=5.0)
    def size(*, full: bool = False) -> Measured:
        return Measured(100.0 if full else 1.0, None, "examples", Verdict(Outcome.OK, "fine"))

    @claim("20.crash", paper=20, statement="It holds.", claimed="1", minutes=0.1)
    def crash() -> Measured:
        raise ValueError("of\nmany lines")


@pytest.mark.usefixtures("fakes")
def test_a_failure_is_told_and_does_not_stop_the_others():
    seen = []
    found = measure_all(select(["20.crash", "20.size"]), settings={"torch": "2"}, on_done=seen.append)
    assert [one.name for one in found] == [one.name for one in seen] == ["20.crash", "20.size"]
    crash, size = found
    assert crash.error.startswith("ValueError: of many lines (test_measuring.py, line ")
    assert crash.error in crash.verdict.summary
    assert crash.verdict.undecided
    assert not crash.passed
    assert (size.error, size.measured, size.full) == ("", 1.0, False)
    assert all(one.settings == {"torch": "2"} for one in found)


@pytest.mark.usefixtures("fakes")
def test_full_size_where_there_is_one():
    assert attempt("20.size", full=True).measured == 100.0
    assert attempt("20.size", full=True).full
    assert not attempt("20.crash", full=True).full


@pytest.mark.parametrize("minutes", [None, 5.0])
def test_the_size_is_declared(minutes):
    def of_one_size() -> Measured:
        raise AssertionError

    def of_two(*, full: bool = False) -> Measured:
        raise AssertionError(full)

    with pytest.raises(ValueError, match="takes a keyword 'full' where full_minutes are given"):
        claim("20.x", paper=20, statement="", claimed="", minutes=1, full_minutes=minutes)(
            of_one_size if minutes else of_two
        )


@pytest.mark.usefixtures("fakes")
def test_a_process_that_dies_is_a_failure_of_its_claim():
    class Dying:
        """An engine whose first job's process is killed."""

        def map(
            self,
            function: Callable[[J], R],
            jobs: Sequence[J],
            *,
            on_done: Callable[[J, R], None],
            name: Callable[[J], str] = str,
        ) -> None:
            for job in jobs[1:]:
                on_done(job, function(job))
            raise JobsFailedError(
                [Failure(jobs[0], name(jobs[0]), "its process was killed by SIGKILL")], len(jobs)
            )

    crash, size = measure_all(select(["20.crash", "20.size"]), engine=Dying())
    assert crash.error == "its process was killed by SIGKILL"
    assert size.passed


class Noting:
    """An engine that notes the order in which jobs come."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def map(
        self,
        function: Callable[[J], R],
        jobs: Sequence[J],
        *,
        on_done: Callable[[J, R], None],
        name: Callable[[J], str] = str,
    ) -> None:
        for job in jobs:
            self.order.append(name(job))
            on_done(job, function(job))


@pytest.mark.usefixtures("fakes")
def test_the_longest_start_first_side_by_side():
    @claim("20.slow", paper=20, statement="It holds.", claimed="1", minutes=2.0)
    def slow() -> Measured:
        return Measured(1.0, None, "examples", Verdict(Outcome.OK, "fine"))

    @claim("20.shared", paper=20, statement="It holds.", claimed="1", minutes=2.0, together="what is slow")
    def shared() -> Measured:
        return Measured(1.0, None, "examples", Verdict(Outcome.OK, "fine"))

    names = ["20.crash", "20.slow", "20.size", "20.shared"]
    side_by_side = Noting()
    found = measure_all(select(names), engine=side_by_side)
    assert side_by_side.order == ["20.slow", "20.shared", "20.crash", "20.size"]
    assert [one.name for one in found] == names
    full = Noting()
    measure_all(select(names), full=True, engine=full)
    assert full.order[0] == "20.size"
    seen: list[str] = []
    measure_all(select(names), on_done=lambda one: seen.append(one.name))
    assert seen == names


@pytest.mark.usefixtures("fakes")
def test_processor_time_is_of_this_process_and_its_children():
    busy = "import time\nwhile time.process_time() < 0.4: pass"

    @claim("20.busy", paper=20, statement="It holds.", claimed="1", minutes=0.1)
    def child() -> Measured:
        subprocess.run([sys.executable, "-S", "-c", busy], check=True)
        return Measured(1.0, None, "examples", Verdict(Outcome.OK, "fine"))

    used = attempt("20.busy").cpu_seconds
    assert used is not None
    assert 0.3 < used < 5
    assert attempt("20.crash").cpu_seconds is None


@pytest.mark.slow
def test_claims_in_processes():
    names = ["8.catapult", "2.linear_limit"] if "2.linear_limit" in registry.registered() else ["8.catapult"]
    found = measure_all(select(names), engine=ProcessPool(workers=2))
    assert [one.name for one in found] == names
    assert all(one.passed for one in found), found


def test_versions_and_command_are_kept():
    kept = provenance("similitude claims run 6")
    assert kept["command"] == "similitude claims run 6"
    assert {"similitude", "torch", "python", "date"} <= set(kept)
    assert f"{len(os.sched_getaffinity(0))} cores" in kept["machine"]
