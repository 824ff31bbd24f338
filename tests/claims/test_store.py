"""Measured claims in a file: added one by one, read again, and when they need not be measured anew."""

import dataclasses
import json
import multiprocessing

import pytest

import similitude
from similitude.claims.registry import Entry, Measured
from similitude.claims.store import add_claim, latest, read_claims, still_good
from similitude.core.claim import Claim
from similitude.core.errors import StudyError
from similitude.core.verdict import Outcome, Verdict

VERDICT = Verdict(Outcome.OK, "it is 2")


def claim(name="6.a", **changes) -> Claim:
    made = Claim(name, 6, "It holds.", "below 1", 2.0, (1.0, 3.0), "octaves", VERDICT, 1.5)
    return dataclasses.replace(made, settings={"similitude": similitude.__version__}, **changes)


def entry(name="6.a", **changes) -> Entry:
    def measurement() -> Measured:
        raise AssertionError("it is not to be measured")

    return dataclasses.replace(Entry(name, 6, "It holds.", "below 1", 1.0, measurement), **changes)


def test_claims_are_added_and_replaced(tmp_path):
    path = tmp_path / "deep" / "claims.json"
    for one in (claim("6.b"), claim(), claim("6.b", measured=5.0)):
        add_claim(path, one)
    assert read_claims(path) == [claim(), claim("6.b", measured=5.0)]
    assert [path.name] == [p.name for p in path.parent.iterdir() if not p.name.startswith(".")]


def test_several_processes_add_to_one_file(tmp_path):
    path = tmp_path / "claims.json"
    context = multiprocessing.get_context("fork")
    names = [f"6.{letter}" for letter in "abcdefgh"]
    adders = [context.Process(target=add_claim, args=(path, claim(name))) for name in names]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join(60)
    assert [one.name for one in read_claims(path)] == names


def test_the_last_measurement_counts():
    other = dataclasses.replace(claim("17.a"), paper=17)
    assert latest([other, claim(), claim(measured=3.0)]) == [claim(measured=3.0), other]
    failed = claim(error="ValueError: no")
    assert latest([claim(), failed]) == latest([failed, claim()]) == [claim()]
    assert latest([claim(error="first"), failed]) == [failed]


@pytest.mark.parametrize(
    ("stored", "asked", "full", "good"),
    [
        (claim(), entry(), False, True),
        (claim(), entry(), True, True),  # it has one size
        (claim(), entry(full_minutes=9.0), False, True),
        (claim(), entry(full_minutes=9.0), True, False),
        (claim(full=True), entry(full_minutes=9.0), True, True),
        (claim(full=True), entry(full_minutes=9.0), False, True),
        (claim(error="ValueError: no"), entry(), False, False),
        (claim(claimed="below 2"), entry(), False, False),
        (claim(statement="Else."), entry(), False, False),
        (dataclasses.replace(claim(), settings={"similitude": "0.0"}), entry(), False, False),
        (claim(), entry("6.b"), False, False),
    ],
)
def test_what_is_measured_again(stored, asked, full, good):
    assert still_good([stored], [asked], full=full) == ([stored] if good else [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("{}", None),
        ('[{"claim": "6.a"}]', "KeyError"),
        ("[1]", "TypeError"),
        ("3", "TypeError"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    path = tmp_path / "claims.json"
    path.write_text(text)
    if words is None:
        assert read_claims(path) == []
        return
    with pytest.raises(StudyError, match=words):
        read_claims(path)
    with pytest.raises(StudyError, match=words):
        add_claim(path, claim())
    assert path.read_text() == text


def test_a_list_that_was_not_measured_is_refused(tmp_path):
    path = tmp_path / "claims.json"
    path.write_text(json.dumps([entry().to_dict()]))
    with pytest.raises(StudyError, match="not the output of `claims list`"):
        read_claims(path)
    with pytest.raises(StudyError, match="cannot read"):
        read_claims(tmp_path / "none.json")
