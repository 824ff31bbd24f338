"""What must change nothing: units, the order of dimensions, the sign of the objective, other people's generators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.tuning.space.dimensions import Choice, Linear, Log, Logit
from similitude.tuning.space.space import Space
from tests.tuning.sampler_runs import searched, sequence

TRIALS = 8


def chinchilla(n: float, d: float, lr: float) -> tuple[float, float]:
    """Value and cost of a language model of n parameters after d tokens (tuning problem P1, without noise)."""
    best = 3e-3 * (n / 1e7) ** -0.5
    return 1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28 + 0.3 * np.log10(lr / best) ** 2, 6 * n * d / 1e15


def searched_in(unit_n: float, unit_d: float, unit_lr: float, **options: Any) -> np.ndarray:
    """Return the configurations tried, shape (trials, 3), in the plain units, of a search in others."""
    space = Space(
        N=Log(3e6 / unit_n, low=1e6 / unit_n, high=1e9 / unit_n, role="scale"),
        D=Log(3e7 / unit_d, low=1e7 / unit_d, high=1e11 / unit_d, role="scale"),
        lr=Log(1e-3 / unit_lr, low=1e-5 / unit_lr, high=1.0 / unit_lr, role="transfer"),
    )
    study = searched(
        space,
        lambda v: chinchilla(v["N"] * unit_n, v["D"] * unit_d, v["lr"] * unit_lr),
        trials=TRIALS,
        **options,
    )
    return np.array([list(p.values()) for p in sequence(study)]) * [unit_n, unit_d, unit_lr]


@settings(max_examples=3, deadline=None, derandomize=True)
@given(st.lists(st.floats(-30.0, 30.0), min_size=3, max_size=3), st.integers(0, 3))
def test_units_change_nothing(powers: list[float], seed: int):
    plain = searched_in(1.0, 1.0, 1.0, seed=seed)
    other = searched_in(*(10.0**p for p in powers), seed=seed)
    np.testing.assert_allclose(other, plain, rtol=1e-7)


def test_the_order_of_dimensions_changes_nothing():
    dims = {
        "act": Choice("relu", "gelu"),
        "beta": Linear(0.5, low=0.0, high=1.0, when={"act": "gelu"}),
        "lr": Log(1e-2),
        "drop": Logit(0.1),
        "width": Log(32, integer=True, low=8),
    }

    def measure(v):
        value = np.log10(v["lr"]) ** 2 + v["drop"] + v.get("beta", 0.7) + v["width"] ** -0.5
        return value, float(v["width"])

    orders = [list(dims), ["width", "drop", "lr", "act", "beta"], ["lr", "act", "width", "beta", "drop"]]
    runs = [searched(Space({n: dims[n] for n in order}), measure, trials=TRIALS, seed=2) for order in orders]
    first, *others = [[dict(sorted(p.items())) for p in sequence(run)] for run in runs]
    assert all(other == first for other in others)


@pytest.mark.parametrize("seed", [0, 1])
def test_maximizing_the_mirror_image_is_the_same_search(seed):
    assert sequence(searched(trials=TRIALS, seed=seed)) == sequence(
        searched(trials=TRIALS, seed=seed, direction="maximize")
    )


def test_another_scale_and_origin_of_the_value_change_nothing():
    plain = searched_in(1.0, 1.0, 1.0)
    space = Space(
        N=Log(3e6, low=1e6, high=1e9, role="scale"),
        D=Log(3e7, low=1e7, high=1e11, role="scale"),
        lr=Log(1e-3, low=1e-5, high=1.0, role="transfer"),
    )

    def measure(v):
        value, cost = chinchilla(v["N"], v["D"], v["lr"])
        return 1000.0 * value + 50.0, 60.0 * cost

    other = np.array([list(p.values()) for p in sequence(searched(space, measure, trials=TRIALS))])
    np.testing.assert_allclose(other, plain, rtol=1e-7)
