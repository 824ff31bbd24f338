"""`similitude claims list|run|report`: JSON lists, exit codes, selection, failures, files and pages."""

import json

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
    """Register claims with a verdict each in place of those of a paper, for one test; measurements note their calls."""
    others = {name: entry for name, entry in registry.registered().items() if entry.paper != 20}
    monkeypatch.setattr(registry, "_ENTRIES", others)
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
        assert claim["error"].startswith("ZeroDivisionError: a bug (test_claims_command.py, line ") == crashed
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


def test_what_is_stored_is_not_measured_again(cli, claimed, tmp_path):
    out = tmp_path / "claims.json"
    assert cli("claims", "run", "20.good", "20.crash", "--out", out).code == 3
    ran = cli("claims", "run", "20", "--out", out, "--json")
    assert [claim["claim"] for claim in ran.json] == ["20.bad", "20.crash", "20.good", "20.open"]
    assert claimed == ["good", "crash", "bad", "crash", "open"]
    assert "1 claims are measured already" in ran.err
    assert [claim["claim"] for claim in json.loads(out.read_text())] == [c["claim"] for c in ran.json]
    cli("claims", "run", "20.good", "--out", out, "--again")
    assert claimed[5:] == ["good"]


def test_an_interrupted_run_keeps_what_it_measured(cli, claimed, tmp_path, monkeypatch):
    @registry.claim("20.held", paper=20, statement="held!", claimed="below 1", minutes=0.1)
    def measurement() -> registry.Measured:
        raise KeyboardInterrupt

    out, page = tmp_path / "claims.json", tmp_path / "claims.html"
    ran = cli("claims", "run", "20.good", "20.held", "20.bad", "--out", out, "--report", page)
    assert ran.code == 130
    assert f"What was measured is in {out}, and the same command goes on from there." in ran.err
    assert claimed == ["good"]
    assert "20.good" in page.read_text()
    monkeypatch.setitem(registry._ENTRIES, "20.held", registry.registered()["20.bad"])
    assert cli("claims", "run", "20.good", "20.bad", "--out", out).code == 0
    assert claimed == ["good", "bad"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--report", "{}"], "it is a folder"),
        (["--report", "{}/file/page.html"], "a part of the path is a file"),
        (["--out", "{}/file/claims.json"], "a part of the path is a file"),
        (["--out", "{}/a.json", "--report", "{}/b/../a.json"], "the page would replace the claims in"),
    ],
)
def test_nothing_is_measured_that_cannot_be_kept(cli, claimed, tmp_path, options, words):
    (tmp_path / "file").write_text("kept")
    ran = cli("claims", "run", "20.good", *(option.format(tmp_path) for option in options))
    assert (ran.code, claimed) == (2, [])
    assert words in ran.message
    assert not (tmp_path / "a.json").exists()


def test_a_page_holds_what_another_run_added(cli, claimed, tmp_path):
    out, page = tmp_path / "claims.json", tmp_path / "page.html"

    @registry.claim("20.meanwhile", paper=20, statement="meanwhile!", claimed="below 1", minutes=0.1)
    def measurement() -> registry.Measured:
        assert cli("claims", "run", "20.good", "--out", out).code == 0
        return registry.Measured(2.0, None, "octaves", Verdict(Outcome.OK, "2 is what it is"))

    assert cli("claims", "run", "20.meanwhile", "--out", out, "--report", page).code == 0
    assert claimed == ["good"]
    assert "good!" in page.read_text()
    assert "meanwhile!" in page.read_text()


@pytest.mark.usefixtures("claimed")
def test_a_page_escapes_what_claims_say(cli, tmp_path):
    @registry.claim("20.marked", paper=20, statement="a <b> & c", claimed="<script>1</script>", minutes=0.1)
    def measurement() -> registry.Measured:
        raise ValueError("<img src=x> [bold]")

    page = tmp_path / "page.html"
    ran = cli("claims", "run", "20.marked", "--report", page)
    assert "<img src=x> [bold]" in ran.out
    text = page.read_text()
    assert "a &lt;b&gt; &amp; c" in text
    assert "&lt;img src=x&gt;" in text
    for raw in ("<script>1", "<img src=x>", "a <b>"):
        assert raw not in text


@pytest.mark.usefixtures("claimed")
def test_pages(cli, tmp_path):
    first, second, page = (tmp_path / name for name in ("a.json", "b.json", "page.html"))
    ran = cli("claims", "run", "20.good", "--out", first, "--report", page)
    assert f"Report: {page}" in ran.out
    assert "20.good!" not in page.read_text()
    assert "good!" in page.read_text()
    second.write_text(
        cli("claims", "run", "20.bad", "20.crash", "--json").out
    )  # the output is as good as a file
    ran = cli("claims", "report", first, second, "--report", page)
    assert ran.code == 0
    assert "1 passed, 1 failed, 0 undecided, 1 could not be measured." in ran.out
    text = page.read_text()
    for words in ("good!", "bad!", "crash!", "What does not hold here", "similitude claims run 20.good"):
        assert words in text
    assert [c["claim"] for c in cli("claims", "report", first, second, "--json").json] == [
        "20.bad", "20.crash", "20.good",
    ]  # fmt: skip
    assert cli("claims", "report", first, second, "--report", second).code == 2
    assert json.loads(second.read_text())  # not replaced by the page
    assert (cli("claims", "report").code, cli("claims", "report", tmp_path / "none.json").code) == (2, 2)


@pytest.mark.usefixtures("claimed")
def test_full_size_is_asked_for(cli):
    @registry.claim("20.sized", paper=20, statement="s!", claimed="1", minutes=0.1, full_minutes=9.0)
    def measurement(*, full: bool = False) -> registry.Measured:
        return registry.Measured(float(full), None, "", Verdict(Outcome.OK, "fine"))

    (claim,) = cli("claims", "run", "20.sized", "--full", "--json").json
    assert (claim["measured"], claim["full"]) == (1.0, True)
    assert claim["settings"]["command"] == "similitude claims run 20.sized --full"
    assert cli("claims", "run", "20.sized", "--json").json[0]["measured"] == 0.0
