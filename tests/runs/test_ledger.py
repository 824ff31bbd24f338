"""The life of cells in a ledger, in a journal and in a database."""

import math
import shutil
import struct
import time

import optuna
import polars as pl
import pytest

from similitude.core.errors import StudyError
from similitude.runs.grid import Cell, cells
from similitude.runs.lease import LeaseLostError
from similitude.runs.ledger import Ledger, studies
from similitude.runs.records import Status
from similitude.runs.trials import Trials

GRID = cells(lr=[0.1, 0.2, 0.3], rule=["sp", "mup"], width=64)
CURVE = pl.DataFrame({"step": [0, 1, 2], "loss": [1.5, math.nan, math.inf]})


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def bits(x):
    return struct.pack("d", x)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    # Making one takes a second, copying it nothing.
    file = tmp_path_factory.mktemp("sqlite") / "empty.db"
    optuna.storages.RDBStorage(f"sqlite:///{file}").engine.dispose()
    return file


@pytest.fixture(params=["journal", "sqlite"])
def place(request, tmp_path):
    """Return a function that opens the ledger of one place, as another process would."""
    where = tmp_path / "study"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "study.db")
        where = f"sqlite:///{tmp_path}/study.db"

    def reopen(name="demo", **options):
        return Ledger.open(where, name, curves=tmp_path / "curves", **options)

    return reopen


def test_a_grid_is_worked_through(place):
    ledger = place()
    assert ledger.populate(GRID) == 6
    assert ledger.status() == Status(waiting=6, running=0, finished=0, failed=0)
    first, *rest = ledger.claim(GRID[:3])
    assert [lease.cell for lease in (first, *rest)] == list(GRID[:3])
    ledger.finish(first, 0.5, metrics={"accuracy": 0.9}, curve=CURVE)
    assert ledger.status() == Status(waiting=3, running=2, finished=1, failed=0)

    other = place()
    assert other.status() == ledger.status()
    result = other.finished()[GRID[0]]
    assert (result.value, dict(result.metrics), result.trial) == (0.5, {"accuracy": 0.9}, first.trial)
    assert result.curve is not None
    assert result.curve.name == f"{first.trial}.parquet"
    assert other.curve(GRID[0]).equals(CURVE, null_equal=True)
    assert other.populate(GRID) == 0


def test_values_come_back_bit_for_bit(place):
    values = [0.1 + 0.2, 5e-324, -0.0, math.pi * 1e300, math.inf, -math.inf, math.nan]
    grid = cells(seed=range(len(values)))
    ledger = place()
    ledger.populate(grid)
    for lease, value in zip(ledger.claim(grid), values, strict=True):
        ledger.finish(lease, value, metrics={"same": value})
    for result, value in zip(place().finished().values(), values, strict=True):
        assert bits(result.value) == bits(value)
        assert bits(result.metrics["same"]) == bits(value)


def test_cells_come_back_bit_for_bit(place):
    grid = cells(lr=[0.1, math.nextafter(0.1, 1)], seed=[0, 2**62 + 1], name=["a,b='\"", "é\n"])
    ledger = place()
    ledger.populate(grid)
    for lease in ledger.claim(grid):
        ledger.finish(lease, 0.0)
    assert tuple(place().finished()) == grid


def test_optuna_sees_numbers_as_parameters_and_text_as_attributes(place):
    ledger = place()
    ledger.populate(GRID)
    for lease in ledger.claim(GRID):
        ledger.finish(lease, math.nan if lease.cell["lr"] == 0.3 else lease.cell["lr"])
    study = place().study
    assert isinstance(study, optuna.Study)
    assert len(study.trials) == 6
    assert study.best_trial.params == {"lr": 0.1, "width": 64}
    assert study.best_trial.user_attrs["rule"] == "sp"
    assert [t.value for t in study.trials][-1] == math.inf


def test_populating_twice_or_by_two_makes_no_second_cell(place):
    one, two = place(), place()
    one.populate(GRID[:4])
    assert two.populate(GRID) == 2
    assert one.populate(GRID) == 0
    assert one.status().total == 6


def test_a_cell_is_given_to_one_only(place):
    one, two = place(), place()
    one.populate(GRID)
    mine = one.claim(GRID[:4])
    theirs = two.claim(GRID)
    assert {lease.cell for lease in mine} | {lease.cell for lease in theirs} == set(GRID)
    assert len(mine) + len(theirs) == 6
    assert one.claim(GRID) == two.claim(GRID) == []


