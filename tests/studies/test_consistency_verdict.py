"""Which verdict curves get, and what it says."""

import math
import re
from collections import Counter

import pytest

from similitude.core.errors import BadVerdictError, NotEnoughEvidenceError
from similitude.core.verdict import Outcome
from similitude.studies.consistency_analysis import spread
from similitude.studies.consistency_judged import judged
from similitude.studies.consistency_verdict import judge
from tests.studies.consistency_cases import WINDOWS, curves, gap_of_loss, lazy, same


def verdict(sharpness, *, loss=gap_of_loss, rule="mup", sizes=(64, 128, 256, 512, 1024), **options):
    found = judged(rule, "width", curves(sizes, sharpness=sharpness, loss=loss, **options), WINDOWS)
    assert found.verdict.evidence[0].name == "spread of eta x lambda over widths, step 0"
    return found.verdict


def test_one_curve_is_consistent():
    said = verdict(same, noise=0.01)
    assert said.outcome is Outcome.CONSISTENT
    assert "the same over widths 256 to 1024 all along" in said.summary
    said.raise_if_bad()


def test_curves_that_fan_out_are_inconsistent_and_the_window_is_named():
    said = verdict(lazy, rule="ntp", noise=0.01)
    assert said.outcome is Outcome.INCONSISTENT
    assert "under ntp depends on the width" in said.summary
    assert "at steps 50-100, beyond 15%" in said.summary
    with pytest.raises(BadVerdictError):
        said.raise_if_bad()


def test_a_small_spread_that_doubles_beyond_noise_is_not_yet_an_answer():
    def opening(size, t):
        return 1 + (0.02 + 0.1 * t) * (size == 1024)

    said = verdict(opening)
    assert said.outcome is Outcome.CANNOT_TELL
    assert "is small but grows from 2% at step 0 to 9% at steps 50-100" in said.summary
    assert said.next == "--steps 200"


def test_noise_as_large_as_the_limit_decides_nothing_and_names_the_window():
    said = verdict(same, noise=0.25)
    assert said.outcome is Outcome.CANNOT_TELL
    assert re.search(
        r"at steps \d+-\d+ is \d+%, and noise leaves open .*; more seeds are needed", said.summary
    )
    assert int(said.next.removeprefix("--seeds ")) > 3
    with pytest.raises(NotEnoughEvidenceError):
        said.raise_if_bad()


def test_noise_of_the_start_alone_decides_nothing():
    said = verdict(
        lambda size, t: 1.0 if t else {256: 1.0, 512: 1.08, 1024: 1.14}.get(size, 1.3), noise=0.03, seed=5
    )
    assert said.evidence[0].value < 0.15 < said.evidence[0].interval[1]
    assert said.outcome is Outcome.CONSISTENT


def test_sizes_that_differ_before_they_learn_leave_it_open():
    said = verdict(lambda size, t: 1.0 if t else {256: 1.0, 512: 1.3}.get(size, 1.0))
    assert said.outcome is Outcome.CANNOT_TELL
    assert "at step 0 already" in said.summary
    assert "--widths 128,256,512,1024,2048" in said.next


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize("sizes", [(64, 128, 256, 512), (64, 128, 256, 512, 1024)], ids=["2", "3"])
def test_noise_makes_no_answer_of_its_own(sizes, seeds):
    """Seeds that differ by 2, 10 and 30 %: equal sizes are called different, and sizes with a spread above 25 % equal, in
    at most 5 of 100 studies; where noise is small both are told."""
    draws = 60
    for noise in (0.02, 0.1, 0.3):
        for last, wrong, right in ((1.0, "inconsistent", "consistent"), (1.35, "consistent", "inconsistent")):
            said = Counter(
                outcome(lambda size, t, f=last: f if size == sizes[-1] else 1.0, sizes, seeds, noise, draw)
                for draw in range(draws)
            )
            assert said[wrong] <= 0.05 * draws
            if noise == 0.02:
                assert said[right] >= 0.9 * draws


def outcome(sharpness, sizes, seeds, noise, draw):
    """The outcome of one study of which everything but its spreads is left out."""
    found = curves(sizes, sharpness=sharpness, loss=gap_of_loss, seeds=seeds, noise=noise, seed=draw)
    spreads = [spread(found, window, judged=2) for window in WINDOWS]
    said = judge("mup", "width", sizes=sizes, seeds=seeds, spreads=spreads, growths=(), diverged={})
    return str(said.outcome)


def test_two_seeds_are_too_few_for_consistency():
    said = verdict(same, seeds=2)
    assert said.outcome is Outcome.CANNOT_TELL
    assert said.next == "--seeds 3"
    assert verdict(lazy, seeds=2, noise=0.001).outcome is Outcome.INCONSISTENT


def test_two_sizes_are_too_few():
    said = verdict(same, sizes=(64, 128))
    assert said.outcome is Outcome.CANNOT_TELL
    assert said.next == "--widths 64,128,256,512"


def test_runs_that_diverged_are_counted():
    def lost(size, t):
        return math.nan if size == 1024 and t > 0.6 else 1.0

    said = verdict(same, loss=lost)
    assert said.outcome is Outcome.CANNOT_TELL
    assert "3 of width 1024" in said.summary
    assert verdict(lazy, loss=lost).outcome is Outcome.INCONSISTENT  # seen before they were lost


def test_a_rule_whose_runs_all_diverged_has_diverged():
    said = verdict(same, loss=lambda size, t: math.nan if size >= 256 and t > 0 else 1.0)
    assert said.outcome is Outcome.DIVERGED


def test_an_optimizer_without_units_says_nothing():
    said = verdict(lambda size, t: math.nan)
    assert said.outcome is Outcome.CANNOT_TELL
    assert "no window has a sharpness" in said.summary
    late = verdict(lambda size, t: math.nan if t > 0.4 else 1.0)
    assert late.outcome is Outcome.CANNOT_TELL
    assert "at steps 50-100" in late.summary
