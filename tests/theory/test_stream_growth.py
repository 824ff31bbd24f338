"""Growth of the stream of random residual networks: against networks, closed forms, and wrong numbers."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from similitude.core.errors import TheoryError
from similitude.theory.streams import stream_growth


def simulated(phi, *, depth, alpha, multiplier, start, centred, width=400, seeds=6):
    """Root mean squares of the streams of plain networks, pooled over seeds: shape (depth + 1,)."""
    g = torch.Generator().manual_seed(depth)
    x = start * torch.randn(seeds, width, generator=g, dtype=torch.float64)
    x = (x - x.mean(1, keepdim=True)) * (start / x.std(1, correction=0, keepdim=True))
    squares = [x.square().mean()]
    for _ in range(depth):
        weights = torch.randn(seeds, width, width, generator=g, dtype=torch.float64) / width**0.5
        y = phi((weights @ x[..., None])[..., 0])
        x = x + multiplier * depth**-alpha * (y - y.mean(1, keepdim=True) if centred else y)
        squares.append(x.square().mean())
    return torch.stack(squares).sqrt().numpy()


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    ("phi", "alpha", "multiplier", "start"),
    [
        (torch.relu, 0.5, 1.0, 1.0),
        (torch.abs, 0.5, 0.7, 2.0),
        (F.gelu, 0.75, 1.5, 0.5),
        (torch.tanh, 0.25, -1.0, 1.0),
    ],
)
def test_it_is_that_of_random_networks(phi, alpha, multiplier, start, centred):
    given = {"depth": 24, "alpha": alpha, "multiplier": multiplier, "start": start, "centred": centred}
    expected = simulated(phi, **given)
    assert stream_growth(phi, **given) == pytest.approx(expected, rel=0.08)


def test_closed_forms():
    depth = 40
    linear = stream_growth(lambda z: z, depth=depth, centred=False)
    assert linear == pytest.approx((1 + 1 / depth) ** (np.arange(depth + 1) / 2))
    assert stream_growth(torch.tanh, depth=5) == pytest.approx(
        stream_growth(torch.tanh, depth=5, centred=False)
    )
    kept = [math.log(stream_growth(torch.relu, depth=d, centred=False)[-1]) for d in (1024, 4096, 16384)]
    # Once the mean m is all of the stream, each branch adds m / sqrt(2 pi L): sizes go as exp(sqrt(L / (2 pi))).
    assert (kept[2] - kept[1]) / (kept[1] - kept[0]) == pytest.approx(2, rel=0.02)
    assert kept[2] - kept[1] == pytest.approx(64 / math.sqrt(2 * math.pi), rel=0.02)


def test_what_blows_up_is_infinite():
    found = stream_growth(torch.relu, depth=3000, alpha=0.0, centred=False)
    assert found.shape == (3001,)
    assert found[0] == 1
    assert math.isinf(found[-1])
    assert not np.isnan(found).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 0}, "depth=0"),
        ({"depth": 4, "alpha": math.nan}, "alpha=nan"),
        ({"depth": 256, "alpha": -400.0}, "alpha=-400 at depth=256"),
        ({"depth": 4, "start": 0.0}, "start=0"),
        ({"depth": 4, "multiplier": math.inf}, "multiplier=inf"),
        ({"depth": 4, "phi": "relu"}, "phi is a str"),
    ],
)
def test_wrong_numbers(change, words):
    with pytest.raises(TheoryError, match=words):
        stream_growth(change.pop("phi", torch.relu), **change)
