"""Verdicts of transfer from exponents that are given."""

import math

import pytest

from similitude.core.errors import BadVerdictError, NotEnoughEvidenceError
from similitude.core.verdict import Outcome
from similitude.tuning.laws.records import Exponent
from similitude.tuning.laws.transfer import transfer_verdict


def judged(low, high, *, trials=60, **kwargs):
    exponent = Exponent((low + high) / 2, low, high, role="transfer", **kwargs)
    return transfer_verdict("lr", {"surrogate": exponent}, estimator="surrogate", trials=trials)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.04, 0.05, Outcome.TRANSFERS),
        (0.001, 0.02, Outcome.TRANSFERS),  # not 0, and too small to matter
        (0.01, 0.05, Outcome.SHIFTS),
        (-0.3, -0.1, Outcome.SHIFTS),
        (-0.1, 0.01, Outcome.CANNOT_TELL),  # holds 0 and is wide
        (-math.inf, math.inf, Outcome.CANNOT_TELL),
    ],
)
def test_outcomes(low, high, outcome):
    assert judged(low, high).outcome is outcome


def test_a_drift_says_its_exponent_and_what_to_do():
    verdict = judged(-0.25, -0.2)
    assert "C^-0.23 [-0.25, -0.2]" in verdict.summary
    assert "0.6 per decade" in verdict.summary
    assert verdict.next
    with pytest.raises(BadVerdictError):
        verdict.raise_if_bad()


def test_undecided_says_how_many_more_trials_by_the_root_of_their_number():
    verdict = judged(-0.05, 0.15, trials=50)
    # To a width of 0.1 takes four times the trials; to exclude 0 at 0.05 likewise: 0.2 / 2 / 0.05 = 2.
    assert verdict.next.startswith("about 150 more trials")
    with pytest.raises(NotEnoughEvidenceError):
        verdict.raise_if_bad()


def test_what_hardly_varied_cannot_be_told():
    verdict = judged(-math.inf, math.inf, identified=False)
    assert "hardly varied" in verdict.summary


def test_every_estimator_is_evidence_the_believed_one_first():
    exponents = {"naive": Exponent(0.0, -0.1, 0.1), "parametric": Exponent(-0.2, -0.25, -0.15)}
    verdict = transfer_verdict("lr", exponents, estimator="parametric", trials=60)
    assert [line.value for line in verdict.evidence] == [-0.2, 0.0]
    assert "parametric" in verdict.evidence[0].name
