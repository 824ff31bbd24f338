"""TextEncoder: what a state depends on, padding that changes nothing, and sizes that are refused."""

import pytest
import torch

from similitude.core.seeding import seeded
from similitude.models import ModelError, TextEncoder


def encoder(width: int = 32) -> TextEncoder:
    with seeded(0):
        return TextEncoder(50, 12, width=width).eval()


def test_tokens_see_those_after_them() -> None:
    ids = torch.randint(50, (1, 6), generator=torch.Generator().manual_seed(1))
    other = ids.clone()
    other[0, 5] = (ids[0, 5] + 1) % 50
    net, mask = encoder(), torch.ones_like(ids)
    assert (net(ids, mask)[0, 0] - net(other, mask)[0, 0]).abs().max() > 1e-3


def test_padding_changes_no_state() -> None:
    net = encoder()
    ids = torch.randint(50, (2, 5), generator=torch.Generator().manual_seed(2))
    padded = torch.cat([ids, torch.full((2, 4), 7)], 1)
    mask = (torch.arange(9) < 5).long().expand(2, -1)
    torch.testing.assert_close(net(padded, mask)[:, :5], net(ids, torch.ones_like(ids)), rtol=1e-5, atol=1e-5)


def test_a_row_of_padding_alone_stays_finite() -> None:
    ids = torch.zeros(1, 4, dtype=torch.long)
    assert encoder()(ids, torch.zeros_like(ids)).isfinite().all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="heads"):
        TextEncoder(50, 12, width=24)
    ids = torch.zeros(1, 13, dtype=torch.long)
    with pytest.raises(ModelError, match="13 tokens but context=12"):
        encoder()(ids, torch.ones_like(ids))