def test_a_released_cell_waits_again_and_its_old_lease_is_void(place):
    one, two = place(), place()
    one.populate(GRID[:1])
    (old,) = one.claim(GRID)
    one.release(old)
    one.release(old)
    (again,) = one.claim(GRID)
    with pytest.raises(LeaseLostError, match="refused"):
        one.finish(old, 1.0)
    one.release(again)
    (taken,) = two.claim(GRID)
    with pytest.raises(LeaseLostError):
        one.finish(again, 1.0)
    two.finish(taken, 2.0)
    assert one.finished()[GRID[0]].value == 2.0


def test_a_failed_cell_waits_again_when_the_grid_is_populated(place):
    ledger = place()
    ledger.populate(GRID)
    (lease,) = ledger.claim(GRID[:1])
    ledger.fail(lease, "ValueError: no")
    assert ledger.status() == Status(waiting=5, running=0, finished=0, failed=1)
    assert ledger.reasons() == {GRID[0]: "ValueError: no"}
    assert ledger.claim(GRID[:1]) == []
    assert place().populate(GRID) == 1
    (lease,) = ledger.claim(GRID[:1])
    ledger.finish(lease, 1.0)
    assert ledger.reasons() == {}


def test_an_expired_lease_is_taken_over_and_its_late_result_refused(place):
    clock = Clock()
    one, two = place(clock=clock), place(clock=clock)
    one.populate(GRID)
    slow, kept, done = one.claim(GRID[:3], lease_seconds=60)
    one.finish(done, 3.0)
    clock.now += 50
    assert one.renew([kept, done]) == [done]
    clock.now += 9
    assert two.recover() == []
    clock.now += 2
    assert two.recover() == [GRID[0]]
    assert two.recover() == []
    assert one.renew([slow, kept]) == [slow]
    (taken,) = two.claim(GRID[:2])
    with pytest.raises(LeaseLostError, match=r"lease of 60 s was given back or lost"):
        one.finish(slow, 1.0, curve=CURVE)
    two.finish(taken, 2.0)
    one.finish(kept, 4.0)
    assert [r.value for r in place().finished().values()] == [2.0, 4.0, 3.0]
    with pytest.raises(StudyError, match="finished without a curve"):
        one.curve(GRID[0])


def test_a_late_result_is_taken_while_nobody_else_has_the_cell(place):
    clock = Clock()
    ledger = place(clock=clock)
    ledger.populate(GRID[:1])
    (lease,) = ledger.claim(GRID, lease_seconds=60)
    clock.now += 1000
    assert ledger.recover() == []  # its own
    ledger.finish(lease, 1.0)
    assert ledger.status().finished == 1


def test_running_trials_without_a_lease_are_recovered(place):
    ledger = place()
    ledger.populate(GRID[:1])
    ledger.study.ask()  # Optuna's own way to take a waiting trial
    assert ledger.status().running == 1
    assert ledger.recover() == [GRID[0]]
    assert ledger.status() == Status(waiting=1, running=0, finished=0, failed=0)


def test_a_recovery_that_is_killed_half_way_is_finished_by_the_next(place, monkeypatch):
    clock = Clock()
    one, two = place(clock=clock), place(clock=clock)
    one.populate(GRID[:1])
    one.claim(GRID, lease_seconds=60)
    clock.now += 61

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "end", killed)
        with pytest.raises(KeyboardInterrupt):
            two.recover()
    assert two.status() == Status(waiting=0, running=1, finished=0, failed=0)
    assert two.claim(GRID) == []
    assert two.recover() == [GRID[0]]
    assert len(two.study.trials) == 2
    (lease,) = two.claim(GRID)
    two.finish(lease, 1.0)
    assert two.status() == Status(waiting=0, running=0, finished=1, failed=0)


def test_leases_are_kept_in_the_background(place):
    one, two = place(), place()
    one.populate(GRID)
    leases = one.claim(GRID, lease_seconds=0.6)
    with one.keep(leases):
        for _ in range(4):
            time.sleep(0.25)
            assert two.recover() == []
        one.finish(leases[0], 1.0)
    assert one.status().finished == 1


