"""The best learning rate of one width: against closed forms, brute force and simulated curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.core.verdict import Outcome
from similitude.studies.noise import mean_losses
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve
from tests.oracles.vertex import vertex, vertex_sd
from tests.studies.loss_curves import bowl, cliff, drawn, jump, lopsided, true_minimum

NAN, INF = math.nan, math.inf


def curve(x: list[float] | np.ndarray, losses: list, *, width: int = 64) -> Curve:
    return Curve(width, tuple(2.0**v for v in x), tuple(map(tuple, losses)))


def log2(pair: tuple[float, float] | None) -> tuple[float, float]:
    assert pair is not None
    return math.log2(pair[0]), math.log2(pair[1])


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("at", [-3.0, -3.3, -2.501])
def test_an_exact_parabola_of_log_loss_gives_its_vertex_and_an_interval_of_no_width(
    at: float, seeds: int
) -> None:
    x = np.arange(-7.0, 1.0)
    best = optimum(curve(x, [[0.7 * math.exp(0.1 * (v - at) ** 2)] * seeds for v in x]))
    assert best.lr is not None
    assert math.log2(best.lr) == pytest.approx(at, abs=1e-9)
    low, high = log2(best.interval)
    assert high - low < 1e-6
    assert best.verdict.outcome is Outcome.OK
    assert best.bracketed


def test_an_uneven_grid_of_an_exact_parabola_gives_its_vertex() -> None:
    x = [-7.0, -5.0, -4.0, -3.5, -3.0, -2.0, 0.0]
    best = optimum(curve(x, [[math.exp(0.2 * (v + 3.4) ** 2)] * 3 for v in x]))
    assert best.lr is not None
    assert math.log2(best.lr) == pytest.approx(-3.4, abs=1e-9)


@pytest.mark.parametrize("offset", [0.0, -5.0])
def test_losses_without_a_logarithm_are_fitted_in_their_own_units(offset: float) -> None:
    x = np.arange(-6.0, 1.0)
    losses = [[40 * ((v + 2.6) ** 2 - 3) + offset] * 3 for v in x]
    best = optimum(curve(x, losses))
    assert best.lr is not None
    assert math.log2(best.lr) == pytest.approx(-2.6, abs=1e-9)
    huge = optimum(curve(x, [*losses[:-1], [1e30] * 3]))
    assert huge.lr is not None
    assert math.log2(huge.lr) == pytest.approx(-2.6, abs=1e-9)


def test_noise_on_a_parabola_spreads_the_minimum_as_the_delta_method_says() -> None:
    """Where the curve is a parabola and the weights are equal, nothing else moves its vertex."""
    x, a, sd, at = np.linspace(-2, 2, 9), 0.02, 0.02, 0.2
    expected = vertex_sd(x, a, -2 * a * at, sd / math.sqrt(3))
    rng, off_lsq, errors, widths = np.random.default_rng(0), [], [], []
    for _ in range(60):
        logs = a * (x - at) ** 2 + sd * rng.standard_normal((3, 9))
        best = optimum(curve(x, np.exp(logs).T.tolist()), draws=1000)
        assert best.lr is not None
        off_lsq.append(math.log2(best.lr) - vertex(x, logs.mean(0)))
        errors.append(math.log2(best.lr) - at)
        low, high = log2(best.interval)
        widths.append((high - low) / (2 * 1.96))
    assert np.std(off_lsq) < 0.3 * expected
    assert expected / 1.3 < np.std(errors) < 1.3 * expected
    assert expected / 1.3 < np.median(widths) < 1.3 * expected


def test_noise_that_neighbours_share_widens_the_interval() -> None:
    """Correlated noise tilts a curve 1.45 times as much as independent noise of the same size here."""
    x = np.arange(-5.0, 5.5, 0.5)
    factor = np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(21), np.arange(21))))
    rng, covered, widths = np.random.default_rng(1), [], []
    for seed in range(100):
        draw = rng.standard_normal((21, 3))
        for noise in (factor @ draw, draw):
            logs = 0.03 * x[:, None] ** 2 + 0.02 * noise
            low, high = log2(optimum(curve(x, np.exp(logs).tolist()), seed=seed, draws=400).interval)
            covered.append(low <= 0 <= high)
            widths.append(high - low)
    assert 1.15 < np.median(widths[0::2]) / np.median(widths[1::2]) < 1.6
    assert np.mean(covered[0::2]) > 0.88  # 0.925 of 200
    assert np.mean(covered[1::2]) > 0.91  # 0.97 of 200


def test_a_wall_that_the_parabola_reaches_by_itself_changes_nothing() -> None:
    x = np.arange(-6.0, 1.0)
    losses = [math.exp(0.12 * (v + 2.7) ** 2) for v in x]
    for wall in (losses[0], 1e30, INF):
        best = optimum(curve(x, [[wall], *([v] for v in losses[1:])]))
        assert best.lr is not None
        assert math.log2(best.lr) == pytest.approx(-2.7, abs=1e-9)


def test_a_cliff_does_not_drag_the_minimum_away() -> None:
    """A least-squares parabola through a cliff is off by octaves; with the cliff capped it is not."""
    rng = np.random.default_rng(3)
    curve_ = drawn(cliff, rng, noise=0.005, step=0.5, points=13, offset=0.0)
    best = optimum(curve_)
    assert best.lr is not None
    assert -1 < math.log2(best.lr) - true_minimum(cliff) < 0.1
    huge = Curve(64, curve_.lrs, tuple(tuple(1e30 if not v < 3 else v for v in row) for row in curve_.losses))
    assert optimum(huge).lr == best.lr
    finite = [np.mean(row) if max(row) < 3 else 1e30 for row in curve_.losses]
    assert abs(vertex(np.log2(curve_.lrs), np.log(finite)) - true_minimum(cliff)) > 1


def test_divergence_brackets_the_right_side_and_is_never_missing() -> None:
    curve_ = drawn(jump, np.random.default_rng(0), offset=-0.4)
    best = optimum(curve_)
    assert best.edge is None
    assert best.lr is not None
    assert -1.4 < math.log2(best.lr) < 0


def test_a_rate_at_which_one_seed_diverged_is_worse_than_all_at_which_none_did() -> None:
    losses = [[1.3] * 3, [1.1] * 3, [1.0, 1.01, 0.99], [0.5, 0.5, NAN], [INF] * 3]
    assert mean_losses([np.array(row) for row in losses])[3] == INF
    best = optimum(curve([-5, -4, -3, -2, -1], losses))
    assert best.loss == pytest.approx(1.0)
    assert best.lr is not None
    assert best.lr < 2**-2


@pytest.mark.parametrize(
    ("sign", "edge", "option"), [(-1, "high", "--lr-max 2^0"), (1, "low", "--lr-min 2^-10")]
)
def test_a_monotone_curve_is_not_bracketed_and_says_where_to_go(sign: int, edge: str, option: str) -> None:
    x = np.arange(-7.0, -2.0)
    rng = np.random.default_rng(0)
    losses = [[3 + sign * 0.2 * v + 0.001 * e for e in rng.standard_normal(3)] for v in x]
    best = optimum(curve(x, losses, width=1024))
    assert best.edge == edge
    assert not best.bracketed
    assert best.verdict.outcome is Outcome.NOT_BRACKETED
    end, word = ("2^-3", "largest") if edge == "high" else ("2^-7", "smallest")
    beyond = "higher" if edge == "high" else "lower"
    assert best.verdict.summary == (
        f"the best learning rate {end} is the {word} you tried at width 1024; the optimum may be {beyond}"
    )
    assert best.verdict.next == f"{option} --points 8"


def test_an_end_within_noise_of_the_best_is_not_bracketed() -> None:
    x = np.arange(-6.0, 0.0)
    noise = np.random.default_rng(5).standard_normal((6, 3)) * 0.05
    means = np.array([2.0, 1.6, 1.3, 1.1, 1.0, 1.02])
    best = optimum(curve(x, (means[:, None] + noise).tolist()))
    assert best.edge == "high"
    assert best.verdict.outcome is Outcome.NOT_BRACKETED
    assert "the optimum may be higher" in best.verdict.summary


def test_every_rate_diverged() -> None:
    best = optimum(curve([-3, -2, -1], [[NAN] * 3, [INF] * 3, [1.0, NAN, 2.0]], width=256))
    assert best.lr is None
    assert best.interval is None
    assert best.verdict.outcome is Outcome.DIVERGED
    assert best.verdict.summary == "every learning rate diverged at width 256: 2^-3 to 2^-1"
    assert best.verdict.next == "--lr-min 2^-6 --points 6"


def test_equal_losses_say_that_the_rate_has_no_effect() -> None:
    best = optimum(curve([-4, -3, -2, -1], [[2.5] * 3] * 4))
    assert best.verdict.outcome is Outcome.CANNOT_TELL
    assert "it has no effect" in best.verdict.summary
    assert not best.bracketed


def test_noise_above_the_whole_curve_is_too_noisy() -> None:
    losses = 1 + 0.3 * np.random.default_rng(1).standard_normal((7, 3))
    best = optimum(curve(np.arange(-7.0, 0.0), losses.tolist()))
    assert best.verdict.undecided
    assert "--seeds" in best.verdict.next or "--lr-" in best.verdict.next


def test_a_wide_interval_asks_for_seeds() -> None:
    best = optimum(drawn(lopsided, np.random.default_rng(0), noise=0.2, points=13))
    assert best.verdict.outcome is Outcome.TOO_NOISY
    assert best.verdict.next.startswith("--seeds ")


def test_a_wide_interval_beside_a_cliff_asks_for_points_too() -> None:
    best = optimum(drawn(jump, np.random.default_rng(1), noise=0.1, points=7, step=2.5, offset=-1.0))
    assert best.verdict.outcome is Outcome.TOO_NOISY
    assert best.verdict.next.startswith("--points 13 --seeds ")


@pytest.mark.parametrize("points", [1, 2])
def test_one_or_two_rates_give_no_interval_and_no_traceback(points: int) -> None:
    best = optimum(curve(range(-points, 0), [[1.0 + 0.1 * i] * 3 for i in range(points)]))
    assert best.interval is None
    assert best.verdict.outcome is Outcome.NOT_BRACKETED


def test_one_seed_on_three_rates_leaves_nothing_to_measure_noise_with() -> None:
    best = optimum(curve([-3, -2, -1], [[1.2], [1.0], [1.3]]))
    assert best.lr is not None
    assert best.verdict.outcome is Outcome.CANNOT_TELL
    assert "3 rates with 1 seed leave nothing to measure the noise with" in best.verdict.summary
    assert best.verdict.next == "--seeds 3 --points 7"


def test_one_seed_on_many_rates_measures_its_noise_by_the_misfit() -> None:
    curve_ = drawn(bowl, np.random.default_rng(0), noise=0.005, seeds=1)
    best = optimum(curve_)
    low, high = log2(best.interval)
    assert low < 0 < high
    assert 0.05 < high - low < 2.5


def test_missing_seeds_and_rates_of_an_unfinished_study_still_give_an_optimum() -> None:
    full = drawn(bowl, np.random.default_rng(2), noise=0.01)
    ragged = tuple(row[: 1 + (2 * i) % 3] if i != 1 else () for i, row in enumerate(full.losses))
    best = optimum(Curve(full.size, full.lrs, ragged))
    assert best.verdict.outcome is Outcome.OK
    assert best.lr is not None
    assert abs(math.log2(best.lr)) < 0.6


@pytest.mark.parametrize("losses", [(), ((), ())])
def test_no_finished_run_says_so(losses: tuple) -> None:
    best = optimum(Curve(64, (0.1, 0.2)[: len(losses)], losses))
    assert best.verdict.outcome is Outcome.CANNOT_TELL
    assert best.verdict.summary == "no run of width 64 is finished"


def test_the_order_of_seeds_does_not_matter() -> None:
    one = drawn(cliff, np.random.default_rng(8), noise=0.02)
    other = Curve(one.size, one.lrs, tuple((c, a, b) for a, b, c in one.losses))
    first, second = optimum(one, draws=500), optimum(other, draws=500)
    assert first.lr == pytest.approx(second.lr, rel=1e-9)
    assert first.interval == pytest.approx(second.interval, rel=1e-6)


def test_a_factor_common_to_all_rates_of_a_seed_changes_nothing() -> None:
    one = drawn(bowl, np.random.default_rng(8), noise=0.02)
    other = Curve(one.size, one.lrs, tuple((a * 3, b / 2, c * 5) for a, b, c in one.losses))
    first, second = optimum(one, draws=500), optimum(other, draws=500)
    assert first.lr == pytest.approx(second.lr, rel=1e-9)
    assert first.interval == pytest.approx(second.interval, rel=1e-6)


@settings(max_examples=8, deadline=None)
@given(octaves=st.floats(-20, 20), factor=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
def test_scaled_rates_and_losses_scale_the_optimum(octaves: float, factor: float, seed: int) -> None:
    one = drawn(cliff, np.random.default_rng(seed), noise=0.02)
    scaled = tuple(tuple(v * factor for v in row) for row in one.losses)
    other = Curve(one.size, tuple(lr * 2.0**octaves for lr in one.lrs), scaled)
    first, second = optimum(one, draws=200), optimum(other, draws=200)
    assert first.lr is not None
    assert second.lr is not None
    assert math.log2(second.lr) - math.log2(first.lr) == pytest.approx(octaves, abs=1e-6)


LOSS = st.one_of(st.sampled_from([NAN, INF, -INF, 0.0, 1e-300, 1e308, -1e308]), st.floats(-5, 5))


@settings(max_examples=100, deadline=None)
@given(
    losses=st.lists(st.lists(LOSS, max_size=3), max_size=8),
    gaps=st.lists(st.sampled_from([0.01, 0.5, 1.0, 4.0]), min_size=8, max_size=8),
)
@pytest.mark.filterwarnings("error")
def test_whatever_the_losses_the_rate_is_in_the_grid_and_in_its_interval(losses: list, gaps: list) -> None:
    x = np.cumsum(gaps)[: len(losses)] - 8
    best = optimum(curve(x, losses), draws=50)
    assert best.verdict.summary
    if best.lr is None:
        assert best.verdict.outcome in (Outcome.DIVERGED, Outcome.CANNOT_TELL)
        return
    assert x[0] - 1e-9 <= math.log2(best.lr) <= x[-1] + 1e-9
    if best.interval is not None:
        assert best.interval[0] <= best.lr <= best.interval[1]


def test_a_seed_repeats_its_draws_and_leaves_the_global_generator_alone() -> None:
    curve_ = drawn(bowl, np.random.default_rng(8), noise=0.02)
    np.random.seed(0)
    before = np.random.get_state()[1]
    assert optimum(curve_, seed=1).draws == optimum(curve_, seed=1).draws
    assert optimum(curve_, seed=1).draws != optimum(curve_, seed=2).draws
    assert np.array_equal(before, np.random.get_state()[1])
