"""The registry of claims, and the claims themselves (slow: a minute each)."""

import json

import pytest

from similitude.claims import registry
from similitude.claims.needs import unmet
from similitude.claims.registry import Measured, claim, expected_minutes, groups, measure, registered, select
from similitude.core.citation import PAPERS
from similitude.core.claim import Claim
from similitude.core.errors import SimilitudeError
from similitude.core.verdict import Outcome, Verdict
from similitude.report.figures import figures

LONGEST = 5.0  # minutes; what takes longer is a full size


def test_every_claim_is_whole():
    entries = registered()
    assert {"7.updates", "17.transfer", "17.wider_is_better", "17.text_transfer"} <= set(entries)
    for name, entry in entries.items():
        assert entry.name == name
        assert name.startswith(f"{entry.paper}.")
        assert entry.source is PAPERS[entry.paper]
        assert entry.statement.endswith(".")
        assert entry.claimed
        assert entry.minutes > 0
        assert entry.measurement.__doc__
    assert list(entries) == sorted(entries, key=lambda name: (int(name.partition(".")[0]), name))


def test_every_paper_has_claims():
    assert set(PAPERS) <= {entry.paper for entry in registered().values()}


def test_all_claims_end_within_the_bar_on_two_cores():
    everything = list(registered().values())
    assert expected_minutes(everything, at_once=2) <= 38
    assert expected_minutes(everything, at_once=2) == pytest.approx(expected_minutes(everything) / 2)


def test_papers_have_a_full_size():
    papers = {entry.paper for entry in registered().values()}
    assert papers == {entry.paper for entry in registered().values() if entry.full_minutes}


def test_a_default_size_takes_minutes():
    for entry in registered().values():
        assert entry.minutes <= LONGEST
        assert entry.full_minutes is None or entry.full_minutes > entry.minutes


def test_what_is_shared_is_counted_once():
    shared = [registered()[name] for name in ("21.frozen", "7.init", "21.universality")]
    assert [[entry.name for entry in group] for group in groups(shared)] == [
        ["21.frozen", "21.universality"],
        ["7.init"],
    ]
    assert expected_minutes(shared) == pytest.approx(shared[0].minutes + shared[1].minutes)
    assert expected_minutes(shared, at_once=2) == pytest.approx(shared[0].minutes)  # the other runs beside it
    assert expected_minutes([], at_once=2) == 0
    (text,) = select(["17.text_transfer"])
    assert expected_minutes([text], full=True) == text.full_minutes


def test_selection():
    everything = list(registered())
    assert select([]) == []
    assert [e.name for e in select(["17"])] == [n for n in everything if n.startswith("17.")]
    assert select(["01", "8"]) == select(["1", "08"])
    assert [e.name for e in select(["17.transfer", "17.transfer"])] == ["17.transfer"]
    with pytest.raises(SimilitudeError, match=r"no claim '17.transfers'. Did you mean 17.transfer"):
        select(["17.transfers"])
    with pytest.raises(SimilitudeError, match="`similitude claims list` has them all"):
        select(["x"])


def test_a_claim_is_measured_and_judged(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", {})

    @claim("7.half", paper=7, statement="It is a half.", claimed="0.5", minutes=0.1)
    def half() -> Measured:
        """Measure."""
        return Measured(0.7, None, "units", Verdict(Outcome.INCONSISTENT, "it is 0.7"))

    result = measure(registered()["7.half"])
    assert (result.name, result.measured, result.passed, result.claimed) == ("7.half", 0.7, False, "0.5")
    assert 0 <= result.seconds < 1
    with pytest.raises(ValueError, match="registered twice"):
        claim("7.half", paper=7, statement="", claimed="", minutes=1)(half)


@pytest.mark.parametrize(("name", "paper"), [("7.x", 17), ("99.x", 99), ("x", 7)])
def test_a_claim_begins_with_its_paper(name, paper):
    with pytest.raises(ValueError, match="begin with the number of a known paper"):
        claim(name, paper=paper, statement="", claimed="", minutes=1)(lambda: None)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(registered()))
def test_the_claim_holds_here(name):
    entry = registered()[name]
    if missing := unmet(entry.needs):
        pytest.skip(f"needs {missing}")
    result = measure(entry)
    assert result.passed, result.verdict
    assert figures(result), "no figure of the paper is drawn again"
    assert (
        Claim.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))).to_dict()
        == result.to_dict()
    )