def test_a_batch_is_seen_as_it_was_written(place):
    ledger = place()
    ledger.populate(GRID)
    with ledger.batch():
        for lease in ledger.claim(GRID):
            ledger.finish(lease, lease.cell["lr"], curve=CURVE)
    assert place().status().finished == 6
    assert all(place().curve(c).equals(CURVE, null_equal=True) for c in GRID)


def test_one_place_holds_many_studies(place, tmp_path):
    place("mlp").populate(GRID)
    place("gpt").populate(GRID[:2])
    assert place("mlp").status().total == 6
    assert place("gpt").status().total == 2
    if (tmp_path / "study").exists():
        assert studies(tmp_path / "study") == ("mlp", "gpt")
    with pytest.raises(StudyError, match=r"no study 'cnn' .* studies there: 'mlp', 'gpt'"):
        place("cnn", create=False)


def test_another_fingerprint_is_refused_and_the_difference_named(place):
    settings = {"model": {"depth": 3, "act": "relu"}, "steps": 100, "betas": (0.9, 0.95)}
    ledger = place(fingerprint=settings)
    ledger.populate(GRID)
    assert place(fingerprint=settings).status().total == 6
    assert place().fingerprint == {**settings, "betas": [0.9, 0.95]}
    other = {**settings, "model": {"depth": 4, "act": "relu"}, "data": "digits"}
    with pytest.raises(StudyError) as caught:
        place(fingerprint=other)
    text = str(caught.value)
    assert "2 of 5 settings differ" in text
    assert "model.depth was 3, is now 4" in text
    assert "data was not set, is now digits" in text
    assert "another folder" in text
    with pytest.raises(StudyError, match=r"'net' .* is a type"):
        place(fingerprint={"net": int})


def test_names_of_studies_stay_inside_the_folder_of_curves(tmp_path):
    ledger = Ledger.open(tmp_path, "../up/..")
    ledger.populate(GRID[:1])
    (lease,) = ledger.claim(GRID)
    ledger.finish(lease, 1.0, curve=CURVE)
    curve = ledger.finished()[GRID[0]].curve
    assert curve is not None
    assert curve.resolve().is_relative_to(tmp_path / "curves")
    with pytest.raises(StudyError, match="needs a name"):
        Ledger.open(tmp_path, "")


def test_a_missing_or_damaged_curve_says_so(tmp_path):
    ledger = Ledger.open(tmp_path, "demo")
    ledger.populate(GRID[:1])
    (lease,) = ledger.claim(GRID)
    ledger.finish(lease, 1.0, curve=CURVE)
    file = ledger.finished()[GRID[0]].curve
    assert file is not None
    file.write_bytes(b"PAR1 no")
    with pytest.raises(StudyError, match="is damaged"):
        ledger.curve(GRID[0])
    file.unlink()
    with pytest.raises(StudyError, match="is not there"):
        ledger.curve(GRID[0])
    with pytest.raises(StudyError, match="is not finished"):
        ledger.curve(Cell.of(lr=9.0))


def test_a_grid_may_grow(place):
    ledger = place()
    ledger.populate(cells(lr=[0.1], rule="sp", width=64))
    assert ledger.populate(cells(lr=[0.01, 0.1, 1.0], rule=["sp", "mup"], width=[64, 128])) == 11
    assert ledger.status().total == 12


def test_storage_urls_that_lead_nowhere(tmp_path):
    with pytest.raises(StudyError, match="is no storage URL"):
        Ledger.open("://", "demo")
    with pytest.raises(StudyError, match=r"failed: .*unable to open database file"):
        Ledger.open(f"sqlite:///{tmp_path}/none/study.db", "demo")
    with pytest.raises(StudyError) as caught:
        Ledger.open("oracle://me:secret@host/db", "demo")
    assert "secret" not in str(caught.value)


def test_a_damaged_database_is_named(tmp_path):
    (tmp_path / "study.db").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(StudyError, match=r"study.db failed: .*not a database"):
        Ledger.open(f"sqlite:///{tmp_path}/study.db", "demo")


def test_looking_for_studies_makes_nothing(tmp_path):
    for where in (tmp_path / "none", f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(StudyError, match="There is no"):
            Ledger.open(where, "demo", create=False)
    assert studies(tmp_path / "none") == ()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed(place, capfd):
    ledger = place()
    ledger.populate(GRID[:1])
    ledger.finish(ledger.claim(GRID)[0], 1.0)
    assert capfd.readouterr() == ("", "")
