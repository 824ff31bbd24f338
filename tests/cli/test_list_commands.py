"""`similitude data list` and `similitude claims list|run`."""

import pytest

from similitude.claims import registry
from similitude.core.verdict import Outcome, Verdict
from similitude.data import available


def test_data_list(cli):
    ran = cli("data", "list")
    assert ran.code == 0
    for entry in available():
        assert entry.name in ran.out
    assert cli("data", "list", "--json").json == {"data": [entry.to_dict() for entry in available()]}


def test_claims_list(cli):
    ran = cli("claims", "list", "--json")
    assert ran.code == 0
    assert [claim["name"] for claim in ran.json["claims"]] == list(registry.registered())
    assert "17.transfer" in cli("claims", "list").out


@pytest.fixture
def claimed(monkeypatch):
    """Register claims with a verdict each, for one test; their measurements count their calls."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry.registered()))
    calls: list[str] = []

    def add(name: str, outcome: Outcome) -> None:
        @registry.claim(f"17.{name}", paper=17, statement=f"{name}!", claimed="below 1", minutes=0.1)
        def measurement() -> registry.Measured:
            calls.append(name)
            verdict = Verdict(outcome, "2 is what it is")
            return registry.Measured(2.0, (1.5, 2.5), "octaves", verdict)

    add("good", Outcome.OK)
    add("bad", Outcome.INCONSISTENT)
    add("open", Outcome.TOO_NOISY)
    return calls


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["17.good"], 0, ["pass: 2 is what it is"]),
        (["17.good", "17.bad"], 1, ["pass:", "FAIL: 2 is what it is"]),
        (["17.open", "17.good"], 3, ["UNDECIDED:", "pass:"]),
        (["17.open", "17.bad"], 1, ["UNDECIDED:", "FAIL:"]),
    ],
)
def test_claims_run(cli, claimed, names, code, words):
    ran = cli("claims", "run", *names)
    assert ran.code == code
    assert claimed == [name.removeprefix("17.") for name in names]
    for word in (*words, "claimed:  below 1", "measured: 2 [1.5, 2.5] octaves"):
        assert word in ran.out
    data = cli("claims", "run", *names, "--json").json["claims"]
    assert [(c["name"], c["measured"], c["interval"]) for c in data] == [(n, 2.0, [1.5, 2.5]) for n in names]
    assert [c["passed"] for c in data] == [n == "17.good" for n in names]


def test_an_unknown_claim_is_named(cli):
    ran = cli("claims", "run", "17.transfr")
    assert (ran.code, "there is no claim '17.transfr'. Did you mean 17.transfer" in ran.message) == (2, True)
