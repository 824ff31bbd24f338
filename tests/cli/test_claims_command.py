"""`similitude claims list|run`: JSON lists, exit codes, what is selected, and measurements that fail."""

import pytest

from similitude.claims import registry
from similitude.core.verdict import Outcome, Verdict

KEYS = ["paper", "claim", "claimed", "measured", "interval", "passed", "seconds"]


def test_list(cli):
    ran = cli("claims", "list", "--json")
    assert ran.code == 0
    assert [claim["claim"] for claim in ran.json] == list(registry.registered())
    for claim in ran.json:
        assert list(claim)[: len(KEYS)] == KEYS
        assert claim["measured"] is claim["interval"] is claim["passed"] is claim["seconds"] is None
    assert "17.transfer" in cli("claims", "list").out


@pytest.fixture
def claimed(monkeypatch):
    """Register claims with a verdict each, for one test; their measurements note their calls."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry.registered()))
    calls: list[str] = []

    def add(name: str, outcome: Outcome | None) -> None:
        @registry.claim(f"20.{name}", paper=20, statement=f"{name}!", claimed="below 1", minutes=0.1)
        def measurement() -> registry.Measured:
            calls.append(name)
            if outcome is None:
                raise ZeroDivisionError("a bug")
            verdict = Verdict(outcome, "2 is what it is")
            return registry.Measured(2.0, (1.5, 2.5), "octaves", verdict)

    add("good", Outcome.OK)
    add("bad", Outcome.INCONSISTENT)
    add("open", Outcome.TOO_NOISY)
    add("crash", None)
    return calls


@pytest.mark.parametrize(
    ("names", "code", "strict", "words"),
    [
        (["20.good"], 0, 0, ["pass: 2 is what it is"]),
        (["20.good", "20.bad"], 0, 1, ["pass:", "FAIL: 2 is what it is"]),
        (["20.open", "20.good"], 0, 3, ["UNDECIDED:", "pass:"]),
        (["20.open", "20.bad"], 0, 1, ["UNDECIDED:", "FAIL:"]),
        (["20.crash", "20.good"], 3, 3, ["ERROR: the measurement failed: ZeroDivisionError: a bug", "pass:"]),
        (["20.bad", "20.crash"], 3, 1, ["ERROR:", "FAIL:"]),
    ],
)
def test_run(cli, claimed, names, code, strict, words):
    ran = cli("claims", "run", *names)
    assert ran.code == code
    assert claimed == [name.removeprefix("20.") for name in names]
    for word in (*words, "claimed:  below 1", "measured: 2 [1.5, 2.5] octaves"):
        assert word in ran.out
    assert cli("claims", "run", *names, "--strict").code == strict
    ran = cli("claims", "run", *names, "--json")
    assert ran.code == code
    assert [claim["claim"] for claim in ran.json] == names
    assert [claim["passed"] for claim in ran.json] == [n == "20.good" for n in names]
    for claim in ran.json:
        assert list(claim)[: len(KEYS)] == KEYS
        crashed = claim["claim"] == "20.crash"
        assert (claim["measured"], claim["interval"]) == ((None, None) if crashed else (2.0, [1.5, 2.5]))
        assert ("ZeroDivisionError: a bug (test_claims_command.py, line 32)" in claim["error"]) == crashed
        assert claim["seconds"] >= 0


@pytest.mark.parametrize("names", [["20"], ["020"], ["020.good", "20.bad", "20.open", "20.crash"], ["--all"]])
def test_selection(cli, claimed, monkeypatch, names):
    fakes = {name: entry for name, entry in registry.registered().items() if entry.paper == 20}
    monkeypatch.setattr(registry, "_ENTRIES", fakes)
    assert cli("claims", "run", *names).code == 3
    assert sorted(claimed) == ["bad", "crash", "good", "open"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            [],
            "which claims? Name some, e.g. 6 or 6.errors (`similitude claims list` has them), or pass --all",
        ),
        (["17.transfr"], "there is no claim '17.transfr'. Did you mean 17.transfer"),
        (["6", "--all"], "--all measures every claim, and 6 is one of them"),
    ],
)
def test_wrong_names_are_told(cli, names, words):
    ran = cli("claims", "run", *names)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.message
