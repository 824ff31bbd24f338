"""Verdicts: outcomes, exit codes, raising, JSON."""

import json

import pytest

from similitude.core.claim import Claim
from similitude.core.errors import BadVerdictError, NotEnoughEvidenceError, SimilitudeError
from similitude.core.verdict import Evidence, Outcome, Verdict

CODES = {
    Outcome.OK: 0, Outcome.TRANSFERS: 0, Outcome.CONSISTENT: 0,
    Outcome.SHIFTS: 1, Outcome.GROWS: 1, Outcome.SHRINKS: 1, Outcome.INCONSISTENT: 1, Outcome.DIVERGED: 1,
    Outcome.REFUSED: 1,
    Outcome.NOT_BRACKETED: 3, Outcome.TOO_NOISY: 3, Outcome.CANNOT_TELL: 3,
}  # fmt: skip


def test_the_table_has_every_outcome():
    assert set(CODES) == set(Outcome)


@pytest.mark.parametrize(("outcome", "code"), CODES.items())
def test_codes_and_raising_agree(outcome, code):
    verdict = Verdict(outcome, "the best rate moved", next="--lr-max 2^0")
    assert (verdict.exit_code, verdict.ok, verdict.undecided) == (code, code == 0, code == 3)
    if code == 0:
        verdict.raise_if_bad()
        return
    with pytest.raises(SimilitudeError) as caught:
        verdict.raise_if_bad()
    assert type(caught.value) is {1: BadVerdictError, 3: NotEnoughEvidenceError}[code]
    assert caught.value.exit_code == code
    assert str(caught.value) == f"{outcome.value}: the best rate moved Next: --lr-max 2^0"


def test_json_round_trip():
    verdict = Verdict(
        Outcome.SHIFTS,
        "it moves",
        evidence=(Evidence("shift", -0.5, (-0.6, -0.4), "0"), Evidence("loss", None)),
        causes=("sp", "few steps"),
        next="use mup",
    )
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict
    assert verdict.to_dict()["outcome"] == "shifts"


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        (Evidence("shift", -0.51234, (-0.6, -0.4), "0"), "shift: -0.5123 [-0.6, -0.4] (expected 0)"),
        (Evidence("loss", 2.0), "loss: 2"),
        (Evidence("loss", None), "loss: none"),
    ],
)
def test_evidence_reads_as_a_line(evidence, text):
    assert str(evidence) == text


@pytest.mark.parametrize(("outcome", "passed"), [(Outcome.OK, True), (Outcome.INCONSISTENT, False)])
def test_a_claim_passes_by_its_verdict(outcome, passed):
    claim = Claim("17.x", 17, "it holds", "below 1", 2.0, (1.0, 3.0), "octaves", Verdict(outcome, "2"), 1.0)
    data = json.loads(json.dumps(claim.to_dict()))
    assert (claim.passed, data["passed"], data["interval"]) == (passed, passed, [1.0, 3.0])
    assert data["arxiv"] == claim.source.arxiv == "2203.03466"
    if not passed:
        with pytest.raises(BadVerdictError, match="inconsistent: 2"):
            claim.raise_if_bad()
