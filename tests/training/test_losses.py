"""Losses on what models return: tensors, and objects or dicts with logits."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import vmap

from similitude.core.errors import StudyError
from similitude.training.losses import cross_entropy, mean_squared_error, squared_error_of_classes

INPUTS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 1, 0])
LOSSES = [(cross_entropy, LABELS), (squared_error_of_classes, LABELS), (mean_squared_error, INPUTS.flip(0))]


class Returns(nn.Module):
    """Gives its input wrapped in something."""

    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(x)


@pytest.mark.parametrize(("loss", "targets"), LOSSES)
@pytest.mark.parametrize(
    "wrap",
    [lambda x: SimpleNamespace(logits=x, hidden=x + 1), lambda x: {"logits": x}],
    ids=["object", "dict"],
)
def test_the_logits_of_an_output_are_what_a_loss_reads(loss, targets, wrap):
    assert loss(Returns(wrap), (INPUTS, targets)) == loss(nn.Identity(), (INPUTS, targets))


@pytest.mark.parametrize(("loss", "targets"), LOSSES)
def test_an_output_without_logits_is_refused_and_the_loss_option_named(loss, targets):
    with pytest.raises(StudyError, match=r"'logits' is missing.*--loss module:name"):
        loss(Returns(lambda x: (x, x)), (INPUTS, targets))


@pytest.mark.parametrize(("loss", "targets"), LOSSES)
def test_losses_have_batching_rules_so_that_runs_can_be_stacked(loss, targets):
    inputs = torch.stack([INPUTS, 2 * INPUTS])
    both = vmap(lambda x: loss(nn.Identity(), (x, targets)))(inputs)
    assert torch.allclose(both, torch.stack([loss(nn.Identity(), (x, targets)) for x in inputs]))


def test_a_label_that_is_no_class_is_an_error():
    with pytest.raises(RuntimeError, match="out of bounds"):
        squared_error_of_classes(nn.Identity(), (INPUTS, LABELS + 1))
