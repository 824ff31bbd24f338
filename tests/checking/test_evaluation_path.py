"""Multipliers that one of the two paths forgets."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from similitude.checking.evaluation_path import compare_paths, path_ratios


class Reader(nn.Module):
    """Divides its outputs by the width, in evaluation only if told to."""

    def __init__(self, width: int, *, forgets: bool) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, width), nn.Linear(width, 3)
        self.width, self.forgets = width, forgets

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        out = self.head(torch.tanh(self.body(x)))
        if labels is not None or not self.forgets:
            out = out / self.width
        return out, None if labels is None else F.cross_entropy(out, labels)


X, Y = torch.randn(8, 4), torch.zeros(8, dtype=torch.long)


@pytest.mark.parametrize("batch", [(X, Y), {"x": X, "labels": Y}])
@pytest.mark.parametrize("forgets", [True, False])
def test_a_forgotten_multiplier_is_a_ratio_that_changes_with_the_width(batch, forgets):
    found = compare_paths([Reader(w, forgets=forgets) for w in (8, 32)], [batch, batch], None)
    (ratios,) = found["head.weight"]
    assert ratios == pytest.approx([1 / 8, 1 / 32] if forgets else [1, 1])


def test_a_loss_is_compared_with_the_call_on_the_inputs():
    def loss(model: nn.Module, pair: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(pair[0])[0] * 0.25, pair[1])

    (ratios,) = path_ratios(Reader(8, forgets=False), (X, Y), loss)
    assert ratios["head.weight"] == pytest.approx(0.25)


def test_a_model_with_one_path_has_nothing_to_compare():
    assert path_ratios(nn.Linear(4, 3), X, None) == []
